//! Release control: how fast the line moves.
//!
//! Pace is counted in claims, not calls. Calling goes as far ahead as it takes for those who have
//! turned up and wait, and those expected to, to fill the pace and the free slots. How many turn
//! up and how long after the call is measured: visitors learn of it at their next poll. A token
//! bucket at the claim caps any window at target plus one quantum, whatever the estimates were.
//! Time is an argument: an alarm that is late, doubled or missing changes nothing.
//!
//! The window in which a called visitor has to turn up runs only while someone could be let in,
//! so nobody lapses because the shop was full, the room paused or the edge away.

use crate::lease::{Range, voids_in};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest stretch between two looks that counts as time in which one could have claimed,
/// in milliseconds: beyond it, this program was away, and so was the way in.
const ATTENDED_MS_MAX: u64 = 10_000;
/// How long a called visitor may take to turn up before being counted as one who does not, in
/// milliseconds: the longest time between two polls, with its jitter.
const EXPECTED_MS: u64 = 25_000;
/// Between call and turning up, before anybody has, in milliseconds.
const DELAY_MS: f64 = 2_500.0;
/// Weight of the measured delay's history, in visitors.
const DELAY_MEMORY: f64 = 100.0;
/// How much pace is kept called beyond what the delay takes, in seconds of it: those who find the
/// bucket empty. They keep it from filling while others are on their way.
const RESERVE_SECONDS: f64 = 6.0;
/// Who found the bucket empty and was not seen since for this long has gone, in milliseconds.
const PATIENT_MS: u64 = 5_000;
/// Weight of the show rate's history, in visitors who turned up and in visitors called.
const SHOWN_MEMORY: f64 = 200.0;
/// See [`SHOWN_MEMORY`].
const CALLED_MEMORY: f64 = 4_000.0;
/// How much a show rate that nobody has measured weighs, in visitors.
const SHOW_PRIOR: f64 = 10.0;
/// Lowest show rate that calling compensates for.
const SHOW_MIN: f64 = 0.05;
/// A clock further back than this is believed to have been set back, in milliseconds.
const CLOCK_BACK_MS_MAX: u64 = 5_000;
/// Most visitors remembered as having turned up to an empty bucket. Beyond it the rest keep
/// their claim window and no more.
const TURNED_UP_MAX: usize = 4_096;
/// Calls within the same stretch of this length are one step, in attended milliseconds. Steps are
/// no finer than what expectation is reckoned in, so looking more often calls nobody earlier.
const STEP_MS: u64 = 250;
/// Steps older than this are kept in steps of a second, in milliseconds.
const FINE_MS: u64 = 2_000;
/// Most steps a claim window is divided into, once nobody in them is expected any more.
const STEPS_PER_WINDOW: u64 = 64;
const MICRO: u64 = 1_000_000;

/// Numbers called together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Last number called.
    pub upto: u64,
    /// How many people that called, voids left out.
    pub called: u64,
    /// How many of them have been admitted.
    pub claimed: u64,
    /// [`Release::attended_ms`] when they were called.
    pub at_attended_ms: u64,
    /// Whether the show rate has counted it.
    pub counted: bool,
    /// How many of them have turned up, admitted or told to wait.
    #[serde(default)]
    pub turned_up: u64,
}

/// The line's moving part. Serialisable whole; a lost `bucket_micro` may only be replaced by 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// All numbers up to it have been called.
    pub frontier: u64,
    /// All numbers up to it have lapsed, unless admitted.
    pub lapsed: u64,
    /// Calls within the claim window, oldest first.
    pub steps: Vec<Step>,
    /// Claims that may be let in at once, in millionths.
    pub bucket_micro: u64,
    /// Milliseconds during which a claim could have been let in.
    pub attended_ms: u64,
    /// Measured share of the called who turn up.
    pub show_rate: f64,
    /// How many visitors called that is measured from.
    #[serde(default)]
    pub show_weight: f64,
    /// Measured mean time between the call and turning up, in attended milliseconds; 0: unknown.
    #[serde(default)]
    pub delay_ms: f64,
    /// Last look, unix milliseconds.
    pub at_ms: u64,
    /// What the last refill left over, in 60,000ths of a millionth of a claim.
    #[serde(default)]
    pub refill_rest: u64,
    /// Whether a claim could have been let in at the last look.
    #[serde(default)]
    pub attended: bool,
    /// Who turned up in time and was told to wait, and [`Release::attended_ms`] when last seen:
    /// they keep the place. Not stored: a restart costs them no more than their claim window.
    #[serde(skip)]
    pub turned_up: BTreeMap<u64, u64>,
}

/// What the room is like at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment<'a> {
    /// Unix milliseconds.
    pub now_ms: u64,
    /// Whether the line moves.
    pub open: bool,
    /// Whether there is a pace at all.
    pub paced: bool,
    /// Target, claims a minute.
    pub rate_per_minute: u32,
    /// Most live admissions.
    pub max_active: u64,
    /// Live admissions.
    pub active: u64,
    /// Last number given or leased.
    pub issued: u64,
    /// Numbers that nobody has.
    pub voids: &'a [Range],
    /// Time to turn up.
    pub claim_window_ms: u64,
}

/// The answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Come in: the caller records the admission.
    Admit,
    /// Called, but the bucket is empty or the shop is full: you are next.
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
    /// A line that nobody has been called from.
    pub fn new(now_ms: u64) -> Self {
        Self {
            frontier: 0,
            lapsed: 0,
            steps: Vec::new(),
            bucket_micro: 0,
            attended_ms: 0,
            show_rate: 1.0,
            show_weight: SHOW_PRIOR,
            delay_ms: DELAY_MS,
            at_ms: now_ms,
            refill_rest: 0,
            attended: false,
            turned_up: BTreeMap::new(),
        }
    }

    /// The line as it goes on after a restart: the time away is nobody's fault, and whatever the
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

    /// Lets time pass, lapses and calls. True when there is something new to store or publish.
    pub fn advance(&mut self, moment: &Moment<'_>) -> bool {
        self.pass_time(moment);
        let lapsed = self.lapse(moment.claim_window_ms);
        let called = moment.open && self.call(moment);
        lapsed || called
    }

    /// How many of step `index` have been admitted, for whoever counts them elsewhere and stores
    /// the line less often than they claim.
    pub fn recount(&mut self, index: usize, claimed: u64) {
        if let Some(step) = self.steps.get_mut(index) {
            step.claimed = claimed;
            // Those told to wait will be seen again.
            step.turned_up = claimed;
        }
    }

    /// Whether `number` is called and may still turn up.
    pub fn is_called(&self, number: u64) -> bool {
        number <= self.frontier && (number > self.lapsed || self.turned_up.contains_key(&number))
    }

    /// Whether `number` may come in now. Call [`Release::advance`] first.
    pub fn claim(&mut self, number: u64, moment: &Moment<'_>) -> Claim {
        if number > self.frontier {
            return Claim::NotCalled;
        }
        if !self.is_called(number) {
            return Claim::Lapsed;
        }
        if !moment.open || moment.active >= moment.max_active {
            return self.keep_waiting(number, 1_000);
        }
        if moment.paced {
            let Some(rest) = self.bucket_micro.checked_sub(MICRO) else {
                let missing = MICRO - self.bucket_micro + self.before(number) * MICRO;
                let wait_ms =
                    missing.div_ceil(MICRO / 1_000) * 60 / u64::from(moment.rate_per_minute.max(1));
                return self.keep_waiting(number, wait_ms.clamp(100, 2_000));
            };
            self.bucket_micro = rest;
        }
        let waited = self.turned_up.remove(&number).is_some();
        if let Some(index) = self.step_of(number) {
            self.steps[index].claimed += 1;
            if !waited {
                self.note_turned_up(index);
            }
        }
        Claim::Admit
    }

    fn keep_waiting(&mut self, number: u64, retry_after_ms: u64) -> Claim {
        if let Some(seen_ms) = self.turned_up.get_mut(&number) {
            *seen_ms = self.attended_ms;
        } else if self.turned_up.len() < TURNED_UP_MAX {
            self.turned_up.insert(number, self.attended_ms);
            if let Some(index) = self.step_of(number) {
                self.note_turned_up(index);
            }
        }
        Claim::Wait { retry_after_ms }
    }

    /// How many are waiting at the door with a smaller number.
    fn before(&self, number: u64) -> u64 {
        self.turned_up.range(..number).fold(0, |n, _| n + 1)
    }

    /// The step in which `number` was called, unless it has lapsed.
    fn step_of(&self, number: u64) -> Option<usize> {
        let index = self.steps.partition_point(|step| step.upto < number);
        (number > self.lapsed && index < self.steps.len()).then_some(index)
    }

    fn note_turned_up(&mut self, index: usize) {
        let step = &mut self.steps[index];
        step.turned_up += 1;
        // Who comes later was not expected any more.
        if !step.counted {
            let delay_ms = as_f64(self.attended_ms - step.at_attended_ms);
            self.delay_ms += (delay_ms - self.delay_ms) / DELAY_MEMORY;
        }
    }

    fn pass_time(&mut self, moment: &Moment<'_>) {
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
        let attended = moment.open && moment.active < moment.max_active;
        if attended && self.attended {
            self.attended_ms += elapsed_ms.min(ATTENDED_MS_MAX);
        }
        self.attended = attended;
    }

    fn lapse(&mut self, claim_window_ms: u64) -> bool {
        let before = self.lapsed;
        let expected_ms = EXPECTED_MS.min(claim_window_ms);
        let (mut called, mut turned_up) = (0, 0);
        let mut older = false;
        for step in &mut self.steps {
            let age_ms = self.attended_ms - step.at_attended_ms;
            if !step.counted && age_ms >= expected_ms {
                step.counted = true;
                called += step.called;
                turned_up += step.turned_up;
            }
            older |= age_ms >= FINE_MS;
            if age_ms >= claim_window_ms {
                self.lapsed = step.upto;
            }
        }
        let lapsed = self.lapsed;
        self.steps.retain(|step| step.upto > lapsed);
        if older {
            self.merge(claim_window_ms);
        }
        let attended_ms = self.attended_ms;
        self.turned_up
            .retain(|_, seen_ms| attended_ms - *seen_ms < claim_window_ms);
        if called > 0 {
            self.measure(as_f64(called), as_f64(turned_up));
        }
        self.lapsed != before
    }

    /// Takes into the show rate that of `called` people `turned_up` did. What was measured before
    /// weighs less with every visitor.
    fn measure(&mut self, called: f64, turned_up: f64) {
        let fresh = (turned_up / SHOWN_MEMORY).max(called / CALLED_MEMORY);
        let history = self.show_weight * (1.0 - fresh.min(1.0));
        self.show_weight = history + called;
        let rate = (self.show_rate * history + turned_up) / self.show_weight;
        self.show_rate = rate.clamp(SHOW_MIN, 1.0);
    }

    fn call(&mut self, moment: &Moment<'_>) -> bool {
        let people = if moment.paced {
            self.people_to_call(moment)
        } else {
            u64::MAX
        };
        let upto = advance_over_voids(self.frontier, people, moment.issued, moment.voids);
        if upto <= self.frontier {
            return false;
        }
        let span = Range {
            lo: self.frontier + 1,
            hi: upto + 1,
        };
        let called = span.len() - voids_in(moment.voids, span);
        self.frontier = upto;
        let at_attended_ms = self.step_time();
        match self.steps.last_mut() {
            Some(step) if step.at_attended_ms == at_attended_ms && !step.counted => {
                step.upto = upto;
                step.called += called;
            }
            _ => self.steps.push(Step {
                upto,
                called,
                claimed: 0,
                at_attended_ms,
                counted: false,
                turned_up: 0,
            }),
        }
        true
    }

    fn step_time(&self) -> u64 {
        self.attended_ms - self.attended_ms % STEP_MS
    }

    /// Older steps are kept coarsely, the coarser when they only wait for their window to end: each
    /// gets the window of the last of those it is kept with.
    fn merge(&mut self, claim_window_ms: u64) {
        let coarse_ms = (claim_window_ms / STEPS_PER_WINDOW).max(STEP_MS);
        let mut merged: Vec<Step> = Vec::with_capacity(self.steps.len());
        for step in self.steps.drain(..) {
            let age_ms = self.attended_ms - step.at_attended_ms;
            let grain_ms = match (step.counted, age_ms >= FINE_MS) {
                (true, _) => coarse_ms,
                (false, true) => coarse_ms.min(1_000),
                (false, false) => STEP_MS,
            };
            match merged.last_mut() {
                Some(last)
                    if last.counted == step.counted
                        && last.at_attended_ms / grain_ms == step.at_attended_ms / grain_ms =>
                {
                    last.upto = step.upto;
                    last.called += step.called;
                    last.claimed += step.claimed;
                    last.turned_up += step.turned_up;
                    last.at_attended_ms = step.at_attended_ms;
                }
                _ => merged.push(step),
            }
        }
        self.steps = merged;
    }

    /// How many more people to call, so that those at the door and those expected fill the pace
    /// and the free slots.
    fn people_to_call(&self, moment: &Moment<'_>) -> u64 {
        let slots = as_f64(moment.max_active.saturating_sub(moment.active));
        let seconds = RESERVE_SECONDS + self.mean_delay_ms() / 1_000.0;
        let pace = (f64::from(moment.rate_per_minute) / 60.0 * seconds).max(1.0);
        let at_the_door = self
            .turned_up
            .values()
            .filter(|seen_ms| self.attended_ms - **seen_ms < PATIENT_MS)
            .fold(0.0, |n, _| n + 1.0);
        let show_rate = self.show_rate_now();
        let expected: f64 = self
            .steps
            .iter()
            .filter(|step| !step.counted)
            .map(|step| {
                let due = self.due(step);
                let missing = as_f64(step.called) - as_f64(step.turned_up);
                // Of those not seen yet, some will come and some never do.
                missing * show_rate * (1.0 - due) / (1.0 - show_rate * due).max(1e-9)
            })
            .sum();
        let missing = slots.min(pace) - expected - at_the_door;
        // Whatever rounding leaves of a person is nobody.
        if missing < 1e-6 {
            return 0;
        }
        as_u64((missing / show_rate).ceil())
    }

    fn mean_delay_ms(&self) -> f64 {
        if self.delay_ms > 0.0 {
            self.delay_ms
        } else {
            DELAY_MS
        }
    }

    /// The share of a step's visitors who should have turned up by now, of those who ever do:
    /// polls are spread evenly, so it grows evenly.
    fn due(&self, step: &Step) -> f64 {
        let age_ms = self.step_time().saturating_sub(step.at_attended_ms);
        (as_f64(age_ms) / (2.0 * self.mean_delay_ms()).max(as_f64(STEP_MS))).min(1.0)
    }

    /// The show rate with what is known of steps that are not counted yet.
    fn show_rate_now(&self) -> f64 {
        let weight = self.show_weight.max(SHOW_PRIOR);
        let (mut called, mut shown) = (weight, self.show_rate * weight);
        for step in self.steps.iter().filter(|step| !step.counted) {
            let due = as_f64(step.called) * self.due(step);
            if due > 0.0 {
                called += due;
                shown += as_f64(step.turned_up);
            }
        }
        (shown / called).clamp(SHOW_MIN, 1.0)
    }
}

/// The number reached when `people` more are called from `frontier`, at most `issued`.
fn advance_over_voids(frontier: u64, people: u64, issued: u64, voids: &[Range]) -> u64 {
    let mut left = people;
    let mut at = frontier;
    for void in voids.iter().filter(|void| void.hi > frontier + 1) {
        let before = void.lo.saturating_sub(at + 1);
        if before >= left {
            break;
        }
        left -= before;
        at = void.hi - 1;
    }
    if left == 0 {
        frontier.max(at).min(issued)
    } else {
        at.saturating_add(left).min(issued)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of people stay far below 2^53"
)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and a float beyond u64 saturates"
)]
fn as_u64(count: f64) -> u64 {
    count as u64
}
