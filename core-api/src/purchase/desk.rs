//! Where jobs are worked off: a lane a provider, first come first served, with a bounded number
//! under way in each. A job is in hand from when it is taken until it is done or given up.

use super::lease::{Lease, Leases};
use super::outbox::{self, Job};
use super::stream::Streams;
use super::{record, settle};
use crate::app::App;
use crate::error::ApiError;
use catraca_domain::ids::EventNumber;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most jobs waiting in a lane; whoever brings more waits.
const LANE_LENGTH_MAX: usize = 512;
/// How long a job waits for another look at the same order to end.
const LEASE_PATIENCE: Duration = Duration::from_secs(10);
/// How often it tries meanwhile.
const LEASE_RETRY: Duration = Duration::from_millis(50);

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
    lanes: Mutex<HashMap<String, mpsc::Sender<Job>>>,
    /// By outbox row; the entry of the stream, if it came by one.
    in_hand: Mutex<HashMap<(EventNumber, i64), Option<String>>>,
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
            in_hand: Mutex::default(),
            jobs: TaskTracker::new(),
        }))
    }

    /// Takes a job, unless it is in hand already; waits while its lane is full.
    pub(super) async fn take(&self, job: Job, entry: Option<String>) {
        let key = (job.event, job.outbox);
        {
            let mut in_hand = lock(&self.in_hand);
            if in_hand.contains_key(&key) {
                return;
            }
            in_hand.insert(key, entry);
        }
        let lane = self.lane(&job.provider);
        if lane.send(job).await.is_err() {
            lock(&self.in_hand).remove(&key);
        }
    }

    /// Whether a row's job is in hand here.
    pub(super) fn has(&self, event: EventNumber, outbox: i64) -> bool {
        lock(&self.in_hand).contains_key(&(event, outbox))
    }

    /// The streams' entries that are in hand here.
    pub(super) fn entries(&self) -> HashMap<EventNumber, Vec<String>> {
        let mut entries: HashMap<EventNumber, Vec<String>> = HashMap::new();
        for ((event, _), entry) in lock(&self.in_hand).iter() {
            if let Some(entry) = entry {
                entries.entry(*event).or_default().push(entry.clone());
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
    }

    fn lane(&self, provider: &str) -> mpsc::Sender<Job> {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get(provider) {
            return lane.clone();
        }
        let (sender, receiver) = mpsc::channel(LANE_LENGTH_MAX);
        lanes.insert(provider.to_owned(), sender.clone());
        tokio::spawn(self.clone().work(receiver));
        sender
    }

    /// A lane: begins jobs in the order in which they came.
    async fn work(self, mut jobs: mpsc::Receiver<Job>) {
        let calls = Arc::new(Semaphore::new(
            self.app.config.provider_calls_in_flight.max(1),
        ));
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
            let desk = self.clone();
            self.jobs.spawn(async move {
                let _permit = permit;
                desk.handle(&job).await;
                lock(&desk.in_hand).remove(&(job.event, job.outbox));
            });
        }
    }

    async fn handle(&self, job: &Job) {
        let worked = self.settle(job).await;
        let finished = match worked {
            Ok(finished) => finished,
            // The database is away: the row stays undone, and comes back by itself.
            Err(ApiError::Unavailable(story)) => {
                tracing::warn!(order = %job.order, %story, "purchase put off");
                false
            }
            Err(ApiError::Internal(story)) => {
                tracing::error!(order = %job.order, %story, "purchase failed; looking again later");
                self.put_off(job).await
            }
            Err(ApiError::Problem(problem)) => {
                tracing::error!(order = %job.order, story = %problem.detail, "purchase failed");
                self.put_off(job).await
            }
        };
        if finished {
            self.forget_entry(job).await;
        }
    }

    /// Settles the job's order and marks the row; false when another look takes too long.
    async fn settle(&self, job: &Job) -> Result<bool, ApiError> {
        if outbox::is_done(&self.app.db.get().await?, job).await? {
            return Ok(true);
        }
        let Some(_lease) = self.lease(job).await? else {
            return Ok(false);
        };
        settle::settle(&self.app, job.event, job.order).await?;
        self.mark(job).await?;
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

    async fn put_off(&self, job: &Job) -> bool {
        let later = record::look_later(&self.app, job.event, job.order).await;
        later.is_ok() && self.mark(job).await.is_ok()
    }

    async fn mark(&self, job: &Job) -> Result<(), ApiError> {
        let waited = outbox::done(&self.app.db.get().await?, job).await?;
        if let Some(seconds) = waited {
            metrics::histogram!("catraca_purchase_queue_seconds").record(seconds);
        }
        Ok(())
    }

    async fn forget_entry(&self, job: &Job) {
        let entry = lock(&self.in_hand)
            .get(&(job.event, job.outbox))
            .cloned()
            .flatten();
        let Some(entry) = entry else { return };
        if let Err(error) = self.streams.done(job.event, &entry).await {
            // It is handed out again, found done, and dropped then.
            tracing::debug!(%error, entry, "entry not acknowledged");
        }
    }
}
