//! What is on sale: read by everyone, all the time, and so answered from memory.

use crate::app::App;
use crate::cache::TtlCache;
use crate::error::ApiError;
use axum::Router;
use catraca_domain::ids::{EventNumber, RoomName};
use std::time::{Duration, Instant};

/// A slug's number never changes; the memory is bounded for its size alone.
const NUMBER_TTL: Duration = Duration::from_secs(600);
const NUMBERS_MAX: usize = 10_000;

/// What is on sale, as far as this process knows.
pub struct Catalogue {
    numbers: TtlCache<RoomName, EventNumber>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}

impl Catalogue {
    /// Empty.
    pub fn new() -> Self {
        Self {
            numbers: TtlCache::new(NUMBER_TTL, NUMBERS_MAX),
        }
    }

    /// The event of that slug.
    ///
    /// # Errors
    /// The database's.
    pub async fn number_of(
        &self,
        app: &App,
        slug: &RoomName,
    ) -> Result<Option<EventNumber>, ApiError> {
        if let Some(number) = self.numbers.get(slug) {
            return Ok(Some(number));
        }
        let db = app.db.get().await?;
        let query = db
            .prepare_cached("SELECT event_id FROM events WHERE slug = $1")
            .await?;
        let row = db.query_opt(&query, &[&slug.as_str()]).await?;
        let number = row.map(|row| EventNumber(row.get(0)));
        if let Some(number) = number {
            self.numbers.put(slug.clone(), number, Instant::now());
        }
        Ok(number)
    }

    /// To be called after every commit that changes an event's seats: whoever has a copy fetches
    /// a new one. Never fails, never waits.
    pub fn changed(&self, app: &App, event: EventNumber) {
        let _ = (app, event);
    }
}

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
}
