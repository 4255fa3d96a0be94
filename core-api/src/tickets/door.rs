//! `GET /api/v1/door/{event}`: what a door has to know besides the keys, to be kept for when it is
//! without a network.

use crate::app::App;
use crate::error::ApiError;
use crate::http::params::{Path, slug};
use crate::login::DoorStaff;
use crate::purchase::sql;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use catraca_domain::ids::{RoomName, TicketId};
use catraca_domain::problem::Kind;
use serde::Serialize;
use time::OffsetDateTime;

/// The event that a door guards.
#[derive(Debug, Serialize)]
struct Door {
    event: RoomName,
    title: String,
    venue: String,
    #[serde(with = "time::serde::rfc3339")]
    starts_at: OffsetDateTime,
    /// How many tickets are good.
    issued: i64,
    /// Those that are good no more, though their codes are genuine.
    void: Vec<TicketId>,
    /// As of when.
    #[serde(with = "time::serde::rfc3339")]
    as_of: OffsetDateTime,
}

pub(super) async fn show(
    State(app): State<App>,
    DoorStaff(_): DoorStaff,
    Path(event): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let event = slug(&event)?;
    let client = app.db.get().await?;
    let row = sql::query_opt(
        &client,
        "SELECT e.title, e.venue, e.starts_at, now(),
                (SELECT count(*) FROM tickets t
                 WHERE t.event_id = e.event_id AND t.voided_at IS NULL),
                (SELECT coalesce(array_agg(t.ticket_id), '{}') FROM tickets t
                 WHERE t.event_id = e.event_id AND t.voided_at IS NOT NULL)
         FROM events e WHERE e.slug = $1",
        &[&event.as_str()],
    )
    .await?
    .ok_or_else(|| ApiError::new(Kind::NOT_FOUND, "No such event."))?;
    let void: Vec<uuid::Uuid> = row.get(5);
    let door = Door {
        event,
        title: row.get(0),
        venue: row.get(1),
        starts_at: row.get(2),
        as_of: row.get(3),
        issued: row.get(4),
        void: void.into_iter().map(TicketId).collect(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(door)))
}
