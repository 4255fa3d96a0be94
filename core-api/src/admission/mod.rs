//! Admission: the token from the edge is verified here again ([`token`]), and its first use opens
//! the one shopping session that it is good for ([`session`]). [`Shopper`] is both, as an
//! extractor; [`routes`] shows the session and ends it.

mod routes;
mod session;
mod token;

pub use session::{End, Shopper, ShoppingSessions, Unseen, end_session, lock_session};

use crate::app::App;
use axum::Router;
use axum::routing::get;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/me", get(routes::me))
        .route("/api/v1/session", get(routes::show).delete(routes::leave))
}
