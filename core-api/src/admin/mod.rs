//! The operators' side: events created ([`event`]) and given a seating plan ([`plan`], [`import`]);
//! purchases that need a person ([`letters`], [`quarantine`]), and their money ([`money`]).

mod decision;
mod event;
mod import;
mod letters;
mod money;
pub mod plan;
mod quarantine;

pub use event::{EventChange, NewEvent};

use crate::app::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

/// Routes.
pub fn router() -> Router<App> {
    let import = post(import::import).layer(DefaultBodyLimit::max(import::CSV_BYTES_MAX));
    Router::new()
        .route("/api/v1/admin/events", get(event::list).post(event::create))
        .route(
            "/api/v1/admin/events/{event}",
            get(event::show).patch(event::change),
        )
        .route("/api/v1/admin/events/{event}/seats:import", import)
        .route("/api/v1/admin/dead-letters", get(letters::list))
        .route(
            "/api/v1/admin/dead-letters/{event}/{letter}/retry",
            post(letters::retry),
        )
        .route(
            "/api/v1/admin/dead-letters/{event}/{letter}/drop",
            post(letters::drop),
        )
        .route("/api/v1/admin/quarantine", get(quarantine::list))
        .route("/api/v1/admin/orders/{order}", get(money::order))
        .route(
            "/api/v1/admin/orders/{order}/resolve",
            post(quarantine::resolve),
        )
        .route("/api/v1/admin/ledger", get(money::ledger))
}
