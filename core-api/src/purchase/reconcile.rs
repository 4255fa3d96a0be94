//! Asks for looks that nothing else asked for: at orders whose payment is open or unknown (first
//! after about 2 s, then ever later up to 30 s), at holds just past their deadline, at refunds
//! under way. A lost webhook or a lost Redis therefore only delays.

use super::desk::Desk;
use super::outbox;
use crate::error::ApiError;
use catraca_domain::ids::EventNumber;
use std::collections::HashSet;
use std::time::Duration;

/// How often it is looked for orders whose time has come.
const EVERY: Duration = Duration::from_millis(200);
/// Every so many rounds, the backlog is counted and old rows are swept: 5 s.
const COUNT_ROUNDS: u32 = 25;
/// Most orders or rows in one go.
const BATCH: i64 = 500;

/// Reconciles until told to stop.
pub(super) async fn run(desk: &Desk) {
    let mut counted = HashSet::new();
    for round in 0_u32.. {
        if let Err(error) = turn(desk, round, &mut counted).await {
            tracing::warn!(?error, "reconciler failed");
        }
        tokio::select! {
            biased;
            () = desk.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn turn(desk: &Desk, round: u32, counted: &mut HashSet<EventNumber>) -> Result<(), ApiError> {
    let client = desk.app.db.get().await?;
    let asked = outbox::ask_for_due(&client, BATCH).await?;
    if asked > 0 {
        metrics::counter!("catraca_purchase_reconciled_total").increment(asked);
    }
    if !round.is_multiple_of(COUNT_ROUNDS) {
        return Ok(());
    }
    let backlog = outbox::backlog(&client).await?;
    for event in counted.drain() {
        gauges(event, 0, 0.0);
    }
    for (event, rows, oldest_seconds) in backlog {
        gauges(event, rows, oldest_seconds);
        counted.insert(event);
    }
    outbox::sweep(&client, BATCH).await?;
    Ok(())
}

fn gauges(event: EventNumber, rows: i64, oldest_seconds: f64) {
    let label = event.0.to_string();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of rows is far below 2^52"
    )]
    metrics::gauge!("catraca_purchase_backlog", "event" => label.clone()).set(rows as f64);
    metrics::gauge!("catraca_purchase_oldest_seconds", "event" => label).set(oldest_seconds);
}
