//! Numbers: given to Dispensers by the lease, lane by lane, and which of them nobody has.

use super::Hall;
use crate::contract::{AskLease, GiveBack, LeaseReply};
use crate::room::lanes;
use crate::room::lottery::Lottery;
use crate::room::store::Document;
use catraca_domain::ids::Lane;
use catraca_domain::lane;
use catraca_domain::lease::LeaseBook;
use worker::Result;

impl Hall {
    /// Gives numbers away.
    pub(in crate::room) fn lease(&mut self, call: &AskLease, now_ms: u64) -> Result<LeaseReply> {
        self.look(now_ms)?;
        let slot = call.lane.as_ref().map_or(Some(0), |lane| {
            let declared = lanes::share_of(&self.config, lane) > 0;
            self.slot(lane).filter(|_| declared)
        });
        let Some(slot) = slot.filter(|_| self.phase(now_ms).takes_joins()) else {
            let bulletin = self.bulletin(now_ms);
            return Ok(LeaseReply::Refused { bulletin });
        };
        let called = self.called_numbers(slot);
        let lease = self.book_mut(slot).grant_above(&call.request, called);
        self.save_book(slot)?;
        // With nobody before them, the first of them are called at once.
        self.look(now_ms)?;
        let bulletin = self.bulletin(now_ms);
        Ok(LeaseReply::Granted { lease, bulletin })
    }

    /// Takes back the rest of a lease that nobody came for.
    pub(super) fn take_back(&mut self, rest: &GiveBack) -> Result<()> {
        let slot = rest.lane.as_ref().map_or(Some(0), |lane| self.slot(lane));
        let Some(slot) = slot else {
            return Ok(());
        };
        let called = self.called_numbers(slot);
        let book = self.book_mut(slot);
        if book.give_back(rest.dispenser, rest.seq, rest.unused, called) {
            self.save_book(slot)?;
        }
        Ok(())
    }

    pub(super) fn frontier(&self, slot: usize) -> u64 {
        let line = self.release.line(slot);
        line.map_or(lane::base(slot), |line| line.frontier)
    }

    pub(super) fn slot(&self, lane: &Lane) -> Option<usize> {
        if *lane == Lane::standard() {
            return Some(0);
        }
        let index = self.lanes.iter().position(|known| known.lane == *lane);
        index.map(|index| index + 1)
    }

    /// The numbers of a slot; of one that there is not, those of `standard`.
    pub(super) fn book(&self, slot: usize) -> &LeaseBook {
        let lane = slot.checked_sub(1).and_then(|index| self.lanes.get(index));
        lane.map_or(&self.book, |lane| &lane.book)
    }

    pub(super) fn book_mut(&mut self, slot: usize) -> &mut LeaseBook {
        match slot
            .checked_sub(1)
            .and_then(|index| self.lanes.get_mut(index))
        {
            None => &mut self.book,
            Some(lane) => &mut lane.book,
        }
    }

    /// All numbers up to it have been called. Among those drawn there is no such number until all
    /// have been.
    pub(super) fn called_numbers(&self, slot: usize) -> u64 {
        let frontier = self.frontier(slot);
        if frontier >= self.book(slot).drawn {
            frontier
        } else {
            lane::base(slot)
        }
    }

    pub(super) fn save_book(&mut self, slot: usize) -> Result<()> {
        if slot == 0 {
            self.store.save(Document::Book, &self.book)?;
        } else {
            self.store.save(Document::Lanes, &self.lanes)?;
        }
        self.find_voids();
        Ok(())
    }

    /// Where nobody stands, anew.
    pub(super) fn find_voids(&mut self) {
        let draw = self.lottery.as_ref().and_then(Lottery::draw);
        let release = &self.release;
        let position = |number| draw.map_or(number, |draw| draw.position(number));
        self.given_up.retain(|number| {
            let position = position(number);
            let line = release.line(lane::slot_of(position));
            line.is_none_or(|line| position > line.frontier)
        });
        self.voids = self.given_up.voids(0, &self.book, draw);
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.voids = self.given_up.voids(index + 1, &lane.book, None);
        }
    }
}
