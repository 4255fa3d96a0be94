//! All parts together: started one after another, stopped the other way round.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::layout::Layout;
use crate::life::{Life, State};
use crate::part::Part;
use crate::report::Report;

struct Running {
    name: String,
    state: watch::Receiver<State>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Runs parts. Call [`Supervisor::stop`] before dropping it.
pub struct Supervisor {
    layout: Layout,
    report: Report,
    running: Vec<Running>,
    poke: mpsc::UnboundedSender<()>,
    changes: mpsc::UnboundedReceiver<()>,
}

impl Supervisor {
    /// With no parts yet.
    pub fn new(layout: Layout, report: Report) -> Self {
        let (poke, changes) = mpsc::unbounded_channel();
        Self {
            layout,
            report,
            running: Vec::new(),
            poke,
            changes,
        }
    }

    /// Starts a part and waits until it is ready; an error when it had to be given up.
    pub async fn start(&mut self, part: Part) -> anyhow::Result<()> {
        let (state_sender, mut state) = watch::channel(State::Starting);
        let (stop, stop_receiver) = watch::channel(false);
        let name = part.name.clone();
        let life = Life {
            part,
            layout: self.layout.clone(),
            report: self.report,
            state: state_sender,
            changes: self.poke.clone(),
            stop: stop_receiver,
        };
        // Registered before the first wait: a caller that gives up halfway can still stop it.
        self.running.push(Running {
            name: name.clone(),
            state: state.clone(),
            stop,
            task: tokio::spawn(life.live()),
        });
        let reached = state
            .wait_for(|state| *state != State::Starting)
            .await?
            .clone();
        anyhow::ensure!(matches!(reached, State::Ready(_)), "{name} does not start");
        Ok(())
    }

    /// Process by part name, of those that are ready.
    pub fn pids(&self) -> BTreeMap<String, i32> {
        self.running
            .iter()
            .filter_map(|part| match *part.state.borrow() {
                State::Ready(pid) => Some((part.name.clone(), pid)),
                State::Starting | State::GivenUp | State::Stopped => None,
            })
            .collect()
    }

    /// Waits until some part has changed its state; an error once one has been given up.
    pub async fn change(&mut self) -> anyhow::Result<()> {
        // The sender lives in `self`, so there is always a next one to wait for.
        let _ = self.changes.recv().await;
        while self.changes.try_recv().is_ok() {}
        for part in &self.running {
            anyhow::ensure!(
                *part.state.borrow() != State::GivenUp,
                "{} keeps dying",
                part.name
            );
        }
        Ok(())
    }

    /// True when every part is ready.
    pub fn all_ready(&self) -> bool {
        self.running
            .iter()
            .all(|part| matches!(*part.state.borrow(), State::Ready(_)))
    }

    /// Stops every part, the last one started first, and waits for each.
    pub async fn stop(&mut self) {
        while let Some(part) = self.running.pop() {
            part.stop.send_replace(true);
            if let Err(error) = part.task.await {
                self.report.line(format!("{}: {error}", part.name));
            }
        }
    }
}
