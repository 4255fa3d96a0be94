//! Counters of a run, and its progress line.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use super::summary::Summary;

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Paid, tickets in hand.
    Bought,
    /// The payment was declined, as planned.
    Declined,
    /// Walked away from the pay page, as planned.
    Abandoned,
    /// Dropped off before, as planned.
    Left,
    /// Nothing left, or the room is closed.
    TurnedAway,
    /// Too slow: the session, the hold or the order ran out, and any money went back.
    RanOut,
    /// Something that should not happen.
    Failed,
}

/// The counters, shared by all visitors.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

/// What is counted. Durations are kept one by one, so that percentiles are exact.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) arrived: u64,
    pub(crate) admitted: u64,
    pub(crate) admissions: Option<(Instant, Instant)>,
    pub(crate) held: u64,
    pub(crate) tickets: u64,
    pub(crate) ends: BTreeMap<Outcome, u64>,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) retries: BTreeMap<String, u64>,
    /// Surprises that did not end a visit.
    pub(crate) oddities: BTreeMap<String, u64>,
    pub(crate) waits: Vec<Duration>,
    pub(crate) hold_calls: Vec<Duration>,
    pub(crate) order_calls: Vec<Duration>,
    waiting: u64,
    holding: u64,
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        // A panic elsewhere leaves whole numbers behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn arrived(&self) {
        let mut counts = self.counts();
        counts.arrived += 1;
        counts.waiting += 1;
    }

    /// In, after this long in line.
    pub(crate) fn admitted(&self, waited: Duration) {
        let mut counts = self.counts();
        let now = Instant::now();
        counts.admitted += 1;
        counts.waiting -= 1;
        counts.admissions = Some((counts.admissions.map_or(now, |(first, _)| first), now));
        counts.waits.push(waited);
    }

    /// The visit is over without an admission.
    pub(crate) fn stopped_waiting(&self) {
        self.counts().waiting -= 1;
    }

    pub(crate) fn held(&self, took: Duration) {
        let mut counts = self.counts();
        counts.held += 1;
        counts.holding += 1;
        counts.hold_calls.push(took);
    }

    /// A visit that had a hold is over.
    pub(crate) fn stopped_holding(&self) {
        self.counts().holding -= 1;
    }

    pub(crate) fn ordered(&self, took: Duration) {
        self.counts().order_calls.push(took);
    }

    pub(crate) fn bought(&self, tickets: usize) {
        self.counts().tickets += tickets as u64;
    }

    pub(crate) fn retried(&self, reason: &str) {
        *self.counts().retries.entry(reason.to_owned()).or_default() += 1;
    }

    pub(crate) fn odd(&self, what: String) {
        *self.counts().oddities.entry(what).or_default() += 1;
    }

    pub(crate) fn ended(&self, outcome: Outcome, reason: Option<String>) {
        let mut counts = self.counts();
        *counts.ends.entry(outcome).or_default() += 1;
        if let Some(reason) = reason {
            *counts.failures.entry(reason).or_default() += 1;
        }
    }

    pub(crate) fn progress(&self) -> String {
        let counts = self.counts();
        // What holds a stuck crowd up is worth more than that it is stuck.
        let worst = counts.retries.iter().max_by_key(|(_, count)| **count);
        let again = worst.map_or_else(String::new, |(reason, count)| {
            format!(" · sent again {count}: {reason}")
        });
        format!(
            "arrived {} · waiting {} · admitted {} · holding {} · sold {} · failed {}{again}",
            counts.arrived,
            counts.waiting,
            counts.admitted,
            counts.holding,
            counts.ended_by(Outcome::Bought),
            counts.ended_by(Outcome::Failed),
        )
    }

    pub(crate) fn summary(&self, seed: u64, took: Duration) -> Summary {
        Summary::of(&self.counts(), seed, took)
    }
}

impl Counts {
    pub(crate) fn ended_by(&self, outcome: Outcome) -> u64 {
        self.ends.get(&outcome).copied().unwrap_or_default()
    }
}
