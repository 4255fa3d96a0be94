//! The worker role: a set of tasks that run until told to stop.

use crate::app::App;
use std::future::Future;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Runs every task until `shutdown` resolves, then lets each finish what it has under way.
///
/// # Errors
/// When a task can't go on.
pub async fn run(app: App, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    // Each task: `tasks.spawn(module::run(app.clone(), stop.clone()))`, one line each.
    let _ = (&app, &tasks);
    shutdown.await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}
