//! Claiming seats: the statements that allocate them.
//!
//! A seat is claimable when it is free, or held by a hold whose deadline is past by the database's
//! clock: an expired hold is on sale in the instant it expires, sweeper or no sweeper. A claim
//! locks only seats, in the order of section and ordinal, and never waits for a hold's row.

use super::batch_sql;
use crate::error::ApiError;
use catraca_domain::ids::{EventNumber, HoldId};
use catraca_domain::seating::Seating;
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

/// Claims up to `quantity` places without numbers: the caller gives up the transaction when they
/// are fewer. Begins at a random one, so that a crowd does not walk the same entries of the index.
pub(super) async fn any_of(
    tx: &Transaction<'_>,
    claim: Claim,
    section: &str,
    capacity: i32,
    quantity: usize,
) -> Result<Vec<Claimed>, ApiError> {
    match claim.patience {
        Patience::Skip => {
            let start = rand::random_range(0..capacity.max(1));
            let mut claimed = range(tx, claim, section, start..capacity, quantity).await?;
            if claimed.len() < quantity && start > 0 {
                let missing = quantity - claimed.len();
                claimed.extend(range(tx, claim, section, 0..start, missing).await?);
            }
            Ok(claimed)
        }
        Patience::Wait => range(tx, claim, section, 0..capacity, quantity).await,
    }
}

/// Claims the best seats by the rule, as far as they can be had: chosen out of all that are open,
/// one request or batch of a section at a time, then locked by name.
pub(super) async fn best_of(
    tx: &Transaction<'_>,
    claim: Claim,
    section: &str,
    seating: &Seating,
    quantity: usize,
) -> Result<Vec<Claimed>, ApiError> {
    batch_sql::lock_section(tx, claim.event, section).await?;
    let open = batch_sql::open(tx, claim.event, section, seating).await?;
    let seats = seating.best(&open, quantity).unwrap_or_default();
    let seats = seats
        .into_iter()
        .filter_map(|seat| i32::try_from(seat).ok());
    let wanted: Vec<_> = seats.map(|seat| (section.to_owned(), seat)).collect();
    if wanted.len() < quantity {
        return Ok(Vec::new());
    }
    these(tx, claim, &wanted).await
}

/// The first claimable seats of a range of ordinals.
async fn range(
    tx: &Transaction<'_>,
    claim: Claim,
    section: &str,
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
                &section,
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
