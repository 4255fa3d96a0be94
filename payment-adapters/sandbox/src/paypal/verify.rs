//! `POST /v1/notifications/verify-webhook-signature`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use catraca_domain::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::error::Refusal;
use super::{authenticate, reply};
use crate::app::App;
use crate::webhooks::paypal_signature;

/// The event is kept as it was written: the signature is over its text.
#[derive(Deserialize)]
struct Question<'a> {
    #[serde(rename = "auth_algo")]
    _auth_algo: String,
    #[serde(rename = "cert_url")]
    _cert_url: String,
    transmission_id: String,
    transmission_sig: String,
    transmission_time: String,
    webhook_id: String,
    #[serde(borrow)]
    webhook_event: &'a RawValue,
}

/// `SUCCESS` or `FAILURE`, always 200 for a question that makes sense.
pub(super) async fn verify(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = authenticate(&app, &headers) {
        return reply(refusal.answer());
    }
    let Ok(question) = serde_json::from_slice::<Question<'_>>(&body) else {
        return reply(Refusal::malformed("/", "VALIDATION_ERROR").answer());
    };
    let expected = paypal_signature(
        &app,
        &question.transmission_id,
        &question.transmission_time,
        question.webhook_event.get().as_bytes(),
    );
    let genuine = question.webhook_id == app.config().paypal_webhook_id
        && Secret::from(expected.as_str()) == Secret::from(question.transmission_sig.as_str());
    let status = if genuine { "SUCCESS" } else { "FAILURE" };
    Json(json!({ "verification_status": status })).into_response()
}
