//! Lanes: the pace divided by declared shares, exactly in the long run; against references kept apart.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod dice;

use catraca_domain::lane;
use catraca_domain::release::share::{Demand, Turn, divide, is_turn_of};
use catraca_domain::release::{Claim, Moment, Queue, Release};
use dice::Dice;
use proptest::prelude::*;
use std::collections::BTreeSet;

const START_MS: u64 = 1_000_000;
const WINDOW_MS: u64 = 10_000;

#[derive(Debug, Clone)]
struct Plan {
    seed: u64,
    shares: Vec<u32>,
    rate_per_minute: u32,
    max_active: u64,
    session_ms: u64,
    seconds: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let shares = prop::collection::vec(1..100_u32, 2..5);
    let pace = (30..300_u32, 1..60_u64, 1..5_u64, 2..7_u64);
    (1..u64::MAX, shares, pace).prop_map(|(seed, shares, pace)| {
        let (rate_per_minute, max_active, session, seconds) = pace;
        Plan {
            seed,
            shares,
            rate_per_minute,
            max_active,
            session_ms: session * 1_000,
            seconds,
        }
    })
}

/// A sale in which everyone called is at the door at once and asks again and again.
struct Sale {
    plan: Plan,
    dice: Dice,
    release: Release,
    now_ms: u64,
    /// Last number given, by lane.
    issued: Vec<u64>,
    /// Last number that knows of its call, by lane.
    called: Vec<u64>,
    at_the_door: Vec<BTreeSet<u64>>,
    /// When each admission ends.
    active: Vec<u64>,
    claims: Vec<(u64, usize)>,
}

impl Sale {
    fn new(plan: Plan, people: &[u64]) -> Self {
        let bases: Vec<u64> = (0..people.len()).map(lane::base).collect();
        Self {
            dice: Dice(plan.seed),
            release: Release::new(START_MS),
            now_ms: START_MS,
            issued: bases.iter().zip(people).map(|(base, n)| base + n).collect(),
            at_the_door: vec![BTreeSet::new(); bases.len()],
            called: bases,
            active: Vec::new(),
            claims: Vec::new(),
            plan,
        }
    }

    fn look<T>(&mut self, act: impl FnOnce(&mut Release, &Moment<'_>) -> T) -> T {
        let now_ms = self.now_ms;
        self.active.retain(|until_ms| *until_ms > now_ms);
        let queues: Vec<Queue<'_>> = (self.plan.shares.iter().zip(&self.issued))
            .map(|(share, issued)| Queue {
                share: *share,
                issued: *issued,
                voids: &[],
            })
            .collect();
        let moment = Moment {
            now_ms,
            open: true,
            paced: true,
            rate_per_minute: self.plan.rate_per_minute,
            max_active: self.plan.max_active,
            active: u64::try_from(self.active.len()).unwrap(),
            claim_window_ms: 600_000,
            queues: &queues,
        };
        self.release.advance(&moment);
        let once = self.release.clone();
        assert!(
            !self.release.advance(&moment),
            "said twice, nothing more happens"
        );
        assert_eq!(self.release, once);
        act(&mut self.release, &moment)
    }

    /// Whoever has been called comes to the door, where all that could come in have.
    fn turn_up(&mut self) {
        for slot in 0..self.issued.len() {
            let frontier = self.look(|release, _| release.line(slot).unwrap().frontier);
            while self.called[slot] < frontier {
                self.called[slot] += 1;
                self.at_the_door[slot].insert(self.called[slot]);
                self.claim(slot, self.called[slot]);
            }
        }
    }

    /// Everyone at the doors asks again, in any order, until nobody is let in any more.
    fn ask(&mut self) {
        for line in std::iter::once(&mut self.release.standard).chain(&mut self.release.lanes) {
            for seen_ms in line.turned_up.values_mut() {
                *seen_ms = self.release.attended_ms;
            }
        }
        let mut asking: Vec<usize> = (0..self.issued.len()).collect();
        while !asking.is_empty() {
            let n = u64::try_from(asking.len()).unwrap();
            let at = usize::try_from(self.dice.roll(n)).unwrap();
            let slot = asking[at];
            let let_in = match self.at_the_door[slot].first().copied() {
                Some(number) => self.claim(slot, number),
                None => false,
            };
            if !let_in {
                asking.swap_remove(at);
            }
        }
    }

    fn claim(&mut self, slot: usize, number: u64) -> bool {
        match self.look(|release, moment| release.claim(number, moment)) {
            Claim::Admit => {
                self.at_the_door[slot].remove(&number);
                self.active.push(self.now_ms + self.plan.session_ms);
                self.claims.push((self.now_ms, slot));
                let active = u64::try_from(self.active.len()).unwrap();
                assert!(active <= self.plan.max_active);
                true
            }
            Claim::Wait { retry_after_ms } => {
                assert!((100..=2_000).contains(&retry_after_ms));
                false
            }
            other => panic!("{number}: {other:?}"),
        }
    }

    fn run(&mut self, seconds: u64) {
        let end_ms = self.now_ms + seconds * 1_000;
        self.turn_up();
        while self.now_ms < end_ms {
            self.now_ms += 1 + self.dice.roll(400);
            self.ask();
            self.turn_up();
        }
    }

    fn check_pace(&self) {
        let rate = u64::from(self.plan.rate_per_minute);
        let allowed = rate * WINDOW_MS / 60_000 + Release::quantum(self.plan.rate_per_minute) + 1;
        for (first, (at_ms, _)) in self.claims.iter().enumerate() {
            let within = self.claims[first..].partition_point(|(ms, _)| ms - at_ms < WINDOW_MS);
            assert!(u64::try_from(within).unwrap() <= allowed);
        }
    }

    /// The most that a busy lane is off its share, from claim `from` on.
    fn furthest_off(&self, busy: &[usize], from: usize) -> f64 {
        let total: u32 = busy.iter().map(|slot| self.plan.shares[*slot]).sum();
        let mut got = vec![0.0; self.plan.shares.len()];
        let mut off = 0.0_f64;
        let mut all = 0.0;
        for (_, slot) in &self.claims[from..] {
            got[*slot] += 1.0;
            all += 1.0;
            for slot in busy {
                let due = all * f64::from(self.plan.shares[*slot]) / f64::from(total);
                off = off.max((got[*slot] - due).abs());
            }
        }
        off
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn lanes_f64(plan: &Plan) -> f64 {
    f64::from(u32::try_from(plan.shares.len()).unwrap())
}

proptest! {
    #![proptest_config(cases(10_000))]

    /// With people in every lane, at no time is any lane further off its share than a claim for each
    /// lane: the error does not grow, so in the long run shares are exact.
    #[test]
    fn shares_are_exact_while_everyone_waits(plan in plan(), full: bool) {
        let mut bound = lanes_f64(&plan);
        let mut plan = plan;
        if full {
            // Nobody is called while the shop is full, so the one whose turn it is may not be there
            // when someone leaves: a lane may be behind by what it is let to catch up with.
            bound += f64::from((plan.rate_per_minute * 10 / 60).max(2));
        } else {
            plan.max_active = 100_000;
        }
        let everyone = vec![100_000; plan.shares.len()];
        let all: Vec<usize> = (0..plan.shares.len()).collect();
        let mut sale = Sale::new(plan.clone(), &everyone);
        sale.run(plan.seconds);
        sale.check_pace();
        let off = sale.furthest_off(&all, 0);
        prop_assert!(off <= bound, "{off} claims off");
    }

    /// Lanes without people lend their share: the others divide it by theirs, and the pace is kept.
    /// Once there are people again they get their share, and nothing for the time before.
    #[test]
    fn an_unused_share_flows_to_the_others(plan in plan(), empty in 0..31_u64) {
        let lanes = plan.shares.len();
        let people: Vec<u64> = (0..lanes)
            .map(|slot| if slot > 0 && empty >> (slot - 1) & 1 == 1 { 0 } else { 100_000 })
            .collect();
        let busy: Vec<usize> = (0..lanes).filter(|slot| people[*slot] > 0).collect();
        let bound = lanes_f64(&plan);
        // With less the bucket runs over between two looks.
        let rate_per_minute = plan.rate_per_minute + 90;
        let plan = Plan { max_active: 100_000, rate_per_minute, ..plan };
        let mut sale = Sale::new(plan.clone(), &people);
        sale.run(plan.seconds);
        sale.check_pace();
        prop_assert!(sale.furthest_off(&busy, 0) <= bound);
        let claims = u64::try_from(sale.claims.len()).unwrap();
        let due = (sale.now_ms - START_MS) * u64::from(plan.rate_per_minute) / 60_000;
        prop_assert!(claims + 2 >= due && claims <= due + 1, "{claims} of {due}");

        for (slot, issued) in sale.issued.iter_mut().enumerate() {
            *issued = lane::base(slot) + 200_000;
        }
        let from = sale.claims.len();
        sale.run(plan.seconds);
        sale.check_pace();
        let all: Vec<usize> = (0..lanes).collect();
        let off = sale.furthest_off(&all, from);
        prop_assert!(off <= 2.0 * bound, "{off} claims off after {empty:b} came back");
    }

    /// The division by what defines it: all is given out, and everyone who could use more stands at
    /// one level, below which there is only who has nobody left.
    #[test]
    fn a_division_raises_all_to_one_level(total in 0.0..1e5_f64, lanes in prop::collection::vec((1.0..100.0_f64, 0.0..1e4_f64, 0.0..1e5_f64), 1..8)) {
        let demands: Vec<Demand> = lanes
            .iter()
            .map(|(share, served, people)| Demand { share: *share, served: *served, people: *people })
            .collect();
        let parts = divide(total, &demands);
        let given: f64 = parts.iter().sum();
        let people: f64 = demands.iter().map(|demand| demand.people).sum();
        let close = 1e-6 * total.max(1.0);
        prop_assert!((given - total).abs() <= close || people == 0.0, "{given} of {total}");
        if people <= total {
            prop_assert!(parts.iter().zip(&demands).all(|(part, demand)| *part >= demand.people));
            return Ok(());
        }
        let account = |index: usize| (demands[index].served + parts[index]) / demands[index].share;
        for (index, demand) in demands.iter().enumerate() {
            prop_assert!((0.0..=demand.people).contains(&parts[index]));
            for other in 0..demands.len() {
                // Whoever got something stands no higher than who could use more.
                if parts[index] > 0.0 && parts[other] < demands[other].people {
                    prop_assert!(account(index) <= account(other) + close, "{parts:?}");
                }
            }
        }
    }

    /// Whose turn it is, against giving out the turns one by one.
    #[test]
    fn turns_are_those_given_out_one_by_one(lanes in prop::collection::vec((1..100_u64, 0..500_u64, 0..20_u64), 1..6), open in 0..60_u64) {
        let turns: Vec<Turn> = lanes
            .iter()
            .map(|(share, served, at_the_door)| Turn { share: *share, served: *served, at_the_door: *at_the_door })
            .collect();
        let (mut left, mut taken) = (turns.clone(), vec![0_u64; turns.len()]);
        for _ in 0..open {
            // Smallest (served + ½) / share among those with someone there; the first of equals.
            let next = (0..left.len())
                .filter(|index| left[*index].at_the_door > 0)
                .min_by(|a, b| {
                    let of = |index: usize| (2 * left[index].served + 1, left[index].share);
                    let ((a_up, a_down), (b_up, b_down)) = (of(*a), of(*b));
                    (a_up * b_down).cmp(&(b_up * a_down))
                });
            let Some(next) = next else { break };
            left[next].served += 1;
            left[next].at_the_door -= 1;
            taken[next] += 1;
        }
        for (slot, turn) in turns.iter().enumerate() {
            if turn.at_the_door > 0 {
                prop_assert_eq!(is_turn_of(slot, open, &turns), taken[slot] > 0);
            }
        }
    }
}

#[test]
fn numbers_of_lanes_are_apart() {
    for slot in [0, 1, 255] {
        let number = lane::base(slot) + 77;
        assert_eq!((lane::slot_of(number), lane::shown(number)), (slot, 77));
    }
    assert!(lane::base(255) + (1 << 40) <= 1 << 48);
}

#[test]
fn a_room_stored_before_there_were_lanes_goes_on() {
    let stored = r#"{"frontier":5,"lapsed":2,"steps":[],"bucket_micro":7,"attended_ms":9,"show_rate":0.5,"at_ms":11}"#;
    let release: Release = serde_json::from_str(stored).unwrap();
    assert_eq!(
        (
            release.standard.frontier,
            release.standard.lapsed,
            release.lanes.len()
        ),
        (5, 2, 0)
    );
    let again = serde_json::to_string(&release).unwrap();
    assert_eq!(serde_json::from_str::<Release>(&again).unwrap(), release);
}
