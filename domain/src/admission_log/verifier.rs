//! What a log proves, for whoever has its pages, the room's public key and, when places were
//! drawn, the draw's record.
//!
//! Proven, when [`Verifier::finish`] gives a report:
//! - Nothing was left out, put in, changed or moved up to the last signed head, and every signed
//!   head that was shown, here or to someone who kept it, is of this one history.
//! - No number was let in twice, and all came through `standard` or a declared lane, each lane with
//!   numbers of its own: who stood in one was not let in through another.
//! - Within a lane people were *called* in the order of their positions (the number, or the
//!   published draw's position), and nobody was let in uncalled: the lane's frontier never goes
//!   back, and each position let in lies at or below it. So whoever was overtaken in the own lane
//!   had been called by then: the way in was open and someone called earlier or with them was quicker.
//! - The frontier in the log is the one the public saw, as far as status documents were kept
//!   ([`Verifier::saw`]): a log can't claim afterwards that everyone had been called.
//!
//! Not proven, and why:
//! - That the frontier was moved no further than the pace needs. An operator may call everyone at
//!   once; but does it in public. [`LaneReport::called_ahead_max`] shows how far it went.
//! - That nobody was let in after the claim window. It runs only while someone could be let in,
//!   and a visitor told to wait keeps the turn, which a log of admissions can't show.
//!   [`LaneReport::after_window`] counts those for whom that must have been the case. They were before
//!   everyone let in meanwhile, so they took nobody's turn.
//! - That a number belongs to one person, or that a lane's token went to the right one.

use super::passage::{LaneState, as_u64};
use super::{Chain, Entry, LogName, Page, SignedHead};
use crate::draw::{Draw, DrawError, DrawRecord};
use crate::hex32::Hex32;
use crate::ids::Lane;
use crate::lane;
use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use thiserror::Error;

pub use super::passage::LaneReport;

/// Why a log is false or incomplete. Indexes are those of entries.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum Fault {
    /// A page, or the draw's record, of another room, epoch or draw.
    #[error("a page or the draw is of another log")]
    OtherLog,
    /// Places were drawn, and the draw's record is not at hand or is false.
    #[error("the draw: {0}")]
    Draw(#[from] DrawError),
    /// Missing, doubled or moved entries, or a clock that ran back.
    #[error("entry {0} is missing, out of place or earlier than the one before")]
    Broken(u64),
    /// No key of the room's has signed it.
    #[error("the head at {0} is not signed by the room")]
    Signature(u64),
    /// The same key signed another history: a fork, or a changed entry.
    #[error("the head at {0} is of another history: an entry up to it was changed or replaced")]
    Fork(u64),
    /// A signed head covers more entries than were given.
    #[error("the log ends at {given} and {signed} entries were signed")]
    Truncated {
        /// Entries given.
        given: u64,
        /// Entries covered by a signed head.
        signed: u64,
    },
    /// Entries after the last signed head.
    #[error("entries after {0} are not covered by a signed head")]
    Unsigned(u64),
    /// A number let in twice.
    #[error("entry {0}: the number was let in before")]
    Twice(u64),
    /// A lane that the room doesn't declare.
    #[error("entry {0}: the lane is not declared")]
    UndeclaredLane(u64),
    /// A number of another lane's: see [`crate::lane`].
    #[error("entry {0}: the number is not one of its lane's")]
    OtherLane(u64),
    /// Let in before being called.
    #[error("entry {index}: position {position} was let in while {frontier} had been called")]
    OutOfOrder {
        /// Which entry.
        index: u64,
        /// The place's position.
        position: u64,
        /// How far its lane had been called.
        frontier: u64,
    },
    /// A lane's frontier went back.
    #[error("entry {0}: the frontier went back")]
    FrontierBack(u64),
    /// The log and a status document contradict each other.
    #[error("entry {index}: the log has the frontier at {logged}, the public saw {seen}")]
    NotAsSeen {
        /// Which entry.
        index: u64,
        /// Its frontier.
        logged: u64,
        /// The status document's.
        seen: u64,
    },
}

/// A frontier that was public at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Unix milliseconds, by the room's clock.
    pub at_ms: u64,
    /// Whose.
    pub lane: Lane,
    /// How far it had been called.
    pub frontier: u64,
}

/// What the verifier holds the log to.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Which log.
    pub log: LogName,
    /// The room's keys, by the `kid` that its heads name.
    pub keys: Vec<(String, VerifyingKey)>,
    /// Lanes declared beside `standard`.
    pub lanes: Vec<Lane>,
    /// The draw's record, when places were drawn.
    pub draw: Option<DrawRecord>,
    /// Time to turn up once called, if known.
    pub claim_window_ms: Option<u64>,
}

/// A true log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Entries.
    pub admitted: u64,
    /// Signed heads that were checked.
    pub heads: u64,
    /// Let in through a lane other than `standard`.
    pub lane_passes: u64,
    /// Each lane that someone came through.
    pub lanes: BTreeMap<String, LaneReport>,
}

/// Checks a log page by page. Memory grows with the number of entries, about 70 bytes each.
#[derive(Debug)]
pub struct Verifier {
    terms: Terms,
    draw: Option<Draw>,
    chain: Chain,
    /// The chain's head after each entry, the one before the first included.
    heads: Vec<Hex32>,
    /// Signed heads, as far as they are known, by how many entries they cover.
    signed: BTreeMap<u64, Hex32>,
    numbers: HashSet<u64>,
    lanes: BTreeMap<String, LaneState>,
    seen: Vec<Seen>,
}

impl Verifier {
    /// A verifier that has read nothing.
    ///
    /// # Errors
    /// [`Fault`]: the draw's record is false, missing or of another log.
    pub fn new(terms: Terms) -> Result<Self, Fault> {
        let draw = match (&terms.draw, terms.log.draw) {
            (None, None) => None,
            (None, Some(_)) => return Err(Fault::Draw(DrawError::Sealed)),
            (Some(record), commitment) => {
                let same = record.room == terms.log.room
                    && record.epoch == terms.log.epoch
                    && Some(record.commitment) == commitment;
                if !same {
                    return Err(Fault::OtherLog);
                }
                Some(record.verify()?)
            }
        };
        let chain = Chain::begin(&terms.log);
        Ok(Self {
            terms,
            draw,
            chain,
            heads: vec![chain.head],
            signed: BTreeMap::new(),
            numbers: HashSet::new(),
            lanes: BTreeMap::new(),
            seen: Vec::new(),
        })
    }

    /// Adds a status document that somebody kept. To be given before the pages.
    pub fn saw(&mut self, seen: Seen) {
        self.seen.push(seen);
    }

    /// Adds a signed head that somebody kept.
    ///
    /// # Errors
    /// [`Fault`]: forged, or of another history.
    pub fn head(&mut self, head: &SignedHead) -> Result<(), Fault> {
        let signed = self
            .terms
            .keys
            .iter()
            .any(|(kid, key)| *kid == head.kid && head.is_signed_by(&self.terms.log, key));
        if !signed {
            return Err(Fault::Signature(head.index));
        }
        let known = self.signed.insert(head.index, head.head);
        if known.is_some_and(|known| known != head.head) {
            return Err(Fault::Fork(head.index));
        }
        self.compare_with_signed(head.index)
    }

    /// Reads the next page.
    ///
    /// # Errors
    /// [`Fault`]: the log is false from here on.
    pub fn page(&mut self, page: &Page) -> Result<(), Fault> {
        if page.log != self.terms.log {
            return Err(Fault::OtherLog);
        }
        self.head(&page.head)?;
        page.entries.iter().try_for_each(|entry| self.entry(entry))
    }

    /// The verdict, once every page has been read.
    ///
    /// # Errors
    /// [`Fault`]: entries are missing at the end, or not signed.
    pub fn finish(self) -> Result<Report, Fault> {
        let given = self.chain.index;
        match self.signed.keys().next_back().copied() {
            Some(signed) if signed > given => return Err(Fault::Truncated { given, signed }),
            Some(signed) if signed == given => {}
            signed => return Err(Fault::Unsigned(signed.unwrap_or(0))),
        }
        let with_window = self.terms.claim_window_ms.is_some();
        let standard = Lane::standard();
        let lanes: BTreeMap<String, LaneReport> = self
            .lanes
            .into_iter()
            .map(|(lane, state)| (lane, state.report(with_window)))
            .collect();
        let lane_passes = lanes
            .iter()
            .filter(|(lane, _)| lane.as_str() != standard.as_str())
            .map(|(_, report)| report.admitted)
            .sum();
        Ok(Report {
            admitted: self.chain.index,
            heads: as_u64(self.signed.len()),
            lane_passes,
            lanes,
        })
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Fault> {
        let index = entry.index;
        self.chain
            .follow(entry)
            .map_err(|broken| Fault::Broken(broken.0 + 1))?;
        self.heads.push(self.chain.head);
        self.compare_with_signed(index)?;
        if entry.lane != Lane::standard() && !self.terms.lanes.contains(&entry.lane) {
            return Err(Fault::UndeclaredLane(index));
        }
        if !self.numbers.insert(entry.number) {
            return Err(Fault::Twice(index));
        }
        let position = match &self.draw {
            Some(draw) => draw.position(entry.number),
            None => entry.number,
        };
        if position > entry.frontier {
            return Err(Fault::OutOfOrder {
                index,
                position,
                frontier: entry.frontier,
            });
        }
        self.compare_with_seen(entry)?;
        let slot = lane::slot_of(entry.number);
        let standard = entry.lane == Lane::standard();
        let lane = self.lanes.entry(entry.lane.to_string()).or_default();
        if *lane.slot.get_or_insert(slot) != slot || (standard && slot != 0) {
            return Err(Fault::OtherLane(index));
        }
        if entry.frontier < lane.frontier {
            return Err(Fault::FrontierBack(index));
        }
        lane.admit(entry, position, self.terms.claim_window_ms);
        Ok(())
    }

    /// At one moment a lane has one frontier, so entries before it show no more and later ones no
    /// less. Within the same millisecond either may have been first.
    fn compare_with_seen(&self, entry: &Entry) -> Result<(), Fault> {
        let contradicts = |seen: &&Seen| {
            seen.lane == entry.lane
                && ((entry.at_ms < seen.at_ms && entry.frontier > seen.frontier)
                    || (entry.at_ms > seen.at_ms && entry.frontier < seen.frontier))
        };
        match self.seen.iter().find(contradicts) {
            None => Ok(()),
            Some(seen) => Err(Fault::NotAsSeen {
                index: entry.index,
                logged: entry.frontier,
                seen: seen.frontier,
            }),
        }
    }

    /// Whether the chain came by the head that was signed at `index`, if both are known.
    fn compare_with_signed(&self, index: u64) -> Result<(), Fault> {
        let passed = usize::try_from(index)
            .ok()
            .and_then(|at| self.heads.get(at));
        match (passed, self.signed.get(&index)) {
            (Some(passed), Some(signed)) if passed != signed => Err(Fault::Fork(index)),
            _ => Ok(()),
        }
    }
}
