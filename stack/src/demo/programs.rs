//! The crowd and the auditor: programs of their own, whose output is the demo's.

use std::process::Stdio;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use serde::Deserialize;
use tokio::process::Command;

use super::operator::Sale;
use crate::launch;
use crate::layout::remove;
use crate::parts::Plan;
use crate::runfile::RunFile;

/// What the demo shows of the crowd's own summary.
#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    pub(crate) arrived: u64,
    pub(crate) admitted: u64,
    pub(crate) held: u64,
    pub(crate) sold_tickets: u64,
    pub(crate) failed: u64,
    pub(crate) wait_ms: Percentiles,
}

/// Milliseconds.
#[derive(Debug, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
}

/// Sends the crowd. That some of them failed is in the summary, and no error here.
pub(crate) async fn crowd(
    plan: &Plan,
    run: &RunFile,
    sales: &[Sale],
    crowd: u32,
) -> anyhow::Result<Summary> {
    let (journal, json) = (
        plan.layout.local.join("crowd.jsonl"),
        plan.layout.local.join("crowd.json"),
    );
    remove(&journal)?;
    remove(&json)?;
    let mut command = program(plan)?;
    command.arg("onsale").args(["--edge", &run.edge]);
    for sale in sales {
        command.args(["--event", &sale.event]);
    }
    command.arg("--crowd").arg(crowd.to_string());
    command
        .arg("--journal")
        .arg(&journal)
        .arg("--json")
        .arg(&json);
    let status = command.status().await.context("the crowd")?;
    let bytes = std::fs::read(&json)
        .with_context(|| format!("the crowd ended without a summary ({status})"))?;
    serde_json::from_slice(&bytes).context("the crowd's summary")
}

/// True when the auditor finds every invariant intact.
pub(crate) async fn audit(plan: &Plan, run: &RunFile) -> anyhow::Result<bool> {
    let mut command = program(plan)?;
    command
        .arg("audit")
        .args(["--postgres", &run.postgres])
        .args(["--sandbox", &run.sandbox]);
    command
        .arg("--journal")
        .arg(plan.layout.local.join("crowd.jsonl"));
    Ok(command.status().await.context("the auditor")?.success())
}

fn program(plan: &Plan) -> anyhow::Result<Command> {
    let path = plan.layout.program("catraca-load")?;
    let mut command = launch::command(&plan.layout, &path, None, Signal::SIGKILL);
    // Ctrl-C drops the demo halfway.
    command.kill_on_drop(true).stdin(Stdio::null());
    Ok(command)
}
