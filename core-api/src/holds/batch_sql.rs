//! The statements of [`super::batch`]. Each sends itself when first polled, so several polled
//! together travel together; [`prepare`] must have run on the connection for that to be so. For the
//! sub-selects with `OFFSET 0` see `crate::orders::batch`.

use super::limit::{SEATS_OF_MANY, Terms};
use crate::db::by_key;
use crate::error::ApiError;
use crate::http::idempotency;
use catraca_domain::ids::{AccountId, EventNumber, Jti};
use catraca_domain::seating::Seating;
use deadpool_postgres::Transaction;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

const SESSIONS: &str = "
    SELECT s.* FROM unnest($2::uuid[]) AS t (jti)
    CROSS JOIN LATERAL (
        SELECT jti, account_id, ended_at IS NULL AND expires_at > now() AS open
        FROM shopping_sessions WHERE event_id = $1 AND jti = t.jti OFFSET 0
        FOR SHARE SKIP LOCKED) s WHERE s.open";

const ADD_BUYERS: &str = "
    INSERT INTO buyers (event_id, account_id) SELECT $1::integer, a FROM unnest($2::uuid[]) a
    ON CONFLICT DO NOTHING";

const BUYERS: &str = "
    SELECT b.account_id FROM unnest($2::uuid[]) AS t (account_id)
    CROSS JOIN LATERAL (
        SELECT account_id FROM buyers
        WHERE event_id = $1 AND account_id = t.account_id OFFSET 0 FOR UPDATE SKIP LOCKED) b";

const TERMS: &str = "
    SELECT currency::text, max_seats_per_buyer, hold_seconds,
           version, now() + make_interval(secs => hold_seconds) FROM events WHERE event_id = $1";

/// Free places from a random one on: the start is spread, and the index has nothing but free places
/// in it, so the last thousand are found as quickly as the first.
const FREE: &str = "
    SELECT ordinal, price_minor, row_label, seat_label, hold_id FROM seats
    WHERE event_id = $1 AND section = $2 AND state = 'free'
      AND ordinal >= (SELECT floor($3::float8 * capacity)::integer FROM sections
                      WHERE event_id = $1 AND section = $2 AND kind = 'general')
    ORDER BY event_id, section, ordinal LIMIT $4 FOR UPDATE SKIP LOCKED";

/// Free places from the first on, but for those that are ours already.
const FREE_FROM_THE_FIRST: &str = "
    SELECT ordinal, price_minor, row_label, seat_label, hold_id FROM seats
    WHERE event_id = $1 AND section = $2 AND state = 'free' AND ordinal < $3
    ORDER BY event_id, section, ordinal LIMIT $4 FOR UPDATE SKIP LOCKED";

/// Places of holds that are over, the longest over first.
const EXPIRED: &str = "
    SELECT ordinal, price_minor, row_label, seat_label, hold_id FROM seats
    WHERE event_id = $1 AND section = $2 AND state = 'held' AND held_until < now()
    ORDER BY held_until LIMIT $3 FOR UPDATE SKIP LOCKED";

/// Claimable places, whoever has them locked.
const LEFT: &str = "
    SELECT (SELECT count(*) FROM seats WHERE event_id = $1 AND section = $2 AND state = 'free')
         + (SELECT count(*) FROM seats WHERE event_id = $1 AND section = $2 AND state = 'held'
                                         AND held_until < now())";

const LOCK_SECTION: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))";

/// All that is claimable.
const OPEN: &str = "
    SELECT ordinal FROM seats WHERE event_id = $1 AND section = $2 AND state = 'free'
    UNION ALL
    SELECT ordinal FROM seats WHERE event_id = $1 AND section = $2 AND state = 'held'
                                AND held_until < now()";

/// Those of these that are claimable and that nobody else is claiming.
const THESE: &str = "
    SELECT s.* FROM unnest($3::integer[]) AS t (ordinal)
    CROSS JOIN LATERAL (
        SELECT ordinal, price_minor, row_label, seat_label, hold_id,
               state = 'free' OR (state = 'held' AND held_until < now()) AS claimable
        FROM seats WHERE event_id = $1 AND section = $2 AND ordinal = t.ordinal OFFSET 0
        FOR UPDATE SKIP LOCKED) s WHERE s.claimable";

/// The line that allocates seats. They are locked, and were claimable when they were.
const ALLOCATE: &str = "
    WITH ours AS MATERIALIZED (
        SELECT s.at, t.hold_id
        FROM unnest($3::uuid[], $4::text[], $5::integer[]) AS t (hold_id, section, ordinal)
        CROSS JOIN LATERAL (
            SELECT ctid AS at, state FROM seats
            WHERE event_id = $1 AND section = t.section AND ordinal = t.ordinal OFFSET 0 FOR UPDATE) s
        WHERE s.state <> 'sold')
    UPDATE seats s SET state = 'held', hold_id = ours.hold_id, held_until = $2
    FROM ours WHERE s.ctid = ours.at";

const MAKE_HOLDS: &str = "
    INSERT INTO holds (event_id, hold_id, jti, account_id, quantity, amount_minor, seats,
                       expires_at)
    SELECT $1::integer, t.hold_id, t.jti, t.account_id, t.quantity, t.amount_minor, t.seats,
           $2::timestamptz
    FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::integer[], $7::bigint[], $8::jsonb[])
         AS t (hold_id, jti, account_id, quantity, amount_minor, seats)";

/// A hold to be written.
pub(super) struct HoldRow<'a> {
    pub(super) hold: Uuid,
    pub(super) jti: Uuid,
    pub(super) account: Uuid,
    pub(super) amount_minor: i64,
    pub(super) seats: Value,
    pub(super) section: &'a str,
    pub(super) ordinals: Vec<i32>,
}

/// A place that this transaction has locked.
pub(super) struct Place {
    pub(super) ordinal: i32,
    pub(super) price_minor: i64,
    pub(super) row: Option<String>,
    pub(super) seat: Option<String>,
    pub(super) expired_hold: Option<Uuid>,
}

impl Place {
    fn all(rows: &[Row]) -> Vec<Self> {
        let place = |row: &Row| Self {
            ordinal: row.get(0),
            price_minor: row.get(1),
            row: row.get(2),
            seat: row.get(3),
            expired_hold: row.get(4),
        };
        rows.iter().map(place).collect()
    }
}

/// Prepares everything that travels together, once a connection.
pub(super) async fn prepare(tx: &Transaction<'_>) -> Result<(), ApiError> {
    by_key(tx).await?;
    let ours = [
        SESSIONS,
        ADD_BUYERS,
        BUYERS,
        TERMS,
        FREE,
        ALLOCATE,
        MAKE_HOLDS,
        SEATS_OF_MANY,
    ];
    for statement in ours.into_iter().chain(idempotency::TOGETHER) {
        tx.prepare_cached(statement).await?;
    }
    Ok(())
}

/// Open sessions that nobody is ending, by admission; they stay open until we are done.
pub(super) async fn sessions(
    tx: &Transaction<'_>,
    event: EventNumber,
    jtis: &[Uuid],
) -> Result<HashMap<Jti, AccountId>, ApiError> {
    let statement = tx.prepare_cached(SESSIONS).await?;
    let rows = tx.query(&statement, &[&event.0, &jtis]).await?;
    Ok(rows
        .iter()
        .map(|row| (Jti(row.get(0)), AccountId(row.get(1))))
        .collect())
}

/// The buyers, added if need be, of whom nobody else is counting seats.
pub(super) async fn buyers(
    tx: &Transaction<'_>,
    event: EventNumber,
    accounts: &[Uuid],
) -> Result<HashSet<AccountId>, ApiError> {
    let add = tx.prepare_cached(ADD_BUYERS).await?;
    let lock = tx.prepare_cached(BUYERS).await?;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&event.0, &accounts];
    let (_, rows) = futures::try_join!(tx.execute(&add, &params), tx.query(&lock, &params))?;
    Ok(rows.iter().map(|row| AccountId(row.get(0))).collect())
}

/// The event's terms, and when a hold that begins now is over.
pub(super) async fn terms(
    tx: &Transaction<'_>,
    event: EventNumber,
) -> Result<(Terms, OffsetDateTime), ApiError> {
    let statement = tx.prepare_cached(TERMS).await?;
    let row = tx.query_one(&statement, &[&event.0]).await?;
    Ok((Terms::read(&row)?, row.get(4)))
}

/// Free places without numbers, locked; none of a section with numbered seats.
pub(super) async fn free(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
    most: usize,
) -> Result<Vec<Place>, ApiError> {
    let (start, most) = (rand::random::<f64>(), limit(most));
    let statement = tx.prepare_cached(FREE).await?;
    let rows = tx
        .query(&statement, &[&event.0, &section, &start, &most])
        .await?;
    Ok(Place::all(&rows))
}

/// Free places beyond those that [`free`] found, which are the last ones.
pub(super) async fn free_from_the_first(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
    found: &[Place],
    most: usize,
) -> Result<Vec<Place>, ApiError> {
    let before = found.iter().map(|place| place.ordinal).min();
    let (before, most) = (before.unwrap_or(i32::MAX), limit(most));
    let statement = tx.prepare_cached(FREE_FROM_THE_FIRST).await?;
    let rows = tx
        .query(&statement, &[&event.0, &section, &before, &most])
        .await?;
    Ok(Place::all(&rows))
}

/// Places of holds that are over, locked.
pub(super) async fn expired(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
    most: usize,
) -> Result<Vec<Place>, ApiError> {
    let statement = tx.prepare_cached(EXPIRED).await?;
    let rows = tx
        .query(&statement, &[&event.0, &section, &limit(most)])
        .await?;
    Ok(Place::all(&rows))
}

/// How many places can be had, those included that somebody is claiming at this moment.
pub(super) async fn left(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
) -> Result<usize, ApiError> {
    let statement = tx.prepare_cached(LEFT).await?;
    let left: i64 = tx
        .query_one(&statement, &[&event.0, &section])
        .await?
        .get(0);
    Ok(usize::try_from(left).unwrap_or(0))
}

/// Waits until nobody else chooses seats of this section by the rule, and keeps it so.
pub(super) async fn lock_section(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
) -> Result<(), ApiError> {
    let statement = tx.prepare_cached(LOCK_SECTION).await?;
    let name = format!("seats/{}/{section}", event.0);
    tx.execute(&statement, &[&name]).await?;
    Ok(())
}

/// Which seats can be had, by ordinal; those too that somebody is claiming at this moment.
pub(super) async fn open(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
    seating: &Seating,
) -> Result<Vec<bool>, ApiError> {
    let statement = tx.prepare_cached(OPEN).await?;
    let mut open = vec![false; seating.len()];
    for row in tx.query(&statement, &[&event.0, &section]).await? {
        let seat = usize::try_from(row.get::<_, i32>(0)).ok();
        if let Some(seat) = seat.and_then(|seat| open.get_mut(seat)) {
            *seat = true;
        }
    }
    Ok(open)
}

/// Those of these seats that can be had, locked.
pub(super) async fn these(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &str,
    ordinals: &[i32],
) -> Result<Vec<Place>, ApiError> {
    let statement = tx.prepare_cached(THESE).await?;
    let rows = tx
        .query(&statement, &[&event.0, &section, &ordinals])
        .await?;
    Ok(Place::all(&rows))
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(0)
}

/// Gives the seats to their holds; how many.
pub(super) async fn allocate(
    tx: &Transaction<'_>,
    event: EventNumber,
    holds: &[HoldRow<'_>],
    until: OffsetDateTime,
) -> Result<u64, ApiError> {
    let statement = tx.prepare_cached(ALLOCATE).await?;
    let (mut ids, mut sections, mut ordinals) = (Vec::new(), Vec::new(), Vec::new());
    for hold in holds {
        for ordinal in &hold.ordinals {
            ids.push(hold.hold);
            sections.push(hold.section);
            ordinals.push(*ordinal);
        }
    }
    Ok(tx
        .execute(&statement, &[&event.0, &until, &ids, &sections, &ordinals])
        .await?)
}

/// Writes the holds; how many.
pub(super) async fn make_holds(
    tx: &Transaction<'_>,
    event: EventNumber,
    holds: &[HoldRow<'_>],
    until: OffsetDateTime,
) -> Result<u64, ApiError> {
    let statement = tx.prepare_cached(MAKE_HOLDS).await?;
    let ids: Vec<Uuid> = holds.iter().map(|hold| hold.hold).collect();
    let jtis: Vec<Uuid> = holds.iter().map(|hold| hold.jti).collect();
    let accounts: Vec<Uuid> = holds.iter().map(|hold| hold.account).collect();
    let amounts: Vec<i64> = holds.iter().map(|hold| hold.amount_minor).collect();
    let seats: Vec<&Value> = holds.iter().map(|hold| &hold.seats).collect();
    let quantities: Vec<i32> = holds
        .iter()
        .map(|hold| i32::try_from(hold.ordinals.len()).unwrap_or(i32::MAX))
        .collect();
    Ok(tx
        .execute(
            &statement,
            &[
                &event.0,
                &until,
                &ids,
                &jtis,
                &accounts,
                &quantities,
                &amounts,
                &seats,
            ],
        )
        .await?)
}
