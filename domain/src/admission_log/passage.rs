//! What is found about one lane of a log.

use super::Entry;
use crate::lane;
use serde::Serialize;

/// What was found about one lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneReport {
    /// Let in through it.
    pub admitted: u64,
    /// How many were let in after someone who stood behind them: both had been called.
    pub overtaken: u64,
    /// Most people who overtook one.
    pub overtakers_max: u64,
    /// Most positions called and not let in at one time, those nobody turned up for included.
    pub called_ahead_max: u64,
    /// Longest time between the log showing someone called and letting them in, milliseconds.
    pub claim_delay_ms_max: u64,
    /// Let in later than the claim window after that; `None` when the window is not known.
    pub after_window: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct LaneState {
    pub(super) frontier: u64,
    /// Where its numbers are, once it has one.
    pub(super) slot: Option<usize>,
    called_ahead_max: u64,
    claim_delay_ms_max: u64,
    after_window: u64,
    /// Frontier and time of each entry that moved it.
    calls: Vec<(u64, u64)>,
    /// Positions, in the order of being let in.
    positions: Vec<u64>,
}

impl LaneState {
    pub(super) fn admit(&mut self, entry: &Entry, position: u64, claim_window_ms: Option<u64>) {
        if entry.frontier > self.frontier {
            self.frontier = entry.frontier;
            self.calls.push((entry.frontier, entry.at_ms));
        }
        let called = self
            .calls
            .partition_point(|(frontier, _)| *frontier < position);
        let delay_ms = self
            .calls
            .get(called)
            .map_or(0, |(_, at_ms)| entry.at_ms - at_ms);
        self.claim_delay_ms_max = self.claim_delay_ms_max.max(delay_ms);
        self.after_window += u64::from(claim_window_ms.is_some_and(|window| delay_ms > window));
        self.positions.push(position);
        let admitted = as_u64(self.positions.len());
        self.called_ahead_max = self
            .called_ahead_max
            .max(lane::shown(self.frontier).saturating_sub(admitted));
    }

    pub(super) fn report(self, with_window: bool) -> LaneReport {
        let (overtaken, overtakers_max) = overtakings(&self.positions);
        LaneReport {
            admitted: as_u64(self.positions.len()),
            overtaken,
            overtakers_max,
            called_ahead_max: self.called_ahead_max,
            claim_delay_ms_max: self.claim_delay_ms_max,
            after_window: with_window.then_some(self.after_window),
        }
    }
}

/// How many have a greater position before them, and the most that one has. A Fenwick tree over
/// the ranks of the positions: n log n.
fn overtakings(positions: &[u64]) -> (u64, u64) {
    let mut sorted = positions.to_vec();
    sorted.sort_unstable();
    let mut tree = vec![0_u64; sorted.len() + 1];
    let (mut overtaken, mut most) = (0, 0);
    for (before, position) in positions.iter().enumerate() {
        let rank = sorted.partition_point(|other| other < position) + 1;
        let mut behind_or_here = 0;
        let mut at = rank;
        while at > 0 {
            behind_or_here += tree[at];
            at &= at - 1;
        }
        let overtakers = as_u64(before) - behind_or_here;
        overtaken += u64::from(overtakers > 0);
        most = most.max(overtakers);
        at = rank;
        while at < tree.len() {
            tree[at] += 1;
            at += at & at.wrapping_neg();
        }
    }
    (overtaken, most)
}

pub(super) fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
