//! What is on sale: read by everyone, all the time, and so answered from memory.
//!
//! Each process keeps one [`snapshot`] an event. News of a change ([`push`]) or its age makes it
//! stale; then one reader loads another ([`load`]) from Redis or PostgreSQL while the others wait
//! or, if theirs is young enough, don't. No snapshot is used beyond [`AGE_MAX`], so a seat that
//! was sold is not offered for longer, whatever news was lost.

mod load;
mod push;
mod routes;
mod snapshot;

pub(crate) use push::listen;

use crate::app::App;
use crate::cache::TtlCache;
use crate::error::ApiError;
use axum::Router;
use axum::routing::get;
use catraca_domain::ids::{EventNumber, RoomName};
use snapshot::{Document, Snapshot};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Age at which a snapshot is not used any more: a second, less the time to load and send one.
const AGE_MAX: Duration = Duration::from_millis(800);
/// However fast an event changes, a snapshot lives this long at least...
const AGE_MIN: Duration = Duration::from_millis(100);
/// ... and so many times what it took to load: loading costs a twelfth of one connection at most.
const LOAD_SHARE: u32 = 12;
/// Age at which the list of events is loaded again.
const LIST_TTL: Duration = Duration::from_millis(800);
/// A slug's number never changes; the memory is bounded for its size alone.
const NUMBER_TTL: Duration = Duration::from_mins(10);
const NUMBERS_MAX: usize = 10_000;

/// What is on sale, as far as this process knows.
pub struct Catalogue {
    numbers: TtlCache<RoomName, EventNumber>,
    entries: RwLock<HashMap<EventNumber, Arc<Entry>>>,
    list: tokio::sync::Mutex<Option<(Instant, Document)>>,
}

#[derive(Default)]
struct Entry {
    /// Grows with every change heard of.
    generation: AtomicU64,
    /// A message about this event is about to be sent.
    publishing: AtomicBool,
    latest: RwLock<Option<(Arc<Snapshot>, Duration)>>,
    loading: tokio::sync::Mutex<()>,
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
            entries: RwLock::default(),
            list: tokio::sync::Mutex::default(),
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
        let entry = self.entry(event);
        entry.generation.fetch_add(1, Ordering::AcqRel);
        if entry.publishing.swap(true, Ordering::AcqRel) {
            return;
        }
        let app = app.clone();
        tokio::spawn(async move {
            push::gather().await;
            entry.publishing.store(false, Ordering::Release);
            push::publish(&app, event).await;
        });
    }

    /// News from another process.
    fn heard(&self, event: EventNumber) {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&event) {
            entry.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn entry(&self, event: EventNumber) -> Arc<Entry> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&event) {
            return Arc::clone(entry);
        }
        drop(entries);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(entries.entry(event).or_default())
    }

    /// The event as it was at most [`AGE_MAX`] ago, and after any change heard of [`AGE_MIN`] ago.
    async fn snapshot(&self, app: &App, event: EventNumber) -> Result<Arc<Snapshot>, ApiError> {
        let entry = self.entry(event);
        if let Some(snapshot) = entry.good() {
            return Ok(snapshot);
        }
        let Ok(turn) = entry.loading.try_lock() else {
            // Somebody loads already: what is merely out of date serves until that is done.
            if let Some(snapshot) = entry.latest().filter(|latest| latest.age() < AGE_MAX) {
                return Ok(snapshot);
            }
            let turn = entry.loading.lock().await;
            return entry.load(app, event, turn).await;
        };
        entry.load(app, event, turn).await
    }

    async fn list(&self, app: &App) -> Result<Document, ApiError> {
        let mut list = self.list.lock().await;
        if let Some((loaded_at, document)) = list.as_ref()
            && loaded_at.elapsed() < LIST_TTL
        {
            return Ok(document.clone());
        }
        let asked_at = Instant::now();
        let document = routes::load_list(app).await?;
        *list = Some((asked_at, document.clone()));
        Ok(document)
    }
}

impl Entry {
    fn latest(&self) -> Option<Arc<Snapshot>> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().map(|(snapshot, _)| Arc::clone(snapshot))
    }

    /// The latest snapshot, if there is no need for another.
    fn good(&self) -> Option<Arc<Snapshot>> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        let (snapshot, took) = latest.as_ref()?;
        let current = snapshot.generation == self.generation.load(Ordering::Acquire);
        let age_min = (*took * LOAD_SHARE).clamp(AGE_MIN, AGE_MAX);
        let age_max = if current { AGE_MAX } else { age_min };
        (snapshot.age() < age_max).then(|| Arc::clone(snapshot))
    }

    async fn load(
        &self,
        app: &App,
        event: EventNumber,
        turn: tokio::sync::MutexGuard<'_, ()>,
    ) -> Result<Arc<Snapshot>, ApiError> {
        if let Some(snapshot) = self.good() {
            return Ok(snapshot);
        }
        let generation = self.generation.load(Ordering::Acquire);
        let before = self.latest();
        let started = Instant::now();
        let snapshot = load::load(app, event, before.as_deref(), generation).await?;
        let snapshot = Arc::new(snapshot);
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        *latest = Some((Arc::clone(&snapshot), started.elapsed()));
        drop(latest);
        drop(turn);
        Ok(snapshot)
    }
}

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/events", get(routes::list))
        .route("/api/v1/events/{event}", get(routes::event))
        .route(
            "/api/v1/events/{event}/availability",
            get(routes::availability),
        )
        .route(
            "/api/v1/events/{event}/sections/{section}/seats",
            get(routes::seats),
        )
}
