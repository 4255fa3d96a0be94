//! The catalogue's calls: public, from memory, with `ETag`.

use super::snapshot::{Document, Snapshot};
use crate::app::App;
use crate::error::ApiError;
use crate::http::params::{Path, slug};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
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
    Ok(answer(&headers, &document))
}

pub(super) async fn load_list(app: &App) -> Result<Document, ApiError> {
    let db = app.db.get().await?;
    let query = db
        .prepare_cached(
            "SELECT slug, title, venue, starts_at, currency::text FROM events
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
                "starts_at": starts_at.format(&Rfc3339).unwrap_or_default()})
        })
        .collect();
    let body = json!({ "events": events });
    Ok(Document::new(&body, &[body.to_string().as_bytes()]))
}

/// `GET /api/v1/events/{event}`.
pub(super) async fn event(
    State(app): State<App>,
    headers: HeaderMap,
    Path(event): Path<String>,
) -> Result<Response, ApiError> {
    Ok(answer(&headers, snapshot(&app, &event).await?.event()))
}

/// `GET /api/v1/events/{event}/availability`.
pub(super) async fn availability(
    State(app): State<App>,
    headers: HeaderMap,
    Path(event): Path<String>,
) -> Result<Response, ApiError> {
    Ok(answer(
        &headers,
        snapshot(&app, &event).await?.availability(),
    ))
}

/// `GET /api/v1/events/{event}/sections/{section}/seats`.
pub(super) async fn seats(
    State(app): State<App>,
    headers: HeaderMap,
    Path((event, section)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let snapshot = snapshot(&app, &event).await?;
    match snapshot.seats(&section) {
        Some(document) => Ok(answer(&headers, document)),
        None => Err(ApiError::new(Kind::NOT_FOUND, "No such section.")),
    }
}

async fn snapshot(app: &App, event: &str) -> Result<Arc<Snapshot>, ApiError> {
    let number = app.catalogue.number_of(app, &slug(event)?).await?;
    let number = number.ok_or_else(|| ApiError::new(Kind::NOT_FOUND, "No such event."))?;
    app.catalogue.snapshot(app, number).await
}

fn answer(headers: &HeaderMap, document: &Document) -> Response {
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || same(tag.trim(), &document.etag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = [(header::CONTENT_TYPE, "application/json")];
        (json, document.body.clone()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, document.etag.clone());
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, no-cache"),
    );
    response
}

/// Weak comparison (RFC 9110, 8.8.3.2).
fn same(tag: &str, etag: &HeaderValue) -> bool {
    let bare = |tag: &str| tag.trim_start_matches("W/").to_owned();
    etag.to_str().is_ok_and(|etag| bare(etag) == bare(tag))
}
