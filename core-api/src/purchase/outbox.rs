//! The outbox: "look at this order", committed together with whatever makes looking worthwhile.

use super::sql;
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

/// The look was taken. Returns how long the row had waited, in seconds, or nothing when it was
/// marked before.
///
/// # Errors
/// The database's.
pub(super) async fn done<C: GenericClient>(client: &C, job: &Job) -> Result<Option<f64>, ApiError> {
    let row = sql::query_opt(
        client,
        "UPDATE outbox SET done_at = now(), relayed_at = coalesce(relayed_at, now())
         WHERE event_id = $1 AND outbox_id = $2 AND done_at IS NULL
         RETURNING extract(epoch FROM now() - created_at)::float8",
        &[&job.event.0, &job.outbox],
    )
    .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Orders whose time has come to be looked at unasked, at most `limit`; pushes their next time
/// away so that a look that never happens is asked for again. Returns how many.
///
/// # Errors
/// The database's.
pub(super) async fn ask_for_due<C: GenericClient>(client: &C, limit: i64) -> Result<u64, ApiError> {
    sql::execute(
        client,
        "WITH due AS (
             SELECT event_id, order_id FROM orders WHERE next_look_at <= now()
             ORDER BY next_look_at LIMIT $1 FOR UPDATE SKIP LOCKED
         ), moved AS (
             UPDATE orders o SET next_look_at = now() + interval '30 seconds'
             FROM due d WHERE o.event_id = d.event_id AND o.order_id = d.order_id
             RETURNING o.event_id, o.order_id
         )
         INSERT INTO outbox (event_id, order_id)
         SELECT event_id, order_id FROM moved m WHERE NOT EXISTS (
             SELECT FROM outbox x WHERE x.event_id = m.event_id AND x.order_id = m.order_id
                 AND x.relayed_at IS NULL AND x.done_at IS NULL)",
        &[&limit],
    )
    .await
}

/// Whether the look was taken already.
///
/// # Errors
/// The database's.
pub(super) async fn is_done<C: GenericClient>(client: &C, job: &Job) -> Result<bool, ApiError> {
    let row = sql::query_opt(
        client,
        "SELECT done_at IS NOT NULL FROM outbox WHERE event_id = $1 AND outbox_id = $2",
        &[&job.event.0, &job.outbox],
    )
    .await?;
    Ok(row.is_none_or(|row| row.get(0)))
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
    pub(super) event: EventNumber,
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
        "SELECT event_id, outbox_id, stream_id FROM outbox
         WHERE done_at IS NULL AND relayed_at < now() - interval '10 seconds'
         ORDER BY relayed_at LIMIT $1",
        &[&limit],
    )
    .await?;
    let overdue = rows.iter().map(|row| Overdue {
        event: EventNumber(row.get(0)),
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
        &[&row.event.0, &row.outbox, &there],
    )
    .await?;
    Ok(())
}

/// Events with undone rows: how many, and how long the oldest has waited, in seconds.
pub(super) async fn backlog<C: GenericClient>(
    client: &C,
) -> Result<Vec<(EventNumber, i64, f64)>, ApiError> {
    let rows = sql::query(
        client,
        "SELECT event_id, count(*), extract(epoch FROM now() - min(created_at))::float8
         FROM outbox WHERE done_at IS NULL GROUP BY event_id",
        &[],
    )
    .await?;
    let backlog = rows
        .iter()
        .map(|row| (EventNumber(row.get(0)), row.get(1), row.get(2)));
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
