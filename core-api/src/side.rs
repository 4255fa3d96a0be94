//! Redis stands on the side: it spares PostgreSQL work and decides nothing. Whoever asks it here
//! gets an answer quickly or none, and goes on without.

use redis::RedisError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_millis(150);
/// After a failure nobody asks for this long, so that a dead Redis costs one wait and not one each.
const REST_MS: u64 = 500;

/// Remembers that Redis did not answer just now.
pub struct Breaker {
    started: Instant,
    resting_until_ms: AtomicU64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            resting_until_ms: AtomicU64::new(0),
        }
    }
}

impl Breaker {
    /// What Redis answers, or nothing when it is slow, away or was so a moment ago.
    pub async fn ask<T>(&self, question: impl Future<Output = Result<T, RedisError>>) -> Option<T> {
        let now_ms = || u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now_ms() < self.resting_until_ms.load(Ordering::Relaxed) {
            return None;
        }
        if let Ok(Ok(answer)) = tokio::time::timeout(ANSWER_MAX, question).await {
            return Some(answer);
        }
        metrics::counter!("catraca_redis_failures_total").increment(1);
        self.resting_until_ms
            .store(now_ms().saturating_add(REST_MS), Ordering::Relaxed);
        None
    }
}
