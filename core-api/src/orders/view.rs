//! `GET /api/v1/orders/{order}`: the order as its buyer sees it.

use super::display::{self, Shown};
use super::failure::Failure;
use crate::app::App;
use crate::error::ApiError;
use crate::holds::sale::GrantedSeat;
use crate::login::Account;
use crate::mail::{self, MailView};
use crate::purchase::sql;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use catraca_domain::ids::{AccountId, EventNumber, HoldId, OrderId, TicketId};
use catraca_domain::money::{Currency, Money};
use catraca_domain::problem::Kind;
use catraca_domain::settlement::{OrderStatus, Payment};
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

/// An order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct OrderView {
    order: OrderId,
    event: String,
    pub(super) status: OrderStatus,
    hold: HoldId,
    seats: Vec<SeatView>,
    total: Money,
    provider: String,
    next_action: Option<NextAction>,
    tickets: Vec<TicketView>,
    /// Parts that went back, or are on their way.
    refunds: Vec<RefundView>,
    /// What has gone back so far.
    refunded: Money,
    /// Where the tickets were sent.
    mail: Option<MailView>,
    /// A person has to look at it; nothing happens by itself.
    under_review: bool,
    /// Why it came to nothing, in a sentence.
    failure: Option<String>,
    /// The same by name.
    failure_kind: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct RefundView {
    refund: Uuid,
    amount: Money,
    /// `pending` or `completed`; one that failed is with the operators, and pending for the buyer.
    state: &'static str,
    /// The seats that went back on sale with it.
    seats: Vec<SeatView>,
    #[serde(with = "time::serde::rfc3339")]
    requested_at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct SeatView {
    section: String,
    row: Option<String>,
    seat: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct NextAction {
    redirect_url: String,
    /// What may be shown instead of going there.
    display: Option<Shown>,
}

impl OrderView {
    /// What the buyer can pay by without leaving the shop.
    pub(super) fn shown(&self) -> Option<&Shown> {
        self.next_action.as_ref()?.display.as_ref()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct TicketView {
    ticket: TicketId,
    #[serde(flatten)]
    seat: SeatView,
}

pub(super) async fn show(
    State(app): State<App>,
    account: Account,
    Path(order): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let order = load(&app, account.id, parse(&order)?).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(order)))
}

/// An id that is none names nothing.
pub(super) fn parse(order: &str) -> Result<OrderId, ApiError> {
    order.parse().map_err(|_| not_found())
}

pub(super) fn not_found() -> ApiError {
    ApiError::new(Kind::ORDER_NOT_FOUND, "No order of yours has that id.")
}

/// The account's order.
///
/// # Errors
/// 404 for another's as for none.
pub(super) async fn load(
    app: &App,
    account: AccountId,
    order: OrderId,
) -> Result<OrderView, ApiError> {
    let event = EventNumber::of(order.0);
    let client = app.db.get().await?;
    let row = sql::query_opt(
        &client,
        "SELECT e.slug, o.status, o.hold_id, h.seats, o.amount_minor, o.currency, o.provider,
                p.state AS payment, p.redirect_url, p.display, p.refunded_minor,
                o.quarantined IS NOT NULL AS under_review, o.failure
         FROM orders o
         JOIN holds h ON h.event_id = o.event_id AND h.hold_id = o.hold_id
         JOIN payments p ON p.event_id = o.event_id AND p.order_id = o.order_id
         JOIN events e ON e.event_id = o.event_id
         WHERE o.event_id = $1 AND o.order_id = $2 AND o.account_id = $3",
        &[&event.0, &order.0, &account.0],
    )
    .await?
    .ok_or_else(not_found)?;
    let mut view = read(&row, order)?;
    if view.status == OrderStatus::Paid {
        let tickets = sql::query(
            &client,
            "SELECT t.ticket_id, s.section, s.row_label, s.seat_label
             FROM tickets t JOIN seats s USING (event_id, section, ordinal)
             WHERE t.event_id = $1 AND t.order_id = $2 AND t.voided_at IS NULL
             ORDER BY t.section, t.ordinal",
            &[&event.0, &order.0],
        )
        .await?;
        view.tickets = tickets.iter().map(ticket).collect();
        view.mail = mail::of_tickets(&client, order).await?;
    }
    if matches!(view.status, OrderStatus::Paid | OrderStatus::Refunded) {
        let refunds = sql::query(
            &client,
            "SELECT refund_id, amount_minor, state, seats, created_at FROM partial_refunds
             WHERE event_id = $1 AND order_id = $2 ORDER BY created_at, refund_id",
            &[&event.0, &order.0],
        )
        .await?;
        let currency = view.total.currency;
        let refunds = refunds.iter().map(|row| refund(row, currency));
        view.refunds = refunds.collect::<Result<_, _>>()?;
    }
    Ok(view)
}

fn ticket(row: &Row) -> TicketView {
    TicketView {
        ticket: TicketId(row.get(0)),
        seat: SeatView {
            section: row.get(1),
            row: row.get(2),
            seat: row.get(3),
        },
    }
}

fn refund(row: &Row, currency: Currency) -> Result<RefundView, ApiError> {
    let seats: Vec<GrantedSeat> = serde_json::from_value(row.get(3))
        .map_err(|error| ApiError::internal(format!("seats of a refund: {error}")))?;
    Ok(RefundView {
        refund: row.get(0),
        amount: Money {
            amount_minor: row.get(1),
            currency,
        },
        state: match row.get(2) {
            "completed" => "completed",
            _ => "pending",
        },
        seats: seats.into_iter().map(seat).collect(),
        requested_at: row.get(4),
    })
}

fn read(row: &Row, order: OrderId) -> Result<OrderView, ApiError> {
    let odd = |what: &str| ApiError::internal(format!("order {order}: {what} can't be read"));
    let status: OrderStatus = row
        .get::<_, &str>("status")
        .parse()
        .map_err(|_| odd("status"))?;
    let payment: Payment = row
        .get::<_, &str>("payment")
        .parse()
        .map_err(|_| odd("payment"))?;
    let currency = row
        .get::<_, &str>("currency")
        .parse()
        .map_err(|_| odd("currency"))?;
    let seats: Vec<GrantedSeat> =
        serde_json::from_value(row.get("seats")).map_err(|_| odd("seats"))?;
    let to_pay = status == OrderStatus::AwaitingPayment && payment == Payment::Open;
    let redirect: Option<String> = row.get("redirect_url");
    let failure: Option<String> = row.get("failure");
    Ok(OrderView {
        order,
        event: row.get("slug"),
        status,
        hold: HoldId(row.get("hold_id")),
        seats: seats.into_iter().map(seat).collect(),
        total: Money::new(row.get("amount_minor"), currency).map_err(|_| odd("amount"))?,
        provider: row.get("provider"),
        next_action: redirect.filter(|_| to_pay).map(|redirect_url| NextAction {
            redirect_url,
            display: display::read(row.get("display")),
        }),
        tickets: Vec::new(),
        refunds: Vec::new(),
        refunded: Money {
            amount_minor: row.get("refunded_minor"),
            currency,
        },
        mail: None,
        under_review: row.get("under_review"),
        failure_kind: failure.as_deref().and_then(Failure::of),
        failure,
    })
}

fn seat(seat: GrantedSeat) -> SeatView {
    SeatView {
        section: seat.section,
        row: seat.row,
        seat: seat.seat,
    }
}
