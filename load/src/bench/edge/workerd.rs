//! workerd processes of the benchmark's own, each with one Worker, a port and a data folder.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::http;

/// The core's secret, and the keys: of these processes alone.
pub(super) const EDGE_SECRET: &str = "bench-edge-secret";
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// How long a start may take.
const START_WITHIN: Duration = Duration::from_secs(20);
/// Clock ticks a second in /proc, fixed by Linux' interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Which program to run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Program {
    /// The product.
    Product,
    /// The product with counters around it.
    Counted,
    /// A peer of `load/peers`, whose Durable Object is called `Room`.
    Peer(&'static str),
}

/// A running workerd; killed when dropped.
#[derive(Debug)]
pub(super) struct Workerd {
    process: Child,
    folder: PathBuf,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Places {
    /// The checkout.
    pub(super) root: PathBuf,
    /// Data of the processes, removed afterwards.
    pub(super) data: PathBuf,
}

impl Workerd {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When something is not built, or does not come up.
    pub(super) fn start(places: &Places, name: &str, program: Program) -> anyhow::Result<Self> {
        let folder = places.data.join(name);
        for part in ["do", "dist"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        let copy = |from: &str, to: &str| {
            let from = places.root.join(from);
            std::fs::copy(&from, folder.join(to))
                .with_context(|| format!("{}: run `make edge` first", from.display()))
        };
        match program {
            Program::Peer(file) => {
                copy(&format!("load/peers/{file}"), "main.js")?;
            }
            Program::Product | Program::Counted => {
                copy("edge/build/index.js", "index.js")?;
                copy("edge/build/index_bg.wasm", "index_bg.wasm")?;
                copy("load/peers/counted.js", "main.js")?;
            }
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        std::fs::write(folder.join("config.capnp"), config(program, port, &folder))?;
        let log = std::fs::File::create(folder.join("log"))?;
        let workerd = places
            .root
            .join("node_modules/@cloudflare/workerd-linux-64/bin/workerd");
        let process = Command::new(&workerd)
            .args(["serve", "config.capnp"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{}: run `make setup` first", workerd.display()))?;
        let running = Self {
            process,
            folder,
            address,
        };
        running.wait()?;
        Ok(running)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if TcpStream::connect(self.address).is_ok() {
                let probe = http::request("GET", "/queue/v1/no-room/nothing", "", "");
                if http::once(self.address, &probe).is_ok() {
                    return Ok(());
                }
            }
            if started.elapsed() > START_WITHIN {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                anyhow::bail!("workerd did not come up: {log}");
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Processor time used so far, user and system, in seconds.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // After the command in parentheses: state is field 3, utime 14, stime 15.
        let fields = stat.rsplit_once(')').context("no command in stat")?.1;
        let ticks = |nth: usize| -> anyhow::Result<f64> {
            let field = fields.split_whitespace().nth(nth - 3);
            Ok(field.context("a short stat")?.parse::<f64>()?)
        };
        Ok((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
    }

    /// What it has logged.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn config(program: Program, port: u16, folder: &Path) -> String {
    let keys = |kid: &str| {
        let json = format!(r#"[{{"kid":"{kid}","secret":"{KEY}"}}]"#);
        json.replace('"', "\\\"")
    };
    let main = match program {
        Program::Product => "index.js",
        Program::Counted | Program::Peer(_) => "main.js",
    };
    let mut modules = format!(r#"(name = "{main}", esModule = embed "{main}"),"#);
    if !matches!(program, Program::Peer(_)) {
        modules += r#"(name = "./index_bg.wasm", wasm = embed "index_bg.wasm"),"#;
    }
    if matches!(program, Program::Counted) {
        modules += r#"(name = "index.js", esModule = embed "index.js"),"#;
    }
    let classes: &[&str] = match program {
        Program::Peer("hello.js") => &[],
        Program::Peer(_) => &["Room"],
        Program::Product | Program::Counted => &["Room", "Dispenser"],
    };
    let (mut bindings, mut namespaces) = (String::new(), String::new());
    for class in classes {
        let binding = class.to_uppercase();
        let _ = write!(
            bindings,
            r#"(name = "{binding}", durableObjectNamespace = "{class}"),"#
        );
        let _ = write!(
            namespaces,
            r#"(className = "{class}", uniqueKey = "bench-{class}", enableSql = true),"#
        );
    }
    let data = folder.display();
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    (name = "assets", disk = (path = "{data}/dist")),
    (name = "do", disk = (path = "{data}/do", writable = true)),
    (name = "internet", network = (allow = ["127.0.0.0/8"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "edge")],
);
const edge :Workerd.Worker = (
  modules = [{modules}],
  compatibilityDate = "2026-04-01",
  bindings = [
    (name = "CORE_URL", text = "http://127.0.0.1:9"),
    (name = "CATRACA_PUBLIC_URL", text = "http://127.0.0.1:{port}"),
    (name = "CATRACA_EDGE_SECRET", text = "{EDGE_SECRET}"),
    (name = "CATRACA_ADMISSION_KEYS", text = "{admission}"),
    (name = "CATRACA_PLACE_KEYS", text = "{place}"),
    (name = "ASSETS", service = "assets"),
    {bindings}
  ],
  globalOutbound = "internet",
  durableObjectNamespaces = [{namespaces}],
  durableObjectStorage = (localDisk = "do"),
);
"#,
        admission = keys("a1"),
        place = keys("p1"),
    )
}
