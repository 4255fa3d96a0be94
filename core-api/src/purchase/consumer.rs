//! From the streams to the lanes: each stream's entries in order, by the one worker whose lane it
//! is. A dead worker's lane is free at once, and what it left lying comes first.

use super::desk::Desk;
use super::outbox::Lane;
use super::stream::Entry;
use redis::RedisResult;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Pause while the streams are empty; a relay in the same process cuts it short.
const IDLE: Duration = Duration::from_millis(50);
/// Pause after a failure: Redis is away, and the relay goes on without it.
const FAILED: Duration = Duration::from_millis(300);
/// How often new streams are looked for, and lanes that have lost their worker.
const DISCOVER_EVERY: Duration = Duration::from_millis(500);
/// Most lanes taken at once, so that several workers share them.
const LANES_AT_ONCE: usize = 8;
/// How often those in hand are said to be so, and those given up are taken up again: well under
/// the 5 s after which an entry counts as left lying.
const TEND_EVERY: Duration = Duration::from_millis(1500);
/// Most entries in one go.
const BATCH: usize = 64;

/// Keeps the entries in hand.
pub(super) async fn keep(desk: &Desk) {
    loop {
        tokio::select! {
            biased;
            () = desk.stop.cancelled() => return,
            () = tokio::time::sleep(TEND_EVERY) => {}
        }
        for (lane, entries) in desk.entries() {
            if let Err(error) = desk.streams.keep(&lane, &entries).await {
                tracing::debug!(%error, "entries not kept; they may be handed out again");
            }
        }
    }
}

/// Consumes until told to stop.
pub(super) async fn run(desk: &Desk) {
    let mut consumer = Consumer {
        desk,
        lanes: HashMap::new(),
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

/// How far a lane of this worker's is.
#[derive(Clone)]
enum Reading {
    /// What others left lying comes first; from this entry on.
    LeftLying(String),
    New,
}

struct Consumer<'a> {
    desk: &'a Desk,
    lanes: HashMap<Lane, Reading>,
    discover_at: Instant,
    claim_at: Instant,
}

impl Consumer<'_> {
    /// Reads each lane's stream once, as far as there is room; whether there was anything.
    async fn turn(&mut self) -> RedisResult<bool> {
        let now = Instant::now();
        if now >= self.discover_at {
            self.discover_at = now + DISCOVER_EVERY;
            self.discover().await?;
        }
        let tend = now >= self.claim_at;
        if tend {
            self.claim_at = now + TEND_EVERY;
        }
        let mut any = false;
        let lanes: Vec<(Lane, Reading)> = self.lanes.clone().into_iter().collect();
        for (lane, reading) in lanes {
            if tend && matches!(reading, Reading::New) {
                let room = self.desk.room(&lane).min(BATCH);
                if room > 0 {
                    let (entries, _) = self.desk.streams.claim_given_up(&lane, room).await?;
                    self.hand_on(&lane, entries).await;
                }
            }
            let room = self.desk.room(&lane).min(BATCH);
            if room == 0 {
                continue;
            }
            let entries = match reading {
                Reading::LeftLying(from) => {
                    let (entries, next) = self.desk.streams.claim(&lane, &from, room).await?;
                    metrics::counter!("catraca_purchase_claimed_total")
                        .increment(entries.len() as u64);
                    let next = match next.as_str() {
                        "0-0" => Reading::New,
                        _ => Reading::LeftLying(next),
                    };
                    self.lanes.insert(lane.clone(), next);
                    any = true;
                    entries
                }
                Reading::New => self.desk.streams.read(&lane, room).await?,
            };
            any |= !entries.is_empty();
            self.hand_on(&lane, entries).await;
        }
        Ok(any)
    }

    /// Finds streams, and takes those that are nobody's.
    async fn discover(&mut self) -> RedisResult<()> {
        let mut taken = 0;
        for lane in self.desk.streams.lanes().await? {
            if self.desk.owns(&lane).await {
                self.lanes
                    .entry(lane)
                    .or_insert_with(|| Reading::LeftLying("0-0".to_owned()));
                continue;
            }
            // Lost with its connection, if it was ours.
            self.lanes.remove(&lane);
            if taken == LANES_AT_ONCE {
                continue;
            }
            match self.desk.own(&lane).await {
                Ok(true) => {
                    taken += 1;
                    let first = Reading::LeftLying("0-0".to_owned());
                    self.lanes.insert(lane, first);
                }
                Ok(false) => {}
                Err(error) => tracing::debug!(?error, "no lane can be taken"),
            }
        }
        Ok(())
    }

    async fn hand_on(&self, lane: &Lane, entries: Vec<Entry>) {
        for entry in entries {
            if let Some(job) = entry.job {
                self.desk.take(job, Some(entry.id));
            } else {
                tracing::error!(entry = entry.id, "an entry carries no order; dropped");
                let _ = self.desk.streams.done(lane, &entry.id).await;
            }
        }
    }
}
