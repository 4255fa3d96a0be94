//! The comparisons: the same load on each process in turn, round after round.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Figures;
use super::http::{self, Loop, Run, Until};
use super::rooms::{self, Room, WAITING_CONNECTIONS};
use super::workerd::Workerd;

/// Connections of a run of polls: enough to keep a core busy.
const POLL_CONNECTIONS: usize = 64;
/// Visitors waiting while polls are measured.
const WAITING: u64 = 600;
/// Visitors let in to measure claims.
const CLAIMING: u64 = 1_000;

/// The middle of some rounds, and how far they lie apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    pub(super) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = rounds.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        Self {
            median: at(sorted.len() / 2),
            least: at(0),
            most: at(sorted.len().saturating_sub(1)),
        }
    }

    fn ratio(above: &[f64], below: &[f64]) -> Self {
        Self::of(above.iter().zip(below).map(|(above, below)| above / below))
    }
}

/// One process' rounds.
#[derive(Debug, Default)]
struct Rounds {
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, run: &Run, cpu_seconds: f64) -> anyhow::Result<()> {
        anyhow::ensure!(
            run.other == 0,
            "{} of {} answers were wrong",
            run.other,
            run.good
        );
        self.per_second.push(count(run.good) / run.seconds);
        self.cpu_us.push(cpu_seconds * 1e6 / count(run.good));
        Ok(())
    }

    fn figures(&self) -> (f64, f64) {
        let per_second = Spread::of(self.per_second.iter().copied());
        let cpu_us = Spread::of(self.cpu_us.iter().copied());
        (per_second.median, cpu_us.median)
    }
}

/// What polls cost.
pub(super) struct Polls {
    pub(super) to_hello: Spread,
    pub(super) to_peer: Spread,
    pub(super) cpu_to_hello: Spread,
    pub(super) cpu_to_peer: Spread,
    pub(super) figures: Figures,
}

/// Polls of waiting visitors: product, peer and hello in turn.
///
/// # Errors
/// When an answer is not the one hoped for.
pub(super) fn polls(
    hello: &Workerd,
    peer: &Workerd,
    product: &Workerd,
    rounds: usize,
    length: Duration,
) -> anyhow::Result<Polls> {
    let room = "polls";
    // So slow that nobody measured is called meanwhile.
    let settings = Room {
        name: room,
        control: "open",
        rate_per_minute: 1,
    };
    rooms::open(product, settings)?;
    let far = |server: &Workerd| -> anyhow::Result<Vec<Vec<u8>>> {
        let joined = rooms::join(server, room, Until::Count(WAITING), true)?;
        let mut places = rooms::places(&joined.kept)?;
        places.retain(|place| place.number > WAITING / 2);
        Ok(rooms::requests("GET", room, "place", &places))
    };
    let product_requests = far(product)?;
    let peer_requests = far(peer)?;
    show(product, &product_requests)?;
    show(peer, &peer_requests)?;
    let turns = [
        (hello, &product_requests),
        (peer, &peer_requests),
        (product, &product_requests),
    ];
    let mut all: [Rounds; 3] = Default::default();
    // The first round warms the compilers up.
    for round in 0..=rounds {
        for turn in 0..turns.len() {
            let which = (round + turn) % turns.len();
            let (server, requests) = turns[which];
            let before = server.cpu_seconds()?;
            let run = Loop {
                address: server.address,
                connections: POLL_CONNECTIONS,
                until: Until::Time(length),
                hoped_for: 200,
                requests,
                keep: false,
            }
            .run()?;
            let used = server.cpu_seconds()? - before;
            if round > 0 {
                all[which].add(&run, used)?;
            }
        }
    }
    let [hello, peer, product] = &all;
    let mut figures = Figures::new();
    for (rounds, names) in [
        (hello, ["js_hello_per_second", "js_hello_cpu_us"]),
        (peer, ["js_polls_per_second", "js_poll_cpu_us"]),
        (product, ["polls_per_second", "poll_cpu_us"]),
    ] {
        let (per_second, cpu_us) = rounds.figures();
        println!("{}: {per_second:.0}, {cpu_us:.1} µs each", names[0]);
        figures.insert(names[0], per_second);
        figures.insert(names[1], cpu_us);
    }
    Ok(Polls {
        to_hello: Spread::ratio(&product.per_second, &hello.per_second),
        to_peer: Spread::ratio(&product.per_second, &peer.per_second),
        // Processor time of the other for ours: more is better, as with the rates.
        cpu_to_hello: Spread::ratio(&hello.cpu_us, &product.cpu_us),
        cpu_to_peer: Spread::ratio(&peer.cpu_us, &product.cpu_us),
        figures,
    })
}

fn show(server: &Workerd, requests: &[Vec<u8>]) -> anyhow::Result<()> {
    let first = requests
        .first()
        .ok_or_else(|| anyhow::anyhow!("nobody has joined"))?;
    let (status, body) = http::once(server.address, first)?;
    println!("a poll: {status} {body}");
    Ok(())
}

/// What joins cost.
pub(super) struct Joins {
    pub(super) to_peer: Spread,
    pub(super) cpu_to_peer: Spread,
    pub(super) figures: Figures,
    pub(super) given: u64,
    pub(super) doubled: u64,
}

/// Joins that are on disk when answered: product and peer in turn.
///
/// # Errors
/// When an answer is not the one hoped for.
pub(super) fn joins(
    peer: &Workerd,
    product: &Workerd,
    rounds: usize,
    length: Duration,
) -> anyhow::Result<Joins> {
    let room = "joins";
    let settings = Room {
        name: room,
        control: "paused",
        rate_per_minute: 600,
    };
    rooms::open(product, settings)?;
    let mut all: [Rounds; 2] = Default::default();
    let (mut given, mut doubled) = (0, 0);
    let mut numbers: [BTreeSet<u64>; 2] = Default::default();
    for round in 0..=rounds {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let server = [peer, product][which];
            let before = server.cpu_seconds()?;
            let run = rooms::join(server, room, Until::Time(length), true)?;
            let used = server.cpu_seconds()? - before;
            for place in rooms::places(&run.kept)? {
                given += 1;
                doubled += u64::from(!numbers[which].insert(place.number));
            }
            if round > 0 {
                all[which].add(&run, used)?;
            }
        }
    }
    let [peer, product] = &all;
    let mut figures = Figures::new();
    for (rounds, names) in [
        (peer, ["js_joins_per_second", "js_join_cpu_us"]),
        (product, ["joins_per_second", "join_cpu_us"]),
    ] {
        let (per_second, cpu_us) = rounds.figures();
        println!("{}: {per_second:.0}, {cpu_us:.1} µs each", names[0]);
        figures.insert(names[0], per_second);
        figures.insert(names[1], cpu_us);
    }
    Ok(Joins {
        to_peer: Spread::ratio(&product.per_second, &peer.per_second),
        cpu_to_peer: Spread::ratio(&peer.cpu_us, &product.cpu_us),
        figures,
        given,
        doubled,
    })
}

/// Claims of called visitors, each written before it is answered.
///
/// # Errors
/// When the process breaks down.
pub(super) fn claims(product: &Workerd) -> anyhow::Result<Figures> {
    let room = "claims";
    let settings = Room {
        name: room,
        control: "open",
        rate_per_minute: 600_000,
    };
    rooms::open(product, settings)?;
    let joined = rooms::join(product, room, Until::Count(CLAIMING), true)?;
    // The line moves at the next alarm.
    std::thread::park_timeout(Duration::from_secs(2));
    let requests = rooms::requests("POST", room, "claim", &rooms::places(&joined.kept)?);
    let before = product.cpu_seconds()?;
    let run = Loop {
        address: product.address,
        connections: WAITING_CONNECTIONS,
        until: Until::Count(CLAIMING),
        hoped_for: 200,
        requests: &requests,
        keep: false,
    }
    .run()?;
    let cpu_us = (product.cpu_seconds()? - before) * 1e6 / count(run.good + run.other);
    let per_second = count(run.good) / run.seconds;
    println!(
        "claims_per_second: {per_second:.0}, {cpu_us:.1} µs each ({} not let in)",
        run.other
    );
    Ok(Figures::from([
        ("claims_per_second", per_second),
        ("claim_cpu_us", cpu_us),
    ]))
}

/// A count as a number to divide.
pub(super) fn count(n: u64) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
