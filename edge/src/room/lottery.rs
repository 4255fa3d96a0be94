//! The room's draw: sealed before anyone is called, frozen when the room opens, revealed once no
//! Dispenser can still give a number that takes part.

use crate::contract::LOBBY_LEASE_MS;
use catraca_domain::draw::ballot::Ballot;
use catraca_domain::draw::{Beacon, Draw, DrawError, DrawRecord};
use catraca_domain::ids::RoomName;
use catraca_domain::lease::LeaseBook;
use serde::{Deserialize, Serialize};

/// Between freeze and reveal, in milliseconds: by then every lease from before is too old.
const SETTLE_MS: u64 = LOBBY_LEASE_MS + 500;

/// A draw and how far it has come. Stored whole; what is public is [`Lottery::record`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lottery {
    ballot: Ballot,
    frozen_at_ms: Option<u64>,
    #[serde(skip)]
    draw: Option<Draw>,
}

impl Lottery {
    /// A draw to come. To be stored before its commitment is shown.
    pub(super) fn seal(secret: [u8; 32], beacon: Option<&Beacon>) -> Result<Self, DrawError> {
        let source = beacon.map(|beacon| beacon.source.clone());
        Ok(Self {
            ballot: Ballot::seal(secret, source)?,
            frozen_at_ms: None,
            draw: None,
        })
    }

    /// As it comes from storage.
    pub(super) fn restored(mut self, room: &RoomName, epoch: u32) -> Self {
        self.draw = self.record(room, epoch).verify().ok();
        self
    }

    /// Freezes when the room is to open, reveals when that is due. True when there is something
    /// new to store, here and in the book.
    pub(super) fn advance(
        &mut self,
        room: &RoomName,
        book: &mut LeaseBook,
        opening: bool,
        beacon: Option<&Beacon>,
        now_ms: u64,
    ) -> Result<bool, DrawError> {
        match self.frozen_at_ms {
            None if opening => {
                self.ballot.freeze(book.issued())?;
                book.drawn = book.issued();
                self.frozen_at_ms = Some(now_ms);
                Ok(true)
            }
            // A clock that was set back: the wait begins anew, it never shortens.
            Some(frozen_at_ms) if self.draw.is_none() && now_ms < frozen_at_ms => {
                self.frozen_at_ms = Some(now_ms);
                Ok(true)
            }
            Some(frozen_at_ms) if self.draw.is_none() && now_ms - frozen_at_ms >= SETTLE_MS => {
                // Another source than the one committed to says nothing. Without a value the lobby
                // goes on.
                let value = match self.ballot.beacon_source() {
                    None => None,
                    Some(source) => {
                        let said = beacon.filter(|beacon| beacon.source == source);
                        let Some(value) = said.and_then(|beacon| beacon.value.clone()) else {
                            return Ok(false);
                        };
                        Some(value)
                    }
                };
                self.ballot.reveal(value)?;
                self.draw = Some(self.record(room, book.epoch).verify()?);
                Ok(true)
            }
            None | Some(_) => Ok(false),
        }
    }

    /// Whether the count is fixed: from then on there is no way back to another order.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen_at_ms.is_some()
    }

    /// The order, once revealed.
    pub(super) fn draw(&self) -> Option<&Draw> {
        self.draw.as_ref()
    }

    /// What everyone may know by now.
    pub(super) fn record(&self, room: &RoomName, epoch: u32) -> DrawRecord {
        self.ballot.record(room, epoch)
    }
}
