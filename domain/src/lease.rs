//! Leases: how numbers are given from memory, once each, whatever restarts.
//!
//! The Room grants ranges ([`LeaseBook`]); a Dispenser writes the range it got to its storage
//! *before* it gives the first number of it, and gives the numbers from memory. A Dispenser that
//! restarts can't know how far it had come, so it never uses that range again. A request carries
//! a sequence number and the book answers a repeated one with the same range: a lost reply costs
//! nothing and a doubled request gives nothing twice.

use serde::{Deserialize, Serialize};

/// How long a lease should last under load, in milliseconds. Two visitors who arrive further
/// apart than this are never called in the wrong order.
pub const LEASE_MS: u64 = 250;
/// Largest lease, in numbers.
pub const LEASE_NUMBERS_MAX: u64 = 4096;
/// Most void ranges that a book keeps apart before it forgets the oldest.
pub const VOID_RANGES_MAX: usize = 256;

/// Numbers from `lo` up to but without `hi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// First number.
    pub lo: u64,
    /// One past the last number.
    pub hi: u64,
}

impl Range {
    /// How many numbers.
    pub fn len(self) -> u64 {
        self.hi.saturating_sub(self.lo)
    }

    /// Whether it holds no number.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// How many of its numbers lie in `other`.
    pub fn overlap(self, other: Self) -> u64 {
        self.hi.min(other.hi).saturating_sub(self.lo.max(other.lo))
    }
}

/// How many numbers to ask for, from the joins of the last second.
pub fn lease_size(joins_last_second: u64) -> u64 {
    (joins_last_second * LEASE_MS / 1000).clamp(1, LEASE_NUMBERS_MAX)
}

/// A Dispenser's request for its next range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// Which Dispenser.
    pub dispenser: u32,
    /// One more than in its last *answered* request; repeated until answered.
    pub seq: u64,
    /// How many numbers it would like.
    pub size: u64,
    /// What it knows for certain that it never gave of its range before. After a restart it
    /// knows nothing, and this is `None`.
    pub unused: Option<Range>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The request's.
    pub seq: u64,
    /// The room's epoch: numbers of another epoch are worthless.
    pub epoch: u32,
    /// The numbers, this Dispenser's alone.
    pub range: Range,
}

/// What the Room remembers of leases. Must be stored before a grant is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseBook {
    /// The epoch of every number in it.
    pub epoch: u32,
    /// The next number that nobody has.
    pub next: u64,
    /// Numbers that will never be given, ascending and apart.
    pub voids: Vec<Range>,
    /// The last grant to each Dispenser.
    pub last: Vec<(u32, Lease)>,
    /// Numbers up to it have been drawn: what comes back of them is void, and never granted anew.
    #[serde(default)]
    pub drawn: u64,
}

impl LeaseBook {
    /// An empty book; numbers begin at 1.
    pub fn new(epoch: u32) -> Self {
        Self::above(epoch, 0)
    }

    /// An empty book; numbers begin after `base`.
    pub fn above(epoch: u32, base: u64) -> Self {
        Self {
            epoch,
            next: base + 1,
            voids: Vec::new(),
            last: Vec::new(),
            drawn: 0,
        }
    }

    /// [`LeaseBook::grant_above`] for a line that has not moved.
    pub fn grant(&mut self, request: &LeaseRequest) -> Lease {
        self.grant_above(request, 0)
    }

    /// Grants the next range; the same request again gets the same range.
    ///
    /// An unused rest that is still the newest is taken back whole, so numbers stay dense;
    /// otherwise it becomes void, and the frontier skips it. Numbers up to `frontier` have been
    /// called: nobody who comes now may get one of them, so they are not taken back.
    ///
    /// A sequence number older than the last one is a straggler, or a Dispenser that lost its
    /// storage: it is granted nothing, and the empty lease tells it where to go on from.
    pub fn grant_above(&mut self, request: &LeaseRequest, frontier: u64) -> Lease {
        let previous = self.position(request.dispenser);
        if let Some(index) = previous {
            let granted = self.last[index].1;
            if granted.seq == request.seq {
                return granted;
            }
            if request.seq < granted.seq {
                return Lease {
                    range: Range {
                        lo: self.next,
                        hi: self.next,
                    },
                    ..granted
                };
            }
            if let Some(unused) = request.unused {
                self.take_back(index, unused, frontier);
            }
        }
        let size = request.size.clamp(1, LEASE_NUMBERS_MAX);
        let range = Range {
            lo: self.next,
            hi: self.next + size,
        };
        self.next = range.hi;
        let lease = Lease {
            seq: request.seq,
            epoch: self.epoch,
            range,
        };
        match previous {
            Some(index) => self.last[index].1 = lease,
            None => self.last.push((request.dispenser, lease)),
        }
        lease
    }

    /// Takes back what a Dispenser will not give of its lease `seq`, between two requests: when
    /// arrivals stop, the line must not wait for people who never came. Said twice, nothing more
    /// happens. True when the book changed.
    pub fn give_back(&mut self, dispenser: u32, seq: u64, unused: Range, frontier: u64) -> bool {
        match self.position(dispenser) {
            Some(index) if self.last[index].1.seq == seq => self.take_back(index, unused, frontier),
            _ => false,
        }
    }

    /// The last number that somebody has or may have, 0 if none.
    pub fn issued(&self) -> u64 {
        self.next - 1
    }

    /// The sequence number that this Dispenser last used, 0 if none.
    pub fn last_seq(&self, dispenser: u32) -> u64 {
        self.position(dispenser)
            .map_or(0, |index| self.last[index].1.seq)
    }

    fn position(&self, dispenser: u32) -> Option<usize> {
        self.last.iter().position(|(d, _)| *d == dispenser)
    }

    /// How many numbers up to and including `number` are void.
    pub fn voids_up_to(&self, number: u64) -> u64 {
        voids_in(
            &self.voids,
            Range {
                lo: 0,
                hi: number + 1,
            },
        )
    }

    fn take_back(&mut self, index: usize, unused: Range, frontier: u64) -> bool {
        let granted = self.last[index].1.range;
        // Only the tail of its own last grant can be unused; anything else is not believed.
        if unused.is_empty() || unused.lo < granted.lo || unused.hi != granted.hi {
            return false;
        }
        self.last[index].1.range.hi = unused.lo;
        // Voids behind the frontier no longer matter to anyone.
        self.voids.retain(|void| void.hi > frontier + 1);
        let uncalled = Range {
            lo: unused.lo.max(frontier + 1),
            hi: unused.hi,
        };
        if uncalled.is_empty() {
            return true;
        }
        let at = self.voids.partition_point(|range| range.lo < uncalled.lo);
        self.voids.insert(at, uncalled);
        self.retract();
        self.join_touching();
        true
    }

    /// A void at the very end was never anybody's: it can be granted after all, unless drawn.
    fn retract(&mut self) {
        while let Some(void) = self.voids.last_mut().filter(|void| void.hi == self.next) {
            let floor = (self.drawn + 1).min(void.hi);
            self.next = void.lo.max(floor);
            if void.lo < floor {
                void.hi = floor;
                return;
            }
            self.voids.pop();
        }
    }

    /// Ranges that touch become one. Beyond the bound the oldest is forgotten: its numbers then
    /// count as people who never turn up, which the pace compensates for.
    fn join_touching(&mut self) {
        let mut joined: Vec<Range> = Vec::with_capacity(self.voids.len());
        for range in self.voids.drain(..) {
            match joined.last_mut() {
                Some(last) if last.hi >= range.lo => last.hi = last.hi.max(range.hi),
                _ => joined.push(range),
            }
        }
        if joined.len() > VOID_RANGES_MAX {
            joined.remove(0);
        }
        self.voids = joined;
    }
}

/// How many numbers of `window` are void.
pub fn voids_in(voids: &[Range], window: Range) -> u64 {
    voids.iter().map(|range| range.overlap(window)).sum()
}
