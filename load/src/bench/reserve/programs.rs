//! The programs under test, started by the benchmark itself: release builds, with its own keys.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::process::{Child, Command};
use url::Url;

use super::shop::{Event, KID};

/// How long a program may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What all of them read.
pub(in crate::bench) struct Programs {
    pub(in crate::bench) core: PathBuf,
    pub(in crate::bench) postgres: Url,
    pub(in crate::bench) redis: String,
    /// In base64url.
    pub(in crate::bench) admission_key: String,
}

/// A program that serves; killed when dropped.
pub(in crate::bench) struct Running {
    pub(in crate::bench) address: SocketAddr,
    child: Child,
}

impl Running {
    pub(in crate::bench) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// 32 random bytes in base64url.
fn random_key() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

impl Programs {
    /// The core, else the one beside this program, with a key of its own, on a database whose
    /// schema it brings up to date.
    pub(in crate::bench) async fn prepare(
        core: Option<&Path>,
        postgres: &Url,
        redis: &str,
    ) -> anyhow::Result<Self> {
        let beside = std::env::current_exe()?.with_file_name("catraca-core");
        let programs = Self {
            core: core.map_or(beside, Path::to_owned),
            postgres: postgres.clone(),
            redis: redis.to_owned(),
            admission_key: random_key(),
        };
        let status = programs.core_role("migrate").status().await?;
        anyhow::ensure!(status.success(), "the migrations: {status}");
        Ok(programs)
    }

    /// The core's serving role.
    pub(in crate::bench) async fn serve(&self) -> anyhow::Result<Running> {
        start(self.core_role("serve")).await
    }

    /// The core's working role, which carries orders to their end.
    pub(in crate::bench) fn work(&self) -> anyhow::Result<Child> {
        Ok(self.core_role("worker").spawn()?)
    }

    /// The counter over HTTP.
    pub(in crate::bench) async fn counter(&self) -> anyhow::Result<Running> {
        let mut command = quiet(&std::env::current_exe()?);
        command
            .arg("peer-counter")
            .env("CATRACA_DATABASE_URL", self.postgres.as_str())
            .env("CATRACA_PEER_ADMISSION_KEY", &self.admission_key);
        start(command).await
    }

    fn core_role(&self, role: &str) -> Command {
        let keys = format!(r#"[{{"kid":"{KID}","secret":"{}"}}]"#, self.admission_key);
        // Nobody logs in, pays or queues: what leads there only has to be well-formed.
        let nowhere = "http://127.0.0.1:9";
        let issuer = format!(
            r#"[{{"name":"dev","issuer":"{nowhere}","client_id":"c","client_secret":"s"}}]"#
        );
        let mut command = quiet(&self.core);
        command
            .arg(role)
            .env("RUST_LOG", "error")
            .env("CATRACA_DATABASE_URL", self.postgres.as_str())
            .env("CATRACA_REDIS_URL", &self.redis)
            .env("CATRACA_ADMISSION_KEYS", keys)
            .env("CATRACA_OIDC_PROVIDERS", issuer)
            .env("CATRACA_TICKET_KEY", random_key())
            .env("CATRACA_EDGE_SECRET", random_key())
            .env("CATRACA_PUBLIC_URL", nowhere)
            .env("CATRACA_EDGE_URL", nowhere)
            .env("CATRACA_CARD_API_URL", nowhere)
            .env("CATRACA_CARD_SECRET_KEY", "sk_test_bench")
            .env("CATRACA_CARD_WEBHOOK_SECRETS", "whsec_bench");
        command
    }

    /// Runs a `pgbench` script over an event, so many transactions in all; transactions a second.
    pub(in crate::bench) async fn pgbench(
        &self,
        script: &str,
        event: &Event,
        transactions: u32,
        clients: u32,
    ) -> anyhow::Result<f64> {
        let file = std::env::temp_dir().join(format!("catraca-bench-{}.sql", event.number));
        std::fs::write(&file, script)?;
        let output = Command::new(find_pgbench()?)
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--client={clients}"))
            .arg(format!("--transactions={}", transactions / clients))
            .arg(format!("--define=event={}", event.number))
            .arg(format!("--define=capacity={}", event.capacity))
            .arg(format!("--define=buyers={}", event.buyers))
            .arg("--file")
            .arg(&file)
            .arg(self.postgres.as_str())
            .kill_on_drop(true)
            .output()
            .await?;
        std::fs::remove_file(&file)?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        let failed = !output.status.success() || complaint.contains("ERROR");
        anyhow::ensure!(!failed, "pgbench: {said}{complaint}");
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rest| rest.split(' ').next()?.parse().ok());
        rate.with_context(|| format!("no rate in what pgbench said: {said}"))
    }
}

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Starts a server on a free port and waits until it answers.
async fn start(mut command: Command) -> anyhow::Result<Running> {
    let free = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = free.local_addr()?;
    drop(free);
    let child = command.env("CATRACA_LISTEN", address.to_string()).spawn()?;
    let running = Running { address, child };
    let by = Instant::now() + READY_WITHIN;
    let ready = format!("http://{address}/readyz");
    loop {
        if let Ok(answer) = reqwest::get(&ready).await
            && answer.status().is_success()
        {
            return Ok(running);
        }
        anyhow::ensure!(Instant::now() < by, "{ready} does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The newest installed; Debian keeps it off the path.
fn find_pgbench() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let program = entry.path().join("bin/pgbench");
            program.is_file().then_some((version, program))
        })
        .max();
    if let Some((_, program)) = newest {
        return Ok(program);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("pgbench"));
    found
        .into_iter()
        .find(|program| program.is_file())
        .context("pgbench is not installed")
}
