//! The outbox: "look at this order", committed together with whatever makes looking worthwhile.

use super::sql;
use crate::app::App;
use crate::error::ApiError;
use catraca_domain::ids::{EventNumber, OrderId};
use deadpool_postgres::{GenericClient, Transaction};

/// Only one worker relays at a time, so that the order is kept.
const RELAY_LOCK: i64 = 0x0072_656c_6179;

/// One row of the outbox on its way: what the purchase stream carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Job {
    /// The event; names the stream.
    pub event: EventNumber,
    /// The row; in the order in which orders were placed.
    pub outbox: i64,
    /// The order to look at.
    pub order: OrderId,
    /// Its provider, whose calls are bounded.
    pub provider: String,
}

/// One event's orders with one provider: worked off in order, by one worker at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The event.
    pub event: EventNumber,
    /// The provider's name.
    pub provider: String,
}

impl Job {
    /// Where it is worked off.
    pub fn lane(&self) -> Lane {
        Lane {
            event: self.event,
            provider: self.provider.clone(),
        }
    }
}

/// Asks for a look at an order. A row that nobody has taken up yet will do: whoever takes it
/// reads everything afresh.
///
/// # Errors
/// The database's.
pub async fn ask(tx: &Transaction<'_>, event: EventNumber, order: OrderId) -> Result<(), ApiError> {
    sql::execute(
        tx,
        "INSERT INTO outbox (event_id, order_id)
         SELECT $1, $2 WHERE NOT EXISTS (
             SELECT FROM outbox WHERE event_id = $1 AND order_id = $2
                 AND relayed_at IS NULL AND done_at IS NULL)",
        &[&event.0, &order.0],
    )
    .await?;
    Ok(())
}

/// [`ask`] by a row of its own: one under way may have been read without what is new.
///
/// # Errors
/// The database's.
pub async fn ask_anew(
    tx: &Transaction<'_>,
    event: EventNumber,
    order: OrderId,
) -> Result<(), ApiError> {
    sql::execute(
        tx,
        "INSERT INTO outbox (event_id, order_id) VALUES ($1, $2)",
        &[&event.0, &order.0],
    )
    .await?;
    Ok(())
}

/// The look was taken; marking it again does nothing.
///
/// # Errors
/// The database's.
pub(super) async fn done<C: GenericClient>(client: &C, job: &Job) -> Result<(), ApiError> {
    sql::execute(
        client,
        "UPDATE outbox SET done_at = now(), relayed_at = coalesce(relayed_at, now())
         WHERE event_id = $1 AND outbox_id = $2 AND done_at IS NULL",
        &[&job.event.0, &job.outbox],
    )
    .await?;
    Ok(())
}

/// Orders whose time has come to be looked at unasked; pushes their next time away so that a look
/// that never happens is asked for again. At most so many that no lane has more than `ahead` rows
/// waiting: what buyers and providers ask for goes first. Returns how many.
///
/// # Errors
/// The database's.
pub(super) async fn ask_for_due<C: GenericClient>(client: &C, ahead: i64) -> Result<u64, ApiError> {
    sql::execute(
        client,
        "WITH waiting AS (
             SELECT o.event_id, o.provider, count(*) AS jobs
             FROM outbox x JOIN orders o USING (event_id, order_id)
             WHERE x.done_at IS NULL GROUP BY o.event_id, o.provider
         ), ranked AS (
             SELECT event_id, order_id, provider, next_look_at, row_number() OVER
                 (PARTITION BY event_id, provider ORDER BY next_look_at) AS place
             FROM orders WHERE next_look_at <= now()
         ), due AS (
             SELECT o.event_id, o.order_id FROM orders o JOIN ranked r USING (event_id, order_id)
             LEFT JOIN waiting w ON w.event_id = r.event_id AND w.provider = r.provider
             WHERE r.place <= $1 - coalesce(w.jobs, 0)
             FOR UPDATE OF o SKIP LOCKED
         ), moved AS (
             UPDATE orders o SET next_look_at = now() + interval '30 seconds'
             FROM due d WHERE o.event_id = d.event_id AND o.order_id = d.order_id
             RETURNING o.event_id, o.order_id
         )
         INSERT INTO outbox (event_id, order_id)
         SELECT event_id, order_id FROM moved m WHERE NOT EXISTS (
             SELECT FROM outbox x WHERE x.event_id = m.event_id AND x.order_id = m.order_id
                 AND x.relayed_at IS NULL AND x.done_at IS NULL)",
        &[&ahead],
    )
    .await
}

/// A job that a worker has begun.
pub(super) struct Begun {
    /// How often it has been, this time included.
    pub(super) starts: i32,
    /// The first time: how long it had waited for that, in seconds.
    pub(super) waited_seconds: Option<f64>,
}

/// Begins a job; nothing when it was done already. What is begun first in a lane has the lower
/// `begun`.
///
/// # Errors
/// The database's.
pub(super) async fn begin<C: GenericClient>(
    client: &C,
    job: &Job,
) -> Result<Option<Begun>, ApiError> {
    let row = sql::query_opt(
        client,
        "UPDATE outbox SET starts = starts + 1, begun_at = coalesce(begun_at, now()),
                begun = coalesce(begun, nextval('outbox_begun'))
         WHERE event_id = $1 AND outbox_id = $2 AND done_at IS NULL
         RETURNING starts, CASE WHEN starts = 1
             THEN extract(epoch FROM begun_at - created_at)::float8 END",
        &[&job.event.0, &job.outbox],
    )
    .await?;
    Ok(row.map(|row| Begun {
        starts: row.get(0),
        waited_seconds: row.get(1),
    }))
}

/// A job could not be worked off: it comes again later, with jitter. Returns how often it has
/// failed.
///
/// # Errors
/// The database's.
pub(super) async fn failed(app: &App, job: &Job) -> Result<i32, ApiError> {
    let row = sql::query_opt(
        &app.db.get().await?,
        "UPDATE outbox SET failures = failures + 1, relayed_at = NULL, stream_id = NULL,
                not_before = now() + make_interval(secs =>
                    (0.5 + random()) * power(2, LEAST(failures, 5)))
         WHERE event_id = $1 AND outbox_id = $2 AND done_at IS NULL RETURNING failures",
        &[&job.event.0, &job.outbox],
    )
    .await?;
    Ok(row.map_or(0, |row| row.get(0)))
}

/// The next rows to relay, locked; none while another worker relays or there are none.
pub(super) async fn next_unrelayed(
    tx: &Transaction<'_>,
    limit: i64,
) -> Result<Option<Vec<Job>>, ApiError> {
    let turn = sql::query_opt(tx, "SELECT pg_try_advisory_xact_lock($1)", &[&RELAY_LOCK]).await?;
    if !turn.is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let rows = sql::query(
        tx,
        "SELECT x.event_id, x.outbox_id, x.order_id, o.provider
         FROM outbox x JOIN orders o USING (event_id, order_id)
         WHERE x.relayed_at IS NULL AND x.done_at IS NULL
           AND (x.not_before IS NULL OR x.not_before <= now())
         ORDER BY x.outbox_id LIMIT $1 FOR UPDATE OF x SKIP LOCKED",
        &[&limit],
    )
    .await?;
    let jobs: Vec<Job> = rows
        .iter()
        .map(|row| Job {
            event: EventNumber(row.get(0)),
            outbox: row.get(1),
            order: OrderId(row.get(2)),
            provider: row.get(3),
        })
        .collect();
    Ok((!jobs.is_empty()).then_some(jobs))
}

/// Marks rows as relayed, with their entries' ids where they went by the stream.
pub(super) async fn relayed(
    tx: &Transaction<'_>,
    jobs: &[Job],
    ids: Option<&[String]>,
) -> Result<(), ApiError> {
    let events: Vec<i32> = jobs.iter().map(|job| job.event.0).collect();
    let rows: Vec<i64> = jobs.iter().map(|job| job.outbox).collect();
    let entries: Vec<Option<&str>> = match ids {
        Some(ids) => ids.iter().map(|id| Some(id.as_str())).collect(),
        None => vec![None; jobs.len()],
    };
    let touched = sql::execute(
        tx,
        "UPDATE outbox x SET relayed_at = now(), stream_id = r.stream_id
         FROM unnest($1::integer[], $2::bigint[], $3::text[]) AS r(event_id, outbox_id, stream_id)
         WHERE x.event_id = r.event_id AND x.outbox_id = r.outbox_id",
        &[&events, &rows, &entries],
    )
    .await?;
    crate::db::expect_rows(touched, jobs.len() as u64, "rows relayed")
}

/// A row that was relayed a while ago and is not done.
pub(super) struct Overdue {
    pub(super) lane: Lane,
    pub(super) outbox: i64,
    pub(super) stream_id: Option<String>,
}

/// Rows not done 10 s after they were relayed.
pub(super) async fn overdue<C: GenericClient>(
    client: &C,
    limit: i64,
) -> Result<Vec<Overdue>, ApiError> {
    let rows = sql::query(
        client,
        "SELECT x.event_id, x.outbox_id, x.stream_id, o.provider
         FROM outbox x JOIN orders o USING (event_id, order_id)
         WHERE x.done_at IS NULL AND x.relayed_at < now() - interval '10 seconds'
         ORDER BY x.relayed_at LIMIT $1",
        &[&limit],
    )
    .await?;
    let overdue = rows.iter().map(|row| Overdue {
        lane: Lane {
            event: EventNumber(row.get(0)),
            provider: row.get(3),
        },
        outbox: row.get(1),
        stream_id: row.get(2),
    });
    Ok(overdue.collect())
}

/// Asks again about an overdue row in another 10 s if it is `there`, else relays it again.
pub(super) async fn look_again<C: GenericClient>(
    client: &C,
    row: &Overdue,
    there: bool,
) -> Result<(), ApiError> {
    sql::execute(
        client,
        "UPDATE outbox SET relayed_at = CASE WHEN $3 THEN now() END,
                stream_id = CASE WHEN $3 THEN stream_id END
         WHERE event_id = $1 AND outbox_id = $2 AND done_at IS NULL",
        &[&row.lane.event.0, &row.outbox, &there],
    )
    .await?;
    Ok(())
}

/// Lanes with undone rows: how many, and how long the oldest has waited, in seconds.
pub(super) async fn backlog<C: GenericClient>(
    client: &C,
) -> Result<Vec<(Lane, i64, f64)>, ApiError> {
    let rows = sql::query(
        client,
        "SELECT o.event_id, o.provider, count(*),
                extract(epoch FROM now() - min(x.created_at))::float8
         FROM outbox x JOIN orders o USING (event_id, order_id)
         WHERE x.done_at IS NULL GROUP BY o.event_id, o.provider",
        &[],
    )
    .await?;
    let backlog = rows.iter().map(|row| {
        let lane = Lane {
            event: EventNumber(row.get(0)),
            provider: row.get(1),
        };
        (lane, row.get(2), row.get(3))
    });
    Ok(backlog.collect())
}

/// Forgets rows done a day ago, at most `limit`.
pub(super) async fn sweep<C: GenericClient>(client: &C, limit: i64) -> Result<u64, ApiError> {
    sql::execute(
        client,
        "DELETE FROM outbox WHERE (event_id, outbox_id) IN (
             SELECT event_id, outbox_id FROM outbox
             WHERE done_at < now() - interval '1 day' LIMIT $1)",
        &[&limit],
    )
    .await
}
