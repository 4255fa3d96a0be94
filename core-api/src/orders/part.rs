//! A refund in part: some tickets, or an amount. In one transaction the tickets become void, their
//! seats go back on sale, the amount is promised and entered in the ledger; settlement then has
//! the provider give it back.
//!
//! However many are asked for at once, they never add up to more than was captured: each locks
//! the order, and the promises are held under the captured amount by a constraint. A part leaves
//! something of the price; whoever wants all of it back refunds the order.

use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use crate::holds::sale::{self, Deal};
use crate::login::Account;
use crate::purchase::ledger::Book;
use crate::purchase::sql;
use catraca_domain::ids::{EventNumber, HoldId, OrderId, TicketId};
use catraca_domain::money::Money;
use catraca_domain::problem::{Kind, Problem};
use deadpool_postgres::Transaction;
use serde_json::{Value, json};
use uuid::Uuid;

/// What is to go back.
pub(super) enum Part {
    /// These tickets, for what their seats cost.
    Tickets(Vec<TicketId>),
    /// An amount in minor units; the tickets stay good.
    Amount(i64),
}

/// A seat that goes back on sale.
struct Returned {
    section: String,
    ordinal: i32,
    price_minor: i64,
    as_granted: Value,
}

/// Writes the part down; its reply. The order is locked and paid.
pub(super) async fn promise(
    tx: &Transaction<'_>,
    operator: &Account,
    order: OrderId,
    part: &Part,
    reason: &str,
) -> Result<Value, ApiError> {
    let event = EventNumber::of(order.0);
    let returned = match part {
        Part::Tickets(tickets) => void(tx, order, tickets).await?,
        Part::Amount(_) => Vec::new(),
    };
    let amount_minor = match part {
        Part::Tickets(_) => returned.iter().map(|seat| seat.price_minor).sum(),
        Part::Amount(amount_minor) => *amount_minor,
    };
    let mut book = Book::open(tx, event, order).await?;
    let left_minor = book.totals.issued - book.totals.revoked;
    if amount_minor <= 0 || amount_minor >= left_minor {
        return Err(too_much(amount_minor, left_minor));
    }
    if !returned.is_empty() {
        let deal = deal(tx, order).await?;
        let sections: Vec<String> = returned.iter().map(|seat| seat.section.clone()).collect();
        let ordinals: Vec<i32> = returned.iter().map(|seat| seat.ordinal).collect();
        sale::give_back_part(tx, deal, &sections, &ordinals).await?;
    }
    let id = event.scoped_id(rand::random());
    let after = book.totals.revoke(amount_minor);
    book.enter(tx, after).await?;
    let seats: Vec<Value> = returned.into_iter().map(|seat| seat.as_granted).collect();
    let seats = Value::from(seats);
    insert(tx, operator, order, id, amount_minor, &seats, reason).await?;
    if let Part::Tickets(tickets) = part {
        let tickets: Vec<Uuid> = tickets.iter().map(|ticket| ticket.0).collect();
        let touched = sql::execute(
            tx,
            "UPDATE tickets SET refund_id = $3 WHERE event_id = $1 AND ticket_id = ANY($2)",
            &[&event.0, &tickets, &id],
        )
        .await?;
        expect_rows(touched, tickets.len() as u64, "tickets of the part")?;
    }
    let currency = book.currency()?;
    let amount = Money {
        amount_minor,
        currency,
    };
    Ok(
        json!({ "order": order, "status": "paid", "refund": id, "amount": amount,
               "seats": seats }),
    )
}

async fn insert(
    tx: &Transaction<'_>,
    operator: &Account,
    order: OrderId,
    id: Uuid,
    amount_minor: i64,
    seats: &Value,
    reason: &str,
) -> Result<(), ApiError> {
    let event = EventNumber::of(order.0);
    let touched = sql::execute(
        tx,
        "INSERT INTO partial_refunds (event_id, refund_id, order_id, amount_minor, seats, reason,
                                      requested_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &event.0,
            &id,
            &order.0,
            &amount_minor,
            seats,
            &reason,
            &operator.id.0,
        ],
    )
    .await?;
    expect_rows(touched, 1, "part written down")?;
    let touched = sql::execute(
        tx,
        "UPDATE payments SET promised_minor = promised_minor + $3, updated_at = now()
         WHERE event_id = $1 AND order_id = $2",
        &[&event.0, &order.0, &amount_minor],
    )
    .await?;
    expect_rows(touched, 1, "part promised")?;
    let touched = sql::execute(
        tx,
        "UPDATE orders SET updated_at = now(), next_look_at = now() + interval '2 seconds'
         WHERE event_id = $1 AND order_id = $2",
        &[&event.0, &order.0],
    )
    .await?;
    expect_rows(touched, 1, "part to be looked at")
}

fn too_much(amount_minor: i64, left_minor: i64) -> ApiError {
    let detail = if amount_minor <= 0 {
        "These tickets cost nothing, so there is nothing to give back."
    } else {
        "A part must leave something of the price. Refund the whole order instead."
    };
    let problem = Problem::new(Kind::NOT_REFUNDABLE, detail);
    problem.with("left_minor", left_minor).into()
}

/// Voids the tickets; what seats they were for.
async fn void(
    tx: &Transaction<'_>,
    order: OrderId,
    tickets: &[TicketId],
) -> Result<Vec<Returned>, ApiError> {
    let event = EventNumber::of(order.0);
    let ids: Vec<Uuid> = tickets.iter().map(|ticket| ticket.0).collect();
    let rows = sql::query(
        tx,
        "WITH voided AS (
             UPDATE tickets SET voided_at = now()
             WHERE event_id = $1 AND order_id = $2 AND ticket_id = ANY($3) AND voided_at IS NULL
             RETURNING event_id, section, ordinal)
         SELECT v.section, v.ordinal, g.seat
         FROM voided v JOIN orders o ON o.event_id = v.event_id AND o.order_id = $2
         JOIN holds h ON h.event_id = o.event_id AND h.hold_id = o.hold_id
         CROSS JOIN LATERAL jsonb_array_elements(h.seats) AS g(seat)
         WHERE g.seat->>'section' = v.section AND (g.seat->>'ordinal')::integer = v.ordinal",
        &[&event.0, &order.0, &ids],
    )
    .await?;
    if rows.len() != tickets.len() {
        return Err(ApiError::field(
            "tickets",
            "must be live tickets of this order, each named once",
        ));
    }
    let returned = rows.iter().map(|row| {
        let as_granted: Value = row.get(2);
        Returned {
            section: row.get(0),
            ordinal: row.get(1),
            price_minor: as_granted["price_minor"].as_i64().unwrap_or(0),
            as_granted,
        }
    });
    Ok(returned.collect())
}

async fn deal(tx: &Transaction<'_>, order: OrderId) -> Result<Deal, ApiError> {
    let event = EventNumber::of(order.0);
    let row = sql::query_opt(
        tx,
        "SELECT hold_id FROM orders WHERE event_id = $1 AND order_id = $2",
        &[&event.0, &order.0],
    )
    .await?
    .ok_or_else(|| ApiError::internal("a locked order is gone"))?;
    Ok(Deal {
        event,
        hold: HoldId(row.get(0)),
        order,
    })
}

/// Tells whoever looks at the event's seats.
pub(super) fn announce(app: &App, order: OrderId) {
    app.catalogue.changed(app, EventNumber::of(order.0));
    super::changes::publish(app, order);
}
