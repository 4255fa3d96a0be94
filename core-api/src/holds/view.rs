//! `GET` and `DELETE /api/v1/holds/{hold}`: for its owner alone.

use super::limit::currency;
use super::sale::GrantedSeat;
use crate::admission::{Shopper, lock_session};
use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use crate::http::params::Path;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catraca_domain::ids::{HoldId, RoomName};
use catraca_domain::money::Money;
use catraca_domain::problem::Kind;
use catraca_domain::reservation::{HoldEvent, HoldState};
use deadpool_postgres::Transaction;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

/// A hold, as its owner sees it.
#[derive(Debug, Serialize)]
pub(super) struct HoldView {
    pub(super) hold: HoldId,
    pub(super) event: RoomName,
    pub(super) state: HoldState,
    pub(super) seats: Vec<HeldSeat>,
    pub(super) total: Money,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) expires_at: OffsetDateTime,
}

/// A place: row and seat are null in general admission.
#[derive(Debug, Serialize)]
pub(super) struct HeldSeat {
    section: String,
    row: Option<String>,
    seat: Option<String>,
}

impl From<GrantedSeat> for HeldSeat {
    fn from(seat: GrantedSeat) -> Self {
        Self {
            section: seat.section,
            row: seat.row,
            seat: seat.seat,
        }
    }
}

/// Another's hold is no hold.
fn not_found() -> ApiError {
    ApiError::new(Kind::HOLD_NOT_FOUND, "You have no such hold.")
}

fn parse(hold: &str) -> Result<HoldId, ApiError> {
    hold.parse().map_err(|_| not_found())
}

/// `GET /api/v1/holds/{hold}`.
pub(super) async fn get(
    State(app): State<App>,
    shopper: Shopper,
    Path(hold): Path<String>,
) -> Result<Json<HoldView>, ApiError> {
    let hold = parse(&hold)?;
    let db = app.db.get().await?;
    let query = db
        .prepare_cached(
            "SELECT h.seats, h.amount_minor, e.currency::text, h.expires_at,
                    CASE WHEN h.state = 'active' AND h.expires_at < now() THEN 'expired'
                         ELSE h.state END
             FROM holds h JOIN events e USING (event_id)
             WHERE h.event_id = $1 AND h.hold_id = $2 AND h.account_id = $3",
        )
        .await?;
    let row = db
        .query_opt(&query, &[&shopper.event.0, &hold.0, &shopper.account.id.0])
        .await?
        .ok_or_else(not_found)?;
    let seats: Vec<GrantedSeat> = serde_json::from_value(row.get::<_, Value>(0))
        .map_err(|error| ApiError::internal(format!("seats of hold {hold}: {error}")))?;
    Ok(Json(HoldView {
        hold,
        event: shopper.slug,
        state: state(row.get(4))?,
        seats: seats.into_iter().map(Into::into).collect(),
        total: Money {
            amount_minor: row.get(1),
            currency: currency(row.get(2))?,
        },
        expires_at: row.get(3),
    }))
}

fn state(text: &str) -> Result<HoldState, ApiError> {
    text.parse()
        .map_err(|error| ApiError::internal(format!("state of a hold: {error}")))
}

/// `DELETE /api/v1/holds/{hold}`: 204, also the second time.
pub(super) async fn release(
    State(app): State<App>,
    shopper: Shopper,
    Path(hold): Path<String>,
) -> Result<StatusCode, ApiError> {
    let hold = parse(&hold)?;
    let mut db = app.db.get().await?;
    let tx = db.transaction().await?;
    lock_session(&tx, &shopper).await?;
    let row = tx
        .query_opt(
            "SELECT state, quantity, expires_at < now() FROM holds
             WHERE event_id = $1 AND hold_id = $2 AND account_id = $3 FOR UPDATE",
            &[&shopper.event.0, &hold.0, &shopper.account.id.0],
        )
        .await?
        .ok_or_else(not_found)?;
    let from = state(row.get(0))?;
    if being_paid(&tx, shopper.event.0, hold).await? {
        return Err(ApiError::new(
            Kind::HOLD_HAS_ORDER,
            "The hold is being paid for: wait for the payment's end.",
        ));
    }
    let over = from == HoldState::Active && row.get::<_, bool>(2);
    let next = from.on(HoldEvent::Release).map_err(|_| match from {
        HoldState::Sold => ApiError::new(Kind::CONFLICT, "The hold's seats are sold."),
        HoldState::Active | HoldState::Released | HoldState::Expired => expired(),
    })?;
    if over {
        return Err(expired());
    }
    if next != from {
        free(&tx, &shopper, hold, row.get(1)).await?;
        tx.commit().await?;
        app.catalogue.hold_changed(&app, shopper.event, hold);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the hold's order is under way. To be asked once the hold's row is locked, in a statement
/// of its own, which sees an order that was being written while we waited for the lock.
pub(crate) async fn being_paid(
    tx: &Transaction<'_>,
    event: i32,
    hold: HoldId,
) -> Result<bool, ApiError> {
    let query = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM orders WHERE event_id = $1 AND hold_id = $2
                            AND status IN ('queued', 'awaiting_payment'))",
        )
        .await?;
    Ok(tx.query_one(&query, &[&event, &hold.0]).await?.get(0))
}

fn expired() -> ApiError {
    ApiError::new(
        Kind::HOLD_EXPIRED,
        "The hold has expired: its seats are on sale.",
    )
}

/// Releases a live hold, whose row is locked: every seat of it goes free. One that reached its
/// deadline since this transaction began may have lost seats already.
async fn free(
    tx: &Transaction<'_>,
    shopper: &Shopper,
    hold: HoldId,
    quantity: i32,
) -> Result<(), ApiError> {
    let freed = free_seats(tx, shopper.event.0, hold).await?;
    if freed != u64::try_from(quantity).unwrap_or(0) {
        return Err(expired());
    }
    let touched = tx
        .execute(
            "UPDATE holds SET state = 'released'
             WHERE event_id = $1 AND hold_id = $2 AND state = 'active'",
            &[&shopper.event.0, &hold.0],
        )
        .await?;
    expect_rows(touched, 1, "a hold released")
}

/// Frees the seats that still name a hold, locked in the common order.
pub(crate) async fn free_seats(
    tx: &Transaction<'_>,
    event: i32,
    hold: HoldId,
) -> Result<u64, ApiError> {
    let statement = tx
        .prepare_cached(
            "WITH ours AS MATERIALIZED (
                 SELECT section, ordinal FROM seats
                 WHERE event_id = $1 AND hold_id = $2 AND state = 'held'
                 ORDER BY section, ordinal FOR UPDATE)
             UPDATE seats s SET state = 'free', hold_id = NULL, held_until = NULL
             FROM ours WHERE s.event_id = $1 AND s.section = ours.section
               AND s.ordinal = ours.ordinal",
        )
        .await?;
    Ok(tx.execute(&statement, &[&event, &hold.0]).await?)
}
