//! The lease protocol against everything that can happen to it: crashes at any point, lost and
//! doubled messages, stragglers, a line that moves meanwhile.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use catraca_domain::lease::{LEASE_NUMBERS_MAX, Lease, LeaseBook, LeaseRequest, Range, lease_size};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered,
    Lost,
    ReplyLost,
    Doubled,
    CrashBeforeStoring,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    /// So many join there, one after the other.
    Join(usize, u64, u64, Fate),
    Crash(usize),
    GiveBack(usize, bool),
    /// An old request arrives (again).
    Straggler(usize),
    /// The line moves on by a share of what is issued.
    Call(u64),
    RoomRestart,
    /// The lobby ends and the numbers so far are drawn.
    Draw,
}

/// A Dispenser as the protocol asks for it.
#[derive(Debug, Default)]
struct Dispenser {
    stored_seq: u64,
    seq: u64,
    lent: Option<(Lease, u64)>,
    declared: Option<Range>,
}

impl Dispenser {
    fn crash(&mut self) {
        *self = Self {
            stored_seq: self.stored_seq,
            seq: self.stored_seq,
            ..Self::default()
        };
    }

    fn declare(&mut self) {
        if let Some((lease, next)) = self.lent.take()
            && next < lease.range.hi
        {
            self.declared = Some(Range {
                lo: next,
                hi: lease.range.hi,
            });
        }
    }
}

struct World {
    book: LeaseBook,
    dispensers: Vec<Dispenser>,
    sent: Vec<LeaseRequest>,
    given: BTreeSet<u64>,
    frontier: u64,
}

impl World {
    fn new(dispensers: usize) -> Self {
        Self {
            book: LeaseBook::new(1),
            dispensers: (0..dispensers).map(|_| Dispenser::default()).collect(),
            sent: Vec::new(),
            given: BTreeSet::new(),
            frontier: 0,
        }
    }

    fn apply(&mut self, event: Event) {
        let count = self.dispensers.len();
        match event {
            Event::Join(at, joins, size, fate) => {
                for _ in 0..joins {
                    self.join(at % count, size, fate);
                }
            }
            Event::Crash(at) => self.dispensers[at % count].crash(),
            Event::GiveBack(at, lost) => {
                let index = at % count;
                let dispenser = &mut self.dispensers[index];
                dispenser.declare();
                if let Some(unused) = dispenser.declared {
                    let seq = dispenser.seq;
                    let id = u32::try_from(index).unwrap();
                    self.book.give_back(id, seq, unused, self.frontier);
                    if !lost {
                        self.dispensers[index].declared = None;
                    }
                }
            }
            Event::Straggler(at) => {
                if !self.sent.is_empty() {
                    let request = self.sent[at % self.sent.len()].clone();
                    self.grant(&request);
                }
            }
            Event::Call(share) => {
                let ahead = self.book.issued() - self.frontier;
                self.frontier += ahead * share / 100;
            }
            Event::RoomRestart => {
                let json = serde_json::to_string(&self.book).unwrap();
                self.book = serde_json::from_str(&json).unwrap();
            }
            Event::Draw => {
                if self.book.drawn == 0 {
                    self.book.drawn = self.book.issued();
                }
            }
        }
        self.check();
    }

    fn join(&mut self, index: usize, size: u64, fate: Fate) {
        if self.dispensers[index]
            .lent
            .is_none_or(|(lease, next)| next >= lease.range.hi)
        {
            self.lease(index, size, fate);
        }
        let dispenser = &mut self.dispensers[index];
        if let Some((lease, next)) = &mut dispenser.lent
            && *next < lease.range.hi
        {
            assert!(self.given.insert(*next), "number {next} given twice");
            *next += 1;
        }
    }

    fn lease(&mut self, index: usize, size: u64, fate: Fate) {
        let dispenser = &mut self.dispensers[index];
        dispenser.declare();
        let request = LeaseRequest {
            dispenser: u32::try_from(index).unwrap(),
            seq: dispenser.seq + 1,
            size,
            unused: dispenser.declared,
        };
        self.sent.push(request.clone());
        if matches!(fate, Fate::Lost) {
            return;
        }
        let lease = self.grant(&request);
        if matches!(fate, Fate::Doubled) {
            assert_eq!(self.grant(&request), lease);
        }
        let dispenser = &mut self.dispensers[index];
        match fate {
            Fate::ReplyLost | Fate::Lost => {}
            Fate::CrashBeforeStoring => dispenser.crash(),
            Fate::Answered | Fate::Doubled => {
                dispenser.stored_seq = lease.seq;
                dispenser.seq = lease.seq;
                dispenser.declared = None;
                if lease.seq == request.seq {
                    dispenser.lent = Some((lease, lease.range.lo));
                }
            }
        }
    }

    fn grant(&mut self, request: &LeaseRequest) -> Lease {
        let before = self.book.clone();
        let lease = self.book.grant_above(request, self.frontier);
        let repeated = before.last_seq(request.dispenser) == request.seq;
        if !repeated && !lease.range.is_empty() {
            assert!(
                lease.range.lo > self.frontier,
                "a number that has been called"
            );
            assert!(
                lease.range.lo > self.book.drawn,
                "a number that has been drawn"
            );
        }
        lease
    }

    fn check(&self) {
        let book = &self.book;
        assert!(book.issued() >= self.frontier.max(book.drawn));
        let mut end = 0;
        for void in &book.voids {
            assert!(!void.is_empty() && void.lo > end, "{:?}", book.voids);
            assert!(
                self.given.range(void.lo..void.hi).next().is_none(),
                "a given number is void"
            );
            end = void.hi;
        }
        // What was drawn is never granted anew, not even from the very end.
        assert!(end < book.next || (end == book.next && end == book.drawn + 1));
        if let Some(last) = self.given.last() {
            assert!(*last < book.next);
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Answered),
        1 => Just(Fate::Lost),
        1 => Just(Fate::ReplyLost),
        1 => Just(Fate::Doubled),
        1 => Just(Fate::CrashBeforeStoring),
    ]
}

fn gentle_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Answered),
        Just(Fate::Lost),
        Just(Fate::ReplyLost),
        Just(Fate::Doubled)
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..9_usize, 1..30_u64, 0..50_u64, fate())
            .prop_map(|(at, joins, size, fate)| Event::Join(at, joins, size, fate)),
        1 => (0..9_usize).prop_map(Event::Crash),
        2 => (0..9_usize, any::<bool>()).prop_map(|(at, lost)| Event::GiveBack(at, lost)),
        1 => (0..999_usize).prop_map(Event::Straggler),
        1 => (0..101_u64).prop_map(Event::Call),
        1 => Just(Event::RoomRestart),
        1 => Just(Event::Draw),
    ]
}

fn gentle_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1..30_u64, 0..50_u64, gentle_fate())
            .prop_map(|(joins, size, fate)| Event::Join(0, joins, size, fate)),
        2 => any::<bool>().prop_map(|lost| Event::GiveBack(0, lost)),
        1 => (0..999_usize).prop_map(Event::Straggler),
        1 => Just(Event::RoomRestart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_number_twice(
        dispensers in 1..9_usize, events in prop::collection::vec(event(), 0..60)
    ) {
        let mut world = World::new(dispensers);
        for event in events {
            world.apply(event);
        }
    }

    #[test]
    fn dense_with_one_dispenser(events in prop::collection::vec(gentle_event(), 0..40)) {
        let mut world = World::new(1);
        for event in events {
            world.apply(event);
        }
        let count = u64::try_from(world.given.len()).unwrap();
        prop_assert_eq!(world.given.last().copied().unwrap_or(0), count);
    }
}

#[test]
fn a_restart_costs_one_lease_at_most() {
    let mut world = World::new(1);
    for round in 1..=1_000 {
        world.apply(Event::Join(0, 3, 10, Fate::Answered));
        world.apply(Event::Crash(0));
        assert!(world.book.issued() <= round * 10);
    }
    assert_eq!(world.given.len(), 3_000);
}

/// Room and Dispensers die together a thousand times; only what they had stored comes back.
#[test]
fn a_thousand_restarts_of_everything() {
    const DISPENSERS: usize = 8;
    const SIZE: u64 = 10;
    let mut world = World::new(DISPENSERS);
    for round in 0..1_000 {
        for at in 0..DISPENSERS {
            let fate = if (round + at) % 5 == 0 {
                Fate::ReplyLost
            } else {
                Fate::Answered
            };
            world.apply(Event::Join(
                at,
                u64::try_from(round % 12).unwrap(),
                SIZE,
                fate,
            ));
        }
        for at in 0..DISPENSERS {
            world.apply(Event::Crash(at));
        }
        world.apply(Event::RoomRestart);
        // What is skipped: at most the lease that each Dispenser had when it died.
        let skipped = world.book.issued() - u64::try_from(world.given.len()).unwrap();
        let deaths = u64::try_from((round + 1) * DISPENSERS).unwrap();
        assert!(
            skipped <= SIZE * deaths,
            "{skipped} skipped by {deaths} deaths"
        );
    }
    assert!(world.given.len() > 30_000);
}

#[test]
fn a_dispenser_that_lost_its_storage_goes_on() {
    let mut world = World::new(1);
    for _ in 0..5 {
        world.apply(Event::Join(0, 10, 10, Fate::Answered));
    }
    world.dispensers[0] = Dispenser::default();
    world.apply(Event::Join(0, 2, 10, Fate::Answered));
    assert_eq!(world.given.last().copied(), Some(51));
}

#[test]
fn sizes_have_bounds() {
    assert_eq!(lease_size(0), 1);
    assert_eq!(lease_size(4_000), 1_000);
    assert_eq!(lease_size(u64::from(u32::MAX)), LEASE_NUMBERS_MAX);
    let mut book = LeaseBook::new(1);
    let request = LeaseRequest {
        dispenser: 0,
        seq: 1,
        size: u64::MAX,
        unused: None,
    };
    assert_eq!(book.grant(&request).range.len(), LEASE_NUMBERS_MAX);
}
