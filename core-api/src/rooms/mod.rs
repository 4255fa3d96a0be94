//! Waiting rooms, from the operator's side. The database has what each should be ([`store`],
//! [`settings`]), the edge what it is; [`control`] changes and pushes, [`tasks`] pushes again
//! until the edge ([`edge`]) has acknowledged; [`passes`] lead into a lane.

mod control;
mod edge;
mod passes;
mod settings;
mod stock;
mod store;
mod tasks;

pub(crate) use store::create;
pub(crate) use tasks::push_soon;
pub use tasks::run;

use crate::app::App;
use axum::Router;
use axum::routing::{get, post};

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(
            "/api/v1/admin/rooms/{room}",
            get(control::show).put(control::put),
        )
        .route("/api/v1/admin/rooms/{room}/open", post(control::open))
        .route("/api/v1/admin/rooms/{room}/pause", post(control::pause))
        .route("/api/v1/admin/rooms/{room}/resume", post(control::resume))
        .route("/api/v1/admin/rooms/{room}/close", post(control::close))
        .route("/api/v1/admin/rooms/{room}/message", post(control::say))
        .route("/api/v1/admin/rooms/{room}/passes", post(passes::issue))
        .route("/api/v1/admin/rooms/{room}/live", get(control::live))
}
