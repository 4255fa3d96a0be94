//! `GET /api/v1/tickets/{ticket}`: a ticket of the account, with its signed code.

use super::keys;
use crate::app::App;
use crate::config::Config;
use crate::error::ApiError;
use crate::purchase::sql;
use catraca_domain::ids::{AccountId, EventNumber, OrderId, RoomName, TicketId};
use catraca_domain::problem::Kind;
use catraca_domain::ticket_code::{self, Payload};
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::Row;

/// A ticket as its owner sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ticket {
    #[serde(rename = "ticket")]
    pub(crate) id: TicketId,
    pub(crate) event: TicketEvent,
    pub(crate) section: String,
    pub(crate) row: Option<String>,
    pub(crate) seat: Option<String>,
    pub(crate) order: OrderId,
    /// `valid`, or `void` once it is refunded.
    pub(crate) status: &'static str,
    /// What the door reads; a void ticket has none.
    pub(crate) code: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) issued_at: OffsetDateTime,
}

/// What the ticket is for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TicketEvent {
    pub(crate) slug: RoomName,
    pub(crate) title: String,
    pub(crate) venue: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) starts_at: OffsetDateTime,
}

pub(crate) fn not_found() -> ApiError {
    ApiError::new(Kind::TICKET_NOT_FOUND, "No ticket of yours has that id.")
}

/// What a ticket's row has to say, from `tickets t` and its neighbours.
const FIELDS: &str = "e.slug, e.title, e.venue, e.starts_at, t.ticket_id, t.section, s.row_label,
        s.seat_label, t.order_id, t.issued_at, t.voided_at IS NULL AS valid
     FROM tickets t
     JOIN orders o USING (event_id, order_id)
     JOIN seats s USING (event_id, section, ordinal)
     JOIN events e USING (event_id)";

impl Ticket {
    /// Its code.
    ///
    /// # Errors
    /// 410 once it is void.
    pub(crate) fn code(&self) -> Result<&str, ApiError> {
        self.code
            .as_deref()
            .ok_or_else(|| ApiError::new(Kind::TICKET_VOID, "This ticket has been refunded."))
    }
}

/// The account's ticket.
///
/// # Errors
/// 404 for another's as for none.
pub(crate) async fn load(
    app: &App,
    account: AccountId,
    ticket: TicketId,
) -> Result<Ticket, ApiError> {
    let client = app.db.get().await?;
    let row = sql::query_opt(
        &client,
        &format!(
            "SELECT {FIELDS} WHERE t.event_id = $1 AND t.ticket_id = $2 AND o.account_id = $3"
        ),
        &[&EventNumber::of(ticket.0).0, &ticket.0, &account.0],
    )
    .await?
    .ok_or_else(not_found)?;
    read(&row, &app.config)
}

/// All tickets of an order, void ones too, by section and seat.
pub(crate) async fn of_order(app: &App, order: OrderId) -> Result<Vec<Ticket>, ApiError> {
    let client = app.db.get().await?;
    let rows = sql::query(
        &client,
        &format!(
            "SELECT {FIELDS} WHERE t.event_id = $1 AND t.order_id = $2
             ORDER BY t.section, t.ordinal"
        ),
        &[&EventNumber::of(order.0).0, &order.0],
    )
    .await?;
    rows.iter().map(|row| read(row, &app.config)).collect()
}

fn read(row: &Row, config: &Config) -> Result<Ticket, ApiError> {
    let ticket = TicketId(row.get("ticket_id"));
    let odd = |what: String| ApiError::internal(format!("ticket {ticket}: {what}"));
    let slug: RoomName = row
        .get::<_, &str>("slug")
        .parse()
        .map_err(|error| odd(format!("slug: {error}")))?;
    let payload = Payload {
        event: slug.clone(),
        ticket,
        section: row.get("section"),
        row: row.get("row_label"),
        seat: row.get("seat_label"),
    };
    let valid: bool = row.get("valid");
    let code = if valid {
        let key = keys::signing_key(&config.ticket_key)?;
        let code = ticket_code::sign(&key, &payload);
        Some(code.map_err(|error| odd(format!("code: {error}")))?)
    } else {
        None
    };
    Ok(Ticket {
        id: ticket,
        event: TicketEvent {
            slug,
            title: row.get("title"),
            venue: row.get("venue"),
            starts_at: row.get("starts_at"),
        },
        section: payload.section,
        row: payload.row,
        seat: payload.seat,
        order: OrderId(row.get("order_id")),
        status: if valid { "valid" } else { "void" },
        code,
        issued_at: row.get("issued_at"),
    })
}
