//! The purchase streams in Redis: one for each event and provider, `purchase:{<event>}:<provider>`,
//! so that a provider that is slow holds up no other; read by one group of workers. They only
//! spread work that the outbox remembers; what they lose is relayed again. Dead letters are shown
//! in `purchase:{<event>}:dead`.

use super::outbox::{Job, Lane};
use catraca_domain::ids::{EventNumber, OrderId};
use redis::aio::ConnectionManager;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};
use redis::{RedisError, RedisResult};

/// Most entries in a stream; the oldest beyond it are dropped, and relayed again later.
const LENGTH_MAX: usize = 100_000;
/// Entries that were given up are taken up again after this long, in milliseconds.
const IDLE_MS: usize = 5_000;
/// The set of streams that exist, `<event>:<provider>`.
const STREAMS: &str = "purchase:lanes";
/// Most dead letters shown for an event.
const DEAD_MAX: usize = 10_000;
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
            let lane = job.lane();
            let member = format!("{}:{}", lane.event.0, lane.provider);
            pipe.cmd("SADD").arg(STREAMS).arg(member).ignore();
            pipe.cmd("XADD")
                .arg(key(&lane))
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

    /// The lanes whose streams exist.
    pub(super) async fn lanes(&self) -> RedisResult<Vec<Lane>> {
        let members: Vec<String> = redis::cmd("SMEMBERS")
            .arg(STREAMS)
            .query_async(&mut self.redis.clone())
            .await?;
        let lanes = members.iter().filter_map(|member| {
            let (event, provider) = member.split_once(':')?;
            Some(Lane {
                event: EventNumber(event.parse().ok()?),
                provider: provider.to_owned(),
            })
        });
        Ok(lanes.collect())
    }

    /// Up to `count` entries that no worker has seen, in order.
    pub(super) async fn read(&self, lane: &Lane, count: usize) -> RedisResult<Vec<Entry>> {
        match self.read_group(lane, count).await {
            Err(error) if is_no_group(&error) => {
                self.create_group(lane).await?;
                self.read_group(lane, count).await
            }
            read => read,
        }
    }

    async fn read_group(&self, lane: &Lane, count: usize) -> RedisResult<Vec<Entry>> {
        let reply: Option<StreamReadReply> = redis::cmd("XREADGROUP")
            .arg(&["GROUP", GROUP, &self.consumer, "COUNT"])
            .arg(count)
            .arg("STREAMS")
            .arg(key(lane))
            .arg(">")
            .query_async(&mut self.redis.clone())
            .await?;
        let keys = reply.into_iter().flat_map(|reply| reply.keys);
        Ok(entries(lane.event, keys.flat_map(|key| key.ids)))
    }

    async fn create_group(&self, lane: &Lane) -> RedisResult<()> {
        let created: RedisResult<()> = redis::cmd("XGROUP")
            .arg("CREATE")
            .arg(key(lane))
            .arg(&[GROUP, "0", "MKSTREAM"])
            .query_async(&mut self.redis.clone())
            .await;
        match created {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes over what others have left lying, from entry `from` on; and where to go on, `0-0` at
    /// the end. Only for whoever has the lane: nobody else may be at it.
    pub(super) async fn claim(
        &self,
        lane: &Lane,
        from: &str,
        count: usize,
    ) -> RedisResult<(Vec<Entry>, String)> {
        self.claim_idle(lane, 0, from, count).await
    }

    /// Takes up again what was given up here [`IDLE_MS`] ago.
    pub(super) async fn claim_given_up(
        &self,
        lane: &Lane,
        count: usize,
    ) -> RedisResult<(Vec<Entry>, String)> {
        self.claim_idle(lane, IDLE_MS, "0-0", count).await
    }

    async fn claim_idle(
        &self,
        lane: &Lane,
        idle_ms: usize,
        from: &str,
        count: usize,
    ) -> RedisResult<(Vec<Entry>, String)> {
        let reply: RedisResult<StreamAutoClaimReply> = redis::cmd("XAUTOCLAIM")
            .arg(key(lane))
            .arg(&[GROUP, &self.consumer])
            .arg(idle_ms)
            .arg(from)
            .arg("COUNT")
            .arg(count)
            .query_async(&mut self.redis.clone())
            .await;
        match reply {
            Ok(reply) => {
                let next = reply.next_stream_id;
                Ok((entries(lane.event, reply.claimed.into_iter()), next))
            }
            Err(error) if is_no_group(&error) => Ok((Vec::new(), "0-0".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// Shows a dead letter; its entry's id.
    pub(super) async fn bury(&self, job: &Job, story: &str) -> RedisResult<String> {
        redis::cmd("XADD")
            .arg(dead_key(job.event))
            .arg(&["MAXLEN", "~"])
            .arg(DEAD_MAX)
            .arg("*")
            .arg("outbox")
            .arg(job.outbox)
            .arg("order")
            .arg(job.order.to_string())
            .arg("provider")
            .arg(&job.provider)
            .arg("error")
            .arg(story)
            .query_async(&mut self.redis.clone())
            .await
    }

    /// Shows it no longer.
    pub(super) async fn unbury(&self, event: EventNumber, id: &str) -> RedisResult<()> {
        redis::cmd("XDEL")
            .arg(dead_key(event))
            .arg(id)
            .query_async(&mut self.redis.clone())
            .await
    }

    /// Says that these entries are not left lying: their work is queued or under way here.
    pub(super) async fn keep(&self, lane: &Lane, ids: &[String]) -> RedisResult<()> {
        redis::cmd("XCLAIM")
            .arg(key(lane))
            .arg(&[GROUP, &self.consumer, "0"])
            .arg(ids)
            .arg("JUSTID")
            .query_async(&mut self.redis.clone())
            .await
    }

    /// The entry's work is done: it leaves the stream, whose length is then the backlog.
    pub(super) async fn done(&self, lane: &Lane, id: &str) -> RedisResult<()> {
        redis::pipe()
            .cmd("XACK")
            .arg(key(lane))
            .arg(&[GROUP, id])
            .ignore()
            .cmd("XDEL")
            .arg(key(lane))
            .arg(id)
            .ignore()
            .query_async(&mut self.redis.clone())
            .await
    }

    /// Whether the stream still has the entry.
    pub(super) async fn has(&self, lane: &Lane, id: &str) -> RedisResult<bool> {
        let found: Vec<redis::Value> = redis::cmd("XRANGE")
            .arg(key(lane))
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

fn key(lane: &Lane) -> String {
    // The braces keep what is one event's on one node of a cluster.
    format!("purchase:{{{}}}:{}", lane.event.0, lane.provider)
}

fn dead_key(event: EventNumber) -> String {
    format!("purchase:{{{}}}:dead", event.0)
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
