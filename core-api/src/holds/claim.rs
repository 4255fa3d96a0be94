//! Claiming seats: the statements that allocate them.
//!
//! A seat is claimable when it is free, or held by a hold whose deadline is past by the database's
//! clock: an expired hold is on sale in the instant it expires, sweeper or no sweeper. A claim
//! locks only seats, in the order of section and ordinal, and never waits for a hold's row.

use super::adjacent;
use crate::error::ApiError;
use catraca_domain::ids::{EventNumber, HoldId};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

/// How a claim meets seats that another transaction has locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Pass them by: there may be others.
    Skip,
    /// Wait, in order: there may be no others.
    Wait,
}

/// For whom, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) event: EventNumber,
    pub(super) hold: HoldId,
    pub(super) hold_seconds: i32,
    pub(super) patience: Patience,
}

/// A seat that is ours now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) section: String,
    pub(super) ordinal: i32,
    pub(super) row: Option<String>,
    pub(super) seat: Option<String>,
    pub(super) price_minor: i64,
    /// The expired hold that it was taken from.
    pub(super) expired_hold: Option<Uuid>,
}

/// A section, as a claim needs to know it.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) seated: bool,
    pub(super) capacity: i32,
}

const CLAIMABLE: &str =
    "s.state <> 'sold' AND (s.state = 'free' OR (s.state = 'held' AND s.held_until < now()))";

/// Allocates whatever `picked` has locked.
const ALLOCATE: &str = "
    UPDATE seats s
    SET state = 'held', hold_id = $2, held_until = now() + make_interval(secs => $3)
    FROM picked p
    WHERE s.event_id = $1 AND s.section = p.section AND s.ordinal = p.ordinal
    RETURNING s.section, s.ordinal, s.row_label, s.seat_label, s.price_minor, p.hold_id";

impl Patience {
    fn sql(self) -> &'static str {
        match self {
            Self::Skip => "FOR UPDATE OF s SKIP LOCKED",
            Self::Wait => "FOR UPDATE OF s",
        }
    }
}

/// Claims up to `quantity` seats of a section: the caller gives up the transaction when they are
/// fewer. Starts at `start`, so that a crowd does not walk the same entries of the index.
pub(super) async fn any_of(
    tx: &Transaction<'_>,
    claim: Claim,
    section: &Section,
    quantity: usize,
    start: i32,
) -> Result<Vec<Claimed>, ApiError> {
    match claim.patience {
        Patience::Skip if section.seated => side_by_side(tx, claim, section, quantity, start).await,
        Patience::Skip => {
            let mut claimed = range(tx, claim, section, start..section.capacity, quantity).await?;
            if claimed.len() < quantity && start > 0 {
                let missing = quantity - claimed.len();
                claimed.extend(range(tx, claim, section, 0..start, missing).await?);
            }
            Ok(claimed)
        }
        Patience::Wait => range(tx, claim, section, 0..section.capacity, quantity).await,
    }
}

/// The first claimable seats of a range of ordinals.
async fn range(
    tx: &Transaction<'_>,
    claim: Claim,
    section: &Section,
    ordinals: std::ops::Range<i32>,
    quantity: usize,
) -> Result<Vec<Claimed>, ApiError> {
    let lock = claim.patience.sql();
    let statement = format!(
        "WITH picked AS MATERIALIZED (
             SELECT s.section, s.ordinal, s.hold_id FROM seats s
             WHERE s.event_id = $1 AND s.section = $4 AND s.ordinal >= $5 AND s.ordinal < $6
               AND {CLAIMABLE}
             ORDER BY s.section, s.ordinal LIMIT $7 {lock}) {ALLOCATE}"
    );
    let statement = tx.prepare_cached(&statement).await?;
    let limit = i64::try_from(quantity).unwrap_or(0);
    let seconds = f64::from(claim.hold_seconds);
    let rows = tx
        .query(
            &statement,
            &[
                &claim.event.0,
                &claim.hold.0,
                &seconds,
                &section.name,
                &ordinals.start,
                &ordinals.end,
                &limit,
            ],
        )
        .await?;
    Ok(sorted(&rows))
}

/// These very seats, as far as they are claimable, locked in order.
pub(super) async fn these(
    tx: &Transaction<'_>,
    claim: Claim,
    seats: &[(String, i32)],
) -> Result<Vec<Claimed>, ApiError> {
    let lock = claim.patience.sql();
    let statement = format!(
        "WITH picked AS MATERIALIZED (
             SELECT s.section, s.ordinal, s.hold_id
             FROM unnest($4::text[], $5::int[]) AS w (section, ordinal)
             JOIN seats s ON s.event_id = $1 AND s.section = w.section AND s.ordinal = w.ordinal
             WHERE {CLAIMABLE}
             ORDER BY s.section, s.ordinal {lock}) {ALLOCATE}"
    );
    let statement = tx.prepare_cached(&statement).await?;
    let sections: Vec<&str> = seats.iter().map(|(section, _)| section.as_str()).collect();
    let ordinals: Vec<i32> = seats.iter().map(|(_, ordinal)| *ordinal).collect();
    let seconds = f64::from(claim.hold_seconds);
    let rows = tx
        .query(
            &statement,
            &[
                &claim.event.0,
                &claim.hold.0,
                &seconds,
                &sections,
                &ordinals,
            ],
        )
        .await?;
    Ok(sorted(&rows))
}

/// Rows of a seated section looked at before the whole of it is.
const WINDOW: i64 = 256;

/// Neighbours if there are any: chosen without locks, then claimed by name.
async fn side_by_side(
    tx: &Transaction<'_>,
    claim: Claim,
    section: &Section,
    quantity: usize,
    start: i32,
) -> Result<Vec<Claimed>, ApiError> {
    let mut open = open_from(tx, claim.event, section, start, WINDOW).await?;
    if !adjacent::together(&open, quantity) {
        open = open_from(tx, claim.event, section, 0, i64::from(section.capacity)).await?;
        // Keep the spread: what lies behind the start comes first.
        let turn = open.partition_point(|(ordinal, _)| *ordinal < start);
        open.rotate_left(turn);
    }
    let wanted: Vec<(String, i32)> = adjacent::pick(&open, quantity)
        .into_iter()
        .map(|ordinal| (section.name.clone(), ordinal))
        .collect();
    if wanted.len() < quantity {
        return Ok(Vec::new());
    }
    these(tx, claim, &wanted).await
}

/// Claimable seats from the beginning of the row in which `start` lies.
async fn open_from(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &Section,
    start: i32,
    limit: i64,
) -> Result<Vec<adjacent::Open>, ApiError> {
    let query = tx
        .prepare_cached(&format!(
            "SELECT s.ordinal, coalesce(s.row_label, '') FROM seats s
             WHERE s.event_id = $1 AND s.section = $2 AND {CLAIMABLE} AND s.ordinal >= coalesce((
                 SELECT min(first.ordinal) FROM seats first
                 JOIN seats here ON here.event_id = $1 AND here.section = $2 AND here.ordinal = $3
                 WHERE first.event_id = $1 AND first.section = $2
                   AND first.row_label = here.row_label), 0)
             ORDER BY s.ordinal LIMIT $4"
        ))
        .await?;
    let rows = tx
        .query(&query, &[&event.0, &section.name, &start, &limit])
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// How many seats of a section are claimable. Seats that a claim has locked and not yet committed
/// count too: fewer than asked for here means that there are not enough.
pub(super) async fn count(
    tx: &Transaction<'_>,
    event: EventNumber,
    section: &Section,
) -> Result<usize, ApiError> {
    let query = tx
        .prepare_cached(&format!(
            "SELECT count(*) FROM seats s
             WHERE s.event_id = $1 AND s.section = $2 AND {CLAIMABLE}"
        ))
        .await?;
    let count: i64 = tx
        .query_one(&query, &[&event.0, &section.name])
        .await?
        .get(0);
    Ok(usize::try_from(count).unwrap_or(0))
}

fn sorted(rows: &[Row]) -> Vec<Claimed> {
    let mut claimed: Vec<Claimed> = rows
        .iter()
        .map(|row| Claimed {
            section: row.get(0),
            ordinal: row.get(1),
            row: row.get(2),
            seat: row.get(3),
            price_minor: row.get(4),
            expired_hold: row.get(5),
        })
        .collect();
    claimed.sort_by(|a, b| (&a.section, a.ordinal).cmp(&(&b.section, b.ordinal)));
    claimed
}
