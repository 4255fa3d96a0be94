//! Orders, as their buyers and operators see them.
//!
//! A hold becomes an order ([`create`]): one transaction writes the order, its payment and the
//! outbox row that sets [`crate::purchase`] going, many at once ([`batch`]). The buyer follows it by asking ([`view`]) or by
//! listening ([`stream`], told by [`changes`]), until it is final. An operator may have it
//! refunded ([`refund`]), whole or in part ([`part`]).

mod batch;
pub mod changes;
mod create;
pub(crate) mod display;
pub(crate) mod failure;
mod part;
mod refund;
mod stream;
mod view;

pub use batch::Asked;

use crate::app::App;
use crate::error::ApiError;
use crate::holds::line;
use crate::http::params::Query;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use catraca_domain::money::Currency;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// `GET /api/v1/payment-providers`.
#[derive(Serialize)]
struct Providers {
    providers: Vec<&'static str>,
}

/// Serves the line of orders until dropped.
pub(crate) fn serve(app: &App) -> JoinSet<()> {
    line::hands(app, "orders", |app| &app.order_line, create::serve_together)
}

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/orders", post(create::create))
        .route("/api/v1/orders/{order}", get(view::show))
        .route("/api/v1/orders/{order}/events", get(stream::events))
        .route("/api/v1/orders/{order}/pay.svg", get(display::drawing))
        .route("/api/v1/payment-providers", get(providers))
        .route("/api/v1/admin/orders/{order}/refund", post(refund::refund))
}

/// `?currency=BRL`: only those that take it.
#[derive(Deserialize)]
struct Wanted {
    currency: Option<String>,
}

async fn providers(
    State(app): State<App>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Providers>, ApiError> {
    let currency = wanted.currency.map(|code| code.parse::<Currency>());
    let currency = currency.transpose();
    let currency = currency.map_err(|error| ApiError::field("currency", error.to_string()))?;
    Ok(Json(Providers {
        providers: app.providers.taking(currency).collect(),
    }))
}
