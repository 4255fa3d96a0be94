//! Reading every seat: from Redis when a process has just put them there, else from PostgreSQL.

use super::board::Reading;
use super::plan::Plan;
use super::shared::{self, Turn};
use super::states::{FREE, HELD, SOLD};
use crate::app::App;
use crate::error::ApiError;
use catraca_domain::ids::EventNumber;
use catraca_domain::problem::Kind;
use deadpool_postgres::Transaction;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio_postgres::IsolationLevel;

/// How often, and how many times, a process looks whether another has read.
const LOOK: (Duration, u32) = (Duration::from_millis(10), 20);

/// Every seat, as of no longer ago than this call or [`shared`] allows.
pub(super) async fn load(
    app: &App,
    event: EventNumber,
    known: Option<Arc<Plan>>,
) -> Result<Reading, ApiError> {
    if let Some(reading) = from_redis(app, known.as_ref()).await {
        return Ok(reading);
    }
    let turn = shared::turn(app, event).await;
    if matches!(turn, Turn::Theirs) && known.is_some() {
        for _ in 0..LOOK.1 {
            tokio::time::sleep(LOOK.0).await;
            if let Some(reading) = from_redis(app, known.as_ref()).await {
                return Ok(reading);
            }
        }
    }
    let reading = from_database(app, event, known).await?;
    app.catalogue.readings.fetch_add(1, Ordering::Relaxed);
    metrics::counter!("catraca_catalogue_loads_total", "from" => "postgres").increment(1);
    metrics::histogram!("catraca_catalogue_load_seconds")
        .record(reading.taken_at.elapsed().as_secs_f64());
    if let Turn::Ours { changes } = turn {
        shared::write(app, &reading, changes);
    }
    Ok(reading)
}

async fn from_redis(app: &App, plan: Option<&Arc<Plan>>) -> Option<Reading> {
    let reading = shared::read(app, plan?).await?;
    metrics::counter!("catraca_catalogue_loads_total", "from" => "redis").increment(1);
    Some(reading)
}

async fn from_database(
    app: &App,
    event: EventNumber,
    known: Option<Arc<Plan>>,
) -> Result<Reading, ApiError> {
    let mut db = app.db.get().await?;
    let tx = db
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let (as_of, taken_at) = (OffsetDateTime::now_utc(), Instant::now());
    // The snapshot is taken by this statement, after its own beginning.
    let query = tx
        .prepare_cached(
            "SELECT version, (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
             FROM events WHERE event_id = $1",
        )
        .await?;
    let row = tx.query_opt(&query, &[&event.0]).await?;
    let row = row.ok_or_else(|| ApiError::new(Kind::NOT_FOUND, "No such event."))?;
    let version: i64 = row.get(0);
    let plan = match known {
        Some(plan) if plan.version == version => plan,
        _ => Arc::new(Plan::read(&tx, event).await?),
    };
    let states = states(&tx, &plan).await?;
    tx.commit().await?;
    Ok(Reading {
        plan,
        states,
        stamp: row.get(1),
        as_of,
        taken_at,
        decides: true,
    })
}

/// Each section's seats, by the database's clock.
async fn states(tx: &Transaction<'_>, plan: &Plan) -> Result<Vec<Vec<u8>>, ApiError> {
    let query = tx
        .prepare_cached(
            "SELECT section, string_agg(
                 CASE WHEN state = 'sold' THEN 's'
                      WHEN state = 'held' AND held_until >= now() THEN 'h'
                      ELSE 'f' END, '' ORDER BY ordinal)
             FROM seats WHERE event_id = $1 GROUP BY section",
        )
        .await?;
    let rows = tx.query(&query, &[&plan.number.0]).await?;
    let mut texts: HashMap<&str, &str> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut all = Vec::with_capacity(plan.sections.len());
    for section in &plan.sections {
        let text = texts.remove(section.name.as_str()).unwrap_or("");
        if usize::try_from(section.capacity).ok() != Some(text.len()) {
            return Err(ApiError::internal("an event's seats don't fit its plan"));
        }
        let state = |letter| match letter {
            b's' => SOLD,
            b'h' => HELD,
            _ => FREE,
        };
        all.push(text.bytes().map(state).collect());
    }
    Ok(all)
}
