//! Pace: however many of the called do not turn up, the line keeps its target.
//!
//! A sale of five minutes in virtual time. Visitors poll as a waiting page is told to, learn of
//! their call from a status document that is up to a second old, claim, and come back when told
//! to wait. Every claim is an event of its own, in order of time.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod dice;

use catraca_domain::release::{Claim, Moment, Queue, Release};
use dice::Dice;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const START_MS: u64 = 1_000_000;
const RUN_MS: u64 = 300_000;
/// Windows are judged from here on.
const SETTLED_MS: u64 = 60_000;
const WINDOW_MS: u64 = 10_000;
const ALARM_MS: u64 = 500;

struct Sale {
    seed: u64,
    rate_per_minute: u32,
    no_show_percent: u64,
}

struct Outcome {
    claims_ms: Vec<u64>,
    attempts: u64,
    lapsed: u64,
}

impl Sale {
    fn moment(&self, now_ms: u64) -> Moment<'static> {
        Moment {
            now_ms,
            open: true,
            paced: true,
            rate_per_minute: self.rate_per_minute,
            max_active: 1_000_000,
            active: 0,
            queues: &[Queue {
                share: 100,
                issued: 10_000_000,
                voids: &[],
            }],
            claim_window_ms: 60_000,
        }
    }

    /// What `Status::view` tells one who waits, with its jitter.
    fn poll_after_ms(&self, ahead: u64, dice: &mut Dice) -> u64 {
        let eta_ms = ahead * 60_000 / u64::from(self.rate_per_minute);
        (eta_ms / 4).clamp(1_000, 20_000) * (800 + dice.roll(401)) / 1_000
    }

    fn run(&self) -> Outcome {
        let mut dice = Dice(self.seed * 2_654_435_761 + 1);
        let mut release = Release::new(START_MS);
        let people = u64::from(self.rate_per_minute) * 6 * 100 / (100 - self.no_show_percent);
        // The heap of what happens next; number 0 is the alarm.
        let mut next = BinaryHeap::from([Reverse((START_MS, 0))]);
        for number in 1..=people {
            if dice.roll(100) >= self.no_show_percent {
                next.push(Reverse((START_MS + dice.roll(1_000), number)));
            }
        }
        let (mut claims_ms, mut attempts, mut lapsed) = (Vec::new(), 0, 0);
        let (mut seen, mut seen_ms) = (0, 0);
        while let Some(Reverse((now_ms, number))) = next.pop() {
            if now_ms >= START_MS + RUN_MS {
                break;
            }
            let moment = self.moment(now_ms);
            if number == 0 {
                release.advance(&moment);
                next.push(Reverse((now_ms + ALARM_MS, 0)));
                continue;
            }
            // The isolate's copy of the status document.
            if now_ms >= seen_ms + 800 {
                release.advance(&moment);
                (seen, seen_ms) = (release.standard.frontier, now_ms);
            }
            if number > seen {
                let again_ms = self.poll_after_ms(number - seen - 1, &mut dice);
                next.push(Reverse((now_ms + again_ms, number)));
                continue;
            }
            attempts += 1;
            release.advance(&moment);
            match release.claim(number, &moment) {
                Claim::Admit => claims_ms.push(now_ms),
                Claim::Wait { retry_after_ms } => {
                    next.push(Reverse((now_ms + retry_after_ms + dice.roll(50), number)));
                }
                Claim::Lapsed => lapsed += 1,
                Claim::NotCalled => panic!("{number} was called and is not"),
            }
        }
        Outcome {
            claims_ms,
            attempts,
            lapsed,
        }
    }
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap())
}

/// The smallest and largest window once settled, as shares of the target.
fn windows(outcome: &Outcome, rate_per_minute: u32) -> (f64, f64) {
    let target = f64::from(rate_per_minute) / 6.0;
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    let mut from_ms = START_MS + SETTLED_MS;
    while from_ms + WINDOW_MS <= START_MS + RUN_MS {
        let claims = &outcome.claims_ms;
        let first = claims.partition_point(|at_ms| *at_ms < from_ms);
        let end = claims.partition_point(|at_ms| *at_ms < from_ms + WINDOW_MS);
        let share = count(end - first) / target;
        (least, most) = (least.min(share), most.max(share));
        from_ms += 250;
    }
    (least, most)
}

/// Over the whole run, settled or not: no window has more than target plus one quantum.
fn never_beyond_the_cap(outcome: &Outcome, rate_per_minute: u32) {
    let quantum = usize::try_from(Release::quantum(rate_per_minute)).unwrap();
    let allowed = usize::try_from(rate_per_minute / 6).unwrap() + quantum;
    for (first, at_ms) in outcome.claims_ms.iter().enumerate() {
        let within = outcome.claims_ms[first..].partition_point(|ms| ms - at_ms < WINDOW_MS);
        assert!(
            within <= allowed,
            "{within} claims in a window of {allowed}"
        );
    }
}

#[test]
fn every_window_keeps_the_pace() {
    for (rate_per_minute, seeds) in [(600, 1..=8), (3_000, 9..=9)] {
        for no_show_percent in [0, 50, 90] {
            for seed in seeds.clone() {
                let sale = Sale {
                    seed,
                    rate_per_minute,
                    no_show_percent,
                };
                let outcome = sale.run();
                never_beyond_the_cap(&outcome, rate_per_minute);
                let (least, most) = windows(&outcome, rate_per_minute);
                let attempts = count(usize::try_from(outcome.attempts).unwrap())
                    / count(outcome.claims_ms.len());
                println!(
                    "{rate_per_minute} a minute, {no_show_percent} % away, seed {seed}: windows \
                     {least:.3} to {most:.3}, {attempts:.1} attempts a claim, {} lapsed",
                    outcome.lapsed
                );
                assert!(
                    least >= 0.98 && most <= 1.02,
                    "{rate_per_minute} a minute, {no_show_percent} % away, seed {seed}: \
                     windows from {least:.3} to {most:.3} of target"
                );
            }
        }
    }
}

/// The way to the room may be slow just when it opens: that is not a crowd that stays away.
#[test]
fn a_crowd_that_is_late_at_the_opening_is_not_called_as_a_whole() {
    for rate_per_minute in [60, 600, 1_200, 6_000] {
        let sale = Sale {
            seed: 1,
            rate_per_minute,
            no_show_percent: 0,
        };
        let mut release = Release::new(START_MS);
        release.advance(&sale.moment(START_MS));
        let first = release.standard.frontier;
        for elapsed_ms in (0..=2_000).step_by(50) {
            release.advance(&sale.moment(START_MS + elapsed_ms));
        }
        let called = release.standard.frontier;
        println!("{rate_per_minute} a minute: {first} called, {called} when none came for 2 s");
        assert!(
            called <= first * 2,
            "{rate_per_minute} a minute: {first}, then {called}"
        );
    }
}
