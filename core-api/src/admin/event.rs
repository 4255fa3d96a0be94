//! Events: created with their room, shown, changed.

use crate::app::App;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::params::{Path, slug};
use crate::login::Operator;
use crate::rooms;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catraca_domain::ids::{EventNumber, RoomName};
use catraca_domain::money::Currency;
use catraca_domain::problem::{FieldError, Kind, Problem};
use catraca_domain::reservation::HOLD_SECONDS_DEFAULT;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use time::OffsetDateTime;
use tokio_postgres::Row;
use utoipa::ToSchema;

/// Seconds that a hold may live.
pub(super) const HOLD_SECONDS: RangeInclusive<i64> = 10..=3_600;
/// Seats that one buyer may have.
pub(super) const SEATS_PER_BUYER: RangeInclusive<i64> = 1..=50;
/// Longest title or venue, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 200;

/// `POST /api/v1/admin/events`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewEvent {
    event: String,
    title: String,
    venue: String,
    #[serde(with = "time::serde::rfc3339")]
    starts_at: OffsetDateTime,
    currency: String,
    max_seats_per_buyer: i64,
    #[serde(default = "hold_seconds_default")]
    hold_seconds: i64,
}

fn hold_seconds_default() -> i64 {
    i64::from(HOLD_SECONDS_DEFAULT)
}

/// `PATCH /api/v1/admin/events/{event}`: what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
pub struct EventChange {
    title: Option<String>,
    venue: Option<String>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    starts_at: Option<OffsetDateTime>,
    currency: Option<String>,
    max_seats_per_buyer: Option<i64>,
    hold_seconds: Option<i64>,
}

/// An event, to its operator.
#[derive(Debug, Serialize)]
pub(super) struct EventView {
    event: String,
    title: String,
    venue: String,
    #[serde(with = "time::serde::rfc3339")]
    starts_at: OffsetDateTime,
    currency: String,
    max_seats_per_buyer: i32,
    hold_seconds: i32,
    capacity: i64,
}

const COLUMNS: &str = "slug, title, venue, starts_at, currency::text, max_seats_per_buyer,
    hold_seconds, coalesce((SELECT sum(capacity) FROM sections s
                            WHERE s.event_id = events.event_id), 0)::bigint";

fn view(row: &Row) -> EventView {
    EventView {
        event: row.get(0),
        title: row.get(1),
        venue: row.get(2),
        starts_at: row.get(3),
        currency: row.get(4),
        max_seats_per_buyer: row.get(5),
        hold_seconds: row.get(6),
        capacity: row.get(7),
    }
}

/// Gathers every bad field, so that the operator mends them at once.
#[derive(Default)]
struct Check(Vec<FieldError>);

impl Check {
    fn that(&mut self, fits: bool, field: &str, reason: impl Into<String>) {
        if !fits {
            self.0.push(FieldError {
                field: field.to_owned(),
                reason: reason.into(),
            });
        }
    }

    fn text(&mut self, field: &str, text: &str) {
        let chars = text.chars().count();
        let fits = !text.trim().is_empty()
            && chars <= TEXT_CHARS_MAX
            && !text.chars().any(char::is_control);
        self.that(
            fits,
            field,
            format!("must be 1 to {TEXT_CHARS_MAX} characters"),
        );
    }

    fn number(&mut self, field: &str, number: i64, range: &RangeInclusive<i64>) {
        let reason = format!("must be {} to {}", range.start(), range.end());
        self.that(range.contains(&number), field, reason);
    }

    fn done(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let detail = format!("{} of the fields can't be taken.", self.0.len());
        let mut problem = Problem::new(Kind::INVALID_FIELD, detail);
        problem.errors = self.0;
        Err(problem.into())
    }
}

/// `POST /api/v1/admin/events`: the event and its room, closed.
pub(super) async fn create(
    State(app): State<App>,
    _: Operator,
    body: JsonBody<NewEvent>,
) -> Result<(StatusCode, Json<EventView>), ApiError> {
    let new = body.parsed;
    let mut check = Check::default();
    let slug = new.event.parse::<RoomName>();
    if let Err(error) = &slug {
        check.that(false, "event", error.to_string());
    }
    let currency = new.currency.parse::<Currency>();
    if let Err(error) = &currency {
        check.that(false, "currency", error.to_string());
    }
    check.text("title", &new.title);
    check.text("venue", &new.venue);
    check.number(
        "max_seats_per_buyer",
        new.max_seats_per_buyer,
        &SEATS_PER_BUYER,
    );
    check.number("hold_seconds", new.hold_seconds, &HOLD_SECONDS);
    check.done()?;
    let slug = slug.map_err(|error| ApiError::field("event", error.to_string()))?;
    let mut db = app.db.get().await?;
    let tx = db.transaction().await?;
    let inserted = tx
        .query_one(
            &format!(
                "INSERT INTO events (slug, title, venue, starts_at, currency,
                                     max_seats_per_buyer, hold_seconds)
                 VALUES ($1, $2, $3, $4, $5::text, $6::bigint::integer, $7::bigint::integer)
                 RETURNING {COLUMNS}, event_id"
            ),
            &[
                &slug.as_str(),
                &new.title,
                &new.venue,
                &new.starts_at,
                &new.currency,
                &new.max_seats_per_buyer,
                &new.hold_seconds,
            ],
        )
        .await;
    let row = inserted.map_err(|error| {
        let constraint = error.as_db_error().and_then(|db| db.constraint());
        if constraint == Some("events_slug_taken") {
            ApiError::new(Kind::TAKEN, format!("There is an event {slug} already."))
        } else {
            error.into()
        }
    })?;
    rooms::create(&tx, EventNumber(row.get(8)), &slug).await?;
    tx.commit().await?;
    rooms::push_soon(&app, EventNumber(row.get(8)));
    Ok((StatusCode::CREATED, Json(view(&row))))
}

/// `GET /api/v1/admin/events`.
pub(super) async fn list(
    State(app): State<App>,
    _: Operator,
) -> Result<Json<serde_json::Value>, ApiError> {
    let db = app.db.get().await?;
    let query = format!("SELECT {COLUMNS} FROM events ORDER BY starts_at DESC, slug LIMIT 500");
    let rows = db.query(&query, &[]).await?;
    let events: Vec<EventView> = rows.iter().map(view).collect();
    Ok(Json(serde_json::json!({ "events": events })))
}

pub(super) fn no_event() -> ApiError {
    ApiError::new(Kind::NOT_FOUND, "No such event.")
}

/// `GET /api/v1/admin/events/{event}`.
pub(super) async fn show(
    State(app): State<App>,
    _: Operator,
    Path(event): Path<String>,
) -> Result<Json<EventView>, ApiError> {
    let slug = slug(&event)?;
    let db = app.db.get().await?;
    let query = format!("SELECT {COLUMNS} FROM events WHERE slug = $1");
    let row = db.query_opt(&query, &[&slug.as_str()]).await?;
    Ok(Json(view(&row.ok_or_else(no_event)?)))
}

/// `PATCH /api/v1/admin/events/{event}`.
pub(super) async fn change(
    State(app): State<App>,
    _: Operator,
    Path(event): Path<String>,
    body: JsonBody<EventChange>,
) -> Result<Json<EventView>, ApiError> {
    let slug = slug(&event)?;
    let new = body.parsed;
    let mut check = Check::default();
    for (field, text) in [("title", &new.title), ("venue", &new.venue)] {
        if let Some(text) = text {
            check.text(field, text);
        }
    }
    for (field, number, range) in [
        (
            "max_seats_per_buyer",
            new.max_seats_per_buyer,
            SEATS_PER_BUYER,
        ),
        ("hold_seconds", new.hold_seconds, HOLD_SECONDS),
    ] {
        if let Some(number) = number {
            check.number(field, number, &range);
        }
    }
    check.that(
        new.currency.is_none(),
        "currency",
        "can't be changed: prices are in it",
    );
    check.done()?;
    let db = app.db.get().await?;
    let row = db
        .query_opt(
            &format!(
                "UPDATE events SET title = coalesce($2, title), venue = coalesce($3, venue),
                     starts_at = coalesce($4, starts_at),
                     max_seats_per_buyer = coalesce($5::bigint::integer, max_seats_per_buyer),
                     hold_seconds = coalesce($6::bigint::integer, hold_seconds),
                     version = version + 1
                 WHERE slug = $1 RETURNING {COLUMNS}, event_id"
            ),
            &[
                &slug.as_str(),
                &new.title,
                &new.venue,
                &new.starts_at,
                &new.max_seats_per_buyer,
                &new.hold_seconds,
            ],
        )
        .await?
        .ok_or_else(no_event)?;
    app.catalogue.changed(&app, EventNumber(row.get(8)));
    Ok(Json(view(&row)))
}
