//! `PayPal`'s side: the routes under `/v1` and `/v2` that are `PayPal`'s, who may call them, and
//! request ids.

mod error;
mod orders;
mod payments;
mod verify;
pub(crate) mod view;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catraca_domain::secret::Secret;
use serde_json::{Value, json};

use self::error::Refusal;
use crate::app::{Answer, App, Remembered, Txn, fingerprint};

/// What a call gives: a status and an object, or `PayPal`'s refusal.
type Outcome = Result<(StatusCode, Value), Refusal>;

/// A changing call, once it is known who asks and the body is JSON.
struct Call<'a> {
    id: &'a str,
    body: Value,
    has_request_id: bool,
}

type Work = fn(&mut Txn<'_>, &Call<'_>) -> Outcome;
type Look = fn(&crate::world::World, &str, &str) -> Outcome;

/// Lifetime `PayPal` states for its tokens.
const TOKEN_SECONDS: u64 = 32_400;
/// Longest request id for orders.
const REQUEST_ID_BYTES_MAX: usize = 108;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/v1/oauth2/token", post(token))
        .route(
            "/v1/notifications/verify-webhook-signature",
            post(verify::verify),
        )
        .route("/v2/checkout/orders", write_collection(orders::create))
        .route("/v2/checkout/orders/{id}", read(orders::retrieve))
        .route(
            "/v2/checkout/orders/{id}/authorize",
            write(orders::authorize),
        )
        .route(
            "/v2/payments/authorizations/{id}",
            read(payments::authorization),
        )
        .route(
            "/v2/payments/authorizations/{id}/capture",
            write(payments::capture),
        )
        .route(
            "/v2/payments/authorizations/{id}/void",
            write(payments::void),
        )
        .route("/v2/payments/captures/{id}", read(payments::captured))
        .route("/v2/payments/captures/{id}/refund", write(payments::refund))
        .route("/v2/payments/refunds/{id}", read(payments::refunded))
}

type Methods = axum::routing::MethodRouter<App>;

fn write(work: Work) -> Methods {
    post(
        async move |State(app), Path(id): Path<String>, uri: Uri, headers, body| {
            change(&app, work, &id, uri.path(), &headers, &body).await
        },
    )
}

fn write_collection(work: Work) -> Methods {
    post(async move |State(app), uri: Uri, headers, body| {
        change(&app, work, "", uri.path(), &headers, &body).await
    })
}

fn read(look: Look) -> Methods {
    get(
        async move |State(app): State<App>, Path(id): Path<String>, headers: HeaderMap| {
            let outcome = authenticate(&app, &headers)
                .and_then(|()| app.read(|world| look(world, app.base(), &id)));
            reply(answer(outcome))
        },
    )
}

async fn change(
    app: &App,
    work: Work,
    id: &str,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let parsed = authenticate(app, headers).and_then(|()| {
        let key = headers
            .get("paypal-request-id")
            .and_then(|key| key.to_str().ok());
        if key.is_some_and(|key| key.is_empty() || key.len() > REQUEST_ID_BYTES_MAX) {
            return Err(Refusal::malformed(
                "PayPal-Request-Id",
                "INVALID_STRING_LENGTH",
            ));
        }
        Ok((
            key.map(|key| format!("paypal {path} {key}")),
            json_body(headers, body)?,
        ))
    });
    let (key, body_json) = match parsed {
        Ok(parsed) => parsed,
        Err(refusal) => return reply(refusal.answer()),
    };
    let call = Call {
        id,
        body: body_json,
        has_request_id: key.is_some(),
    };
    let print = fingerprint(path, body);
    let outcome = app.transact(|txn| {
        let Some(key) = key else {
            return answer(work(txn, &call));
        };
        match txn.remembered(&key, &print) {
            Remembered::Answer(answer) => answer,
            Remembered::OtherRequest => Refusal::other_request().answer(),
            Remembered::Nothing => {
                let answer = answer(work(txn, &call));
                if answer.status.is_success() {
                    txn.remember(key, print, &answer);
                }
                answer
            }
        }
    });
    match outcome.await {
        Ok(answer) => reply(answer),
        Err(error) => reply(Refusal::internal(&error.to_string()).answer()),
    }
}

/// No body is an empty one; anything else must be a JSON object, and say so.
fn json_body(headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(Refusal::unsupported_media_type());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(Value::Object(object)),
        _ => Err(Refusal::malformed("/", "MALFORMED_REQUEST_JSON")),
    }
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Ok((status, body)) => Answer::new(status, body),
        Err(refusal) => refusal.answer(),
    }
}

fn reply(answer: Answer) -> Response {
    if answer.status == StatusCode::NO_CONTENT {
        return answer.status.into_response();
    }
    (answer.status, Json(answer.body)).into_response()
}

fn authenticate(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    match header.and_then(|header| header.strip_prefix("Bearer ")) {
        Some(token) if app.knows_token(token) => Ok(()),
        _ => Err(Refusal::unauthorised()),
    }
}

/// `POST /v1/oauth2/token`, grant `client_credentials`, the client by Basic.
async fn token(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let given = header
        .and_then(|header| header.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text).ok())
        .map(Secret::new);
    let config = app.config();
    let mut expected = format!("{}:", config.paypal_client_id).into_bytes();
    expected.extend_from_slice(config.paypal_client_secret.expose());
    if given != Some(Secret::new(expected)) {
        let body = json!({
            "error": "invalid_client",
            "error_description": "Client Authentication failed",
        });
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let grant = url::form_urlencoded::parse(&body)
        .find(|(name, _)| name == "grant_type")
        .map(|(_, value)| value.into_owned());
    if grant.as_deref() != Some("client_credentials") {
        let body = json!({
            "error": "unsupported_grant_type",
            "error_description": "unsupported grant_type",
        });
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    let body = json!({
        "scope": "https://uri.paypal.com/services/payments/payment/authcapture",
        "access_token": app.issue_token(),
        "token_type": "Bearer",
        "app_id": "APP-SANDBOX",
        "expires_in": TOKEN_SECONDS,
        "nonce": "sandbox",
    });
    Json(body).into_response()
}
