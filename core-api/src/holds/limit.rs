//! How many seats one buyer may have: counted in one place.

use crate::admission::Shopper;
use crate::error::ApiError;
use catraca_domain::ids::{AccountId, EventNumber};
use catraca_domain::money::Currency;
use catraca_domain::problem::{Kind, Problem};
use deadpool_postgres::Transaction;
use std::collections::HashMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// What the event allows.
pub(super) struct Terms {
    pub(super) currency: Currency,
    seats_max: i64,
    pub(super) hold_seconds: i32,
    /// Grows with every change of the event and its plan.
    pub(super) version: i64,
}

impl Terms {
    pub(super) async fn of(tx: &Transaction<'_>, event: EventNumber) -> Result<Self, ApiError> {
        let query = tx
            .prepare_cached(
                "SELECT currency::text, max_seats_per_buyer, hold_seconds, version
                 FROM events WHERE event_id = $1",
            )
            .await?;
        Self::read(&tx.query_one(&query, &[&event.0]).await?)
    }

    /// From a row that begins with currency, limit, seconds of a hold and version.
    pub(super) fn read(row: &Row) -> Result<Self, ApiError> {
        Ok(Self {
            currency: currency(row.get(0))?,
            seats_max: i64::from(row.get::<_, i32>(1)),
            hold_seconds: row.get(2),
            version: row.get(3),
        })
    }

    /// Whether somebody who has so many seats may have more.
    ///
    /// # Errors
    /// 422 `over_limit`.
    pub(super) fn allows(&self, has: i64, wanted: usize) -> Result<(), ApiError> {
        if has.saturating_add(i64::try_from(wanted).unwrap_or(i64::MAX)) <= self.seats_max {
            return Ok(());
        }
        let detail = format!(
            "One buyer may have {} seats of this event; you have {has}.",
            self.seats_max
        );
        Err(Problem::new(Kind::OVER_LIMIT, detail)
            .with("max_seats_per_buyer", self.seats_max)
            .with("seats_taken", has)
            .into())
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
    terms.allows(seats_of(tx, event, account).await?, wanted as usize)
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
    let has = seats_of_many(tx, event, &[account]).await?;
    Ok(has.get(&AccountId(account)).copied().unwrap_or_default())
}

/// What counts against the limit: live holds and sold ones. Each has all of its seats.
pub(super) const SEATS_OF_MANY: &str = "
    SELECT t.account_id, h.quantity FROM unnest($2::uuid[]) AS t (account_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(quantity), 0)::bigint AS quantity FROM holds
        WHERE event_id = $1 AND account_id = t.account_id
          AND (state = 'sold' OR (state = 'active' AND expires_at > now()))) h";

/// [`seats_of`] for several buyers, to be asked once they are locked.
pub(super) async fn seats_of_many(
    tx: &Transaction<'_>,
    event: i32,
    accounts: &[Uuid],
) -> Result<HashMap<AccountId, i64>, ApiError> {
    let query = tx.prepare_cached(SEATS_OF_MANY).await?;
    let rows = tx.query(&query, &[&event, &accounts]).await?;
    Ok(rows
        .iter()
        .map(|row| (AccountId(row.get(0)), row.get(1)))
        .collect())
}
