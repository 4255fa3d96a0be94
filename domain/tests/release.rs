//! Release control in a simulated on-sale, against sums kept apart from it.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod dice;

use catraca_domain::lease::Range;
use catraca_domain::release::{Claim, Moment, Queue, Release};
use dice::Dice;
use proptest::prelude::*;
use std::collections::BTreeMap;

const WINDOW_MS: u64 = 10_000;

impl Dice {
    fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

#[derive(Debug, Clone)]
struct Plan {
    seed: u64,
    rate_per_minute: u32,
    max_active: u64,
    claim_window_ms: u64,
    session_ms: u64,
    people: u64,
    show_percent: u64,
    /// Longest time between two alarms; 0: there are none.
    alarm_ms_max: u64,
    /// Percent chance a second that the room is paused for a while, and that it restarts.
    pause_percent: u64,
    restart_percent: u64,
    voids: Vec<Range>,
    seconds: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let pace = (
        1..u64::MAX,
        1..6_000_u32,
        1..300_u64,
        5..120_u64,
        1..120_u64,
    );
    let crowd = (1..600_u64, 0..=100_u64, 0..15_000_u64, 0..20_u64, 0..10_u64);
    let voids = prop::collection::btree_map(1..600_u64, 1..20_u64, 0..5);
    (pace, crowd, voids).prop_map(|(pace, crowd, voids)| {
        let (seed, rate_per_minute, max_active, window, session) = pace;
        let (people, show_percent, alarm_ms_max, pause_percent, restart_percent) = crowd;
        Plan {
            seed,
            rate_per_minute,
            max_active,
            claim_window_ms: window * 1_000,
            session_ms: session * 1_000,
            people,
            show_percent,
            alarm_ms_max,
            pause_percent,
            restart_percent,
            voids: apart(&voids),
            seconds: 60,
        }
    })
}

fn apart(voids: &BTreeMap<u64, u64>) -> Vec<Range> {
    let mut end = 0;
    let mut ranges = Vec::new();
    for (lo, len) in voids {
        if *lo > end {
            end = lo + len;
            ranges.push(Range { lo: *lo, hi: end });
        }
    }
    ranges
}

/// The sale as an auditor sees it.
struct Sale {
    plan: Plan,
    dice: Dice,
    release: Release,
    now_ms: u64,
    paused_until_ms: u64,
    active: Vec<(u64, u64)>,
    claims_ms: Vec<u64>,
    /// For each number that has been called: how long it could have come in.
    could_ms: BTreeMap<u64, u64>,
    shows: Vec<bool>,
    next_poll_ms: Vec<u64>,
    inside: Vec<bool>,
    told_to_wait_ms: BTreeMap<u64, u64>,
}

impl Sale {
    fn new(plan: Plan) -> Self {
        let mut dice = Dice(plan.seed);
        let people = usize::try_from(plan.people).unwrap() + 1;
        let shows = (0..people)
            .map(|_| dice.percent(plan.show_percent))
            .collect();
        Self {
            dice,
            release: Release::new(1_000_000),
            now_ms: 1_000_000,
            paused_until_ms: 0,
            active: Vec::new(),
            claims_ms: Vec::new(),
            could_ms: BTreeMap::new(),
            shows,
            next_poll_ms: vec![0; people],
            inside: vec![false; people],
            told_to_wait_ms: BTreeMap::new(),
            plan,
        }
    }

    fn open(&self) -> bool {
        self.now_ms >= self.paused_until_ms
    }

    fn look<T>(&mut self, act: impl FnOnce(&mut Release, &Moment<'_>) -> T) -> T {
        let now_ms = self.now_ms;
        self.active.retain(|(_, until_ms)| *until_ms > now_ms);
        let moment = Moment {
            now_ms,
            open: self.open(),
            paced: true,
            rate_per_minute: self.plan.rate_per_minute,
            max_active: self.plan.max_active,
            active: u64::try_from(self.active.len()).unwrap(),
            queues: &[Queue {
                share: 100,
                issued: self.plan.people,
                voids: &self.plan.voids,
            }],
            claim_window_ms: self.plan.claim_window_ms,
        };
        let (frontier, lapsed) = (self.release.standard.frontier, self.release.standard.lapsed);
        self.release.advance(&moment);
        assert!(
            self.release.standard.frontier >= frontier && self.release.standard.lapsed >= lapsed
        );
        assert!(self.release.standard.frontier <= self.plan.people);
        assert!(self.release.standard.lapsed <= self.release.standard.frontier);
        assert!(
            self.release.standard.steps.len() <= 100,
            "{} steps",
            self.release.standard.steps.len()
        );
        if self.dice.percent(20) {
            // Said twice, nothing more happens.
            let once = self.release.clone();
            assert!(!self.release.advance(&moment));
            assert_eq!(self.release, once);
        }
        let grain_ms = (self.plan.claim_window_ms / 64).max(250);
        for number in lapsed + 1..=self.release.standard.lapsed {
            let could_ms = self.could_ms.get(&number).copied().unwrap_or(0);
            assert!(
                could_ms + grain_ms >= self.plan.claim_window_ms,
                "{number} lapsed after {could_ms} ms in which it could have come"
            );
        }
        for number in frontier + 1..=self.release.standard.frontier {
            self.could_ms.insert(number, 0);
        }
        act(&mut self.release, &moment)
    }

    fn claim(&mut self, number: u64) {
        let index = usize::try_from(number).unwrap();
        let answer = self.look(|release, moment| release.claim(number, moment));
        match answer {
            Claim::Admit => {
                assert!(!std::mem::replace(&mut self.inside[index], true));
                self.active
                    .push((number, self.now_ms + self.plan.session_ms));
                self.claims_ms.push(self.now_ms);
                let active = u64::try_from(self.active.len()).unwrap();
                assert!(active <= self.plan.max_active, "{active} are in");
                // The room looks again after every change.
                self.look(|_, _| ());
            }
            Claim::Wait { retry_after_ms } => {
                assert!((100..=2_000).contains(&retry_after_ms));
                self.told_to_wait_ms.insert(number, self.now_ms);
            }
            Claim::NotCalled => assert!(number > self.release.standard.frontier),
            Claim::Lapsed => {
                let told_ms = self.told_to_wait_ms.get(&number);
                let patient = told_ms.is_some_and(|at| self.now_ms - at < 2_500);
                assert!(
                    !patient || self.plan.restart_percent > 0,
                    "{number} waited and lapsed"
                );
                self.inside[index] = true;
            }
        }
    }

    fn run(&mut self) {
        let end_ms = self.now_ms + self.plan.seconds * 1_000;
        let mut next_alarm_ms = 0;
        while self.now_ms < end_ms {
            let step_ms = 1 + self.dice.roll(120);
            let open = self.open();
            self.active.retain(|(_, until_ms)| *until_ms > self.now_ms);
            let free = u64::try_from(self.active.len()).unwrap() < self.plan.max_active;
            self.now_ms += step_ms;
            if open && free {
                for could_ms in self.could_ms.values_mut() {
                    *could_ms += step_ms;
                }
            }
            self.something_happens();
            if self.plan.alarm_ms_max > 0 && self.now_ms >= next_alarm_ms {
                self.look(|_, _| ());
                next_alarm_ms = self.now_ms + self.dice.roll(self.plan.alarm_ms_max);
            }
            for number in 1..=self.plan.people {
                let index = usize::try_from(number).unwrap();
                let there = self.shows[index] && !self.inside[index];
                if there && self.now_ms >= self.next_poll_ms[index] {
                    self.claim(number);
                    // As a waiting page is told to: see `Status::view`.
                    let ahead = number.saturating_sub(self.release.standard.frontier + 1);
                    let eta_ms = ahead * 60_000 / u64::from(self.plan.rate_per_minute);
                    let wait_ms = (eta_ms / 4).clamp(1_000, 20_000) * 4 / 5;
                    self.next_poll_ms[index] = self.now_ms + wait_ms + self.dice.roll(wait_ms / 2);
                }
            }
        }
    }

    fn something_happens(&mut self) {
        let second = self.now_ms / 1_000 != (self.now_ms - 60) / 1_000;
        if second && self.open() && self.dice.percent(self.plan.pause_percent) {
            self.look(|_, _| ());
            self.paused_until_ms = self.now_ms + 1 + self.dice.roll(8_000);
            self.look(|_, _| ());
        }
        if second && self.dice.percent(self.plan.restart_percent) {
            let json = serde_json::to_string(&self.release).unwrap();
            let stored: Release = serde_json::from_str(&json).unwrap();
            self.release = stored.resumed(self.now_ms);
        }
        if self.dice.percent(10) && !self.active.is_empty() {
            self.look(|_, _| ());
            let count = u64::try_from(self.active.len()).unwrap();
            let index = usize::try_from(self.dice.roll(count)).unwrap();
            if count > 0 {
                self.active.swap_remove(index);
            }
            self.look(|_, _| ());
        }
    }

    fn check_pace(&self) {
        let rate = u64::from(self.plan.rate_per_minute);
        let allowed = rate * WINDOW_MS / 60_000 + Release::quantum(self.plan.rate_per_minute) + 1;
        for (first, at_ms) in self.claims_ms.iter().enumerate() {
            let within = self.claims_ms[first..].partition_point(|ms| ms - at_ms < WINDOW_MS);
            let within = u64::try_from(within).unwrap();
            assert!(
                within <= allowed,
                "{within} claims in a window of {allowed}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn bounds_hold_whatever_happens(plan in plan()) {
        let mut sale = Sale::new(plan);
        sale.run();
        sale.check_pace();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The same for many short sales of few people.
    #[test]
    fn bounds_hold_in_small_sales(plan in plan(), people in 1..40_u64, seconds in 1..12_u64) {
        let max_active = plan.max_active % 20 + 1;
        let mut sale = Sale::new(Plan { max_active, people, seconds, ..plan });
        sale.run();
        sale.check_pace();
    }
}

fn steady(rate_per_minute: u32, show_percent: u64, alarm_ms_max: u64) -> f64 {
    let mut sale = Sale::new(Plan {
        seed: 42,
        rate_per_minute,
        max_active: 1_000_000,
        claim_window_ms: 60_000,
        session_ms: 600_000,
        people: u64::from(rate_per_minute) * 5 * 100 / show_percent.max(5),
        show_percent,
        alarm_ms_max,
        pause_percent: 0,
        restart_percent: 0,
        voids: Vec::new(),
        seconds: 240,
    });
    sale.run();
    sale.check_pace();
    let from_ms = 1_000_000 + 60_000;
    let claims = sale
        .claims_ms
        .iter()
        .filter(|at_ms| **at_ms >= from_ms)
        .count();
    f64::from(u32::try_from(claims).unwrap()) / (f64::from(rate_per_minute) * 3.0)
}

#[test]
fn no_shows_do_not_slow_the_line() {
    for show_percent in [100, 50, 10] {
        for alarm_ms_max in [0, 500, 5_000] {
            let share = steady(120, show_percent, alarm_ms_max);
            println!("{show_percent} % turn up, alarms {alarm_ms_max} ms: {share:.3} of target");
            assert!(
                share > 0.98,
                "{show_percent} % turn up: {share:.3} of target"
            );
            assert!(share < 1.01);
        }
    }
}

#[test]
fn nobody_lapses_while_paused_or_full() {
    for (open, active) in [(false, 0), (true, 3)] {
        let mut release = Release::new(0);
        let mut moment = Moment {
            now_ms: 0,
            open: true,
            paced: true,
            rate_per_minute: 600,
            max_active: 3,
            active: 0,
            queues: &[Queue {
                share: 100,
                issued: 100,
                voids: &[],
            }],
            claim_window_ms: 5_000,
        };
        release.advance(&moment);
        let called = release.standard.frontier;
        assert!(called > 0);
        (moment.open, moment.active) = (open, active);
        for second in 1..1_000 {
            moment.now_ms = second * 1_000;
            release.advance(&moment);
        }
        assert_eq!(
            (release.standard.frontier, release.standard.lapsed),
            (called, 0)
        );
        (moment.open, moment.active) = (true, 0);
        for _ in 0..2 {
            moment.now_ms += 4_000;
            assert!(!matches!(release.claim(called, &moment), Claim::Lapsed));
        }
    }
}

#[test]
fn a_called_number_turned_away_by_the_bucket_keeps_its_place() {
    let mut release = Release::new(0);
    let mut moment = Moment {
        now_ms: 1_000,
        open: true,
        paced: true,
        rate_per_minute: 6,
        max_active: 100,
        active: 0,
        queues: &[Queue {
            share: 100,
            issued: 50,
            voids: &[],
        }],
        claim_window_ms: 5_000,
    };
    release.standard.show_rate = 0.05;
    release.advance(&moment);
    let called = release.standard.frontier;
    assert!(called >= 10, "{called}");
    let mut inside = 0;
    while moment.now_ms < 60_000 {
        moment.now_ms += 1_000;
        release.advance(&moment);
        for number in inside + 1..=called {
            match release.claim(number, &moment) {
                Claim::Admit => inside = number,
                Claim::Wait { .. } => break,
                other => panic!("{number}: {other:?}"),
            }
        }
        for number in inside + 1..=called {
            assert!(matches!(release.claim(number, &moment), Claim::Wait { .. }));
        }
    }
    assert!((5..=7).contains(&inside), "{inside} in a minute");
}

#[test]
fn without_a_pace_everyone_given_a_number_is_called() {
    let mut release = Release::new(0);
    let moment = Moment {
        now_ms: 0,
        open: true,
        paced: false,
        rate_per_minute: 1,
        max_active: 2,
        active: 0,
        queues: &[Queue {
            share: 100,
            issued: 100,
            voids: &[],
        }],
        claim_window_ms: 5_000,
    };
    release.advance(&moment);
    assert_eq!(release.standard.frontier, 100);
    assert_eq!(release.claim(100, &moment), Claim::Admit);
    let full = Moment {
        active: 2,
        ..moment
    };
    assert!(matches!(release.claim(99, &full), Claim::Wait { .. }));
}

#[test]
fn clocks_that_jump_do_no_harm() {
    let mut release = Release::new(1_000_000);
    let at = |now_ms| Moment {
        now_ms,
        open: true,
        paced: true,
        rate_per_minute: 60,
        max_active: 100,
        active: 0,
        queues: &[Queue {
            share: 100,
            issued: 100,
            voids: &[],
        }],
        claim_window_ms: 60_000,
    };
    for now_ms in [
        1_000_000,
        999_000,
        2_000_000,
        10_000,
        11_000,
        u64::MAX / 2,
        0,
        1_000,
    ] {
        release.advance(&at(now_ms));
        assert!(release.bucket_micro <= 1_000_000);
        assert!(release.attended_ms <= 60_000);
    }
    assert!(matches!(release.claim(1, &at(2_000)), Claim::Admit));
}
