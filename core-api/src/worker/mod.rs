//! The worker role: a set of tasks that run until told to stop.

use crate::app::App;
use crate::error::ApiError;
use crate::{holds, mail, rooms};
use std::future::Future;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest pause after failures: what comes back is noticed soon.
const FAILURE_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Runs every task until `shutdown` resolves, then lets each finish what it has under way.
///
/// # Errors
/// When a task can't go on.
pub async fn run(app: App, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    // Each task: `tasks.spawn(module::run(app.clone(), stop.clone()))`, one line each.
    tasks.spawn(crate::purchase::run(app.clone(), stop.clone()));
    tasks.spawn(holds::sweeper::run(app.clone(), stop.clone()));
    tasks.spawn(rooms::run(app.clone(), stop.clone()));
    tasks.spawn(mail::run(app.clone(), stop.clone()));
    shutdown.await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// `/metrics`, `/healthz` and `/readyz` of a worker, for as long as the process lives.
pub async fn show(app: App, listener: TcpListener) {
    let router = crate::metrics::router().with_state(app);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the worker's metrics are not shown any more");
    }
}

/// Does `work` again and again, `pause` between, until stopped. A failure is logged, and the next
/// try comes later each time, up to a few seconds.
pub async fn every<W>(
    stop: CancellationToken,
    pause: Duration,
    name: &'static str,
    mut work: impl FnMut() -> W,
) where
    W: Future<Output = Result<(), ApiError>>,
{
    let mut failures: u32 = 0;
    loop {
        match work().await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                metrics::counter!("catraca_task_failures_total", "task" => name).increment(1);
                tracing::warn!(task = name, ?error, failures, "a round failed");
            }
        }
        let wait = pause
            .saturating_mul(1 << failures.min(8))
            .min(FAILURE_PAUSE_MAX.max(pause));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
