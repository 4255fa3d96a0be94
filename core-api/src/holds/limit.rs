//! How many seats one buyer may have: counted in one place.

use crate::admission::Shopper;
use crate::error::ApiError;
use catraca_domain::ids::EventNumber;
use catraca_domain::money::Currency;
use catraca_domain::problem::{Kind, Problem};
use deadpool_postgres::Transaction;
use uuid::Uuid;

/// What the event allows.
pub(super) struct Terms {
    pub(super) currency: Currency,
    seats_max: i64,
    pub(super) hold_seconds: i32,
}

impl Terms {
    pub(super) async fn of(tx: &Transaction<'_>, event: EventNumber) -> Result<Self, ApiError> {
        let query = tx
            .prepare_cached(
                "SELECT currency::text, max_seats_per_buyer, hold_seconds
                 FROM events WHERE event_id = $1",
            )
            .await?;
        let row = tx.query_one(&query, &[&event.0]).await?;
        Ok(Self {
            currency: currency(row.get(0))?,
            seats_max: i64::from(row.get::<_, i32>(1)),
            hold_seconds: row.get(2),
        })
    }
}

pub(super) fn currency(text: &str) -> Result<Currency, ApiError> {
    text.parse()
        .map_err(|error| ApiError::internal(format!("stored currency: {error}")))
}

/// Counts the buyer's seats, live and sold, under a lock that lets one request of a buyer count
/// at a time.
pub(super) async fn within_limit(
    tx: &Transaction<'_>,
    shopper: &Shopper,
    terms: &Terms,
    wanted: u32,
) -> Result<(), ApiError> {
    let (event, account) = (shopper.event.0, shopper.account.id.0);
    lock_buyer(tx, event, account).await?;
    let has = seats_of(tx, event, account).await?;
    if has + i64::from(wanted) <= terms.seats_max {
        return Ok(());
    }
    let detail = format!(
        "One buyer may have {} seats of this event; you have {has}.",
        terms.seats_max
    );
    Err(Problem::new(Kind::OVER_LIMIT, detail)
        .with("max_seats_per_buyer", terms.seats_max)
        .with("seats_taken", has)
        .into())
}

async fn lock_buyer(tx: &Transaction<'_>, event: i32, account: Uuid) -> Result<(), ApiError> {
    let lock = tx
        .prepare_cached("SELECT 1 FROM buyers WHERE event_id = $1 AND account_id = $2 FOR UPDATE")
        .await?;
    if tx.query_opt(&lock, &[&event, &account]).await?.is_some() {
        return Ok(());
    }
    let insert = tx
        .prepare_cached(
            "INSERT INTO buyers (event_id, account_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .await?;
    tx.execute(&insert, &[&event, &account]).await?;
    tx.query_one(&lock, &[&event, &account]).await?;
    Ok(())
}

/// Seats that an account holds at this moment or has bought.
pub(crate) async fn seats_of(
    tx: &Transaction<'_>,
    event: i32,
    account: Uuid,
) -> Result<i64, ApiError> {
    let query = tx
        .prepare_cached(
            "SELECT count(*) FROM holds h
             JOIN seats s ON s.event_id = h.event_id AND s.hold_id = h.hold_id
             WHERE h.event_id = $1 AND h.account_id = $2
               AND (s.state = 'sold' OR (s.state = 'held' AND s.held_until > now()))",
        )
        .await?;
    Ok(tx.query_one(&query, &[&event, &account]).await?.get(0))
}
