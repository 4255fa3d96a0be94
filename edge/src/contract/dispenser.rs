//! To a Dispenser: numbers, and the bulletin as it has it.

use super::{Bulletin, DispenserId};
use catraca_domain::ids::RoomName;
use serde::{Deserialize, Serialize};

/// A number, please.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Join {
    /// Of which Dispenser.
    pub(crate) id: DispenserId,
    /// What was solved for it, good once.
    pub(crate) spent: Option<Spent>,
    /// What it was let into the lane by, good once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pass: Option<UsedPass>,
}

/// A lane pass, to be remembered in storage until it is worthless.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct UsedPass {
    pub(crate) id: [u8; 16],
    /// When it may be forgotten, unix seconds.
    pub(crate) expires_at: u64,
}

/// A solution, to be remembered until it is worthless.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// The puzzle's.
    pub(crate) nonce: [u8; 16],
    /// When it may be forgotten, unix milliseconds.
    pub(crate) expires_at_ms: u64,
}

impl Spent {
    /// The Dispenser that knows whether it was spent before.
    pub(crate) fn dispenser(&self, room: &RoomName, dispensers: u32) -> DispenserId {
        let [a, b, c, d, ..] = self.nonce;
        DispenserId {
            room: room.clone(),
            index: u32::from_be_bytes([a, b, c, d]) % dispensers.max(1),
            lane: None,
        }
    }
}

/// The answer to [`Join`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum JoinReply {
    /// A number that nobody else has or will have.
    Given {
        epoch: u32,
        number: u64,
        /// Whether the line has not begun to move.
        lobby: bool,
        /// Whether the number has been called already.
        called: bool,
    },
    /// What was solved, or the pass, has been used for another place.
    SpentBefore,
    /// The room is closed.
    Closed,
    /// Nothing is left to buy.
    SoldOut,
    /// No such room.
    Unknown,
    /// The Room could not be reached, or too many are asking.
    Unavailable,
}

/// The bulletin, as fresh as the Dispenser has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SharedStatus(pub(crate) DispenserId);

/// The answer to [`SharedStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum StatusReply {
    /// It.
    Known(Box<Bulletin>),
    /// No such room.
    Unknown,
    /// The Room could not be reached.
    Unavailable,
}

/// The Room has changed: forget what you know of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refresh(pub(crate) DispenserId);
