//! From the outbox to the stream, in order. Without Redis, from the outbox straight to this
//! worker's own lanes: slower, never stuck.

use super::dead;
use super::desk::Desk;
use super::outbox::{self, Job, Lane};
use super::sql;
use crate::error::ApiError;
use crate::fail_point;
use redis::RedisResult;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Pause while the outbox is empty.
const IDLE: Duration = Duration::from_millis(50);
/// Pause after a failure.
const FAILED: Duration = Duration::from_millis(500);
/// How often rows are looked for that were relayed and not done.
const RESCUE_EVERY: Duration = Duration::from_secs(1);
/// How long Redis is left alone after it did not answer.
const REDIS_REST: Duration = Duration::from_secs(2);
/// Most rows in one go.
const BATCH: i64 = 200;

/// Relays until told to stop.
pub(super) async fn run(desk: &Desk) {
    let mut relay = Relay {
        desk,
        epoch: None,
        redis_rests_until: Instant::now(),
        rescue_at: Instant::now(),
    };
    loop {
        let pause = match relay.turn().await {
            Ok(0) => IDLE,
            Ok(_) => Duration::ZERO,
            Err(error) => {
                tracing::warn!(?error, "relay failed");
                FAILED
            }
        };
        tokio::select! {
            biased;
            () = desk.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Relay<'a> {
    desk: &'a Desk,
    epoch: Option<String>,
    redis_rests_until: Instant,
    rescue_at: Instant,
}

impl Relay<'_> {
    async fn turn(&mut self) -> Result<usize, ApiError> {
        if Instant::now() >= self.rescue_at {
            self.rescue_at = Instant::now() + RESCUE_EVERY;
            self.notice_loss().await?;
            self.rescue().await?;
        }
        self.batch().await
    }

    /// Relays one batch; how many rows it was.
    async fn batch(&mut self) -> Result<usize, ApiError> {
        let mut client = self.desk.app.db.get().await?;
        let tx = client.transaction().await?;
        let Some(jobs) = outbox::next_unrelayed(&tx, BATCH).await? else {
            return Ok(0);
        };
        let ids = self.append(&jobs).await;
        let direct = ids.is_none();
        let jobs = if direct { self.mine(jobs).await? } else { jobs };
        if jobs.is_empty() {
            return Ok(0);
        }
        fail_point::pass("in the stream, not marked");
        outbox::relayed(&tx, &jobs, ids.as_deref()).await?;
        tx.commit().await?;
        fail_point::pass("relayed");
        drop(client);
        let relayed = jobs.len();
        let way = if direct { "direct" } else { "stream" };
        metrics::counter!("catraca_purchase_relayed_total", "way" => way).increment(relayed as u64);
        if direct {
            for job in jobs {
                self.desk.take(job, None);
            }
        } else {
            self.desk.wake.notify_one();
        }
        Ok(relayed)
    }

    /// Of these the jobs of this worker's lanes, as far as there is room in them: the rest waits in
    /// the outbox, or is another worker's.
    async fn mine(&self, jobs: Vec<Job>) -> Result<Vec<Job>, ApiError> {
        let mut room: HashMap<Lane, usize> = HashMap::new();
        let mut mine = Vec::new();
        for job in jobs {
            let lane = job.lane();
            if !room.contains_key(&lane) {
                let mine = self.desk.own(&lane).await?;
                room.insert(lane.clone(), if mine { self.desk.room(&lane) } else { 0 });
            }
            let left = room.entry(lane).or_default();
            if *left > 0 {
                *left -= 1;
                mine.push(job);
            }
        }
        Ok(mine)
    }

    /// The entries' ids, or nothing when Redis is away.
    async fn append(&mut self, jobs: &[Job]) -> Option<Vec<String>> {
        if Instant::now() < self.redis_rests_until {
            return None;
        }
        match self.desk.streams.append(jobs).await {
            Ok(ids) if ids.len() == jobs.len() => Some(ids),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, "Redis is away; working straight from the outbox");
                self.redis_rests_until = Instant::now() + REDIS_REST;
                None
            }
        }
    }

    /// Redis has forgotten everything: so every undone row is to be relayed again.
    async fn notice_loss(&mut self) -> Result<(), ApiError> {
        let Ok(epoch) = self.desk.streams.epoch().await else {
            return Ok(());
        };
        let before = self.epoch.replace(epoch.clone());
        if before.is_some_and(|before| before != epoch) {
            let client = self.desk.app.db.get().await?;
            let rows = sql::execute(
                &client,
                "UPDATE outbox SET relayed_at = NULL, stream_id = NULL
                 WHERE done_at IS NULL AND stream_id IS NOT NULL",
                &[],
            )
            .await?;
            let unshown = "UPDATE dead_letters SET stream_id = NULL WHERE resolution IS NULL";
            sql::execute(&client, unshown, &[]).await?;
            tracing::warn!(rows, "Redis has lost the streams; relaying again");
        }
        Ok(())
    }

    /// Rows relayed a while ago and not done: still in the stream or in hand, or lost.
    async fn rescue(&self) -> Result<(), ApiError> {
        let client = self.desk.app.db.get().await?;
        dead::show(&client, &self.desk.streams, BATCH).await?;
        for row in outbox::overdue(&client, BATCH).await? {
            let there = self.desk.has(row.lane.event, row.outbox)
                || self
                    .in_stream(&row.lane, row.stream_id.as_deref())
                    .await
                    .unwrap_or(false);
            outbox::look_again(&client, &row, there).await?;
        }
        Ok(())
    }

    async fn in_stream(&self, lane: &Lane, id: Option<&str>) -> RedisResult<bool> {
        match id {
            Some(id) => self.desk.streams.has(lane, id).await,
            None => Ok(false),
        }
    }
}
