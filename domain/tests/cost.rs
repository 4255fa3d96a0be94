//! What a visitor asks for over a whole sale, from joining to being let in: the counts that
//! `docs/cost.md` calculates with.
//!
//! Virtual time. Everyone joins within the first minute, polls as `Status::view` says (spread by the
//! edge by a fifth either way), claims when called and asks again when told to. A status document
//! is kept for 400 ms by each isolate and by each Dispenser, and the Room looks at the time with
//! every call to it and twice a second. Polls are spaced by the time left, so a sale of fewer
//! people at a slower pace has as many polls a visitor.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod dice;

use catraca_domain::release::{Claim, Moment, Queue, Release};
use catraca_domain::room::{Phase, PlaceState, Status, Stock};
use dice::Dice;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use time::OffsetDateTime;

const START_MS: u64 = 1_000_000;
const ALARM_MS: u64 = 500;
/// How long an isolate or a Dispenser passes a document on (`edge/src/status_cache.rs`).
const FRESH_MS: u64 = 400;
const DISPENSERS: u64 = 8;

struct Sale {
    arrivals_ms: u64,
    people: u64,
    rate_per_minute: u32,
    isolates: u64,
}

#[derive(Default)]
struct Counts {
    seconds: u64,
    polls: u64,
    claims: u64,
    admitted: u64,
    lapsed: u64,
    /// Isolate → Dispenser.
    documents: u64,
    /// Dispenser → Room.
    bulletins: u64,
    alarms: u64,
    /// Looks that changed what the Room stores of the line.
    saves: u64,
}

/// A document and its age.
type Kept = (Status, u64);

struct Room<'a> {
    sale: &'a Sale,
    release: Release,
    desks: Vec<Kept>,
    isolates: Vec<Kept>,
    counts: Counts,
}

impl Room<'_> {
    fn moment<'a>(&self, queues: &'a [Queue<'a>], now_ms: u64) -> Moment<'a> {
        Moment {
            now_ms,
            open: true,
            paced: true,
            rate_per_minute: self.sale.rate_per_minute,
            max_active: 10_000_000,
            active: 0,
            claim_window_ms: 120_000,
            queues,
        }
    }

    fn queue(&self) -> [Queue<'static>; 1] {
        [Queue {
            share: 100,
            issued: self.sale.people,
            voids: &[],
        }]
    }

    fn look(&mut self, now_ms: u64) {
        let queues = self.queue();
        let moment = self.moment(&queues, now_ms);
        self.counts.saves += u64::from(self.release.advance(&moment));
    }

    fn document(&self) -> Status {
        let line = &self.release.standard;
        let target = u64::from(self.sale.rate_per_minute);
        Status {
            room: "r".parse().unwrap(),
            epoch: 1,
            phase: Phase::Open,
            frontier: line.frontier,
            lapsed: line.lapsed,
            waiting: self.sale.people - line.frontier,
            rate_per_minute: self.sale.rate_per_minute,
            opens_at: None,
            message: None,
            as_of: OffsetDateTime::UNIX_EPOCH,
            stock: Stock::Available,
            voids: Vec::new(),
            calls_per_minute: line.calls_per_minute(target),
            lanes: Vec::new(),
        }
    }

    /// An isolate's document, fetched by way of a Dispenser when it is old.
    fn status(&mut self, isolate: usize, desk: usize, now_ms: u64) -> &Status {
        if now_ms >= self.isolates[isolate].1 + FRESH_MS {
            self.counts.documents += 1;
            if now_ms >= self.desks[desk].1 + FRESH_MS {
                self.counts.bulletins += 1;
                self.look(now_ms);
                self.desks[desk] = (self.document(), now_ms);
            }
            self.isolates[isolate] = (self.desks[desk].0.clone(), now_ms);
        }
        &self.isolates[isolate].0
    }
}

impl Sale {
    /// Until everyone is in, or for so long.
    fn run(&self, longest_ms: u64, seed: u64) -> Counts {
        let mut dice = Dice(seed * 2_654_435_761 + 1);
        let mut room = Room {
            sale: self,
            release: Release::new(START_MS),
            desks: Vec::new(),
            isolates: Vec::new(),
            counts: Counts::default(),
        };
        let nothing = (room.document(), 0);
        room.desks = vec![nothing.clone(); usize::try_from(DISPENSERS).unwrap()];
        room.isolates = vec![nothing; usize::try_from(self.isolates).unwrap()];
        // The heap of what happens next; number 0 is the alarm.
        let mut next = BinaryHeap::from([Reverse((START_MS, 0))]);
        for number in 1..=self.people {
            let arrival_ms = number * self.arrivals_ms / self.people;
            next.push(Reverse((START_MS + arrival_ms, number)));
        }
        while let Some(Reverse((now_ms, number))) = next.pop() {
            let done = room.counts.admitted + room.counts.lapsed == self.people;
            if done || now_ms >= START_MS + longest_ms {
                break;
            }
            room.counts.seconds = (now_ms - START_MS) / 1_000;
            if number == 0 {
                room.counts.alarms += 1;
                room.look(now_ms);
                next.push(Reverse((now_ms + ALARM_MS, 0)));
            } else if let Some(wait_ms) = room.visit(number, now_ms, &mut dice) {
                next.push(Reverse((now_ms + wait_ms, number)));
            }
        }
        room.counts
    }
}

impl Room<'_> {
    /// A poll, and a claim if it says so; when to ask again.
    fn visit(&mut self, number: u64, now_ms: u64, dice: &mut Dice) -> Option<u64> {
        // Who turned up and was told to wait does not poll in between.
        if !self.release.standard.turned_up.contains_key(&number) {
            let isolate = usize::try_from(dice.roll(self.sale.isolates)).unwrap();
            let desk = usize::try_from(dice.roll(DISPENSERS)).unwrap();
            let status = self.status(isolate, desk, now_ms);
            let view = status.view(number, OffsetDateTime::UNIX_EPOCH);
            self.counts.polls += 1;
            if !matches!(view.state, PlaceState::Called | PlaceState::Lapsed) {
                return Some(view.poll_after_ms * (800 + dice.roll(401)) / 1_000);
            }
        }
        self.counts.claims += 1;
        self.look(now_ms);
        let queues = self.queue();
        let moment = self.moment(&queues, now_ms);
        match self.release.claim(number, &moment) {
            Claim::Admit => self.counts.admitted += 1,
            Claim::Lapsed => self.counts.lapsed += 1,
            // The page adds up to a fifth.
            Claim::Wait { retry_after_ms } => {
                return Some(retry_after_ms + dice.roll(retry_after_ms / 5 + 1));
            }
            Claim::NotCalled => panic!("{number} was called and is not"),
        }
        None
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn per(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

#[test]
fn a_visitor_polls_about_as_often_as_the_cost_model_says() {
    let sale = Sale {
        arrivals_ms: 60_000,
        people: 20_000,
        rate_per_minute: 120,
        isolates: 2,
    };
    let counts = sale.run(u64::MAX / 2, 7);
    let polls = per(counts.polls, sale.people);
    println!(
        "a sale of {} s, {} people: {polls:.1} polls a visitor, {} lapsed, {:.3} alarms a second, \
         {:.2} documents a second and isolate",
        counts.seconds,
        sale.people,
        counts.lapsed,
        per(counts.alarms, counts.seconds),
        per(counts.documents, counts.seconds * sale.isolates),
    );
    assert!(counts.lapsed == 0, "{} lapsed", counts.lapsed);
    assert!((230.0..=290.0).contains(&polls), "{polls} polls");
}

#[test]
fn a_claim_and_the_line_are_stored_about_as_often_as_the_cost_model_says() {
    let sale = Sale {
        arrivals_ms: 60_000,
        people: 100_000,
        rate_per_minute: 6_000,
        isolates: 100,
    };
    let counts = sale.run(300_000, 7);
    let claims = per(counts.claims, counts.admitted);
    let saves = per(counts.saves, counts.admitted);
    println!(
        "{} s at 6,000 a minute, {} waiting: {claims:.2} claims an admission, the line stored {saves:.3} \
         times an admission, {:.2} documents a second and isolate, {:.1} bulletins a second from {DISPENSERS} Dispensers",
        counts.seconds,
        sale.people,
        per(counts.documents, counts.seconds * sale.isolates),
        per(counts.bulletins, counts.seconds),
    );
    assert!(claims <= 9.0, "{claims} claims");
    assert!(saves <= 1.0, "{saves} saves");
}
