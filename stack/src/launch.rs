//! Starts a part's program in a process that can't outlive this one.
//!
//! The stack starts itself as `catraca-stack launch …`; that process opens a session of its own, asks
//! the kernel for a signal when its parent dies, steps down to another user when told to, and then
//! becomes the part's program. So the process id stays that of the real server.

use std::ffi::{CString, OsString};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use anyhow::Context as _;
use clap::Args;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{User, initgroups, setgid, setsid, setuid};
use tokio::process::Command;

use crate::layout::Layout;

/// What `catraca-stack launch` is told.
#[derive(Args, Clone, Debug)]
pub struct Launch {
    /// The process whose end is the part's end.
    #[arg(long)]
    pub parent: u32,
    /// The signal sent to the part at that moment.
    #[arg(long, default_value = "SIGKILL")]
    pub death_signal: String,
    /// The user to become; needs root.
    #[arg(long)]
    pub user: Option<String>,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

/// A command that starts `program` this way, in the checkout; arguments go after it.
pub fn command(
    layout: &Layout,
    program: &Path,
    user: Option<&str>,
    death_signal: Signal,
) -> Command {
    let mut command = Command::new(&layout.launcher);
    command
        .arg("launch")
        .arg(format!("--parent={}", std::process::id()))
        .arg(format!("--death-signal={death_signal}"));
    if let Some(user) = user {
        command.arg(format!("--user={user}"));
    }
    command.arg("--").arg(program).current_dir(&layout.root);
    command
}

impl Launch {
    /// Becomes the program; returns only when that failed.
    pub fn run(self) -> anyhow::Error {
        match self.prepare() {
            Ok(()) => {
                let error = std::process::Command::new(&self.program)
                    .args(&self.args)
                    .exec();
                anyhow::Error::from(error)
                    .context(format!("cannot start {}", self.program.display()))
            }
            Err(error) => error,
        }
    }

    fn prepare(&self) -> anyhow::Result<()> {
        setsid().context("cannot open a session")?;
        if let Some(name) = &self.user {
            become_user(name)?;
        }
        // After the change of user, which would forget it.
        let signal = Signal::from_str(&self.death_signal).context("unknown signal")?;
        prctl::set_pdeathsig(signal).context("cannot tie the process to its parent")?;
        // The parent may have died before that.
        anyhow::ensure!(parent_id() == self.parent, "the stack is gone");
        Ok(())
    }
}

fn become_user(name: &str) -> anyhow::Result<()> {
    let user = User::from_name(name)?.with_context(|| format!("there is no user {name}"))?;
    initgroups(&CString::new(name)?, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    Ok(())
}
