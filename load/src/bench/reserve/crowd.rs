//! Shoppers, sent as fast as they are answered or at a pace.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::shop::Shoppers;
use super::wire::{Answer, Wire};

/// What each visit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// Hold one place.
    Hold,
    /// Hold one place and order it.
    Buy,
}

/// How many, how, and by whom.
#[derive(Clone)]
pub(super) struct Crowd {
    pub(super) address: SocketAddr,
    pub(super) shoppers: Arc<Shoppers>,
    pub(super) visits: u32,
    /// One after the other by the same shopper.
    pub(super) visits_each: u32,
    pub(super) visit: Visit,
    /// Connections, and so most visits at once.
    pub(super) connections: u32,
    /// Visits a second; none for as many as are answered.
    pub(super) pace: Option<f64>,
}

/// What came of it. All were granted.
pub(super) struct Visits {
    /// When each ended after the beginning, sorted.
    pub(super) ended: Vec<Duration>,
    /// How long each took, from when it was due, sorted.
    pub(super) took: Vec<Duration>,
}

impl Visits {
    pub(super) fn per_second(&self) -> f64 {
        self.between(0.0, 1.0)
    }

    /// Visits a second between two shares of the whole.
    pub(super) fn between(&self, from: f64, to: f64) -> f64 {
        let (from, to) = (share(&self.ended, from), share(&self.ended, to));
        let at = |index: usize| {
            let before = index.checked_sub(1).and_then(|index| self.ended.get(index));
            before.copied().unwrap_or_default().as_secs_f64()
        };
        let count = u32::try_from(to - from).map_or(0.0, f64::from);
        count / (at(to) - at(from)).max(1e-9)
    }

    /// A percentile, in milliseconds.
    pub(super) fn took_ms(&self, part: f64) -> f64 {
        let index = share(&self.took, part).min(self.took.len().saturating_sub(1));
        self.took
            .get(index)
            .map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of some thousands"
)]
fn share(all: &[Duration], part: f64) -> usize {
    ((all.len() as f64) * part).round() as usize
}

impl Crowd {
    /// Sends them all.
    ///
    /// # Errors
    /// At the first that is refused.
    pub(super) async fn send(self) -> anyhow::Result<Visits> {
        let mut wires = Vec::new();
        for _ in 0..self.connections {
            wires.push(Wire::connect(self.address).await?);
        }
        let next = Arc::new(AtomicU32::new(0));
        let crowd = Arc::new(self);
        let began = Instant::now();
        let mut lanes = JoinSet::new();
        for wire in wires {
            lanes.spawn(Arc::clone(&crowd).lane(wire, Arc::clone(&next), began));
        }
        let (mut ended, mut took) = (Vec::new(), Vec::new());
        while let Some(lane) = lanes.join_next().await {
            for (at, long) in lane.context("a lane of this program")?? {
                ended.push(at);
                took.push(long);
            }
        }
        ended.sort_unstable();
        took.sort_unstable();
        Ok(Visits { ended, took })
    }

    async fn lane(
        self: Arc<Self>,
        mut wire: Wire,
        next: Arc<AtomicU32>,
        began: Instant,
    ) -> anyhow::Result<Vec<(Duration, Duration)>> {
        let mut visits = Vec::new();
        loop {
            // One shopper's visits follow each other, so a lane takes all of them.
            let first = next.fetch_add(self.visits_each, Ordering::Relaxed);
            if first >= self.visits {
                return Ok(visits);
            }
            let shopper = first / self.visits_each;
            let cookies = self.shoppers.cookies(shopper);
            for visit in first..(first + self.visits_each).min(self.visits) {
                let due = match self.pace {
                    None => Instant::now(),
                    Some(pace) => began + Duration::from_secs_f64(f64::from(visit) / pace),
                };
                tokio::time::sleep_until(due.into()).await;
                self.visit(&mut wire, &cookies, visit).await?;
                visits.push((began.elapsed(), due.elapsed()));
            }
        }
    }

    async fn visit(&self, wire: &mut Wire, cookies: &str, visit: u32) -> anyhow::Result<()> {
        let (key, wish) = (self.shoppers.key("h", visit), self.shoppers.wish());
        let answer = wire.post("/api/v1/holds", cookies, &key, &wish).await?;
        granted(&answer, 201)?;
        if self.visit == Visit::Hold {
            return Ok(());
        }
        let hold = answer
            .body
            .split_once(r#""hold":""#)
            .and_then(|(_, rest)| rest.get(..36));
        let hold = hold.context("a hold without its id")?;
        let body = format!(r#"{{"hold":"{hold}","provider":"card"}}"#);
        let ordered = wire
            .post(
                "/api/v1/orders",
                cookies,
                &self.shoppers.key("o", visit),
                &body,
            )
            .await?;
        granted(&ordered, 202)
    }
}

fn granted(answer: &Answer, status: u16) -> anyhow::Result<()> {
    anyhow::ensure!(
        answer.status == status,
        "answered {} instead of {status}: {}",
        answer.status,
        answer.body
    );
    Ok(())
}
