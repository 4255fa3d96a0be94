//! Seats change hands: held ones are sold, lost ones are taken again, sold ones are given back.
//!
//! Each function runs in the caller's transaction, which has locked the order already. Locks are
//! taken in one order everywhere: order, hold, seats by section and ordinal. Whoever holds the
//! seats' locks decides, so neither the sweeper nor another buyer can come between the look and
//! the write.

use crate::db::expect_rows;
use crate::error::ApiError;
use catraca_domain::ids::{EventNumber, HoldId, OrderId};
use catraca_domain::reservation::{HoldEvent, HoldState};
use deadpool_postgres::Transaction;
use serde::{Deserialize, Serialize};

/// A seat as it was granted: `holds.seats` is a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedSeat {
    /// Section.
    pub section: String,
    /// Row; none in general admission.
    pub row: Option<String>,
    /// Number in the row; none in general admission.
    pub seat: Option<String>,
    /// Key of the seat within its section.
    pub ordinal: i32,
    /// What was asked for it, in minor units.
    pub price_minor: i64,
}

/// Whose seats, and for which order.
#[derive(Debug, Clone, Copy)]
pub struct Deal {
    /// The event.
    pub event: EventNumber,
    /// The hold that granted the seats.
    pub hold: HoldId,
    /// The order that is to have them.
    pub order: OrderId,
}

/// What came of an attempt to sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sale {
    /// Every seat is sold to the order.
    Sold,
    /// Nothing changed: they were not all to be had.
    NotOurs,
}

struct LockedHold {
    state: HoldState,
    quantity: u64,
}

async fn lock_hold(tx: &Transaction<'_>, deal: Deal) -> Result<LockedHold, ApiError> {
    let row = tx
        .query_one(
            "SELECT state, quantity FROM holds WHERE event_id = $1 AND hold_id = $2 FOR UPDATE",
            &[&deal.event.0, &deal.hold.0],
        )
        .await?;
    let state = row.get::<_, &str>(0).parse();
    let state = state.map_err(|e| ApiError::internal(format!("hold {}: {e}", deal.hold)))?;
    let quantity = u64::try_from(row.get::<_, i32>(1)).unwrap_or(0);
    Ok(LockedHold { state, quantity })
}

async fn set_hold(
    tx: &Transaction<'_>,
    deal: Deal,
    from: HoldState,
    to: HoldState,
) -> Result<(), ApiError> {
    let touched = tx
        .execute(
            "UPDATE holds SET state = $4 WHERE event_id = $1 AND hold_id = $2 AND state = $3",
            &[&deal.event.0, &deal.hold.0, &from.as_str(), &to.as_str()],
        )
        .await?;
    expect_rows(touched, 1, "hold changes state")
}

/// Turns a hold's seats into sold ones. Its deadline may have passed: what counts is that every
/// seat still names it.
///
/// # Errors
/// The database's; rows that are not as they must be.
pub async fn sell(tx: &Transaction<'_>, deal: Deal) -> Result<Sale, ApiError> {
    let hold = lock_hold(tx, deal).await?;
    let Ok(next) = hold.state.on(HoldEvent::Sell) else {
        return Ok(Sale::NotOurs);
    };
    let rows = tx
        .query(
            "SELECT state = 'held' FROM seats WHERE event_id = $1 AND hold_id = $2
             ORDER BY section, ordinal FOR UPDATE",
            &[&deal.event.0, &deal.hold.0],
        )
        .await?;
    let all_held = rows.iter().all(|row| row.get::<_, bool>(0));
    if !all_held || rows.len() as u64 != hold.quantity {
        return Ok(Sale::NotOurs);
    }
    let touched = tx
        .execute(
            "UPDATE seats SET state = 'sold', held_until = NULL, order_id = $3
             WHERE event_id = $1 AND hold_id = $2 AND state = 'held'",
            &[&deal.event.0, &deal.hold.0, &deal.order.0],
        )
        .await?;
    expect_rows(touched, hold.quantity, "seats sold")?;
    set_hold(tx, deal, hold.state, next).await?;
    Ok(Sale::Sold)
}

/// Takes the seats of a hold that is over, all or none: each must be free, held past its deadline
/// by anyone, or still this hold's.
///
/// # Errors
/// The database's; rows that are not as they must be.
pub async fn retake(
    tx: &Transaction<'_>,
    deal: Deal,
    granted: &[GrantedSeat],
) -> Result<Sale, ApiError> {
    let hold = lock_hold(tx, deal).await?;
    let Ok(next) = hold.state.on(HoldEvent::Retake) else {
        return Ok(Sale::NotOurs);
    };
    let sections: Vec<&str> = granted.iter().map(|seat| seat.section.as_str()).collect();
    let ordinals: Vec<i32> = granted.iter().map(|seat| seat.ordinal).collect();
    let rows = tx
        .query(
            "SELECT state = 'free' OR (state = 'held' AND (held_until < now() OR hold_id = $4))
             FROM seats
             WHERE event_id = $1
               AND (section, ordinal) IN (SELECT * FROM unnest($2::text[], $3::integer[]))
             ORDER BY section, ordinal FOR UPDATE",
            &[&deal.event.0, &sections, &ordinals, &deal.hold.0],
        )
        .await?;
    let to_be_had = rows.iter().filter(|row| row.get::<_, bool>(0)).count() as u64;
    if to_be_had != hold.quantity || granted.len() as u64 != hold.quantity {
        return Ok(Sale::NotOurs);
    }
    let touched = tx
        .execute(
            "UPDATE seats SET state = 'sold', hold_id = $4, held_until = NULL, order_id = $5
             WHERE event_id = $1 AND state <> 'sold'
               AND (section, ordinal) IN (SELECT * FROM unnest($2::text[], $3::integer[]))",
            &[
                &deal.event.0,
                &sections,
                &ordinals,
                &deal.hold.0,
                &deal.order.0,
            ],
        )
        .await?;
    expect_rows(touched, hold.quantity, "seats taken again")?;
    set_hold(tx, deal, hold.state, next).await?;
    Ok(Sale::Sold)
}

/// Frees whatever the order or its hold still has of its seats, and ends the hold. Doing it again
/// does nothing.
///
/// # Errors
/// The database's; a sold order of which only some seats are found.
pub async fn give_back(tx: &Transaction<'_>, deal: Deal) -> Result<(), ApiError> {
    let hold = lock_hold(tx, deal).await?;
    let rows = tx
        .query(
            "SELECT state = 'sold' FROM seats
             WHERE event_id = $1 AND hold_id = $2 AND (state = 'held' OR order_id = $3)
             ORDER BY section, ordinal FOR UPDATE",
            &[&deal.event.0, &deal.hold.0, &deal.order.0],
        )
        .await?;
    let sold = rows.iter().filter(|row| row.get::<_, bool>(0)).count() as u64;
    if hold.state == HoldState::Sold {
        expect_rows(sold, hold.quantity, "seats of a sold order")?;
    }
    let touched = tx
        .execute(
            "UPDATE seats SET state = 'free', hold_id = NULL, held_until = NULL, order_id = NULL
             WHERE event_id = $1 AND hold_id = $2 AND (state = 'held' OR order_id = $3)",
            &[&deal.event.0, &deal.hold.0, &deal.order.0],
        )
        .await?;
    expect_rows(touched, rows.len() as u64, "seats freed")?;
    // An expired hold stays expired: its seats went back to sale by themselves.
    if let Ok(next) = hold.state.on(HoldEvent::GiveBack) {
        set_hold(tx, deal, hold.state, next).await?;
    }
    Ok(())
}

/// Frees some seats of a sold order; the hold then stands for the rest, which must be at least one.
///
/// # Errors
/// The database's; seats that are not sold to the order.
pub async fn give_back_part(
    tx: &Transaction<'_>,
    deal: Deal,
    sections: &[String],
    ordinals: &[i32],
) -> Result<(), ApiError> {
    lock_hold(tx, deal).await?;
    let rows = tx
        .query(
            "SELECT 1 FROM seats WHERE event_id = $1 AND order_id = $4 AND state = 'sold'
               AND (section, ordinal) IN (SELECT * FROM unnest($2::text[], $3::integer[]))
             ORDER BY section, ordinal FOR UPDATE",
            &[&deal.event.0, &sections, &ordinals, &deal.order.0],
        )
        .await?;
    expect_rows(
        rows.len() as u64,
        ordinals.len() as u64,
        "seats to give back",
    )?;
    let touched = tx
        .execute(
            "UPDATE seats SET state = 'free', hold_id = NULL, held_until = NULL, order_id = NULL
             WHERE event_id = $1 AND order_id = $4 AND state = 'sold'
               AND (section, ordinal) IN (SELECT * FROM unnest($2::text[], $3::integer[]))",
            &[&deal.event.0, &sections, &ordinals, &deal.order.0],
        )
        .await?;
    expect_rows(touched, ordinals.len() as u64, "seats given back")?;
    let touched = tx
        .execute(
            "UPDATE holds h SET quantity = quantity - cardinality($4::integer[]), seats = (
                 SELECT jsonb_agg(g.seat ORDER BY g.place)
                 FROM jsonb_array_elements(h.seats) WITH ORDINALITY AS g(seat, place)
                 WHERE (g.seat->>'section', (g.seat->>'ordinal')::integer)
                    NOT IN (SELECT * FROM unnest($3::text[], $4::integer[])))
             WHERE event_id = $1 AND hold_id = $2 AND state = 'sold'",
            &[&deal.event.0, &deal.hold.0, &sections, &ordinals],
        )
        .await?;
    expect_rows(touched, 1, "hold without the seats given back")
}
