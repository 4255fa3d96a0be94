//! (being built)

use crate::app::App;
use axum::Router;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
}

/// Logins.
pub struct Login;

impl Login {
    /// From settings.
    pub fn new(_: &crate::config::Config, _: reqwest::Client) -> Self {
        Self
    }
}
