//! The operators' side of events: created ([`event`]), given a seating plan ([`plan`], [`import`]).

mod event;
mod import;
pub mod plan;

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
}
