//! (being built)

use crate::app::App;
use axum::Router;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
}
