//! Asks for looks that nothing else asked for: at orders whose payment is open or unknown (first
//! after about 2 s, then ever later up to 30 s), at holds just past their deadline, at refunds
//! under way. A lost webhook or a lost Redis therefore only delays.

use super::desk::Desk;
use super::{gauges, outbox};
use crate::error::ApiError;
use std::time::Duration;

/// How often it is looked for orders whose time has come.
const EVERY: Duration = Duration::from_millis(200);
/// Every so many rounds, the backlog is counted and old rows are swept: 2 s.
const COUNT_ROUNDS: u32 = 10;
/// Most rows that may wait in a lane when looks nobody asked for are added.
const AHEAD_MAX: i64 = 100;
/// Most rows swept in one go.
const BATCH: i64 = 500;

/// Reconciles until told to stop.
pub(super) async fn run(desk: &Desk) {
    let mut gauges = gauges::Gauges::default();
    for round in 0_u32.. {
        if let Err(error) = turn(desk, round, &mut gauges).await {
            tracing::warn!(?error, "reconciler failed");
        }
        tokio::select! {
            biased;
            () = desk.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn turn(desk: &Desk, round: u32, gauges: &mut gauges::Gauges) -> Result<(), ApiError> {
    let client = desk.app.db.get().await?;
    let asked = outbox::ask_for_due(&client, AHEAD_MAX).await?;
    if asked > 0 {
        metrics::counter!("catraca_purchase_reconciled_total").increment(asked);
    }
    if !round.is_multiple_of(COUNT_ROUNDS) {
        return Ok(());
    }
    gauges.count(&client).await?;
    outbox::sweep(&client, BATCH).await?;
    Ok(())
}
