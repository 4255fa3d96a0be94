//! The purchase stream in Redis: one a event, `purchase:{<event number>}`, read by one group of
//! workers. It only spreads work that the outbox remembers; what it loses is relayed again.

use super::outbox::Job;
use catraca_domain::ids::{EventNumber, OrderId};
use redis::aio::ConnectionManager;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};
use redis::{RedisError, RedisResult};

/// Most entries in a stream; the oldest beyond it are dropped, and relayed again later.
const LENGTH_MAX: usize = 100_000;
/// A dead worker's entries are taken over after this long, in milliseconds.
const IDLE_MS: usize = 5_000;
/// The set of streams that exist.
const STREAMS: &str = "purchase:streams";
/// Gone when Redis has lost everything.
const EPOCH: &str = "purchase:epoch";
const GROUP: &str = "workers";

/// A stream's entry and the work it carries. Entries that carry none are to be dropped.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) job: Option<Job>,
}

/// One worker's access to the streams.
#[derive(Clone)]
pub(super) struct Streams {
    redis: ConnectionManager,
    /// This worker's name in the group.
    consumer: String,
}

impl Streams {
    pub(super) fn new(redis: ConnectionManager) -> Self {
        Self {
            redis,
            consumer: uuid::Uuid::new_v4().to_string(),
        }
    }

    /// Appends jobs in order; their entries' ids.
    pub(super) async fn append(&self, jobs: &[Job]) -> RedisResult<Vec<String>> {
        let mut pipe = redis::pipe();
        for job in jobs {
            pipe.cmd("SADD").arg(STREAMS).arg(job.event.0).ignore();
            pipe.cmd("XADD")
                .arg(key(job.event))
                .arg(&["MAXLEN", "~"])
                .arg(LENGTH_MAX)
                .arg("*")
                .arg("outbox")
                .arg(job.outbox)
                .arg("order")
                .arg(job.order.to_string())
                .arg("provider")
                .arg(&job.provider);
        }
        pipe.query_async(&mut self.redis.clone()).await
    }

    /// The events whose streams exist.
    pub(super) async fn events(&self) -> RedisResult<Vec<EventNumber>> {
        let numbers: Vec<i32> = redis::cmd("SMEMBERS")
            .arg(STREAMS)
            .query_async(&mut self.redis.clone())
            .await?;
        Ok(numbers.into_iter().map(EventNumber).collect())
    }

    /// Up to `count` entries that no worker has seen, in order.
    pub(super) async fn read(&self, event: EventNumber, count: usize) -> RedisResult<Vec<Entry>> {
        match self.read_group(event, count).await {
            Err(error) if is_no_group(&error) => {
                self.create_group(event).await?;
                self.read_group(event, count).await
            }
            read => read,
        }
    }

    async fn read_group(&self, event: EventNumber, count: usize) -> RedisResult<Vec<Entry>> {
        let reply: Option<StreamReadReply> = redis::cmd("XREADGROUP")
            .arg(&["GROUP", GROUP, &self.consumer, "COUNT"])
            .arg(count)
            .arg("STREAMS")
            .arg(key(event))
            .arg(">")
            .query_async(&mut self.redis.clone())
            .await?;
        let keys = reply.into_iter().flat_map(|reply| reply.keys);
        Ok(entries(event, keys.flat_map(|key| key.ids)))
    }

    async fn create_group(&self, event: EventNumber) -> RedisResult<()> {
        let created: RedisResult<()> = redis::cmd("XGROUP")
            .arg("CREATE")
            .arg(key(event))
            .arg(&[GROUP, "0", "MKSTREAM"])
            .query_async(&mut self.redis.clone())
            .await;
        match created {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes over what other workers have left lying for [`IDLE_MS`].
    pub(super) async fn claim_idle(
        &self,
        event: EventNumber,
        count: usize,
    ) -> RedisResult<Vec<Entry>> {
        let reply: RedisResult<StreamAutoClaimReply> = redis::cmd("XAUTOCLAIM")
            .arg(key(event))
            .arg(&[GROUP, &self.consumer])
            .arg(IDLE_MS)
            .arg("0-0")
            .arg("COUNT")
            .arg(count)
            .query_async(&mut self.redis.clone())
            .await;
        match reply {
            Ok(reply) => Ok(entries(event, reply.claimed.into_iter())),
            Err(error) if is_no_group(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Says that these entries are not left lying: their work is queued or under way here.
    pub(super) async fn keep(&self, event: EventNumber, ids: &[String]) -> RedisResult<()> {
        redis::cmd("XCLAIM")
            .arg(key(event))
            .arg(&[GROUP, &self.consumer, "0"])
            .arg(ids)
            .arg("JUSTID")
            .query_async(&mut self.redis.clone())
            .await
    }

    /// The entry's work is done: it leaves the stream, whose length is then the backlog.
    pub(super) async fn done(&self, event: EventNumber, id: &str) -> RedisResult<()> {
        redis::pipe()
            .cmd("XACK")
            .arg(key(event))
            .arg(&[GROUP, id])
            .ignore()
            .cmd("XDEL")
            .arg(key(event))
            .arg(id)
            .ignore()
            .query_async(&mut self.redis.clone())
            .await
    }

    /// Whether the stream still has the entry.
    pub(super) async fn has(&self, event: EventNumber, id: &str) -> RedisResult<bool> {
        let found: Vec<redis::Value> = redis::cmd("XRANGE")
            .arg(key(event))
            .arg(&[id, id])
            .query_async(&mut self.redis.clone())
            .await?;
        Ok(!found.is_empty())
    }

    /// A mark that stays the same as long as Redis remembers.
    pub(super) async fn epoch(&self) -> RedisResult<String> {
        let fresh = uuid::Uuid::new_v4().to_string();
        let mut redis = self.redis.clone();
        redis::cmd("SET")
            .arg(EPOCH)
            .arg(&fresh)
            .arg("NX")
            .exec_async(&mut redis)
            .await?;
        redis::cmd("GET").arg(EPOCH).query_async(&mut redis).await
    }
}

fn key(event: EventNumber) -> String {
    // The braces keep what is one event's on one node of a cluster.
    format!("purchase:{{{}}}", event.0)
}

fn is_no_group(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP")
}

fn entries(event: EventNumber, ids: impl Iterator<Item = StreamId>) -> Vec<Entry> {
    ids.map(|entry| Entry {
        job: job(event, &entry),
        id: entry.id,
    })
    .collect()
}

fn job(event: EventNumber, entry: &StreamId) -> Option<Job> {
    let order: String = entry.get("order")?;
    Some(Job {
        event,
        outbox: entry.get("outbox")?,
        order: OrderId(order.parse().ok()?),
        provider: entry.get("provider")?,
    })
}
