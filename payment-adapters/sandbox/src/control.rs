//! `/sandbox/…`: for whoever tests against this program. Without a login: a stand-in has no secrets.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::background::come_due;
use crate::faults::Fault;
use crate::payment::Provider;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/sandbox/ledger", get(crate::ledger::ledger))
        .route("/sandbox/faults", post(add).get(list).delete(clear))
        .route("/sandbox/limits", post(limit))
        .route("/sandbox/expire", post(expire))
        .route("/sandbox/stats", get(stats).delete(reset))
}

fn refused(reason: &str) -> Response {
    let body = Json(json!({ "error": reason }));
    (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
}

async fn add(State(app): State<App>, fault: Result<Json<Fault>, JsonRejection>) -> Response {
    let fault = match fault {
        Ok(Json(fault)) => fault,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    if let Some(problem) = fault.problem() {
        return refused(problem);
    }
    if !app.with_faults(|faults| faults.add(fault)) {
        return refused("too many faults waiting");
    }
    StatusCode::CREATED.into_response()
}

async fn list(State(app): State<App>) -> Json<Value> {
    app.with_faults(|faults| Json(json!({ "faults": faults.list() })))
}

async fn clear(State(app): State<App>) -> StatusCode {
    app.with_faults(crate::faults::Faults::clear);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    provider: Provider,
    /// Requests in any second; none: no limit.
    per_second: Option<usize>,
}

async fn limit(State(app): State<App>, limit: Result<Json<Limit>, JsonRejection>) -> Response {
    match limit {
        Ok(Json(limit)) => {
            app.with_traffic(|traffic| traffic.limit(limit.provider, limit.per_second));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(rejection) => refused(&rejection.body_text()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expire {
    /// Any of its ids, its order or its hold.
    payment: String,
}

/// Closes a page as its time would.
async fn expire(State(app): State<App>, body: Result<Json<Expire>, JsonRejection>) -> Response {
    let Json(Expire { payment: name }) = match body {
        Ok(body) => body,
        Err(rejection) => return refused(&rejection.body_text()),
    };
    let expired = app.transact(|txn| {
        let found = txn
            .world
            .payments()
            .find(|payment| payment.is_called(&name));
        let Some(payment) = found.cloned() else {
            return StatusCode::NOT_FOUND;
        };
        if payment.attempt.is_some() || payment.deadline_ms().is_none() {
            return StatusCode::CONFLICT;
        }
        come_due(txn, payment);
        StatusCode::NO_CONTENT
    });
    match expired.await {
        Ok(status) => status.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn stats(State(app): State<App>) -> Json<Value> {
    app.with_traffic(|traffic| Json(traffic.show()))
}

async fn reset(State(app): State<App>) -> StatusCode {
    app.with_traffic(crate::traffic::Traffic::reset);
    StatusCode::NO_CONTENT
}
