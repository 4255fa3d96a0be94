//! `GET /api/v1/tickets/{ticket}`: a ticket of the account, with its signed code.

use super::code::{self, Payload};
use crate::app::App;
use crate::error::ApiError;
use crate::purchase::sql;
use catraca_domain::ids::{AccountId, EventNumber, OrderId, RoomName, TicketId};
use catraca_domain::problem::Kind;
use serde::Serialize;
use time::OffsetDateTime;

/// A ticket as its owner sees it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Ticket {
    #[serde(rename = "ticket")]
    pub(super) id: TicketId,
    pub(super) event: TicketEvent,
    pub(super) section: String,
    pub(super) row: Option<String>,
    pub(super) seat: Option<String>,
    pub(super) order: OrderId,
    /// `valid`, or `void` once the order is refunded.
    pub(super) status: &'static str,
    pub(super) code: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) issued_at: OffsetDateTime,
}

/// What the ticket is for.
#[derive(Debug, Clone, Serialize)]
pub(super) struct TicketEvent {
    pub(super) slug: RoomName,
    pub(super) title: String,
    pub(super) venue: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) starts_at: OffsetDateTime,
}

pub(super) fn not_found() -> ApiError {
    ApiError::new(Kind::TICKET_NOT_FOUND, "No ticket of yours has that id.")
}

/// The account's ticket.
///
/// # Errors
/// 404 for another's as for none.
pub(super) async fn load(
    app: &App,
    account: AccountId,
    ticket: TicketId,
) -> Result<Ticket, ApiError> {
    let client = app.db.get().await?;
    let row = sql::query_opt(
        &client,
        "SELECT e.slug, e.title, e.venue, e.starts_at, t.section, s.row_label, s.seat_label,
                t.order_id, t.issued_at, t.voided_at IS NULL AS valid
         FROM tickets t
         JOIN orders o USING (event_id, order_id)
         JOIN seats s USING (event_id, section, ordinal)
         JOIN events e USING (event_id)
         WHERE t.event_id = $1 AND t.ticket_id = $2 AND o.account_id = $3",
        &[&EventNumber::of(ticket.0).0, &ticket.0, &account.0],
    )
    .await?
    .ok_or_else(not_found)?;
    let slug: RoomName = row
        .get::<_, &str>("slug")
        .parse()
        .map_err(|error| ApiError::internal(format!("slug of ticket {ticket}: {error}")))?;
    let payload = Payload {
        event: slug.clone(),
        ticket,
        section: row.get("section"),
        row: row.get("row_label"),
        seat: row.get("seat_label"),
    };
    let signed = code::signing_key(&app.config.ticket_key)
        .and_then(|key| code::sign(&key, &payload))
        .map_err(|error| ApiError::internal(format!("code of ticket {ticket}: {error}")))?;
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
        status: if row.get("valid") { "valid" } else { "void" },
        code: signed,
        issued_at: row.get("issued_at"),
    })
}
