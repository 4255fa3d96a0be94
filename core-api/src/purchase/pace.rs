//! How fast each provider is asked: never more than its limit in any second, over all processes.
//!
//! A request takes one of `limit` slots before it is sent, and gives it back one second after its
//! answer has come. So of the requests that reach a provider within one second, each still had its
//! slot when the last of them was sent: there are at most `limit`, however unevenly the network
//! delivers them. The burst is the limit, the window any second, by the provider's clock.
//!
//! The slots are a sorted set in Redis, shared by all processes. A process that dies keeps its
//! slots for three seconds. Requests of one process go out in the order in which they asked.
//!
//! Without Redis each process keeps to its share, the limit divided by the most processes there may
//! be, after a pause in which what was granted before comes to its end; and it keeps to the share
//! for two more seconds once Redis is back, since others may not have noticed yet. A Redis that has
//! forgotten everything grants nothing for as long.

use async_trait::async_trait;
use catraca_payments::{AdapterError, Gate, Heard, Leave, Provider};
use redis::aio::ConnectionManager;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long a slot is kept after the answer: a second, and what rounding to milliseconds may cost.
const KEPT_MS: u64 = 1_002;
/// How long a slot is kept without a word of its process.
const SILENT_MS: u64 = 3_000;
/// How often those under way are said to be so.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long Redis may take to answer.
const REDIS_PATIENCE: Duration = Duration::from_millis(250);
/// How long it is left alone when it did not.
const REDIS_REST: Duration = Duration::from_millis(500);
/// Pause before the first request on one's own.
const QUIET: Duration = Duration::from_millis(1_500);
/// How long the share is kept to once Redis is back.
const BOTH: Duration = Duration::from_secs(2);
/// Longest pause between two tries for a slot.
const RETRY_MAX: Duration = Duration::from_millis(25);
/// Longest wait for a provider that has asked to be left alone; beyond it the order waits instead.
const REST_WAITED_FOR: Duration = Duration::from_secs(2);
/// Longest rest of a provider, unless it asks for more.
const REST_MAX: Duration = Duration::from_secs(30);

const TAKE: &str = "
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('SET', KEYS[2], now, 'NX') then return 1500 end
local age = now - redis.call('GET', KEYS[2])
if age < 1500 then return 1500 - age end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
  return 0
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return math.max(1, first[2] - now)";

const KEEP: &str = "
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[i]) end
return 0";

/// The gate in front of all providers. Providers without a limit pass.
#[derive(Clone)]
pub struct Pace(Arc<HashMap<String, Arc<Lane>>>);

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Requests in any one second, by provider.
pub type Rates = BTreeMap<String, u32>;

impl Pace {
    /// Limits each provider named; `processes` is the most that may call providers at once.
    pub fn new(redis: &ConnectionManager, rates: &Rates, processes: u32) -> Self {
        let lanes = rates.iter().map(|(provider, &limit)| {
            let lane = Lane {
                keys: [
                    format!("pace:{{{provider}}}"),
                    format!("pace:{{{provider}}}:since"),
                ],
                redis: redis.clone(),
                take: redis::Script::new(TAKE),
                keep: redis::Script::new(KEEP),
                limit,
                processes: processes.max(1),
                turn: tokio::sync::Mutex::new(Turn::default()),
                own: Mutex::default(),
                renewing: std::sync::Once::new(),
            };
            (provider.clone(), Arc::new(lane))
        });
        Self(Arc::new(lanes.collect()))
    }
}

#[async_trait]
impl Gate for Pace {
    async fn enter(&self, provider: Provider) -> Result<Leave, AdapterError> {
        let Some(lane) = self.0.get(provider.as_str()) else {
            return Ok(Leave::free());
        };
        lane.renew();
        // One at a time, first come first served.
        let mut turn = lane.turn.lock().await;
        let id = lane.slot(&mut turn).await?;
        drop(turn);
        let lane = Arc::clone(lane);
        Ok(Leave::new(move |heard| lane.answered(id, heard)))
    }
}

struct Lane {
    keys: [String; 2],
    redis: ConnectionManager,
    take: redis::Script,
    keep: redis::Script,
    limit: u32,
    processes: u32,
    turn: tokio::sync::Mutex<Turn>,
    own: Mutex<Own>,
    renewing: std::sync::Once,
}

/// What whoever's turn it is has to know.
#[derive(Default)]
struct Turn {
    /// Redis is not asked before then.
    redis_at: Option<Instant>,
    /// Since when this process has been on its own.
    alone_since: Option<Instant>,
    /// Until when the share counts although Redis is back.
    both_until: Option<Instant>,
}

/// This process's own slots.
#[derive(Default)]
struct Own {
    under_way: HashSet<Uuid>,
    /// When those answered come free.
    kept_until: Vec<Instant>,
    /// The provider is left alone until then.
    rests_until: Option<Instant>,
    /// Refusals and failures in a row.
    refused: u32,
}

impl Lane {
    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests this process may have alone, and how long each keeps its slot.
    fn share(&self) -> (usize, Duration) {
        let share = (self.limit / self.processes).max(1);
        // Less than one a second each: one every so many seconds.
        let seconds = self.processes.div_ceil(self.limit.max(1)).max(1);
        let kept = Duration::from_millis(KEPT_MS * u64::from(seconds));
        (usize::try_from(share).unwrap_or(1), kept)
    }

    async fn slot(&self, turn: &mut Turn) -> Result<Uuid, AdapterError> {
        loop {
            self.rested().await?;
            let id = Uuid::new_v4();
            let pause = match self.shared(turn, id).await {
                Some(0) => {
                    if turn.both_until.is_none_or(|until| until <= Instant::now())
                        || self.within_share()
                    {
                        self.own().under_way.insert(id);
                        return Ok(id);
                    }
                    self.give_back(id);
                    RETRY_MAX
                }
                Some(wait_ms) => Duration::from_millis(wait_ms).min(RETRY_MAX),
                None => {
                    let quiet = turn
                        .alone_since
                        .is_some_and(|since| since.elapsed() >= QUIET);
                    if quiet && self.within_share() {
                        self.own().under_way.insert(id);
                        return Ok(id);
                    }
                    RETRY_MAX
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits out a short rest of the provider.
    async fn rested(&self) -> Result<(), AdapterError> {
        let until = self.own().rests_until;
        let Some(left) = until.and_then(|until| until.checked_duration_since(Instant::now()))
        else {
            return Ok(());
        };
        if left > REST_WAITED_FOR {
            return Err(AdapterError::RateLimited {
                retry_after: Some(left),
            });
        }
        tokio::time::sleep(left).await;
        Ok(())
    }

    /// Asks Redis for a slot: 0 granted, else how long to wait in milliseconds; nothing when it
    /// can't be asked.
    async fn shared(&self, turn: &mut Turn, id: Uuid) -> Option<u64> {
        let now = Instant::now();
        if turn.redis_at.is_some_and(|at| now < at) {
            return None;
        }
        let mut redis = self.redis.clone();
        let mut call = self.take.prepare_invoke();
        call.key(&self.keys[0]).key(&self.keys[1]);
        call.arg(self.limit).arg(id.to_string()).arg(SILENT_MS);
        let answer = tokio::time::timeout(REDIS_PATIENCE, call.invoke_async::<u64>(&mut redis));
        if let Ok(Ok(wait_ms)) = answer.await {
            turn.redis_at = None;
            if turn.alone_since.take().is_some() {
                tracing::info!(limit = self.keys[0], "Redis is back");
                turn.both_until = Some(Instant::now() + BOTH);
            }
            return Some(wait_ms);
        }
        turn.redis_at = Some(Instant::now() + REDIS_REST);
        if turn.alone_since.is_none() {
            tracing::warn!(limit = self.keys[0], "Redis is away; keeping to the share");
            turn.alone_since = Some(Instant::now());
        }
        None
    }

    fn within_share(&self) -> bool {
        let now = Instant::now();
        let mut own = self.own();
        own.kept_until.retain(|until| *until > now);
        own.under_way.len() + own.kept_until.len() < self.share().0
    }

    fn give_back(&self, id: Uuid) {
        let (mut redis, key) = (self.redis.clone(), self.keys[0].clone());
        tokio::spawn(async move {
            let gone: redis::RedisResult<()> = redis::cmd("ZREM")
                .arg(key)
                .arg(id.to_string())
                .query_async(&mut redis)
                .await;
            drop(gone);
        });
    }

    /// The answer is there, or the request was given up.
    fn answered(self: Arc<Self>, id: Uuid, heard: Heard) {
        let kept = self.share().1;
        {
            let mut own = self.own();
            own.under_way.remove(&id);
            own.kept_until.push(Instant::now() + kept);
            own.note(heard);
        }
        // Outside of the runtime there is nobody to tell; the slot ends by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { self.say(KEPT_MS, &[id]).await });
        }
    }

    /// Keeps these slots for so long from now.
    async fn say(&self, for_ms: u64, ids: &[Uuid]) {
        let mut redis = self.redis.clone();
        let mut call = self.keep.prepare_invoke();
        call.key(&self.keys[0]).arg(for_ms);
        for id in ids {
            call.arg(id.to_string());
        }
        let said = tokio::time::timeout(REDIS_PATIENCE, call.invoke_async::<u64>(&mut redis)).await;
        if !matches!(said, Ok(Ok(_))) {
            tracing::debug!("a slot ends by itself");
        }
    }

    /// Says of requests under way that they are, for as long as anybody has this lane.
    fn renew(self: &Arc<Self>) {
        self.renewing.call_once(|| {
            let lane = Arc::downgrade(self);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(RENEW_EVERY).await;
                    let Some(lane) = lane.upgrade() else { return };
                    let ids: Vec<Uuid> = lane.own().under_way.iter().copied().collect();
                    if !ids.is_empty() {
                        lane.say(SILENT_MS, &ids).await;
                    }
                }
            });
        });
    }
}

impl Own {
    /// A provider that says "too many", or fails, is left alone ever longer, with jitter.
    fn note(&mut self, heard: Heard) {
        let rest = match heard {
            Heard::Well => {
                self.refused = 0;
                return;
            }
            // It may be this one request's fault.
            Heard::Failed if self.refused < 3 => {
                self.refused += 1;
                return;
            }
            Heard::Failed | Heard::TooMany(None) => {
                self.refused += 1;
                let doubled = Duration::from_millis(250) * (1 << self.refused.min(7));
                doubled.min(REST_MAX)
            }
            // Never sooner than it asks.
            Heard::TooMany(Some(rest)) => {
                self.refused += 1;
                rest.mul_f64(1.34)
            }
        };
        let rest = rest.mul_f64(0.75 + 0.5 * rand::random::<f64>());
        let until = Instant::now() + rest;
        self.rests_until = Some(self.rests_until.map_or(until, |before| before.max(until)));
    }
}
