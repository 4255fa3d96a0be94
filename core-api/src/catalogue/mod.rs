//! (being built)

use crate::app::App;
use axum::Router;

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
}

/// What is on sale.
#[derive(Default)]
pub struct Catalogue;

impl Catalogue {
    /// Empty.
    pub fn new() -> Self {
        Self
    }
}
