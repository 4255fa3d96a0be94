//! The catalogue's calls: public, from memory, with `ETag`.

use super::board::Board;
use super::document::Document;
use crate::app::App;
use crate::error::ApiError;
use crate::http::params::{Path, slug};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use catraca_domain::problem::Kind;
use serde_json::{Value, json};
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Most events in the list.
const EVENTS_MAX: i64 = 500;

/// `GET /api/v1/events`: what is to come, soonest first.
pub(super) async fn list(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let document = app.catalogue.list(&app).await?;
    Ok(document.answer(&headers))
}

pub(super) async fn load_list(app: &App) -> Result<Document, ApiError> {
    let db = app.db.get().await?;
    let query = db
        .prepare_cached(
            "SELECT slug, title, venue, starts_at, currency::text,
                    jsonb_build_object('identity', config -> 'identity',
                                       'challenge', config -> 'challenge',
                                       'opens_at', config -> 'opens_at')
             FROM events JOIN rooms USING (event_id)
             WHERE starts_at > now() - interval '1 day' ORDER BY starts_at, slug LIMIT $1",
        )
        .await?;
    let rows = db.query(&query, &[&EVENTS_MAX]).await?;
    let events: Vec<Value> = rows
        .iter()
        .map(|row| {
            let starts_at: OffsetDateTime = row.get(3);
            json!({"event": row.get::<_, &str>(0), "title": row.get::<_, &str>(1),
                "venue": row.get::<_, &str>(2), "currency": row.get::<_, &str>(4),
                "starts_at": starts_at.format(&Rfc3339).unwrap_or_default(),
                "entry": row.get::<_, Value>(5)})
        })
        .collect();
    let body = json!({ "events": events });
    Ok(Document::json(&body, &[body.to_string().as_bytes()]))
}

/// `GET /api/v1/events/{event}`.
pub(super) async fn event(
    State(app): State<App>,
    headers: HeaderMap,
    Path(event): Path<String>,
) -> Result<Response, ApiError> {
    Ok(board(&app, &event).await?.event().answer(&headers))
}

/// `GET /api/v1/events/{event}/availability`.
pub(super) async fn availability(
    State(app): State<App>,
    headers: HeaderMap,
    Path(event): Path<String>,
) -> Result<Response, ApiError> {
    let board = board(&app, &event).await?;
    Ok(board.availability(|document| document.answer(&headers)))
}

/// `GET /api/v1/events/{event}/sections/{section}/seats`.
pub(super) async fn seats(
    State(app): State<App>,
    headers: HeaderMap,
    Path((event, section)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let board = board(&app, &event).await?;
    board
        .seats(&section, |document| document.answer(&headers))
        .ok_or_else(|| ApiError::new(Kind::NOT_FOUND, "No such section."))
}

async fn board(app: &App, event: &str) -> Result<Arc<Board>, ApiError> {
    let slug = slug(event)?;
    let number = app.catalogue.number_of(app, &slug).await?;
    let number = number.ok_or_else(|| ApiError::new(Kind::NOT_FOUND, "No such event."))?;
    let board = app.catalogue.board(app, number).await?;
    app.catalogue.remember(&slug, number);
    Ok(board)
}
