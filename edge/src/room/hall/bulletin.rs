//! What everyone is told: the status document with each lane's front, and the operator's numbers.

use super::Hall;
use crate::contract::{Bulletin, GiveBack, Live};
use crate::room::lanes;
use crate::runtime::date;
use catraca_domain::ids::Lane;
use catraca_domain::lane;
use catraca_domain::lease::{Range, VOID_RANGES_MAX, voids_in};
use catraca_domain::room::{Control, LaneStatus, Method, RoomLive, Status, Stock, standard_share};
use worker::Result;

impl Hall {
    /// The bulletin.
    pub(in crate::room) fn status(
        &mut self,
        give_back: Option<&GiveBack>,
        now_ms: u64,
    ) -> Result<Bulletin> {
        self.look(now_ms)?;
        if let Some(rest) = give_back {
            self.take_back(rest)?;
        }
        Ok(self.bulletin(now_ms))
    }

    /// The operator's numbers.
    pub(in crate::room) fn live(&mut self, now_ms: u64) -> Result<Live> {
        self.look(now_ms)?;
        Ok(Live {
            numbers: RoomLive {
                status: self.document(now_ms),
                version: self.config.version,
                active: self.active(now_ms)?,
                admitted_total: self.admitted_total,
                max_active: self.config.max_active,
                faults: Vec::new(),
            },
            challenge: self.config.challenge,
        })
    }

    pub(super) fn bulletin(&self, now_ms: u64) -> Bulletin {
        Bulletin {
            status: self.document(now_ms),
            dispensers: self.config.dispensers,
            identity: self.config.identity,
            challenge: self.config.challenge,
            joins_last_second: 0,
            given_up: self.given_up.told(),
            draw: self
                .lottery
                .as_ref()
                .filter(|lottery| lottery.is_frozen() || self.config.method == Method::Draw)
                .map(|lottery| lottery.record(&self.config.room, self.book.epoch)),
        }
    }

    fn document(&self, now_ms: u64) -> Status {
        let fronts: Vec<LaneStatus> = (0..=self.lanes.len())
            .map(|slot| self.front(slot))
            .collect();
        let waiting = fronts.iter().map(|front| front.waiting).sum();
        let mut fronts = fronts.into_iter();
        let (frontier, lapsed, calls_per_minute, voids) =
            fronts.next().map_or((0, 0, 0, Vec::new()), |standard| {
                let LaneStatus {
                    frontier,
                    lapsed,
                    calls_per_minute,
                    voids,
                    ..
                } = standard;
                (frontier, lapsed, calls_per_minute, voids)
            });
        Status {
            room: self.config.room.clone(),
            epoch: self.book.epoch,
            phase: self.phase(now_ms),
            frontier,
            lapsed,
            waiting,
            rate_per_minute: self.config.rate_per_minute,
            opens_at: match self.config.control {
                Control::Scheduled => self.config.opens_at,
                Control::Open | Control::Paused | Control::Closed => None,
            },
            message: self.config.message.clone(),
            as_of: date(now_ms),
            stock: if self.config.sold_out {
                Stock::SoldOut
            } else if self.config.selling_out {
                Stock::Low
            } else {
                Stock::Available
            },
            voids,
            calls_per_minute,
            lanes: fronts.collect(),
        }
    }

    /// How far a lane has come.
    fn front(&self, slot: usize) -> LaneStatus {
        let known = slot.checked_sub(1).and_then(|index| self.lanes.get(index));
        let (lane, voids) = known.map_or((Lane::standard(), &self.voids), |known| {
            (known.lane.clone(), &known.voids)
        });
        let share_percent = match slot {
            0 => standard_share(&self.config.lanes)
                .map_or(1, |share| u8::try_from(share).unwrap_or(u8::MAX)),
            _ => lanes::share_of(&self.config, &lane),
        };
        let frontier = self.frontier(slot);
        let ahead = Range {
            lo: frontier + 1,
            hi: self.book(slot).next,
        };
        let moving = self.release.line(slot);
        let target = u64::from(self.config.rate_per_minute) * u64::from(share_percent) / 100;
        let to_come = voids.iter().filter(|void| void.hi > frontier + 1);
        LaneStatus {
            share_percent,
            frontier,
            lapsed: moving.map_or(lane::base(slot), |line| line.lapsed),
            waiting: ahead.len().saturating_sub(voids_in(voids, ahead)),
            calls_per_minute: moving.map_or(0, |line| line.calls_per_minute(target)),
            // A draw scatters what was one range: those beyond the bound are not told of, and whoever
            // is so far back counts a few people too many ahead.
            voids: to_come.take(VOID_RANGES_MAX).copied().collect(),
            lane,
        }
    }
}
