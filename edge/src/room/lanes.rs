//! The lanes of a room: the numbers of each, and who has given one up.

use catraca_domain::draw::Draw;
use catraca_domain::ids::Lane;
use catraca_domain::lane;
use catraca_domain::lease::{LeaseBook, Range};
use catraca_domain::release::Queue;
use catraca_domain::room::{LaneShare, RoomConfig, standard_share};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most numbers given up that the line skips. Beyond it they count as people who never turn up.
const GIVEN_UP_MAX: usize = 4_096;
/// Most of them that everyone is told of.
const TOLD_MAX: usize = 512;

/// A lane beside `standard`, kept for as long as the room: people may stand in it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LaneBook {
    /// Which.
    pub(super) lane: Lane,
    /// Its numbers.
    pub(super) book: LeaseBook,
    /// Numbers that nobody has.
    #[serde(skip)]
    pub(super) voids: Vec<Range>,
}

/// A slot for each lane that is declared and has none. True when there is a new one.
pub(super) fn declare(lanes: &mut Vec<LaneBook>, declared: &[LaneShare], epoch: u32) -> bool {
    let before = lanes.len();
    for share in declared {
        let slot = lanes.len() + 1;
        if slot < lane::SLOTS_MAX && lanes.iter().all(|known| known.lane != share.lane) {
            lanes.push(LaneBook {
                lane: share.lane.clone(),
                book: LeaseBook::above(epoch, lane::base(slot)),
                voids: Vec::new(),
            });
        }
    }
    lanes.len() > before
}

/// The declared share of a lane, in percent; 0 when it is not declared any more.
pub(super) fn share_of(config: &RoomConfig, lane: &Lane) -> u8 {
    let share = config.lanes.iter().find(|share| share.lane == *lane);
    share.map_or(0, |share| share.share_percent)
}

/// Who stands in the lines, by slot. Whoever is in a lane that is no longer declared still gets a
/// percent of the pace.
pub(super) fn queues<'a>(
    config: &RoomConfig,
    standard: (u64, &'a [Range]),
    lanes: &'a [LaneBook],
) -> Vec<Queue<'a>> {
    let (issued, voids) = standard;
    let first = Queue {
        share: standard_share(&config.lanes).unwrap_or(1),
        issued,
        voids,
    };
    let rest = lanes.iter().map(|lane| Queue {
        share: u32::from(share_of(config, &lane.lane)).max(1),
        issued: lane.book.issued(),
        voids: &lane.voids,
    });
    std::iter::once(first).chain(rest).collect()
}

/// Numbers given up before they were called.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    numbers: BTreeSet<u64>,
    /// In the order of being given up.
    lately: Vec<u64>,
}

impl GivenUp {
    /// From storage.
    pub(super) fn new(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut given_up = Self::default();
        for number in numbers {
            given_up.add(number);
        }
        given_up
    }

    /// One more.
    pub(super) fn add(&mut self, number: u64) {
        if self.numbers.len() < GIVEN_UP_MAX && self.numbers.insert(number) {
            self.lately.push(number);
        }
    }

    /// Forgets those that no longer matter.
    pub(super) fn retain(&mut self, matters: impl Fn(u64) -> bool) {
        self.numbers.retain(|number| matters(*number));
        self.lately.retain(|number| matters(*number));
    }

    /// What everyone is told.
    pub(super) fn told(&self) -> Vec<u64> {
        let first = self.lately.len().saturating_sub(TOLD_MAX);
        self.lately[first..].to_vec()
    }

    /// Where nobody stands in the line of a slot: what was never given, and what was given up.
    pub(super) fn voids(&self, slot: usize, book: &LeaseBook, draw: Option<&Draw>) -> Vec<Range> {
        let mut numbers = book.voids.clone();
        let ours = self
            .numbers
            .range(lane::base(slot)..lane::base(slot + 1))
            .map(|number| Range {
                lo: *number,
                hi: number + 1,
            });
        numbers.extend(ours);
        match draw {
            Some(draw) if slot == 0 => draw.positions_of(&numbers),
            _ => joined(numbers),
        }
    }
}

/// Ascending and apart, touching ones joined.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable_by_key(|range| range.lo);
    ranges.dedup_by(|next, last| {
        let touching = next.lo <= last.hi;
        if touching {
            last.hi = last.hi.max(next.hi);
        }
        touching
    });
    ranges
}
