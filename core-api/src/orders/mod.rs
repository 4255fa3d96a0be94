//! Orders, as their buyers and operators see them.
//!
//! A hold becomes an order ([`create`]): one transaction writes the order, its payment and the
//! outbox row that sets [`crate::purchase`] going. The buyer follows it by asking ([`view`]) or by
//! listening ([`stream`], told by [`changes`]), until it is final. An operator may have it
//! refunded ([`refund`]), whole or in part ([`part`]).

pub mod changes;
mod create;
mod part;
mod refund;
mod stream;
mod view;

use crate::app::App;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

/// `GET /api/v1/payment-providers`.
#[derive(Serialize)]
struct Providers {
    providers: Vec<&'static str>,
}

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/orders", post(create::create))
        .route("/api/v1/orders/{order}", get(view::show))
        .route("/api/v1/orders/{order}/events", get(stream::events))
        .route("/api/v1/payment-providers", get(providers))
        .route("/api/v1/admin/orders/{order}/refund", post(refund::refund))
}

async fn providers(State(app): State<App>) -> Json<Providers> {
    let names = app
        .providers
        .providers()
        .map(catraca_payments::Provider::as_str);
    Json(Providers {
        providers: names.collect(),
    })
}
