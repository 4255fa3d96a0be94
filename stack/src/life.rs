//! The life of one part: started, ready, dead, started again, until told to stop.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};

use crate::layout::Layout;
use crate::logfile;
use crate::part::Part;
use crate::processes;
use crate::report::Report;

/// This many deaths within [`DEATHS_WINDOW`] and the part is given up.
pub const DEATHS_MAX: usize = 5;
/// See [`DEATHS_MAX`].
pub const DEATHS_WINDOW: Duration = Duration::from_mins(1);
/// Pause before the next start, by the number of recent deaths.
const BACK_OFF_MS: [u64; DEATHS_MAX] = [50, 200, 800, 2_000, 2_000];
const TAIL_LINES: usize = 15;

/// Where a part is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not ready yet, or not ready again.
    Starting,
    /// Ready, in this process.
    Ready(i32),
    /// Died too often; the reason has been printed.
    GivenUp,
    /// Stopped because it was told to.
    Stopped,
}

/// A part's task: runs until `stop` turns true or the part is given up.
pub struct Life {
    /// The part.
    pub part: Part,
    /// The checkout.
    pub layout: Layout,
    /// Where to print.
    pub report: Report,
    /// Told of each change.
    pub state: watch::Sender<State>,
    /// Poked after each change, whichever part it was.
    pub changes: mpsc::UnboundedSender<()>,
    /// Turns true when it is time to stop.
    pub stop: watch::Receiver<bool>,
}

enum End {
    Died(String),
    Stopped,
}

impl Life {
    /// Lives it.
    pub async fn live(mut self) {
        let mut deaths = VecDeque::new();
        loop {
            let end = match self.run_once(deaths.is_empty()).await {
                Ok(end) => end,
                Err(error) => End::Died(format!("could not start: {error:#}")),
            };
            match end {
                End::Stopped => break self.change(State::Stopped),
                End::Died(reason) => {
                    self.announce_death(&reason);
                    if !self.may_try_again(&mut deaths).await {
                        break;
                    }
                }
            }
        }
        if let Err(error) = self.clean_up().await {
            self.report.line(format!("{}: {error:#}", self.part.name));
        }
    }

    /// One process from start to end.
    async fn run_once(&mut self, first: bool) -> anyhow::Result<End> {
        if *self.stop.borrow() {
            return Ok(End::Stopped);
        }
        self.clean_up().await?;
        let started = Instant::now();
        let mut child = self.part.spawn(&self.layout)?;
        let Some(pid) = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw)
        else {
            anyhow::bail!("it ended at once");
        };
        let ready = tokio::select! {
            biased;
            status = child.wait() => {
                processes::kill_group(pid);
                return Ok(End::Died(describe(status?)));
            }
            () = told_to_stop(&mut self.stop) => false,
            () = self.part.ready.until_ready() => true,
            () = tokio::time::sleep(self.part.ready_within) => {
                let why = self.part.ready.ask().await.err().map(|error| format!(" ({error:#})"));
                end(&mut child, pid, Signal::SIGKILL, Duration::from_secs(5)).await;
                let seconds = self.part.ready_within.as_secs();
                return Ok(End::Died(format!(
                    "was not ready within {seconds} s{}", why.unwrap_or_default()
                )));
            }
        };
        if ready {
            let took = started.elapsed().as_millis();
            let again = if first { "" } else { " again" };
            self.report.line(format!(
                "{} is ready{again}, process {pid}, {took} ms",
                self.part.name
            ));
            self.change(State::Ready(pid.as_raw()));
            tokio::select! {
                biased;
                status = child.wait() => {
                    self.change(State::Starting);
                    processes::kill_group(pid);
                    return Ok(End::Died(describe(status?)));
                }
                () = told_to_stop(&mut self.stop) => {}
            }
        }
        end(
            &mut child,
            pid,
            self.part.stop_signal,
            self.part.stop_within,
        )
        .await;
        Ok(End::Stopped)
    }

    async fn clean_up(&self) -> anyhow::Result<()> {
        match &self.part.clean_up {
            Some(clean_up) => clean_up().await,
            None => Ok(()),
        }
    }

    fn change(&self, state: State) {
        self.state.send_replace(state);
        // Nobody listens any more while everything stops.
        let _ = self.changes.send(());
    }

    fn announce_death(&self, reason: &str) {
        let name = &self.part.name;
        let log = self.layout.log(name);
        self.report
            .line(format!("{name} {reason}; the end of {}:", log.display()));
        self.report.quote(&logfile::tail(&log, TAIL_LINES));
    }

    /// Counts the death; waits before the next attempt, unless there is none to be.
    async fn may_try_again(&mut self, deaths: &mut VecDeque<Instant>) -> bool {
        let now = Instant::now();
        deaths.push_back(now);
        while deaths
            .front()
            .is_some_and(|death| now.duration_since(*death) > DEATHS_WINDOW)
        {
            deaths.pop_front();
        }
        if deaths.len() >= DEATHS_MAX {
            self.report.line(format!(
                "{} died {DEATHS_MAX} times within {} s: giving up",
                self.part.name,
                DEATHS_WINDOW.as_secs()
            ));
            self.change(State::GivenUp);
            return false;
        }
        let pause = Duration::from_millis(BACK_OFF_MS[deaths.len() - 1]);
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = told_to_stop(&mut self.stop) => {
                self.change(State::Stopped);
                false
            }
        }
    }
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // An error means that the supervisor is gone: stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Asks the process to end, kills it when it takes too long, and ends what it left in its group.
async fn end(child: &mut Child, pid: Pid, signal: Signal, within: Duration) {
    // It may be gone already; waiting tells.
    let _ = kill(pid, signal);
    if tokio::time::timeout(within, child.wait()).await.is_err() {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = child.wait().await;
    }
    processes::kill_group(pid);
}

fn describe(status: ExitStatus) -> String {
    if let Some(signal) = status.signal() {
        let name = Signal::try_from(signal).map_or("unknown", Signal::as_str);
        return format!("died: killed by signal {signal} ({name})");
    }
    format!("died: exit status {}", status.code().unwrap_or_default())
}
