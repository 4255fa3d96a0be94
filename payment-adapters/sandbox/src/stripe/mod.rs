//! Stripe's side: the routes under `/v1` that are Stripe's, who may call them, and idempotency keys.

mod checkout;
mod error;
mod form;
mod intents;
mod refunds;
pub(crate) mod view;

use axum::Json;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catraca_domain::secret::Secret;
use serde_json::json;

use self::error::Refusal;
use self::form::Form;
use crate::app::{Answer, App, Remembered, Txn, fingerprint};

/// What a call gives: the object, or Stripe's refusal.
type Outcome = Result<serde_json::Value, Refusal>;
/// A changing call: the transaction, the ids in its path, its form.
type Work = fn(&mut Txn<'_>, &str, &Form) -> Outcome;
/// A reading call.
type Look = fn(&crate::world::World, &str, &str, &Form) -> Outcome;

/// Longest idempotency key Stripe takes.
const KEY_BYTES_MAX: usize = 255;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/v1/checkout/sessions", write_collection(checkout::create))
        .route("/v1/checkout/sessions/{id}", read(checkout::retrieve))
        .route("/v1/checkout/sessions/{id}/expire", write(checkout::expire))
        .route(
            "/v1/payment_intents",
            write_collection(intents::create).merge(read_collection(intents::list)),
        )
        .route("/v1/payment_intents/{id}", read(intents::retrieve))
        .route("/v1/payment_intents/{id}/confirm", write(intents::confirm))
        .route("/v1/payment_intents/{id}/capture", write(intents::capture))
        .route("/v1/payment_intents/{id}/cancel", write(intents::cancel))
        .route(
            "/v1/refunds",
            write_collection(refunds::create).merge(read_collection(refunds::list_all)),
        )
        .route("/v1/refunds/{id}", read(refunds::retrieve))
        .route("/v1/events", read_collection(refunds::events))
}

type Methods = axum::routing::MethodRouter<App>;

fn write(work: Work) -> Methods {
    post(
        async move |State(app), Path(id): Path<String>, uri: axum::http::Uri, headers, body| {
            change(&app, work, &id, uri.path(), &headers, body).await
        },
    )
}

fn write_collection(work: Work) -> Methods {
    post(
        async move |State(app), uri: axum::http::Uri, headers, body| {
            change(&app, work, "", uri.path(), &headers, body).await
        },
    )
}

fn read(look: Look) -> Methods {
    get(
        async move |State(app), Path(id): Path<String>, query, headers| {
            show(&app, look, &id, query, &headers)
        },
    )
}

fn read_collection(look: Look) -> Methods {
    get(async move |State(app), query, headers| show(&app, look, "", query, &headers))
}

fn show(
    app: &App,
    look: Look,
    id: &str,
    RawQuery(query): RawQuery,
    headers: &HeaderMap,
) -> Response {
    if let Err(refusal) = authenticate(app, headers) {
        return refusal.answer().into_response();
    }
    let form = Form::parse(query.unwrap_or_default().as_bytes());
    let outcome = app.read(|world| look(world, app.base(), id, &form));
    answer(outcome).into_response()
}

async fn change(
    app: &App,
    work: Work,
    id: &str,
    path: &str,
    headers: &HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    if let Err(refusal) = authenticate(app, headers) {
        return refusal.answer().into_response();
    }
    let key = match idempotency_key(headers) {
        Ok(key) => key,
        Err(refusal) => return refusal.answer().into_response(),
    };
    let form = Form::parse(&body);
    let print = fingerprint(path, &body);
    let outcome = app.transact(|txn| {
        let Some(key) = key else {
            return answer(work(txn, id, &form));
        };
        match txn.remembered(&key, &print) {
            Remembered::Answer(answer) => answer,
            Remembered::OtherRequest => Refusal::other_request().answer(),
            Remembered::Nothing => {
                let outcome = work(txn, id, &form);
                // Stripe remembers what it began to carry out, refusals by state included, and not
                // what it couldn't make sense of.
                let begun = outcome.as_ref().err().is_none_or(Refusal::is_about_state);
                let answer = answer(outcome);
                if begun {
                    txn.remember(key, print, &answer);
                }
                answer
            }
        }
    });
    match outcome.await {
        Ok(answer) => answer.into_response(),
        Err(error) => Refusal::internal(&error.to_string())
            .answer()
            .into_response(),
    }
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Ok(object) => Answer::new(StatusCode::OK, object),
        Err(refusal) => refusal.answer(),
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if self.replayed {
            let yes = axum::http::HeaderValue::from_static("true");
            response.headers_mut().insert("idempotent-replayed", yes);
        }
        response
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY_BYTES_MAX => {
            Ok(Some(format!("stripe {key}")))
        }
        _ => Err(Refusal::invalid(
            "Idempotency-Key",
            "Keys are 1 to 255 characters long.",
        )),
    }
}

/// `Bearer sk_…`, or the key as the user of Basic.
fn authenticate(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let key = match header.and_then(|header| header.split_once(' ')) {
        Some(("Bearer", key)) => Some(key.to_owned()),
        Some(("Basic", text)) => STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(|pair| pair.split(':').next().unwrap_or_default().to_owned()),
        _ => None,
    };
    match key {
        Some(key) if Secret::from(key.as_str()) == app.config().card_secret_key => Ok(()),
        Some(_) => Err(Refusal::unauthorised("Invalid API Key provided.")),
        None => Err(Refusal::unauthorised("You did not provide an API key.")),
    }
}

/// `{"object": "list", …}`.
fn list(path: &str, data: &[serde_json::Value], has_more: bool) -> serde_json::Value {
    json!({ "object": "list", "url": path, "has_more": has_more, "data": data })
}
