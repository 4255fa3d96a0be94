//! How each part of Catraca is started, in the order in which they are.

pub mod core;
pub mod edge;
pub mod issuer;
pub mod mail;
pub mod postgres;
pub mod redis;
pub mod sandbox;
pub mod wrangler;

use std::path::PathBuf;

use anyhow::Context as _;

use crate::layout::Layout;
use crate::ports::Ports;
use crate::secrets::Secrets;

/// Everything that needs a port.
pub const PORT_NAMES: &[&str] = &[
    "edge",
    "core",
    "worker",
    "postgres",
    "redis",
    "sandbox",
    "issuer",
    "mail",
    "inspector",
];

/// What the parts of one run are made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The checkout.
    pub layout: Layout,
    /// Where everybody listens.
    pub ports: Ports,
    /// What they share.
    pub secrets: Secrets,
    /// What the operator has set up beyond them, by the names in [`PASSED_ON`].
    pub passed_on: Vec<(&'static str, String)>,
}

/// Variables of the operator's that the Worker gets too. (The core has the whole environment.)
pub const PASSED_ON: &[&str] = &[
    "CATRACA_TURNSTILE_SITE_KEY",
    "CATRACA_TURNSTILE_SECRET",
    "CATRACA_TURNSTILE_URL",
];

impl Plan {
    /// Chooses ports and makes secrets, or takes those of the last run.
    pub async fn make(layout: Layout) -> anyhow::Result<Self> {
        let ports = Ports::choose(PORT_NAMES, &layout.local.join("ports.json"), |variable| {
            std::env::var(variable).ok()
        })
        .await?;
        let secrets = Secrets::load_or_make(&layout.local.join("secrets.json"))?;
        let given = |name: &&'static str| Some((*name, std::env::var(name).ok()?));
        let passed_on = PASSED_ON.iter().filter_map(given);
        let passed_on = passed_on.filter(|(_, value)| !value.is_empty()).collect();
        Ok(Self {
            layout,
            ports,
            secrets,
            passed_on,
        })
    }

    /// Connection string of the database.
    pub fn postgres_dsn(&self) -> String {
        format!(
            "postgres://{}:{}@{}/{}",
            postgres::ROLE,
            self.secrets.get("postgres_password"),
            self.ports.address("postgres"),
            postgres::DATABASE
        )
    }

    /// Connection string of Redis.
    pub fn redis_url(&self) -> String {
        format!(
            "redis://:{}@{}/",
            self.secrets.get("redis_password"),
            self.ports.address("redis")
        )
    }
}

/// A program of the system, looked for on the path.
fn system_program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("{name} is not installed: run `make setup`"))
}
