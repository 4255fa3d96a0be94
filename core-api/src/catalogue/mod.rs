//! What is on sale: read by everyone, all the time, and so answered from memory.
//!
//! Each process keeps one [`board`] an event. News of a change ([`push`]) is taken into it seat by
//! seat; every [`REFRESH_AGE`] all seats are read again ([`load`]), by one process from PostgreSQL
//! and by the others from Redis ([`shared`]), so that a seat that was sold is not offered for a
//! second, whatever news was lost. Documents ([`document`]) are encoded once for all their readers,
//! and those that everybody asks for are answered before the router ([`quick`]).

mod board;
mod document;
mod load;
mod plan;
mod push;
pub(crate) mod quick;
mod routes;
mod shared;
mod states;

pub(crate) use push::listen;

use crate::app::App;
use crate::cache::TtlCache;
use crate::error::ApiError;
use axum::Router;
use axum::routing::get;
use board::Board;
use catraca_domain::ids::{EventNumber, HoldId, RoomName};
use document::Document;
use push::{Look, Untold};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Age at which a board is not used any more: a second, less what encoding and sending may take.
const AGE_MAX: Duration = Duration::from_millis(800);
/// Age at which somebody reads all seats again, while the rest go on with what is there.
const REFRESH_AGE: Duration = Duration::from_millis(450);
/// After news of unknown extent, a board lives this long at least...
const AGE_MIN: Duration = Duration::from_millis(100);
/// ... and so many times what it took to load: a twelfth of one connection at most.
const LOAD_SHARE: u32 = 12;
/// Age at which the list of events is loaded again.
const LIST_TTL: Duration = Duration::from_millis(800);
/// A slug's number never changes; the memory is bounded for its size alone.
const NUMBER_TTL: Duration = Duration::from_mins(10);
const NUMBERS_MAX: usize = 10_000;

/// What is on sale, as far as this process knows.
pub struct Catalogue {
    numbers: TtlCache<RoomName, EventNumber>,
    /// Held while a number is looked up that nobody here knows.
    asking: tokio::sync::Mutex<()>,
    entries: RwLock<HashMap<EventNumber, Arc<Entry>>>,
    /// The same, for [`quick`].
    by_slug: RwLock<HashMap<String, Arc<Entry>>>,
    list: tokio::sync::Mutex<Option<(Instant, Document)>>,
    /// How often all seats of an event were read from PostgreSQL.
    readings: AtomicU64,
    /// How often a number was asked of PostgreSQL.
    questions: AtomicU64,
    quick: quick::Counters,
}

#[derive(Default)]
struct Entry {
    /// Grows with every change of unknown extent heard of.
    generation: AtomicU64,
    /// Grows with every change taken in.
    changes: AtomicU64,
    /// A message about this event is about to be sent.
    telling: AtomicBool,
    untold: Mutex<Untold>,
    board: RwLock<Option<Arc<Board>>>,
    loading: tokio::sync::Mutex<()>,
    refreshing: AtomicBool,
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
            asking: tokio::sync::Mutex::default(),
            entries: RwLock::default(),
            by_slug: RwLock::default(),
            list: tokio::sync::Mutex::default(),
            readings: AtomicU64::new(0),
            questions: AtomicU64::new(0),
            quick: quick::Counters::default(),
        }
    }

    /// How often this process read all seats of an event from PostgreSQL, and how often it asked
    /// there which event a slug names.
    pub fn asked_of_database(&self) -> (u64, u64) {
        (
            self.readings.load(Ordering::Relaxed),
            self.questions.load(Ordering::Relaxed),
        )
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
        // One question for all who ask it at once.
        let _turn = self.asking.lock().await;
        if let Some(number) = self.numbers.get(slug) {
            return Ok(Some(number));
        }
        self.questions.fetch_add(1, Ordering::Relaxed);
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

    /// To be called after every commit that changes the seats of a hold: whoever has a copy takes
    /// the change in. Never fails, never waits.
    pub fn hold_changed(&self, app: &App, event: EventNumber, hold: HoldId) {
        self.tell(app, event, Some(hold));
    }

    /// The same for anything else that changes an event: whoever has a copy reads all of it again.
    pub fn changed(&self, app: &App, event: EventNumber) {
        self.entry(event).generation.fetch_add(1, Ordering::AcqRel);
        self.tell(app, event, None);
    }

    fn tell(&self, app: &App, event: EventNumber, hold: Option<HoldId>) {
        let entry = self.entry(event);
        push::note(&mut entry.untold(), hold);
        if !entry.telling.swap(true, Ordering::AcqRel) {
            tokio::spawn(push::tell_soon(app.clone(), event));
        }
    }

    /// What is to be told now; what comes later is told later.
    fn untold(&self, event: EventNumber) -> Untold {
        let entry = self.entry(event);
        entry.telling.store(false, Ordering::Release);
        std::mem::take(&mut *entry.untold())
    }

    /// News, of this process or another.
    fn heard(&self, event: EventNumber, seats: Option<&Look>) {
        let entry = {
            let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
            entries.get(&event).map(Arc::clone)
        };
        if let Some(entry) = entry {
            entry.hear(seats);
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
    async fn board(&self, app: &App, event: EventNumber) -> Result<Arc<Board>, ApiError> {
        let entry = self.entry(event);
        if let Some(board) = entry.good() {
            refresh_soon(app, event, &entry, &board);
            return Ok(board);
        }
        let Ok(turn) = entry.loading.try_lock() else {
            // Somebody loads already: what is merely out of date serves until that is done.
            if let Some(board) = entry.young() {
                return Ok(board);
            }
            let turn = entry.loading.lock().await;
            return entry.load(app, event, turn).await;
        };
        entry.load(app, event, turn).await
    }

    /// Lets [`quick`] find what has been found once.
    fn remember(&self, slug: &RoomName, event: EventNumber) {
        let slugs = self.by_slug.read().unwrap_or_else(PoisonError::into_inner);
        if slugs.contains_key(slug.as_str()) {
            return;
        }
        drop(slugs);
        let entry = self.entry(event);
        let mut slugs = self.by_slug.write().unwrap_or_else(PoisonError::into_inner);
        if slugs.len() >= NUMBERS_MAX {
            slugs.clear();
        }
        slugs.insert(slug.as_str().to_owned(), entry);
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

/// Has all seats read again, in the background and by one task, when it is time.
fn refresh_soon(app: &App, event: EventNumber, entry: &Arc<Entry>, board: &Board) {
    if board.verified().taken_at.elapsed() < REFRESH_AGE
        || entry.refreshing.swap(true, Ordering::AcqRel)
    {
        return;
    }
    let (app, entry) = (app.clone(), Arc::clone(entry));
    tokio::spawn(async move {
        let turn = entry.loading.lock().await;
        let aged = entry.good().is_none_or(|board| {
            let age = board.verified().taken_at.elapsed();
            age >= REFRESH_AGE
        });
        if aged && let Err(error) = entry.reload(&app, event, turn).await {
            tracing::warn!(?error, event = event.0, "seats can't be read again");
        }
        entry.refreshing.store(false, Ordering::Release);
    });
}

impl Entry {
    fn untold(&self) -> std::sync::MutexGuard<'_, Untold> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latest(&self) -> Option<Arc<Board>> {
        let board = self.board.read().unwrap_or_else(PoisonError::into_inner);
        board.as_ref().map(Arc::clone)
    }

    fn hear(&self, seats: Option<&Look>) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        let Some(board) = self.latest() else { return };
        let taken_in = seats
            .and_then(|seats| seats.changes(&board.plan))
            .is_some_and(|changes| board.apply(changes));
        if !taken_in {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The board, if it may still be used at all.
    fn young(&self) -> Option<Arc<Board>> {
        self.latest()
            .filter(|board| board.verified().taken_at.elapsed() < AGE_MAX)
    }

    /// The board, if nobody has to wait for another.
    fn good(&self) -> Option<Arc<Board>> {
        let board = self.latest()?;
        let verified = board.verified();
        let current = verified.generation == self.generation.load(Ordering::Acquire);
        let age_min = (verified.took * LOAD_SHARE).clamp(AGE_MIN, AGE_MAX);
        let age_max = if current { AGE_MAX } else { age_min };
        (verified.taken_at.elapsed() < age_max).then_some(board)
    }

    async fn load(
        &self,
        app: &App,
        event: EventNumber,
        turn: tokio::sync::MutexGuard<'_, ()>,
    ) -> Result<Arc<Board>, ApiError> {
        match self.good() {
            Some(board) => Ok(board),
            None => self.reload(app, event, turn).await,
        }
    }

    async fn reload(
        &self,
        app: &App,
        event: EventNumber,
        _turn: tokio::sync::MutexGuard<'_, ()>,
    ) -> Result<Arc<Board>, ApiError> {
        let generation = self.generation.load(Ordering::Acquire);
        let changes = self.changes.load(Ordering::Acquire);
        let before = self.latest();
        if let Some(board) = &before {
            board.begin_reading();
        }
        let plan = before.as_ref().map(|board| Arc::clone(&board.plan));
        let began = Instant::now();
        let reading = load::load(app, event, plan).await?;
        let took = began.elapsed();
        if let Some(board) = before.filter(|board| board.plan.version == reading.plan.version) {
            board.take_over(&reading, took, generation);
            return Ok(board);
        }
        let board = Arc::new(Board::new(reading, took, generation));
        let mut latest = self.board.write().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(Arc::clone(&board));
        drop(latest);
        if self.changes.load(Ordering::Acquire) != changes {
            // Something was heard that this board was too late for.
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        Ok(board)
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
