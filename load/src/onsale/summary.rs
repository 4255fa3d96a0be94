//! What a run came to, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::tally::{Counts, Outcome};

/// Most reasons printed of each kind.
const REASONS_MAX: usize = 10;

/// The whole run. The ends add up to `crowd`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) crowd: u64,
    pub(crate) arrived: u64,
    pub(crate) admitted: u64,
    pub(crate) held: u64,
    pub(crate) sold_orders: u64,
    pub(crate) sold_tickets: u64,
    pub(crate) declined: u64,
    pub(crate) abandoned: u64,
    pub(crate) left: u64,
    pub(crate) turned_away: u64,
    pub(crate) ran_out: u64,
    pub(crate) failed: u64,
    /// Why visits failed, and how many.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Requests sent again, by why.
    pub(crate) retries: BTreeMap<String, u64>,
    pub(crate) oddities: BTreeMap<String, u64>,
    /// From joining to being let in.
    pub(crate) wait_ms: Percentiles,
    pub(crate) hold_call_ms: Percentiles,
    pub(crate) order_call_ms: Percentiles,
    /// From the first admission to the last.
    pub(crate) admitting_seconds: f64,
    pub(crate) duration_seconds: f64,
}

/// Milliseconds; zero of nothing.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    fn of(durations: &[Duration]) -> Self {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        // The nearest rank: the smallest value that `percent` of all do not exceed.
        let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        let at = |percent| {
            sorted
                .get(rank(percent))
                .map_or(0.0, |d| d.as_secs_f64() * 1000.0)
        };
        Self {
            p50: at(50),
            p95: at(95),
            max: at(100),
        }
    }
}

impl Summary {
    pub(crate) fn of(counts: &Counts, seed: u64, took: Duration) -> Self {
        let admitting = counts.admissions.map(|(first, last)| last - first);
        Self {
            seed,
            crowd: counts.ends.values().sum(),
            arrived: counts.arrived,
            admitted: counts.admitted,
            held: counts.held,
            sold_orders: counts.ended_by(Outcome::Bought),
            sold_tickets: counts.tickets,
            declined: counts.ended_by(Outcome::Declined),
            abandoned: counts.ended_by(Outcome::Abandoned),
            left: counts.ended_by(Outcome::Left),
            turned_away: counts.ended_by(Outcome::TurnedAway),
            ran_out: counts.ended_by(Outcome::RanOut),
            failed: counts.ended_by(Outcome::Failed),
            failures: counts.failures.clone(),
            retries: counts.retries.clone(),
            oddities: counts.oddities.clone(),
            wait_ms: Percentiles::of(&counts.waits),
            hold_call_ms: Percentiles::of(&counts.hold_calls),
            order_call_ms: Percentiles::of(&counts.order_calls),
            admitting_seconds: admitting.unwrap_or_default().as_secs_f64(),
            duration_seconds: took.as_secs_f64(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "crowd: {} in {:.1} s", self.crowd, self.duration_seconds)?;
        writeln!(f, "  arrived    {}", self.arrived)?;
        writeln!(f, "  admitted   {}", self.admitted)?;
        writeln!(f, "  held       {}", self.held)?;
        writeln!(
            f,
            "  sold       {} orders, {} tickets",
            self.sold_orders, self.sold_tickets
        )?;
        writeln!(f, "  declined   {}", self.declined)?;
        writeln!(f, "  abandoned  {}", self.abandoned)?;
        writeln!(f, "  left       {}", self.left)?;
        writeln!(f, "  turned away {} (sold out or closed)", self.turned_away)?;
        writeln!(
            f,
            "  ran out    {} (hold, session or order over)",
            self.ran_out
        )?;
        writeln!(f, "  failed     {}", self.failed)?;
        for (name, ms) in [
            ("wait", &self.wait_ms),
            ("hold call", &self.hold_call_ms),
            ("order call", &self.order_call_ms),
        ] {
            let (p50, p95) = (ms.p50 / 1000.0, ms.p95 / 1000.0);
            writeln!(f, "  {name}: p50 {p50:.3} s, p95 {p95:.3} s")?;
        }
        reasons(f, "failed because", &self.failures)?;
        reasons(f, "sent again because", &self.retries)?;
        reasons(f, "odd", &self.oddities)
    }
}

fn reasons(f: &mut fmt::Formatter<'_>, title: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in sorted.into_iter().take(REASONS_MAX) {
        writeln!(f, "  {title}: {reason} ({count})")?;
    }
    Ok(())
}
