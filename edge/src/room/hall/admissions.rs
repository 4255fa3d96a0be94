//! Admissions: who is let in and who is out again, and the log of it.

use super::{Hall, moment};
use crate::contract::{Admitted, Claim, ClaimReply, LogPage, PlaceRef};
use crate::room::lanes;
use crate::room::store::{Logged, Row};
use catraca_domain::admission::{jti, jti_number};
use catraca_domain::admission_log::{self, Chain, LogName, PAGE_ENTRIES_MAX};
use catraca_domain::lane;
use catraca_domain::release;
use catraca_domain::room::{Departures, Phase};
use worker::Result;

impl Hall {
    /// Lets a place in, if it is its turn and there is room.
    pub(in crate::room) fn claim(&mut self, claim: &Claim, now_ms: u64) -> Result<ClaimReply> {
        let Claim { place, random } = claim;
        if !self.could_exist(place) {
            return Ok(ClaimReply::InvalidPlace);
        }
        if let Some(row) = self.store.admission(place.number)? {
            return Ok(claim_again(place, &row, now_ms));
        }
        self.look(now_ms)?;
        match self.phase(now_ms) {
            Phase::Closed => return Ok(ClaimReply::Closed),
            Phase::SoldOut => return Ok(ClaimReply::SoldOut),
            Phase::Lobby | Phase::Open | Phase::Paused => {}
        }
        let active = self.active(now_ms)?;
        let open = self.phase(now_ms) == Phase::Open;
        let position = self.position(place.number);
        let standard = (self.book.issued(), self.voids.as_slice());
        let queues = lanes::queues(&self.config, standard, &self.lanes);
        let moment = moment(&self.config, &queues, open, active, now_ms);
        match self.release.claim(position, &moment) {
            release::Claim::Admit => {}
            release::Claim::Wait { retry_after_ms } => {
                return Ok(ClaimReply::Wait { retry_after_ms });
            }
            release::Claim::NotCalled => return Ok(ClaimReply::NotCalled),
            release::Claim::Lapsed => return Ok(ClaimReply::Lapsed),
        }
        let iat = now_ms / 1000;
        let jti = jti(place.number, *random);
        let mut log = self.chain();
        let entry = log.append(&admission_log::Admitted {
            number: place.number,
            lane: place.lane.clone(),
            at_ms: now_ms,
            jti,
            frontier: self.frontier(lane::slot_of(place.number)),
        });
        let row = Row {
            jti,
            visitor: place.visitor,
            iat,
            exp: iat + u64::from(self.config.session_seconds),
            departed: 0,
            position,
            logged: Some(Logged {
                entry,
                head: log.head,
            }),
        };
        self.store.admit(place.number, &row)?;
        self.log = Some(log);
        self.live.enter(row.exp);
        self.admitted_total += 1;
        Ok(ClaimReply::Admitted(admitted(&row)))
    }

    /// Ends admissions; how many slots that freed.
    pub(in crate::room) fn depart(&mut self, departures: &Departures, now_ms: u64) -> Result<u64> {
        self.look(now_ms)?;
        let mut freed = 0;
        for jti in &departures.jtis {
            if let Some(expiry) = self.store.depart(jti_number(*jti), *jti)? {
                freed += u64::from(self.live.leave(expiry));
            }
        }
        self.look(now_ms)?;
        Ok(freed)
    }

    /// A page of the admission log, and where the log ends.
    pub(in crate::room) fn log(&self, after: u64) -> Result<LogPage> {
        let page = self.store.log(after + 1, PAGE_ENTRIES_MAX)?;
        Ok(LogPage {
            log: self.log_name(),
            entries: page.into_iter().map(|logged| logged.entry).collect(),
            chain: self.chain(),
        })
    }

    fn chain(&self) -> Chain {
        self.log.unwrap_or_else(|| Chain::begin(&self.log_name()))
    }

    fn log_name(&self) -> LogName {
        let (room, epoch) = (self.config.room.clone(), self.book.epoch);
        let drawn = self.lottery.as_ref().filter(|lottery| lottery.is_frozen());
        LogName {
            draw: drawn.map(|lottery| lottery.record(&room, epoch).commitment),
            room,
            epoch,
        }
    }
}

fn admitted(row: &Row) -> Admitted {
    Admitted {
        jti: row.jti,
        iat: row.iat,
        exp: row.exp,
    }
}

pub(super) fn claim_again(place: &PlaceRef, row: &Row, now_ms: u64) -> ClaimReply {
    if row.visitor != place.visitor {
        ClaimReply::InvalidPlace
    } else if row.departed == 0 && now_ms / 1000 < row.exp {
        ClaimReply::Admitted(admitted(row))
    } else {
        ClaimReply::Ended
    }
}
