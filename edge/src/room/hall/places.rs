//! Places: what one is worth, whose it is, and how it is given up.

use super::admissions::claim_again;
use super::{Hall, NUMBER_MAX};
use crate::contract::{Candidate, ClaimReply, Held, HoldPlace, LeaveReply, PlaceRef, Standing};
use crate::identity;
use crate::room::store::Row;
use catraca_domain::admission::jti;
use catraca_domain::ids::AccountId;
use catraca_domain::lane;
use catraca_domain::room::Phase;
use worker::Result;

impl Hall {
    /// What a place is worth, exactly.
    pub(in crate::room) fn standing(&mut self, place: &PlaceRef, now_ms: u64) -> Result<Standing> {
        if !self.could_exist(place) {
            return Ok(Standing::InvalidPlace);
        }
        if let Some(row) = self.store.admission(place.number)? {
            return Ok(match claim_again(place, &row, now_ms) {
                ClaimReply::Admitted(_) => Standing::Admitted,
                ClaimReply::InvalidPlace => Standing::InvalidPlace,
                _ => Standing::Ended,
            });
        }
        self.look(now_ms)?;
        let position = self.position(place.number);
        Ok(if self.release.is_called(position) {
            Standing::Called
        } else if self.release.has_lapsed(position) {
            Standing::Lapsed
        } else if self.phase(now_ms) == Phase::Lobby {
            Standing::Lobby
        } else {
            Standing::Waiting
        })
    }

    /// An account's one place: what it has as long as that is good, else the candidate.
    pub(in crate::room) fn hold(&mut self, call: &HoldPlace, now_ms: u64) -> Result<Option<Held>> {
        let HoldPlace { account, candidate } = call;
        if let Some(place) = self.store.held(*account)? {
            let held = self.held(*account, place, now_ms)?;
            let over = matches!(
                held.standing,
                Standing::Lapsed | Standing::Ended | Standing::InvalidPlace
            );
            if !over {
                return Ok(Some(held));
            }
        }
        let Some(place) = candidate else {
            return Ok(None);
        };
        self.store.hold(*account, place)?;
        self.held(*account, place.clone(), now_ms).map(Some)
    }

    fn held(&mut self, account: AccountId, place: Candidate, now_ms: u64) -> Result<Held> {
        let epoch = self.book.epoch;
        let place_ref = PlaceRef {
            epoch,
            number: place.number,
            visitor: identity::visitor(account, &self.config.room, place.number),
            lane: place.lane.clone(),
        };
        Ok(Held {
            epoch,
            place,
            standing: self.standing(&place_ref, now_ms)?,
        })
    }

    /// Gives a place up: the admission ends, or never comes.
    pub(in crate::room) fn leave(&mut self, place: &PlaceRef, now_ms: u64) -> Result<LeaveReply> {
        if !self.could_exist(place) {
            return Ok(LeaveReply::InvalidPlace);
        }
        self.look(now_ms)?;
        let position = self.position(place.number);
        let slot = lane::slot_of(position);
        match self.store.admission(place.number)? {
            Some(row) if row.visitor != place.visitor => return Ok(LeaveReply::InvalidPlace),
            Some(row) => {
                if let Some(expiry) = self.store.depart(place.number, row.jti)? {
                    self.live.leave(expiry);
                }
            }
            // Only a place that could still be claimed needs a note that it can't.
            None if !self.release.has_lapsed(position) => {
                let row = Row {
                    jti: jti(place.number, [0; 10]),
                    visitor: place.visitor,
                    iat: 0,
                    exp: 0,
                    departed: 1,
                    position,
                    logged: None,
                };
                self.store.admit(place.number, &row)?;
                if position > self.frontier(slot) {
                    // The line steps over it.
                    self.given_up.add(place.number);
                    self.find_voids();
                }
                self.forget_at_the_door(slot, position);
            }
            None => self.forget_at_the_door(slot, position),
        }
        self.look(now_ms)?;
        Ok(LeaveReply::Left)
    }

    fn forget_at_the_door(&mut self, slot: usize, position: u64) {
        if let Some(line) = self.release.line_mut(slot) {
            line.turned_up.remove(&position);
        }
    }

    pub(super) fn could_exist(&self, place: &PlaceRef) -> bool {
        place.epoch == self.book.epoch
            && (1..=NUMBER_MAX).contains(&place.number)
            && self.slot(&place.lane) == Some(lane::slot_of(place.number))
    }
}
