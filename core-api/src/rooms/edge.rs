//! Signed calls to the edge's `/internal/v1`.

use crate::app::App;
use crate::error::ApiError;
use bytes::Bytes;
use catraca_domain::ids::RoomName;
use catraca_domain::signature;
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use std::time::Duration;
use time::OffsetDateTime;

/// Longest wait for the edge's answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// One call. The answer is a success, or 404 when the edge knows no such room.
///
/// # Errors
/// [`ApiError::Unavailable`] for anything else: ask again later.
pub(super) async fn call(
    app: &App,
    method: Method,
    room: &RoomName,
    action: &str,
    body: Bytes,
) -> Result<Response, ApiError> {
    let path = format!("/internal/v1/rooms/{room}/{action}");
    let away = |story: String| ApiError::unavailable(format!("edge, {path}: {story}"));
    let address = app.config.edge_url.join(&path);
    let address = address.map_err(|error| away(error.to_string()))?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let signed = signature::sign(&app.config.edge_secret, now, &body);
    let response = app
        .http
        .request(method, address)
        .timeout(ANSWER_MAX)
        .header(signature::HEADER, signed)
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .body(body)
        .send()
        .await
        .map_err(|error| away(error.to_string()))?;
    let status = response.status();
    if status.is_success() || status == StatusCode::NOT_FOUND {
        Ok(response)
    } else {
        Err(away(format!("answered {status}")))
    }
}

/// A body, or our fault.
pub(super) fn json(body: &impl Serialize) -> Result<Bytes, ApiError> {
    let bytes = serde_json::to_vec(body);
    let bytes = bytes.map_err(|error| ApiError::internal(format!("a body: {error}")))?;
    Ok(Bytes::from(bytes))
}
