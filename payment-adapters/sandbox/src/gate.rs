//! Stands before both APIs: counts, refuses what is too fast, and makes calls go wrong that are
//! meant to.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::{Answer, App, Remembered, fingerprint};
use crate::faults::{Fault, Kind, Subject};
use crate::payment::Provider;

/// Largest request.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// What a 429 asks for.
const RETRY_AFTER_SECONDS: &str = "1";

pub(crate) async fn pass(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = parts.uri.path().to_owned();
    let subject = app.read(|world| Subject::of(world, &parts.method, &parts.uri, &bytes));
    let provider = subject.provider;
    if !app.arrives(provider, subject.call) {
        return too_many(provider);
    }
    let Some(fault) = app.take_fault(&subject) else {
        return next
            .run(Request::from_parts(parts, Body::from(bytes)))
            .await;
    };
    tracing::debug!(?fault, path, "a call is made to go wrong");
    let headers = parts.headers.clone();
    let carry_out = next.run(Request::from_parts(parts, Body::from(bytes.clone())));
    let memory = Memory {
        app: &app,
        provider,
        headers,
        path,
        body: &bytes,
    };
    match fault.kind {
        Kind::Http429 => too_many(provider),
        Kind::TimeoutBefore => hang(&app, &fault).await,
        Kind::TimeoutAfter => {
            carry_out.await;
            hang(&app, &fault).await
        }
        Kind::CutBefore => cut(),
        Kind::CutAfter => {
            carry_out.await;
            cut()
        }
        Kind::Http500 => {
            memory.keep(false).await;
            broken(provider)
        }
        Kind::Http500After => {
            let replayed = carry_out
                .await
                .headers()
                .contains_key("idempotent-replayed");
            memory.keep(!replayed).await;
            broken(provider)
        }
        // Not for calls; they were refused when they were asked for.
        Kind::Duplicate | Kind::Reorder | Kind::Lose => carry_out.await,
    }
}

/// What Stripe remembers of a call that broke.
struct Memory<'a> {
    app: &'a App,
    provider: Provider,
    headers: HeaderMap,
    path: String,
    body: &'a [u8],
}

impl Memory<'_> {
    async fn keep(self, instead: bool) {
        let key = self.headers.get("idempotency-key");
        let Some(key) = key.and_then(|key| key.to_str().ok()) else {
            return;
        };
        if !self.provider.is_stripe() {
            return;
        }
        let (key, print) = (format!("stripe {key}"), fingerprint(&self.path, self.body));
        let answer = Answer::new(StatusCode::INTERNAL_SERVER_ERROR, error_body(self.provider));
        let kept = self.app.transact(|txn| {
            if instead || matches!(txn.remembered(&key, &print), Remembered::Nothing) {
                txn.remember(key, print, &answer);
            }
        });
        if kept.await.is_err() {
            tracing::error!("the journal is broken");
        }
    }
}

fn error_body(provider: Provider) -> Value {
    if provider.is_stripe() {
        json!({ "error": { "type": "api_error", "message": "An unknown error occurred." } })
    } else {
        json!({
            "name": "INTERNAL_SERVER_ERROR",
            "message": "An internal server error has occurred.",
            "debug_id": crate::payment::new_id(""),
            "links": [],
        })
    }
}

fn broken(provider: Provider) -> Response {
    let body = Json(error_body(provider));
    (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
}

fn too_many(provider: Provider) -> Response {
    let body = if provider.is_stripe() {
        json!({ "error": {
            "type": "invalid_request_error",
            "code": "rate_limit",
            "message": "Request rate limit exceeded.",
        } })
    } else {
        json!({
            "name": "RATE_LIMIT_REACHED",
            "message": "Too many requests. Blocked due to rate limiting.",
            "debug_id": crate::payment::new_id(""),
            "links": [],
        })
    };
    let retry = [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)];
    (StatusCode::TOO_MANY_REQUESTS, retry, Json(body)).into_response()
}

async fn hang(app: &App, fault: &Fault) -> Response {
    tokio::select! {
        () = tokio::time::sleep(fault.duration()) => {}
        () = app.stopping() => {}
    }
    StatusCode::GATEWAY_TIMEOUT.into_response()
}

/// Promises more than it sends, and breaks off.
fn cut() -> Response {
    let pieces = [Ok("{"), Err(std::io::Error::other("cut off as asked"))];
    let mut response = Body::from_stream(futures::stream::iter(pieces)).into_response();
    let length = HeaderValue::from_static("1000");
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    response
}
