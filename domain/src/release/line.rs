//! One lane's line: who has been called, who is at the door, who is expected.

use super::{Queue, as_f64};
use crate::lease::{Range, voids_in};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a called visitor may take to turn up before being counted as one who does not, in
/// milliseconds: the longest time between two polls, with its jitter.
const EXPECTED_MS: u64 = 25_000;
/// Between call and turning up, before anybody has, in milliseconds.
const DELAY_MS: f64 = 2_500.0;
/// Weight of the measured delay's history, in visitors.
const DELAY_MEMORY: f64 = 100.0;
/// Who found the bucket empty and was not seen since for this long has gone, in milliseconds.
const PATIENT_MS: u64 = 5_000;
/// Weight of the show rate's history, in visitors who turned up and in visitors called.
const SHOWN_MEMORY: f64 = 200.0;
/// See [`SHOWN_MEMORY`].
const CALLED_MEMORY: f64 = 4_000.0;
/// How much a show rate that nobody has measured weighs at least, in visitors.
const SHOW_PRIOR: f64 = 10.0;
/// Lowest show rate that calling compensates for.
const SHOW_MIN: f64 = 0.05;
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
/// Speed is measured over about this long, in milliseconds.
const SPEED_MS: f64 = 120_000.0;
/// How much the target counts for beside what was measured, in milliseconds.
const SPEED_PRIOR_MS: f64 = 3_000.0;

/// Numbers called together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Last number called.
    pub upto: u64,
    /// How many people that called, voids left out.
    pub called: u64,
    /// How many of them have been admitted.
    pub claimed: u64,
    /// `attended_ms` when they were called.
    pub at_attended_ms: u64,
    /// Whether the show rate has counted it.
    pub counted: bool,
    /// How many of them have turned up, admitted or told to wait.
    #[serde(default)]
    pub turned_up: u64,
}

/// The line's moving part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// All numbers up to it have been called.
    pub frontier: u64,
    /// All numbers up to it have lapsed, unless admitted.
    pub lapsed: u64,
    /// Calls within the claim window, oldest first.
    pub steps: Vec<Step>,
    /// Measured share of the called who turn up.
    pub show_rate: f64,
    /// How many visitors called that is measured from.
    #[serde(default)]
    pub show_weight: f64,
    /// Measured mean time between the call and turning up, in attended milliseconds; 0: unknown.
    #[serde(default)]
    pub delay_ms: f64,
    /// The share that [`Line::served`] is counted under.
    #[serde(default)]
    pub share: u32,
    /// Admissions on the lane's account: with its share it says whose turn it is.
    #[serde(default)]
    pub served: u64,
    /// People called lately while others were still to be called, fading.
    #[serde(default)]
    pub speed_called: f64,
    /// The milliseconds in which they were, fading alike.
    #[serde(default)]
    pub speed_ms: f64,
    /// Whether someone was left to be called at the last look.
    #[serde(default)]
    pub behind: bool,
    /// Who turned up in time and was told to wait, and `attended_ms` when last seen: they keep the
    /// place. Not stored: a restart costs them no more than their claim window.
    #[serde(skip)]
    pub turned_up: BTreeMap<u64, u64>,
}

impl Line {
    /// A line that nobody has been called from; numbers begin after `base`.
    pub fn new(base: u64) -> Self {
        Self {
            frontier: base,
            lapsed: base,
            steps: Vec::new(),
            show_rate: 1.0,
            show_weight: SHOW_PRIOR,
            delay_ms: DELAY_MS,
            share: 0,
            served: 0,
            speed_called: 0.0,
            speed_ms: 0.0,
            behind: false,
            turned_up: BTreeMap::new(),
        }
    }

    /// How fast it moves, in people called a minute while people wait: measured, and near the target
    /// as long as little is. `target_per_minute` is the lane's part of the pace, in claims.
    pub fn calls_per_minute(&self, target_per_minute: u64) -> u64 {
        let target = as_f64(target_per_minute) / self.show_rate.max(SHOW_MIN);
        let called = self.speed_called + target * SPEED_PRIOR_MS / 60_000.0;
        as_u64((called * 60_000.0 / (self.speed_ms + SPEED_PRIOR_MS)).round()).max(1)
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
    pub(super) fn is_called(&self, number: u64) -> bool {
        number <= self.frontier && (number > self.lapsed || self.turned_up.contains_key(&number))
    }

    /// Lets a called number in.
    pub(super) fn enter(&mut self, number: u64, attended_ms: u64) {
        self.served += 1;
        let waited = self.turned_up.remove(&number).is_some();
        if let Some(index) = self.step_of(number) {
            self.steps[index].claimed += 1;
            if !waited {
                self.note_turned_up(index, attended_ms);
            }
        }
    }

    /// Keeps a called number at the door.
    pub(super) fn keep_waiting(&mut self, number: u64, attended_ms: u64) {
        if let Some(seen_ms) = self.turned_up.get_mut(&number) {
            *seen_ms = attended_ms;
        } else if self.turned_up.len() < TURNED_UP_MAX {
            self.turned_up.insert(number, attended_ms);
            if let Some(index) = self.step_of(number) {
                self.note_turned_up(index, attended_ms);
            }
        }
    }

    /// How many are waiting at the door with a smaller number.
    pub(super) fn before(&self, number: u64) -> u64 {
        self.turned_up.range(..number).fold(0, |n, _| n + 1)
    }

    /// How many were at the door a moment ago.
    pub(super) fn at_the_door(&self, attended_ms: u64) -> u64 {
        let there = |seen_ms: &&u64| attended_ms - **seen_ms < PATIENT_MS;
        self.turned_up.values().filter(there).fold(0, |n, _| n + 1)
    }

    /// Whether anyone stands in it, is expected or is at the door.
    pub(super) fn is_busy(&self, queue: &Queue<'_>) -> bool {
        queue.issued > self.frontier
            || !self.turned_up.is_empty()
            || self.steps.iter().any(|step| !step.counted)
    }

    /// The step in which `number` was called, unless it has lapsed.
    fn step_of(&self, number: u64) -> Option<usize> {
        let index = self.steps.partition_point(|step| step.upto < number);
        (number > self.lapsed && index < self.steps.len()).then_some(index)
    }

    fn note_turned_up(&mut self, index: usize, attended_ms: u64) {
        let step = &mut self.steps[index];
        step.turned_up += 1;
        // Who comes later was not expected any more.
        if !step.counted {
            let delay_ms = as_f64(attended_ms - step.at_attended_ms);
            self.delay_ms += (delay_ms - self.delay_ms) / DELAY_MEMORY;
        }
    }

    /// Lapses whose window is over. True when someone did.
    pub(super) fn lapse(&mut self, attended_ms: u64, claim_window_ms: u64) -> bool {
        let before = self.lapsed;
        let expected_ms = EXPECTED_MS.min(claim_window_ms);
        let (mut called, mut turned_up) = (0, 0);
        let mut older = false;
        for step in &mut self.steps {
            let age_ms = attended_ms - step.at_attended_ms;
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
            self.merge(attended_ms, claim_window_ms);
        }
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

    /// Calls so many people more, as far as there are any. True when someone was called.
    /// `elapsed_ms` have gone by since the last time.
    pub(super) fn call(
        &mut self,
        people: u64,
        queue: &Queue<'_>,
        attended_ms: u64,
        elapsed_ms: u64,
    ) -> bool {
        let upto = advance_over_voids(self.frontier, people, queue.issued, queue.voids);
        let span = Range {
            lo: self.frontier + 1,
            hi: upto.max(self.frontier) + 1,
        };
        let called = span.len() - voids_in(queue.voids, span);
        self.note_speed(called, elapsed_ms);
        self.behind = queue.issued > span.hi - 1;
        if span.is_empty() {
            return false;
        }
        self.frontier = upto;
        let at_attended_ms = step_time(attended_ms);
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

    /// Speed is that of a line with people in it: whoever comes to an empty one is called at once,
    /// and the first to be called fill the door, once.
    fn note_speed(&mut self, called: u64, elapsed_ms: u64) {
        if !self.behind {
            return;
        }
        self.speed_called += as_f64(called);
        self.speed_ms += as_f64(elapsed_ms);
        if self.speed_ms > SPEED_MS {
            self.speed_called *= SPEED_MS / self.speed_ms;
            self.speed_ms = SPEED_MS;
        }
    }

    /// Older steps are kept coarsely, the coarser when they only wait for their window to end: each
    /// gets the window of the last of those it is kept with.
    fn merge(&mut self, attended_ms: u64, claim_window_ms: u64) {
        let coarse_ms = (claim_window_ms / STEPS_PER_WINDOW).max(STEP_MS);
        let mut merged: Vec<Step> = Vec::with_capacity(self.steps.len());
        for step in self.steps.drain(..) {
            let age_ms = attended_ms - step.at_attended_ms;
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

    /// How many people there could be at the door before long.
    pub(super) fn demand(&self, queue: &Queue<'_>, attended_ms: u64) -> f64 {
        let span = Range {
            lo: self.frontier + 1,
            hi: queue.issued + 1,
        };
        let to_call = as_f64(span.len().saturating_sub(voids_in(queue.voids, span)));
        to_call * self.show_rate_now(attended_ms) + self.present(attended_ms)
    }

    /// Before the first are called: that people turn up is believed as firmly as if so many had. Else a
    /// crowd whose first polls are slow is taken for one that stays away, and called as a whole.
    pub(super) fn trust(&mut self, people: f64) {
        if self.steps.is_empty() {
            self.show_weight = self.show_weight.max(people);
        }
    }

    /// How many more people to call, so that `target` are at the door or expected there.
    pub(super) fn people_to_call(&self, target: f64, attended_ms: u64) -> u64 {
        let missing = target - self.present(attended_ms);
        // Whatever rounding leaves of a person is nobody.
        if missing < 1e-6 {
            return 0;
        }
        as_u64((missing / self.show_rate_now(attended_ms)).ceil())
    }

    /// People at the door and expected there.
    fn present(&self, attended_ms: u64) -> f64 {
        let show_rate = self.show_rate_now(attended_ms);
        let expected: f64 = self
            .steps
            .iter()
            .filter(|step| !step.counted)
            .map(|step| {
                let due = self.due(step, attended_ms);
                let missing = as_f64(step.called) - as_f64(step.turned_up);
                // Of those not seen yet, some will come and some never do.
                missing * show_rate * (1.0 - due) / (1.0 - show_rate * due).max(1e-9)
            })
            .sum();
        expected + as_f64(self.at_the_door(attended_ms))
    }

    pub(super) fn mean_delay_ms(&self) -> f64 {
        if self.delay_ms > 0.0 {
            self.delay_ms
        } else {
            DELAY_MS
        }
    }

    /// The share of a step's visitors who should have turned up by now, of those who ever do:
    /// polls are spread evenly, so it grows evenly.
    fn due(&self, step: &Step, attended_ms: u64) -> f64 {
        let age_ms = step_time(attended_ms).saturating_sub(step.at_attended_ms);
        (as_f64(age_ms) / (2.0 * self.mean_delay_ms()).max(as_f64(STEP_MS))).min(1.0)
    }

    /// The show rate with what is known of steps that are not counted yet.
    fn show_rate_now(&self, attended_ms: u64) -> f64 {
        let weight = self.show_weight.max(SHOW_PRIOR);
        let (mut called, mut shown) = (weight, self.show_rate * weight);
        for step in self.steps.iter().filter(|step| !step.counted) {
            let due = as_f64(step.called) * self.due(step, attended_ms);
            if due > 0.0 {
                called += due;
                shown += as_f64(step.turned_up);
            }
        }
        (shown / called).clamp(SHOW_MIN, 1.0)
    }
}

fn step_time(attended_ms: u64) -> u64 {
    attended_ms - attended_ms % STEP_MS
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
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and a float beyond u64 saturates"
)]
fn as_u64(count: f64) -> u64 {
    count as u64
}
