//! Where jobs are worked off: a lane for each event's orders with each provider, first come first
//! served, and a bounded number of calls under way at each provider. A job is in hand from when it
//! is taken until it is done or given up.
//!
//! What order means: within a lane jobs are begun in the order of the outbox, one after the other
//! ([`outbox::begin`]), and several are under way at once. So an order is never overtaken by one
//! that came more than the calls under way later. A lane is one worker's at a time. One that is
//! slow or full holds up no other: the consumer reads only for lanes that have room.

use super::dead;
use super::lease::{Lease, Leases};
use super::outbox::{self, Begun, Job, Lane};
use super::settle;
use super::stream::Streams;
use crate::app::App;
use crate::error::ApiError;
use crate::fail_point;
use catraca_domain::ids::EventNumber;
use futures::FutureExt as _;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most jobs waiting in a lane.
const LANE_LENGTH_MAX: usize = 256;
/// How long a job waits for another look at the same order to end.
const LEASE_PATIENCE: Duration = Duration::from_secs(10);
/// How often it tries meanwhile.
const LEASE_RETRY: Duration = Duration::from_millis(50);

/// A row of the outbox.
type Row = (EventNumber, i64);

/// The worker's jobs in hand.
#[derive(Clone)]
pub(super) struct Desk(Arc<Parts>);

pub(super) struct Parts {
    pub(super) app: App,
    pub(super) streams: Streams,
    /// Told when there is something new in a stream.
    pub(super) wake: Notify,
    pub(super) stop: CancellationToken,
    leases: Arc<Leases>,
    lanes: Mutex<HashMap<Lane, mpsc::Sender<Job>>>,
    /// What bounds the calls under way, by provider.
    calls: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// By outbox row; the entry of the stream, if it came by one.
    in_hand: Mutex<HashMap<Row, (Lane, Option<String>)>>,
    jobs: TaskTracker,
}

impl std::ops::Deref for Desk {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(super) fn new(app: App, stop: CancellationToken) -> Self {
        Self(Arc::new(Parts {
            streams: Streams::new(app.redis.clone()),
            leases: Leases::new(app.db.clone()),
            app,
            wake: Notify::new(),
            stop,
            lanes: Mutex::default(),
            calls: Mutex::default(),
            in_hand: Mutex::default(),
            jobs: TaskTracker::new(),
        }))
    }

    /// Makes the lane this worker's; false while it is another's.
    pub(super) async fn own(&self, lane: &Lane) -> Result<bool, ApiError> {
        self.leases.own(lane).await
    }

    /// Whether the lane is this worker's.
    pub(super) async fn owns(&self, lane: &Lane) -> bool {
        self.leases.owns(lane).await
    }

    /// How many more jobs the lane takes now.
    pub(super) fn room(&self, lane: &Lane) -> usize {
        self.sender(lane).capacity()
    }

    /// Takes a job, unless it is in hand already. False when its lane is full.
    pub(super) fn take(&self, job: Job, entry: Option<String>) -> bool {
        let (key, lane) = ((job.event, job.outbox), job.lane());
        {
            let mut in_hand = lock(&self.in_hand);
            if in_hand.contains_key(&key) {
                return true;
            }
            in_hand.insert(key, (lane.clone(), entry));
        }
        if self.sender(&lane).try_send(job).is_err() {
            lock(&self.in_hand).remove(&key);
            return false;
        }
        true
    }

    /// Whether a row's job is in hand here.
    pub(super) fn has(&self, event: EventNumber, outbox: i64) -> bool {
        lock(&self.in_hand).contains_key(&(event, outbox))
    }

    /// The streams' entries that are in hand here.
    pub(super) fn entries(&self) -> HashMap<Lane, Vec<String>> {
        let mut entries: HashMap<Lane, Vec<String>> = HashMap::new();
        for (lane, entry) in lock(&self.in_hand).values() {
            if let Some(entry) = entry {
                entries.entry(lane.clone()).or_default().push(entry.clone());
            }
        }
        entries
    }

    /// Waits for what is under way, at most `patience`. What waits in lanes is left to others.
    pub(super) async fn drain(&self, patience: Duration) {
        lock(&self.lanes).clear();
        self.jobs.close();
        if tokio::time::timeout(patience, self.jobs.wait())
            .await
            .is_err()
        {
            let left = self.jobs.len();
            tracing::warn!(
                left,
                "stopping with purchases under way; others will take them over"
            );
        }
        self.leases.let_go().await;
    }

    fn sender(&self, lane: &Lane) -> mpsc::Sender<Job> {
        let mut lanes = lock(&self.lanes);
        if let Some(sender) = lanes.get(lane) {
            return sender.clone();
        }
        let (sender, receiver) = mpsc::channel(LANE_LENGTH_MAX);
        lanes.insert(lane.clone(), sender.clone());
        let calls = Arc::clone(
            lock(&self.calls)
                .entry(lane.provider.clone())
                .or_insert_with(|| {
                    let most = self.app.config.provider_calls_in_flight.max(1);
                    Arc::new(Semaphore::new(most))
                }),
        );
        tokio::spawn(self.clone().work(receiver, calls));
        sender
    }

    /// A lane: begins jobs in the order in which they came.
    async fn work(self, mut jobs: mpsc::Receiver<Job>, calls: Arc<Semaphore>) {
        loop {
            let job = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                job = jobs.recv() => job,
            };
            let Some(job) = job else { return };
            let permit = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                permit = Arc::clone(&calls).acquire_owned() => permit,
            };
            let Some(begun) = self.begin(&job).await else {
                return;
            };
            let desk = self.clone();
            self.jobs.spawn(async move {
                let _permit = permit;
                if desk.handle(&job, begun).await {
                    desk.forget_entry(&job).await;
                }
                desk.give_up(&job);
            });
        }
    }

    fn give_up(&self, job: &Job) {
        lock(&self.in_hand).remove(&(job.event, job.outbox));
    }

    /// Begins a job, however long the database takes: those behind it must not go first. Nothing
    /// when the worker is to stop.
    async fn begin(&self, job: &Job) -> Option<Option<Begun>> {
        loop {
            match self.try_begin(job).await {
                Ok(begun) => return Some(begun),
                Err(error) => {
                    tracing::warn!(order = %job.order, ?error, "purchase not begun yet");
                }
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(LEASE_RETRY) => {}
            }
        }
    }

    async fn try_begin(&self, job: &Job) -> Result<Option<Begun>, ApiError> {
        let begun = outbox::begin(&self.app.db.get().await?, job).await?;
        if let Some(seconds) = begun.as_ref().and_then(|begun| begun.waited_seconds) {
            let provider = job.provider.clone();
            metrics::histogram!("catraca_purchase_queue_seconds", "provider" => provider)
                .record(seconds);
        }
        Ok(begun)
    }

    /// Works a job off; true when its entry is to leave the stream.
    async fn handle(&self, job: &Job, begun: Option<Begun>) -> bool {
        let Some(begun) = begun else {
            return true;
        };
        if begun.starts > dead::STARTS_MAX {
            return self.bury(job, "begun over and over, and never ended").await;
        }
        let settled = AssertUnwindSafe(self.settle(job)).catch_unwind().await;
        let story = match settled {
            Ok(Ok(finished)) => return finished,
            // The database is away: the row stays undone, and comes back by itself.
            Ok(Err(ApiError::Unavailable(story))) => {
                tracing::warn!(order = %job.order, %story, "purchase put off");
                return false;
            }
            Ok(Err(ApiError::Internal(story))) => story.clone(),
            Ok(Err(ApiError::Problem(problem))) => problem.detail.clone(),
            Err(_) => "a panic; see the log".to_owned(),
        };
        tracing::error!(order = %job.order, %story, "purchase failed");
        match outbox::failed(&self.app, job).await {
            Ok(failures) if failures >= dead::FAILURES_MAX => self.bury(job, &story).await,
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(order = %job.order, ?error, "a failure was not written down");
                false
            }
        }
    }

    /// The job becomes a dead letter.
    async fn bury(&self, job: &Job, story: &str) -> bool {
        let buried = dead::bury(&self.app, &self.streams, job, story).await;
        if let Err(error) = &buried {
            tracing::warn!(order = %job.order, ?error, "a dead letter was not written down");
        }
        buried.is_ok()
    }

    /// Settles the job's order and marks the row; false when another look takes too long.
    async fn settle(&self, job: &Job) -> Result<bool, ApiError> {
        let Some(_lease) = self.lease(job).await? else {
            return Ok(false);
        };
        fail_point::pass("begun");
        settle::settle(&self.app, job.event, job.order).await?;
        fail_point::pass("settled, not marked");
        outbox::done(&self.app.db.get().await?, job).await?;
        Ok(true)
    }

    async fn lease(&self, job: &Job) -> Result<Option<Lease>, ApiError> {
        let give_up = tokio::time::Instant::now() + LEASE_PATIENCE;
        loop {
            if let Some(lease) = self.leases.take(job.order).await? {
                return Ok(Some(lease));
            }
            if tokio::time::Instant::now() >= give_up || self.stop.is_cancelled() {
                return Ok(None);
            }
            tokio::time::sleep(LEASE_RETRY).await;
        }
    }

    async fn forget_entry(&self, job: &Job) {
        let key = (job.event, job.outbox);
        let entry = lock(&self.in_hand).get(&key).and_then(|(_, e)| e.clone());
        let Some(entry) = entry else { return };
        fail_point::pass("marked, not acknowledged");
        if let Err(error) = self.streams.done(&job.lane(), &entry).await {
            // It is handed out again, found done, and dropped then.
            tracing::debug!(%error, entry, "entry not acknowledged");
        }
    }
}
