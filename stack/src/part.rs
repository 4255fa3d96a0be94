//! What there is to know about a part in order to run it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use nix::sys::signal::Signal;
use tokio::process::Child;

use crate::launch;
use crate::layout::Layout;
use crate::logfile;
use crate::probe::Probe;

/// Run before every start and after the last stop.
pub type CleanUp = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// A part: how to start it, how to tell that it is ready, how to stop it.
#[derive(Clone)]
pub struct Part {
    /// Its name in `run.json`, in messages and of its log.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment, on top of the stack's own.
    pub env: Vec<(String, String)>,
    /// The user it runs as, when not the one who runs the stack.
    pub user: Option<String>,
    /// What the kernel sends it when the stack dies.
    pub death_signal: Signal,
    /// Asks it to stop.
    pub stop_signal: Signal,
    /// How long it may take over stopping before it is killed.
    pub stop_within: Duration,
    /// How it shows that it is ready.
    pub ready: Probe,
    /// How long it may take to become ready before it counts as dead.
    pub ready_within: Duration,
    /// Removes what an earlier process may have left.
    pub clean_up: Option<CleanUp>,
}

impl Part {
    /// A part that stops on TERM within ten seconds and is ready within thirty.
    pub fn new(name: &str, program: impl Into<PathBuf>, ready: Probe) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            user: None,
            death_signal: Signal::SIGKILL,
            stop_signal: Signal::SIGTERM,
            stop_within: Duration::from_secs(10),
            ready,
            ready_within: Duration::from_secs(30),
            clean_up: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds one variable to the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Starts the program, in a session of its own, writing to its log.
    pub fn spawn(&self, layout: &Layout) -> anyhow::Result<Child> {
        let log = logfile::open(&layout.log(&self.name))?;
        launch::command(
            layout,
            &self.program,
            self.user.as_deref(),
            self.death_signal,
        )
        .args(&self.args)
        .envs(self.env.iter().cloned())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", self.name))
    }
}
