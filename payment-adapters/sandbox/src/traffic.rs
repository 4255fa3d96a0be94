//! How fast each provider is called, and the limit above which it answers 429.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::faults::Call;
use crate::payment::Provider;

const SECOND: Duration = Duration::from_secs(1);

/// Events within the last second, and the most there ever were in any second.
#[derive(Default)]
struct Window {
    times: VecDeque<Instant>,
    peak: usize,
}

impl Window {
    fn forget(&mut self, now: Instant) {
        while self
            .times
            .front()
            .is_some_and(|at| now.duration_since(*at) >= SECOND)
        {
            self.times.pop_front();
        }
    }

    fn count(&mut self, now: Instant) {
        self.forget(now);
        self.times.push_back(now);
        self.peak = self.peak.max(self.times.len());
    }
}

#[derive(Default)]
struct Meter {
    limit_per_second: Option<usize>,
    offered: Window,
    changes: Window,
    taken: Window,
    requests: u64,
    refused: u64,
    calls: BTreeMap<Call, u64>,
}

/// All providers' meters.
#[derive(Default)]
pub(crate) struct Traffic(BTreeMap<Provider, Meter>);

impl Traffic {
    /// Counts a request; false: too many, answer 429.
    pub(crate) fn arrives(&mut self, provider: Provider, call: Call, now: Instant) -> bool {
        let meter = self.0.entry(provider).or_default();
        meter.requests += 1;
        *meter.calls.entry(call).or_default() += 1;
        meter.offered.count(now);
        if call.changes() {
            meter.changes.count(now);
        }
        meter.taken.forget(now);
        let full = meter
            .limit_per_second
            .is_some_and(|limit| meter.taken.times.len() >= limit);
        if full {
            meter.refused += 1;
        } else {
            meter.taken.count(now);
        }
        !full
    }

    pub(crate) fn limit(&mut self, provider: Provider, per_second: Option<usize>) {
        self.0.entry(provider).or_default().limit_per_second = per_second;
    }

    /// Forgets counts and peaks, not limits.
    pub(crate) fn reset(&mut self) {
        for meter in self.0.values_mut() {
            *meter = Meter {
                limit_per_second: meter.limit_per_second,
                ..Meter::default()
            };
        }
    }

    pub(crate) fn show(&self) -> Value {
        let meters = self.0.iter().map(|(provider, meter)| {
            json!({
                "provider": provider,
                "limit_per_second": meter.limit_per_second,
                "requests": meter.requests,
                "refused": meter.refused,
                "peak_requests_per_second": meter.offered.peak,
                "peak_changes_per_second": meter.changes.peak,
                "calls": meter.calls,
            })
        });
        json!({ "providers": meters.collect::<Vec<_>>() })
    }
}
