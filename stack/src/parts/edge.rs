//! The edge in `workerd`, the runtime that Cloudflare itself runs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::ready;

use super::Plan;
use crate::layout::{Layout, write_atomically};
use crate::part::Part;
use crate::probe::Probe;

/// Also in `wrangler.toml`.
const COMPATIBILITY_DATE: &str = "2026-04-01";
/// Class, binding and storage folder of each kind of Durable Object. The folder's name is part of every
/// object's id: changing it loses them.
const DURABLE_OBJECTS: &[(&str, &str, &str)] = &[
    ("Room", "ROOM", "catraca-room"),
    ("Dispenser", "DISPENSER", "catraca-dispenser"),
];

/// What the Worker is told; names as in the Worker's code.
pub fn bindings(plan: &Plan) -> Vec<(&'static str, String)> {
    let own = vec![
        ("CORE_URL", plan.ports.url("core")),
        ("CATRACA_PUBLIC_URL", plan.ports.url("edge")),
        (
            "CATRACA_EDGE_SECRET",
            plan.secrets.get("edge_secret").to_owned(),
        ),
        (
            "CATRACA_ADMISSION_KEYS",
            plan.secrets.keyring("a1", "admission_key"),
        ),
        (
            "CATRACA_PLACE_KEYS",
            plan.secrets.keyring("p1", "place_key"),
        ),
        ("CATRACA_LOG_KEY", plan.secrets.get("log_key").to_owned()),
    ];
    own.into_iter().chain(plan.passed_on.clone()).collect()
}

/// What the Worker may reach: this machine, and the world only where it has to ask Cloudflare's own
/// siteverify.
fn reach(plan: &Plan) -> &'static str {
    let is_set = |wanted| plan.passed_on.iter().any(|(name, _)| *name == wanted);
    if is_set("CATRACA_TURNSTILE_SECRET") && !is_set("CATRACA_TURNSTILE_URL") {
        r#"(allow = ["127.0.0.0/8", "public"], tlsOptions = (trustBrowserCas = true))"#
    } else {
        r#"(allow = ["127.0.0.0/8"])"#
    }
}

/// The part. Each start takes the Worker as it was built last.
pub fn part(plan: &Plan) -> anyhow::Result<Part> {
    let folder = plan.layout.folder("edge")?;
    plan.layout.folder("edge/do")?;
    let config = folder.join("config.capnp");
    write_atomically(&config, configuration(plan, &folder)?.as_bytes())?;
    let program = workerd(&plan.layout)?;
    let probe = Probe::AnyHttp {
        address: plan.ports.address("edge"),
    };
    let mut part = Part::new("edge", program, probe).args(["serve".into(), config]);
    let layout = plan.layout.clone();
    part.clean_up = Some(Arc::new(move || {
        ready(take_build(&layout, &folder)).boxed()
    }));
    // On TERM it waits for every open request, and a browser may keep one open for ever.
    part.stop_within = Duration::from_secs(3);
    Ok(part)
}

/// Copied, so that building while it runs changes nothing under its feet.
fn take_build(layout: &Layout, folder: &Path) -> anyhow::Result<()> {
    for name in ["index.js", "index_bg.wasm"] {
        let built = layout.root.join("edge/build").join(name);
        let bytes = std::fs::read(&built)
            .with_context(|| format!("{} is missing: run `make edge`", built.display()))?;
        write_atomically(&folder.join(name), &bytes)?;
    }
    Ok(())
}

/// The program itself, not the script that npm puts in front of it.
fn workerd(layout: &Layout) -> anyhow::Result<PathBuf> {
    let platform = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "64"
    };
    let path = layout.root.join(format!(
        "node_modules/@cloudflare/workerd-linux-{platform}/bin/workerd"
    ));
    anyhow::ensure!(
        path.is_file(),
        "{} is missing: run `make setup`",
        path.display()
    );
    Ok(path)
}

fn configuration(plan: &Plan, folder: &Path) -> anyhow::Result<String> {
    let assets = plan.layout.pages()?;
    let mut bound = String::new();
    for (name, value) in bindings(plan) {
        // Writing to a String can't fail.
        let _ = writeln!(
            bound,
            "    (name = {}, text = {}),",
            quoted(name),
            quoted(&value)
        );
    }
    let mut namespaces = String::new();
    for (class, binding, key) in DURABLE_OBJECTS {
        let _ = writeln!(
            bound,
            "    (name = {}, durableObjectNamespace = {}),",
            quoted(binding),
            quoted(class)
        );
        let _ = writeln!(
            namespaces,
            "    (className = {}, uniqueKey = {}, enableSql = true),",
            quoted(class),
            quoted(key)
        );
    }
    Ok(TEMPLATE
        .replace("$ASSETS", &quoted(&assets.to_string_lossy()))
        .replace("$STORAGE", &quoted(&folder.join("do").to_string_lossy()))
        .replace("$ADDRESS", &quoted(&plan.ports.address("edge")))
        .replace("$REACH", reach(plan))
        .replace("$DATE", &quoted(COMPATIBILITY_DATE))
        .replace("$NAMESPACES", namespaces.trim_end())
        .replace("$BINDINGS", bound.trim_end()))
}

/// A text in Cap'n Proto's notation.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            _ => out.push(char),
        }
    }
    out.push('"');
    out
}

const TEMPLATE: &str = r#"# Written at every start.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    (name = "assets", disk = (path = $ASSETS)),
    (name = "do", disk = (path = $STORAGE, writable = true)),
    # What the Worker fetches by URL.
    (name = "outbound", network = $REACH),
  ],
  sockets = [(name = "http", address = $ADDRESS, http = (), service = "edge")],
);

const edge :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "./index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  compatibilityDate = $DATE,
  bindings = [
$BINDINGS
    (name = "ASSETS", service = "assets"),
  ],
  globalOutbound = "outbound",
  durableObjectNamespaces = [
$NAMESPACES
  ],
  durableObjectStorage = (localDisk = "do"),
);
"#;
