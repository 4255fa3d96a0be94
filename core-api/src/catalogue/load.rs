//! Taking a snapshot: from Redis when another process has just put one there, else from PostgreSQL.

use super::snapshot::{Plan, SeatPlan, SectionPlan, Snapshot};
use crate::app::App;
use crate::error::ApiError;
use catraca_domain::ids::EventNumber;
use catraca_domain::problem::Kind;
use deadpool_postgres::Transaction;
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio_postgres::IsolationLevel;

/// How long Redis keeps a snapshot; nobody uses one older than [`super::AGE_MAX`].
const KEPT_MS: u64 = 2_000;

/// A snapshot in Redis.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: i64,
    /// The count of changes before it was taken: another count now, and it is out of date.
    changes: i64,
    as_of_unix_ms: i64,
    states: Vec<String>,
}

fn keys(event: EventNumber) -> [String; 2] {
    [format!("avail:{{{}}}", event.0), changes_key(event)]
}

/// Counts an event's changes.
pub(super) fn changes_key(event: EventNumber) -> String {
    format!("avail:{{{}}}:changes", event.0)
}

/// A snapshot no older than this call, or than the last change that Redis knows of.
pub(super) async fn load(
    app: &App,
    event: EventNumber,
    before: Option<&Snapshot>,
    generation: u64,
) -> Result<Snapshot, ApiError> {
    let known = before.map(|snapshot| Arc::clone(&snapshot.plan));
    let mut redis = app.redis.clone();
    let asked = redis.mget::<_, (Option<String>, Option<i64>)>(keys(event).to_vec());
    let found = app.breaker.ask(asked).await;
    let changes = found.as_ref().map(|(_, changes)| changes.unwrap_or(0));
    if let (Some((Some(text), _)), Some(plan)) = (&found, &known)
        && let Some(snapshot) = kept(text, plan, changes, generation)
    {
        metrics::counter!("catraca_catalogue_loads_total", "from" => "redis").increment(1);
        return Ok(snapshot);
    }
    let snapshot = from_database(app, event, known, generation).await?;
    metrics::counter!("catraca_catalogue_loads_total", "from" => "postgres").increment(1);
    metrics::histogram!("catraca_catalogue_load_seconds").record(snapshot.age().as_secs_f64());
    if let Some(changes) = changes {
        keep(app, event, &snapshot, changes);
    }
    Ok(snapshot)
}

/// Redis' snapshot, if it is of this plan, makes sense, is young, and nothing changed since.
fn kept(text: &str, plan: &Arc<Plan>, changes: Option<i64>, generation: u64) -> Option<Snapshot> {
    let kept: Kept = serde_json::from_str(text).ok()?;
    if kept.version != plan.version || Some(kept.changes) != changes {
        return None;
    }
    let nanos = i128::from(kept.as_of_unix_ms) * 1_000_000;
    let as_of = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
    let age = Duration::try_from(OffsetDateTime::now_utc() - as_of).ok()?;
    if age >= super::AGE_MAX {
        return None;
    }
    let taken_at = Instant::now().checked_sub(age)?;
    Snapshot::new(Arc::clone(plan), kept.states, as_of, taken_at, generation)
}

/// Leaves the snapshot for other processes, in the background.
fn keep(app: &App, event: EventNumber, snapshot: &Snapshot, changes: i64) {
    let kept = Kept {
        version: snapshot.plan.version,
        changes,
        as_of_unix_ms: i64::try_from(snapshot.as_of.unix_timestamp_nanos() / 1_000_000)
            .unwrap_or(0),
        states: snapshot.states.clone(),
    };
    let Ok(text) = serde_json::to_string(&kept) else {
        return;
    };
    let app = app.clone();
    tokio::spawn(async move {
        let mut redis = app.redis.clone();
        let [key, _] = keys(event);
        let put = redis.pset_ex::<_, _, ()>(key, text, KEPT_MS);
        app.breaker.ask(put).await;
    });
}

async fn from_database(
    app: &App,
    event: EventNumber,
    known: Option<Arc<Plan>>,
    generation: u64,
) -> Result<Snapshot, ApiError> {
    let mut db = app.db.get().await?;
    let tx = db
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let (as_of, taken_at) = (OffsetDateTime::now_utc(), Instant::now());
    let query = tx
        .prepare_cached("SELECT version FROM events WHERE event_id = $1")
        .await?;
    let version = tx.query_opt(&query, &[&event.0]).await?;
    let version: i64 = version
        .ok_or_else(|| ApiError::new(Kind::NOT_FOUND, "No such event."))?
        .get(0);
    let plan = match known {
        Some(plan) if plan.version == version => plan,
        _ => Arc::new(plan(&tx, event).await?),
    };
    let states = states(&tx, &plan).await?;
    tx.commit().await?;
    Snapshot::new(plan, states, as_of, taken_at, generation)
        .ok_or_else(|| ApiError::internal("an event's seats don't fit its plan"))
}

/// Each section's seats as a text, by the database's clock.
async fn states(tx: &Transaction<'_>, plan: &Plan) -> Result<Vec<String>, ApiError> {
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
    let mut states: HashMap<String, String> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let sections = plan.sections.iter();
    Ok(sections
        .map(|section| states.remove(&section.name).unwrap_or_default())
        .collect())
}

async fn plan(tx: &Transaction<'_>, event: EventNumber) -> Result<Plan, ApiError> {
    let row = tx
        .query_one(
            "SELECT version, slug, title, venue, starts_at, currency::text, max_seats_per_buyer,
                    hold_seconds
             FROM events WHERE event_id = $1",
            &[&event.0],
        )
        .await?;
    let currency = row.get::<_, &str>(5).parse();
    Ok(Plan {
        number: event,
        version: row.get(0),
        slug: row.get(1),
        title: row.get(2),
        venue: row.get(3),
        starts_at: row.get(4),
        currency: currency.map_err(|e| ApiError::internal(format!("stored currency: {e}")))?,
        max_seats_per_buyer: row.get(6),
        hold_seconds: row.get(7),
        sections: sections(tx, event).await?,
    })
}

async fn sections(tx: &Transaction<'_>, event: EventNumber) -> Result<Vec<SectionPlan>, ApiError> {
    let rows = tx
        .query(
            "SELECT section, kind, capacity, price_minor FROM sections
             WHERE event_id = $1 ORDER BY position, section",
            &[&event.0],
        )
        .await?;
    let seats = tx
        .query(
            "SELECT s.section, s.row_label, s.seat_label, s.x, s.y, s.price_minor
             FROM seats s JOIN sections c USING (event_id, section)
             WHERE s.event_id = $1 AND c.kind = 'seated' ORDER BY s.section, s.ordinal",
            &[&event.0],
        )
        .await?;
    let mut by_section: HashMap<String, Vec<SeatPlan>> = HashMap::new();
    for row in &seats {
        by_section.entry(row.get(0)).or_default().push(SeatPlan {
            row: row.get(1),
            seat: row.get(2),
            x: row.get(3),
            y: row.get(4),
            price_minor: row.get(5),
        });
    }
    let section = |row: &tokio_postgres::Row| {
        let name: String = row.get(0);
        SectionPlan {
            seats: by_section.remove(&name).unwrap_or_default(),
            name,
            kind: row.get(1),
            capacity: row.get(2),
            price_minor: row.get(3),
        }
    };
    Ok(rows.iter().map(section).collect())
}
