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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JoinReply {
    /// A number that nobody else has or will have.
    Given {
        epoch: u32,
        number: u64,
        standing: NewStanding,
    },
    /// What was solved, or the pass, has been used for another place.
    SpentBefore,
    /// There is no number.
    Refused(Refusal),
}

/// What a number is worth in the moment in which it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NewStanding {
    /// The line has not begun to move.
    Lobby,
    /// The line has not come so far.
    Waiting,
    /// It has been called already.
    Called,
}

/// Why there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// The room is closed.
    Closed,
    /// Nothing is left to buy.
    SoldOut,
    /// No such room.
    Unknown,
    /// The Room could not be reached, or too many are asking.
    Unavailable,
}

/// Numbers of `standard`, please, for people who have come together and bring nothing to be checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JoinTogether {
    /// Of which Dispenser.
    pub(crate) id: DispenserId,
    /// How many they are.
    pub(crate) people: u32,
}

/// The answer to [`JoinTogether`], in order of arrival.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbers {
    /// Numbers for the first of them.
    pub(crate) runs: Vec<Run>,
    /// What the others are told.
    pub(crate) rest: Option<Refusal>,
}

/// Numbers that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) epoch: u32,
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) standing: NewStanding,
}

impl Numbers {
    /// One more number.
    pub(crate) fn push(&mut self, epoch: u32, number: u64, standing: NewStanding) {
        match self.runs.last_mut() {
            Some(run)
                if run.epoch == epoch
                    && run.standing == standing
                    && run.first + u64::from(run.count) == number =>
            {
                run.count += 1;
            }
            _ => self.runs.push(Run {
                epoch,
                first: number,
                count: 1,
                standing,
            }),
        }
    }
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
