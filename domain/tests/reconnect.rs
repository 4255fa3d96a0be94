//! A million people come back at once: after an outage of any length the room is asked no more than
//! twice as often as on a calm day.
//!
//! Everyone asks again when `Status::view` says, spread by the edge by a fifth either way. A poll that
//! fails is tried again as the page does (`web/src/waiting.ts`): after its back-off, and no sooner than
//! the next poll would have been.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod dice;

use catraca_domain::room::{Phase, Status, Stock};
use dice::Dice;
use time::OffsetDateTime;

const PEOPLE: u64 = 1_000_000;
const NOW: OffsetDateTime = time::macros::datetime!(2026-06-01 12:00 UTC);
/// When the outage begins: by then polls are spread as they stay.
const OUTAGE_MS: u64 = 60_000;
const SEEDS: [u64; 2] = [7, 2_026];

fn status(calls_per_minute: u64) -> Status {
    Status {
        room: "r".parse().unwrap(),
        epoch: 1,
        phase: Phase::Open,
        frontier: 0,
        lapsed: 0,
        waiting: PEOPLE,
        rate_per_minute: 6_000,
        opens_at: None,
        message: None,
        as_of: NOW,
        stock: Stock::Available,
        voids: Vec::new(),
        calls_per_minute,
        lanes: Vec::new(),
    }
}

/// `web/src/backoff.ts`.
fn backoff_ms(attempt: u32, dice: &mut Dice) -> u64 {
    let ceiling = (500_u64 << attempt.min(10)).min(15_000);
    ceiling / 2 + dice.roll(ceiling / 2 + 1)
}

/// Polls in the busiest second afterwards ÷ polls a second before.
fn peak(outage_ms: u64, calls_per_minute: u64, patient: bool, seed: u64) -> f64 {
    let mut dice = Dice(seed * 2_654_435_761 + 1);
    let status = status(calls_per_minute);
    let (until_ms, end_ms) = (OUTAGE_MS + outage_ms, OUTAGE_MS + outage_ms + 45_000);
    let mut seconds = vec![0_u32; usize::try_from(end_ms / 1_000 + 1).unwrap()];
    for number in 1..=PEOPLE {
        let told_ms = status.view(number, NOW).poll_after_ms;
        let mut at_ms = dice.roll(told_ms);
        let (mut poll_ms, mut attempt) = (told_ms, 0);
        while at_ms < end_ms {
            seconds[usize::try_from(at_ms / 1_000).unwrap()] += 1;
            if (OUTAGE_MS..until_ms).contains(&at_ms) {
                let wait_ms = backoff_ms(attempt, &mut dice);
                attempt += 1;
                at_ms += if patient {
                    wait_ms.max(poll_ms)
                } else {
                    wait_ms
                };
            } else {
                attempt = 0;
                poll_ms = told_ms * (800 + dice.roll(401)) / 1_000;
                at_ms += poll_ms;
            }
        }
    }
    let second = |ms: u64| usize::try_from(ms / 1_000).unwrap();
    let before = &seconds[second(OUTAGE_MS / 2)..second(OUTAGE_MS)];
    let steady =
        f64::from(before.iter().sum::<u32>()) / f64::from(u32::try_from(before.len()).unwrap());
    f64::from(*seconds[second(until_ms)..].iter().max().unwrap()) / steady
}

#[test]
fn a_million_come_back_at_no_more_than_twice_the_steady_rate() {
    for seed in SEEDS {
        for outage_ms in [1_000, 7_000, 60_000] {
            let peak = peak(outage_ms, 6_000, true, seed);
            println!("away for {outage_ms} ms, seed {seed}: {peak:.3} times the steady rate");
            assert!(
                peak <= 2.0,
                "away for {outage_ms} ms, seed {seed}: {peak:.3} times"
            );
        }
    }
}

#[test]
fn back_off_alone_would_not_do() {
    assert!(peak(7_000, 6_000, false, 7) > 2.0);
}

#[test]
fn the_time_to_the_next_poll_follows_the_real_speed() {
    for number in [100, 1_000, 5_000] {
        let fast = status(6_000).view(number, NOW);
        let slow = status(600).view(number, NOW);
        assert!(fast.poll_after_ms <= slow.poll_after_ms);
        let (fast, slow) = (fast.eta_seconds.unwrap(), slow.eta_seconds.unwrap());
        assert!(fast.high < slow.high && fast.low <= slow.low);
    }
}
