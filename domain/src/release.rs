//! Release control: how fast the lines of a room move.
//!
//! Pace is counted in claims, not calls. Calling goes as far ahead as it takes for those who have
//! turned up and wait, and those expected to, to fill the pace and the free slots. How many turn
//! up and how long after the call is measured: visitors learn of it at their next poll. A token
//! bucket at the claim caps any window at target plus one quantum, whatever the estimates were.
//! Time is an argument: an alarm that is late, doubled or missing changes nothing.
//!
//! The window in which a called visitor has to turn up runs only while someone could be let in,
//! so nobody lapses because the shop was full, the room paused or the edge away.
//!
//! Each lane has a [`Line`] of its own; bucket, slots and clock are common. [`share`] divides them.

mod line;
pub mod share;

pub use line::{Line, Step};

use crate::lane;
use crate::lease::Range;
use serde::{Deserialize, Serialize};
use share::{Demand, Turn};

/// Longest stretch between two looks that counts as time in which one could have claimed,
/// in milliseconds: beyond it, this program was away, and so was the way in.
const ATTENDED_MS_MAX: u64 = 10_000;
/// How much pace is kept called beyond what the delay takes, in seconds of it: those who find the
/// bucket empty. They keep it from filling while others are on their way.
const RESERVE_SECONDS: f64 = 6.0;
/// A clock further back than this is believed to have been set back, in milliseconds.
const CLOCK_BACK_MS_MAX: u64 = 5_000;
/// How far a lane may fall behind its share and still catch up, in seconds of its pace.
const CREDIT_SECONDS: u64 = 10;
const MICRO: u64 = 1_000_000;

/// The moving part of a room. Serialisable whole; a lost `bucket_micro` may only be replaced by 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// The line of whoever comes without a pass.
    #[serde(flatten)]
    pub standard: Line,
    /// Those of the lanes, from slot 1 on.
    #[serde(default)]
    pub lanes: Vec<Line>,
    /// Claims that may be let in at once, in millionths.
    pub bucket_micro: u64,
    /// Milliseconds during which a claim could have been let in.
    pub attended_ms: u64,
    /// Last look, unix milliseconds.
    pub at_ms: u64,
    /// What the last refill left over, in 60,000ths of a millionth of a claim.
    #[serde(default)]
    pub refill_rest: u64,
    /// Whether a claim could have been let in at the last look.
    #[serde(default)]
    pub attended: bool,
}

/// Who stands in a lane's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue<'a> {
    /// The lane's part of the pace when everyone wants theirs, relative to the others; from 1.
    pub share: u32,
    /// Last number given or leased.
    pub issued: u64,
    /// Numbers that nobody has.
    pub voids: &'a [Range],
}

/// What the room is like at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment<'a> {
    /// Unix milliseconds.
    pub now_ms: u64,
    /// Whether the lines move.
    pub open: bool,
    /// Whether there is a pace at all.
    pub paced: bool,
    /// Target, claims a minute.
    pub rate_per_minute: u32,
    /// Most live admissions.
    pub max_active: u64,
    /// Live admissions.
    pub active: u64,
    /// Time to turn up.
    pub claim_window_ms: u64,
    /// By slot: `standard` first.
    pub queues: &'a [Queue<'a>],
}

impl Moment<'_> {
    fn slots(&self) -> u64 {
        self.max_active.saturating_sub(self.active)
    }

    fn share(&self, slot: usize) -> u64 {
        self.queues
            .get(slot)
            .map_or(1, |queue| queue.share.max(1))
            .into()
    }
}

/// The answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Come in: the caller records the admission.
    Admit,
    /// Called, but the bucket is empty, the shop full or another lane's turn: you are next.
    Wait {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// Not called yet.
    NotCalled,
    /// Called too long ago.
    Lapsed,
}

impl Release {
    /// Lines that nobody has been called from.
    pub fn new(now_ms: u64) -> Self {
        Self {
            standard: Line::new(0),
            lanes: Vec::new(),
            bucket_micro: 0,
            attended_ms: 0,
            at_ms: now_ms,
            refill_rest: 0,
            attended: false,
        }
    }

    /// The room as it goes on after a restart: the time away is nobody's fault, and whatever the
    /// bucket held may have been spent after it was last stored.
    #[must_use]
    pub fn resumed(mut self, now_ms: u64) -> Self {
        self.bucket_micro = 0;
        self.refill_rest = 0;
        self.attended = false;
        self.at_ms = now_ms;
        self
    }

    /// One quantum: what the bucket holds when full, in claims. A second's worth, at least one.
    pub fn quantum(rate_per_minute: u32) -> u64 {
        u64::from(rate_per_minute.div_ceil(60)).max(1)
    }

    /// All lines by slot, `standard` first.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        std::iter::once(&self.standard).chain(&self.lanes)
    }

    /// The line of that slot.
    pub fn line(&self, slot: usize) -> Option<&Line> {
        self.lines().nth(slot)
    }

    /// [`Release::line`], to be changed.
    pub fn line_mut(&mut self, slot: usize) -> Option<&mut Line> {
        self.lines_mut().nth(slot)
    }

    fn lines_mut(&mut self) -> impl Iterator<Item = &mut Line> {
        std::iter::once(&mut self.standard).chain(&mut self.lanes)
    }

    /// Lets time pass, lapses and calls. True when there is something new to store or publish.
    pub fn advance(&mut self, moment: &Moment<'_>) -> bool {
        self.declare(moment);
        let elapsed_ms = self.pass_time(moment);
        let attended_ms = self.attended_ms;
        let mut changed = false;
        for line in self.lines_mut() {
            changed |= line.lapse(attended_ms, moment.claim_window_ms);
        }
        if moment.open {
            changed |= self.call(moment, elapsed_ms.min(ATTENDED_MS_MAX));
        }
        changed
    }

    /// Whether `number` is called and may still turn up.
    pub fn is_called(&self, number: u64) -> bool {
        self.line(lane::slot_of(number))
            .is_some_and(|line| line.is_called(number))
    }

    /// Whether `number` was called too long ago.
    pub fn has_lapsed(&self, number: u64) -> bool {
        let line = self.line(lane::slot_of(number));
        line.is_some_and(|line| number <= line.lapsed && !line.is_called(number))
    }

    /// Whether `number` may come in now. Call [`Release::advance`] first.
    pub fn claim(&mut self, number: u64, moment: &Moment<'_>) -> Claim {
        let (slot, attended_ms) = (lane::slot_of(number), self.attended_ms);
        let Some(line) = self.line(slot).filter(|line| number <= line.frontier) else {
            return Claim::NotCalled;
        };
        if !line.is_called(number) {
            return Claim::Lapsed;
        }
        let wait_ms = self.wait_ms(slot, number, moment);
        let Some(line) = self.line_mut(slot) else {
            return Claim::NotCalled;
        };
        if let Some(retry_after_ms) = wait_ms {
            line.keep_waiting(number, attended_ms);
            return Claim::Wait { retry_after_ms };
        }
        line.enter(number, attended_ms);
        if moment.paced {
            self.bucket_micro -= MICRO;
        }
        self.settle(slot, moment);
        Claim::Admit
    }

    /// How long `number`, which is called, has to wait; `None`: not at all.
    fn wait_ms(&self, slot: usize, number: u64, moment: &Moment<'_>) -> Option<u64> {
        let slots = moment.slots();
        if !moment.open || slots == 0 {
            return Some(1_000);
        }
        let tokens = if moment.paced {
            self.bucket_micro / MICRO
        } else {
            u64::MAX
        };
        if tokens > 0 && (self.lanes.is_empty() || self.is_turn_of(slot, tokens.min(slots), moment))
        {
            return None;
        }
        let before = self.line(slot).map_or(0, |line| line.before(number));
        let missing = MICRO.saturating_sub(self.bucket_micro) + before * MICRO;
        let wait_ms =
            missing.div_ceil(MICRO / 1_000) * 60 / u64::from(moment.rate_per_minute.max(1));
        Some(wait_ms.clamp(100, 2_000))
    }

    /// Whether one of the next `open` admissions belongs to `slot`, seeing who is at the doors.
    fn is_turn_of(&self, slot: usize, open: u64, moment: &Moment<'_>) -> bool {
        let turns = self.lines().enumerate().map(|(index, line)| Turn {
            share: moment.share(index),
            served: line.served,
            // Whoever asks is there, seen before or not.
            at_the_door: line.at_the_door(self.attended_ms) + u64::from(index == slot),
        });
        share::is_turn_of(slot, open, &turns.collect::<Vec<_>>())
    }

    /// Books an admission on `slot`. A lane without anybody to let in lends its share for good; one
    /// whose people are on their way may catch up, within bounds.
    fn settle(&mut self, slot: usize, moment: &Moment<'_>) {
        if self.lanes.is_empty() {
            return;
        }
        let shares: Vec<u64> = (0..=self.lanes.len())
            .map(|index| moment.share(index))
            .collect();
        let busy: Vec<bool> = self
            .lines()
            .zip(moment.queues)
            .enumerate()
            .map(|(index, (line, queue))| index == slot || line.is_busy(queue))
            .collect();
        let among = |busy: &[bool], of: &dyn Fn(usize) -> u64| -> u64 {
            let there = (0..busy.len()).filter(|index| busy[*index]);
            there.map(of).sum()
        };
        let served: Vec<u64> = self.lines().map(|line| line.served).collect();
        let all_served = among(&busy, &|index| served[index]);
        let all_shares = among(&busy, &|index| shares[index]);
        let pace = u64::from(moment.rate_per_minute) * CREDIT_SECONDS / 60;
        for (index, line) in self.lines_mut().enumerate().take(busy.len()) {
            let due = all_served * shares[index] / all_shares;
            let credit = if busy[index] {
                (pace * shares[index] / all_shares).max(2)
            } else {
                0
            };
            line.served = line.served.max(due.saturating_sub(credit));
        }
    }

    /// Sees to a line for each lane. With other shares the old accounts mean nothing.
    fn declare(&mut self, moment: &Moment<'_>) {
        while self.lanes.len() + 1 < moment.queues.len() {
            let slot = self.lanes.len() + 1;
            self.lanes.push(Line::new(lane::base(slot)));
        }
        let same = |(line, queue): (&Line, &Queue<'_>)| line.share == queue.share;
        if self.lines().zip(moment.queues).all(same) {
            return;
        }
        for (line, queue) in self.lines_mut().zip(moment.queues) {
            (line.share, line.served) = (queue.share, 0);
        }
    }

    /// Returns how much of it, in milliseconds.
    fn pass_time(&mut self, moment: &Moment<'_>) -> u64 {
        if moment.now_ms + CLOCK_BACK_MS_MAX < self.at_ms {
            self.at_ms = moment.now_ms;
        }
        let elapsed_ms = moment.now_ms.saturating_sub(self.at_ms);
        self.at_ms = self.at_ms.max(moment.now_ms);
        // A claim a minute is 1_000_000 micro in 60_000 ms.
        let refill =
            elapsed_ms.min(60_000) * u64::from(moment.rate_per_minute) * MICRO + self.refill_rest;
        self.refill_rest = refill % 60_000;
        let full = Self::quantum(moment.rate_per_minute) * MICRO;
        self.bucket_micro = (self.bucket_micro + refill / 60_000).min(full);
        // Time counts when the way in was open at both its ends.
        let attended = moment.open && moment.slots() > 0;
        if attended && self.attended {
            self.attended_ms += elapsed_ms.min(ATTENDED_MS_MAX);
        }
        self.attended = attended;
        elapsed_ms
    }

    fn call(&mut self, moment: &Moment<'_>, elapsed_ms: u64) -> bool {
        let attended_ms = self.attended_ms;
        let targets = moment.paced.then(|| self.targets(moment));
        let mut called = false;
        for (slot, (line, queue)) in self.lines_mut().zip(moment.queues).enumerate() {
            let people = match &targets {
                None => u64::MAX,
                Some(targets) => {
                    line.trust(targets[slot]);
                    line.people_to_call(targets[slot], attended_ms)
                }
            };
            called |= line.call(people, queue, attended_ms, elapsed_ms);
        }
        called
    }

    /// How many people each line should have at the door or on their way to it, so that together
    /// they fill the pace and the free slots.
    fn targets(&self, moment: &Moment<'_>) -> Vec<f64> {
        let lines = self.lines().zip(moment.queues);
        let demands: Vec<Demand> = lines
            .map(|(line, queue)| Demand {
                share: f64::from(queue.share.max(1)),
                served: as_f64(line.served),
                people: line.demand(queue, self.attended_ms),
            })
            .collect();
        let delay_ms = self
            .lines()
            .zip(&demands)
            .filter(|(_, demand)| demand.people > 0.0)
            .map(|(line, _)| line.mean_delay_ms())
            .fold(0.0, f64::max);
        let seconds = RESERVE_SECONDS + delay_ms / 1_000.0;
        let pace = (f64::from(moment.rate_per_minute) / 60.0 * seconds).max(1.0);
        share::divide(as_f64(moment.slots()).min(pace), &demands)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of people stay far below 2^53"
)]
fn as_f64(count: u64) -> f64 {
    count as f64
}
