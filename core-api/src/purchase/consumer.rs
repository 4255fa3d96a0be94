//! From the streams to the lanes: each stream's entries in order, a dead worker's after 5 s.

use super::desk::Desk;
use super::stream::Entry;
use catraca_domain::ids::EventNumber;
use redis::RedisResult;
use std::time::Duration;
use tokio::time::Instant;

/// Pause while the streams are empty; a relay in the same process cuts it short.
const IDLE: Duration = Duration::from_millis(50);
/// Pause after a failure: Redis is away, and the relay goes on without it.
const FAILED: Duration = Duration::from_millis(300);
/// How often new streams are looked for.
const DISCOVER_EVERY: Duration = Duration::from_millis(500);
/// How often those left lying are taken over, and those in hand are kept from being so: well
/// under the 5 s after which an entry counts as left lying.
const TEND_EVERY: Duration = Duration::from_millis(1500);
/// Most entries in one go.
const BATCH: usize = 64;

/// Keeps the entries in hand, also while [`run`] waits for room in a lane.
pub(super) async fn keep(desk: &Desk) {
    loop {
        tokio::select! {
            biased;
            () = desk.stop.cancelled() => return,
            () = tokio::time::sleep(TEND_EVERY) => {}
        }
        for (event, entries) in desk.entries() {
            if let Err(error) = desk.streams.keep(event, &entries).await {
                tracing::debug!(%error, "entries not kept; another worker may take them over");
            }
        }
    }
}

/// Consumes until told to stop.
pub(super) async fn run(desk: &Desk) {
    let mut consumer = Consumer {
        desk,
        events: Vec::new(),
        discover_at: Instant::now(),
        claim_at: Instant::now(),
    };
    while !desk.stop.is_cancelled() {
        let pause = match consumer.turn().await {
            Ok(true) => Duration::ZERO,
            Ok(false) => IDLE,
            Err(error) => {
                tracing::debug!(%error, "streams can't be read");
                FAILED
            }
        };
        tokio::select! {
            biased;
            () = desk.stop.cancelled() => return,
            () = desk.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Consumer<'a> {
    desk: &'a Desk,
    events: Vec<EventNumber>,
    discover_at: Instant,
    claim_at: Instant,
}

impl Consumer<'_> {
    /// Reads each stream once; whether there was anything.
    async fn turn(&mut self) -> RedisResult<bool> {
        let now = Instant::now();
        if now >= self.discover_at || self.events.is_empty() {
            self.discover_at = now + DISCOVER_EVERY;
            self.events = self.desk.streams.events().await?;
        }
        if now >= self.claim_at {
            self.claim_at = now + TEND_EVERY;
            for &event in &self.events {
                self.claim(event).await?;
            }
        }
        let mut any = false;
        for &event in &self.events {
            let entries = self.desk.streams.read(event, BATCH).await?;
            any |= !entries.is_empty();
            self.hand_on(event, entries).await;
        }
        Ok(any)
    }

    async fn claim(&self, event: EventNumber) -> RedisResult<()> {
        let left_lying = self.desk.streams.claim_idle(event, BATCH).await?;
        if !left_lying.is_empty() {
            metrics::counter!("catraca_purchase_claimed_total").increment(left_lying.len() as u64);
        }
        self.hand_on(event, left_lying).await;
        Ok(())
    }

    async fn hand_on(&self, event: EventNumber, entries: Vec<Entry>) {
        for entry in entries {
            if let Some(job) = entry.job {
                self.desk.take(job, Some(entry.id)).await;
            } else {
                tracing::error!(entry = entry.id, "an entry carries no order; dropped");
                let _ = self.desk.streams.done(event, &entry.id).await;
            }
        }
    }
}
