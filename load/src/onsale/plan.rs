//! Who comes when, and what they will do: drawn from the seed before anything runs.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::Options;

/// Share of the crowd that comes in the burst at opening.
const BURST_SHARE: f64 = 0.6;
/// Share of the arrival time that the burst takes.
const BURST_TIME: f64 = 0.1;

/// Where a visitor drops off without buying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeavesWhen {
    /// Gives up the place in line.
    Waiting,
    /// Does not turn up when called.
    Called,
    /// Ends the session before holding anything.
    Admitted,
    /// Walks away with seats held.
    Holding,
}

/// What a visitor does at the pay page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pays {
    Approve,
    Decline,
    Abandon,
}

impl Pays {
    /// The form's word for it.
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
            Self::Abandon => "abandon",
        }
    }
}

/// One visitor.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Counts from 0.
    pub(crate) visitor: u32,
    pub(crate) event: String,
    pub(crate) email: String,
    pub(crate) arrives_after: Duration,
    pub(crate) leaves: Option<LeavesWhen>,
    pub(crate) pays: Pays,
    /// How long the provider holds its own processing back.
    pub(crate) pay_delay_seconds: u8,
    pub(crate) provider: &'static str,
    pub(crate) quantity: u32,
    pub(crate) picks_seats: bool,
    /// Whatever has to be chosen on the way.
    pub(crate) rng: StdRng,
}

/// The whole crowd. A visitor's draw does not depend on how many others there are.
pub(crate) fn crowd(options: &Options, seed: u64) -> impl Iterator<Item = Plan> + '_ {
    let events = options.events.iter().cycle();
    (0..options.crowd).zip(events).map(move |(visitor, event)| {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(visitor);
        draw(options, seed, visitor, event, StdRng::seed_from_u64(mixed))
    })
}

fn draw(options: &Options, seed: u64, visitor: u32, event: &str, mut rng: StdRng) -> Plan {
    let mut chance = |percent: u8| rng.random_range(0..100) < percent;
    let leaves = chance(options.leave_percent);
    let (declines, abandons) = (
        chance(options.decline_percent),
        chance(options.abandon_percent),
    );
    let provider = if chance(options.paypal_percent) {
        "paypal"
    } else {
        "card"
    };
    let picks_seats = chance(options.pick_seats_percent);
    let held_back = chance(10);
    let all = f64::from(options.arrive_seconds);
    let arrives = if rng.random_bool(BURST_SHARE) {
        rng.random_range(0.0..=BURST_TIME) * all
    } else {
        // Squared: the tail thins out towards its end.
        let late: f64 = rng.random_range(0.0..=1.0);
        (BURST_TIME + (1.0 - BURST_TIME) * late * late) * all
    };
    Plan {
        visitor,
        event: event.to_owned(),
        email: format!("fan-{seed}-{visitor}@example.com"),
        arrives_after: Duration::from_secs_f64(arrives),
        leaves: leaves.then(|| match rng.random_range(0..4) {
            0 => LeavesWhen::Waiting,
            1 => LeavesWhen::Called,
            2 => LeavesWhen::Admitted,
            _ => LeavesWhen::Holding,
        }),
        pays: match (abandons, declines) {
            (true, _) => Pays::Abandon,
            (false, true) => Pays::Decline,
            (false, false) => Pays::Approve,
        },
        pay_delay_seconds: if held_back {
            rng.random_range(1..=3)
        } else {
            0
        },
        provider,
        quantity: rng.random_range(1..=options.quantity_max),
        picks_seats,
        rng,
    }
}
