//! Loopback ports: chosen once, remembered, taken again when still free.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rand::Rng as _;

use crate::layout::write_atomically;

/// Below the range the kernel takes for outgoing connections (32768 and up), so that none of those
/// sits on a part's port in the moment it restarts.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
/// What a person types first; taken when nobody else has it.
const EDGE_FAVOURITE: u16 = 8787;
/// A run that has just been killed may hold its ports for a moment longer.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 1_000;

/// Port by part name.
#[derive(Clone, Debug)]
pub struct Ports {
    by_name: BTreeMap<String, u16>,
    /// Kept for as long as the run lasts.
    _claims: Arc<Vec<UnixListener>>,
}

/// A port that is free and, for other stacks on this machine, no longer to be had.
struct Claimed {
    listener: TcpListener,
    claim: UnixListener,
}

impl Ports {
    /// Chooses a free port for each name: `CATRACA_<NAME>_PORT` first, then the one remembered in
    /// `file`, then any. Writes the choice to `file`.
    pub async fn choose(
        names: &[&str],
        file: &Path,
        from_environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let remembered: BTreeMap<String, u16> = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(_) => BTreeMap::new(),
        };
        let mut chosen = BTreeMap::new();
        // Kept open until all are chosen, so that no two names get the same one.
        let mut held = Vec::new();
        let mut claims = Vec::new();
        for name in names {
            let variable = format!("CATRACA_{}_PORT", name.to_uppercase());
            let Claimed { listener, claim } = if let Some(text) = from_environment(&variable) {
                let port: u16 = text
                    .parse()
                    .with_context(|| format!("{variable}={text} is no port"))?;
                bind_patiently(port)
                    .await
                    .with_context(|| format!("{variable}={port} is in use by another program"))?
            } else {
                let again = match remembered.get(*name) {
                    Some(port) => bind_patiently(*port).await,
                    None => None,
                };
                again.map_or_else(|| bind_any(name), Ok)?
            };
            chosen.insert((*name).to_owned(), listener.local_addr()?.port());
            held.push(listener);
            claims.push(claim);
        }
        write_atomically(file, &serde_json::to_vec_pretty(&chosen)?)?;
        Ok(Self {
            by_name: chosen,
            _claims: Arc::new(claims),
        })
    }

    /// `127.0.0.1:<port>` of a part.
    pub fn address(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.port(name))
    }

    /// `http://127.0.0.1:<port>` of a part.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}", self.address(name))
    }

    /// The port of a part; 0 for a name that was not asked for.
    pub fn port(&self, name: &str) -> u16 {
        self.by_name.get(name).copied().unwrap_or_default()
    }
}

/// A part binds its port seconds after it was chosen; another stack that starts meanwhile must not
/// choose it too. So each port has a name on this machine, gone with the process that holds it.
fn bind(port: u16) -> Option<Claimed> {
    let name = SocketAddr::from_abstract_name(format!("catraca-port-{port}")).ok()?;
    let claim = UnixListener::bind_addr(&name).ok()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).ok()?;
    Some(Claimed { listener, claim })
}

async fn bind_patiently(port: u16) -> Option<Claimed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(claimed) = bind(port) {
            return Some(claimed);
        }
        if Instant::now() > deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn bind_any(name: &str) -> anyhow::Result<Claimed> {
    if name == "edge"
        && let Some(claimed) = bind(EDGE_FAVOURITE)
    {
        return Ok(claimed);
    }
    let mut rng = rand::rng();
    (0..TRIES)
        .find_map(|_| bind(rng.random_range(RANGE)))
        .with_context(|| format!("no free port for {name} in {RANGE:?}"))
}
