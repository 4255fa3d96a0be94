//! Fairness: how far the order of admission is from the true order of arrival.
//!
//! Arrivals in virtual time are spread over one Dispenser or eight, each with a lease of its own
//! from one book, as long as `LEASE_MS` says. Numbers are admitted in their order, so the order
//! of numbers is the order of admission. The bound: nobody who came more than a lease window
//! (and the time it takes to get one) earlier is behind, so nobody moves further than arrivals
//! fit into that.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod dice;

use catraca_domain::lease::{LEASE_MS, LeaseBook, LeaseRequest, Range, lease_size};
use dice::Dice;

/// From the request for a lease to its coming in, in microseconds.
const LEASE_TRIP_US: u64 = 20_000;
const SECOND_US: u64 = 1_000_000;

#[derive(Default)]
struct Desk {
    seq: u64,
    rest: Option<Range>,
    leased_at_us: u64,
    /// When the requested lease comes in: who arrives meanwhile stands in line.
    coming_at_us: Option<u64>,
    in_line: Vec<usize>,
    recent_us: std::collections::VecDeque<u64>,
}

/// Numbers of arrivals, in the order in which they came.
fn numbers(dispensers: u32, arrivals_per_second: u64, people: usize, seed: u64) -> Vec<(u64, u64)> {
    let mut dice = Dice(seed);
    let mut book = LeaseBook::new(1);
    let mut desks: Vec<Desk> = (0..dispensers).map(|_| Desk::default()).collect();
    let mut given = vec![(0, 0); people];
    let mut now_us = SECOND_US;
    for person in 0..people {
        now_us += dice.roll(2 * SECOND_US / arrivals_per_second);
        for (index, desk) in desks.iter_mut().enumerate() {
            serve(desk, index, &mut book, now_us, &mut given);
        }
        let index = usize::try_from(dice.roll(u64::from(dispensers))).unwrap();
        given[person].0 = now_us;
        let desk = &mut desks[index];
        desk.recent_us.push_back(now_us);
        while desk
            .recent_us
            .front()
            .is_some_and(|at| at + SECOND_US < now_us)
        {
            desk.recent_us.pop_front();
        }
        desk.in_line.push(person);
        serve(desk, index, &mut book, now_us, &mut given);
    }
    let end_us = now_us + SECOND_US;
    for (index, desk) in desks.iter_mut().enumerate() {
        serve(desk, index, &mut book, end_us, &mut given);
    }
    given.retain(|(_, number)| *number > 0);
    given
}

fn serve(
    desk: &mut Desk,
    index: usize,
    book: &mut LeaseBook,
    now_us: u64,
    given: &mut [(u64, u64)],
) {
    if desk.coming_at_us.is_some_and(|at| at <= now_us) {
        desk.coming_at_us = None;
        desk.seq += 1;
        let in_line = u64::try_from(desk.in_line.len()).unwrap();
        let recent = u64::try_from(desk.recent_us.len()).unwrap();
        let request = LeaseRequest {
            dispenser: u32::try_from(index).unwrap(),
            seq: desk.seq,
            size: lease_size(recent).max(in_line),
            unused: desk.rest.take().filter(|rest| !rest.is_empty()),
        };
        desk.rest = Some(book.grant(&request).range);
        desk.leased_at_us = now_us;
    }
    if desk.coming_at_us.is_some() {
        return;
    }
    let young = now_us - desk.leased_at_us <= LEASE_MS * 1_000;
    let mut served = 0;
    if let Some(rest) = desk.rest.as_mut().filter(|_| young) {
        for person in &desk.in_line {
            if rest.is_empty() {
                break;
            }
            given[*person].1 = rest.lo;
            rest.lo += 1;
            served += 1;
        }
    }
    desk.in_line.drain(..served);
    if !desk.in_line.is_empty() {
        desk.coming_at_us = Some(now_us + LEASE_TRIP_US);
    }
}

/// Inversions, by merge sort.
fn inversions(order: &mut Vec<u64>) -> u64 {
    if order.len() < 2 {
        return 0;
    }
    let mut right = order.split_off(order.len() / 2);
    let mut left = std::mem::take(order);
    let mut count = inversions(&mut left) + inversions(&mut right);
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if j == right.len() || (i < left.len() && left[i] <= right[j]) {
            order.push(left[i]);
            i += 1;
        } else {
            count += u64::try_from(left.len() - i).unwrap();
            order.push(right[j]);
            j += 1;
        }
    }
    count
}

#[test]
fn nobody_moves_further_than_a_lease_window() {
    for (dispensers, tau_least) in [(1, 1.0), (8, 0.99)] {
        for seed in [1, 7, 2_026] {
            let per_second = 2_000;
            let given = numbers(dispensers, per_second, 60_000, seed);
            let mut order: Vec<u64> = given.iter().map(|(_, number)| *number).collect();
            let mut ranked: Vec<usize> = (0..given.len()).collect();
            ranked.sort_by_key(|person| given[*person].1);
            let farthest = ranked
                .iter()
                .enumerate()
                .map(|(rank, person)| rank.abs_diff(*person))
                .max()
                .unwrap();
            let latest_us = ranked
                .iter()
                .scan(0, |latest, person| {
                    *latest = given[*person].0.max(*latest);
                    Some(*latest - given[*person].0)
                })
                .max()
                .unwrap();
            let n = f64::from(u32::try_from(given.len()).unwrap());
            let swapped = f64::from(u32::try_from(inversions(&mut order)).unwrap());
            let tau = 1.0 - 4.0 * swapped / (n * (n - 1.0));
            println!(
                "{dispensers} Dispensers, {per_second} arrivals a second, seed {seed}: tau \
                 {tau:.5}, moved at most {farthest} places, overtaken by someone {} ms later",
                latest_us / 1_000
            );
            assert!(tau >= tau_least, "seed {seed}: tau {tau}");
            // A lease, and the trip for the next one.
            let bound_us = LEASE_MS * 1_000 + 2 * LEASE_TRIP_US;
            assert!(
                latest_us <= if dispensers == 1 { 0 } else { bound_us },
                "seed {seed}: overtaken by someone {latest_us} µs later"
            );
        }
    }
}

/// Invariant 6, many times over: whatever the number of Dispensers and the rush, nobody is overtaken by
/// someone who came more than a lease window and the trips for leases later.
#[test]
fn nobody_is_overtaken_by_more_than_a_lease_window() {
    for seed in 1..=10_000 {
        let mut dice = Dice(seed * 2_654_435_761 + 1);
        let dispensers = 1 + u32::try_from(dice.roll(16)).unwrap();
        let per_second = 1 + dice.roll(3_000);
        let people = 2 + usize::try_from(dice.roll(120)).unwrap();
        let mut given = numbers(dispensers, per_second, people, dice.roll(u64::MAX) | 1);
        assert_eq!(given.len(), people, "seed {seed}: somebody got no number");
        given.sort_by_key(|(_, number)| *number);
        let twice = given.windows(2).any(|pair| pair[0].1 == pair[1].1);
        assert!(!twice, "seed {seed}: a number twice");
        let mut latest_us = 0;
        let bound_us = if dispensers == 1 {
            0
        } else {
            LEASE_MS * 1_000 + 2 * LEASE_TRIP_US
        };
        for (at_us, number) in given {
            latest_us = at_us.max(latest_us);
            assert!(
                latest_us - at_us <= bound_us,
                "seed {seed}: number {number} of {dispensers} Dispensers was overtaken by someone {} µs later",
                latest_us - at_us
            );
        }
    }
}
