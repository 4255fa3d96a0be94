//! The sweeper tidies what is over. Nobody waits for it: an expired hold's seats are claimable
//! without it, and an expired session buys nothing.

use crate::app::App;
use crate::error::ApiError;
use crate::worker::every;
use catraca_domain::ids::{EventNumber, HoldId};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// Most rows in one transaction.
const BATCH: i64 = 500;
/// Time between two clearings of old logins and idempotency keys.
const CLEARING: Duration = Duration::from_mins(1);

/// Sweeps until stopped.
pub async fn run(app: App, stop: CancellationToken) {
    tokio::join!(
        every(stop.clone(), ROUND, "sweeper", || sweep(app.clone())),
        every(stop, CLEARING, "clearing", || clear(app.clone())),
    );
}

async fn sweep(app: App) -> Result<(), ApiError> {
    seats(&app).await?;
    holds(&app).await?;
    sessions(&app).await
}

/// Expired seats go free, whatever has become of their hold's row: one locked by a claim or a sale
/// at this moment is passed by.
///
/// # Errors
/// The database's.
pub async fn seats(app: &App) -> Result<(), ApiError> {
    loop {
        let db = app.db.get().await?;
        let rows = db
            .query(
                "WITH due AS MATERIALIZED (
                     SELECT event_id, section, ordinal, hold_id, held_until FROM seats
                     WHERE state = 'held' AND held_until < now()
                     ORDER BY held_until LIMIT $1 FOR UPDATE SKIP LOCKED)
                 UPDATE seats s SET state = 'free', hold_id = NULL, held_until = NULL
                 FROM due WHERE s.event_id = due.event_id AND s.section = due.section
                   AND s.ordinal = due.ordinal
                 RETURNING s.event_id, extract(epoch FROM now() - due.held_until)::float8,
                           due.hold_id",
                &[&BATCH],
            )
            .await?;
        let mut holds = BTreeSet::new();
        for row in &rows {
            holds.insert((EventNumber(row.get(0)), HoldId(row.get(2))));
            metrics::histogram!("catraca_sweep_lag_seconds").record(row.get::<_, f64>(1));
        }
        for (event, hold) in holds {
            app.catalogue.hold_changed(app, event, hold);
        }
        metrics::counter!("catraca_seats_swept_total").increment(rows.len() as u64);
        if i64::try_from(rows.len()).unwrap_or(0) < BATCH {
            return Ok(());
        }
    }
}

async fn holds(app: &App) -> Result<(), ApiError> {
    batches(
        app,
        "UPDATE holds SET state = 'expired' WHERE (event_id, hold_id) IN (
             SELECT event_id, hold_id FROM holds
             WHERE state = 'active' AND expires_at < now()
             ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
    )
    .await
}

async fn sessions(app: &App) -> Result<(), ApiError> {
    batches(
        app,
        "UPDATE shopping_sessions SET ended_at = now(), end_reason = 'expired'
         WHERE (event_id, jti) IN (
             SELECT event_id, jti FROM shopping_sessions
             WHERE ended_at IS NULL AND expires_at <= now()
             ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
    )
    .await
}

async fn clear(app: App) -> Result<(), ApiError> {
    for statement in [
        "DELETE FROM login_sessions WHERE token_sha256 IN (
             SELECT token_sha256 FROM login_sessions WHERE expires_at < now() LIMIT $1)",
        "DELETE FROM login_attempts WHERE state_sha256 IN (
             SELECT state_sha256 FROM login_attempts WHERE expires_at < now() LIMIT $1)",
        "DELETE FROM idempotency_keys WHERE (account_id, route, key) IN (
             SELECT account_id, route, key FROM idempotency_keys
             WHERE created_at < now() - interval '24 hours' LIMIT $1)",
    ] {
        batches(&app, statement).await?;
    }
    Ok(())
}

async fn batches(app: &App, statement: &str) -> Result<(), ApiError> {
    loop {
        let db = app.db.get().await?;
        let touched = db.execute(statement, &[&BATCH]).await?;
        if i64::try_from(touched).unwrap_or(0) < BATCH {
            return Ok(());
        }
    }
}
