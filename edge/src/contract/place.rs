//! To the Room, for one visitor: what the place is worth, and what becomes of it. The Worker has
//! checked the place token.

use catraca_domain::ids::{AccountId, Jti, Lane, VisitorId};
use serde::{Deserialize, Serialize};

/// A place, as its token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlaceRef {
    pub(crate) epoch: u32,
    pub(crate) number: u64,
    pub(crate) visitor: VisitorId,
    pub(crate) lane: Lane,
}

/// Let me in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) place: PlaceRef,
    /// What a new admission's id is made of, besides the number.
    pub(crate) random: [u8; 10],
}

/// The answer to [`Claim`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ClaimReply {
    /// In, now or already.
    Admitted(Admitted),
    /// Called, but there is no room this moment.
    Wait { retry_after_ms: u64 },
    /// Not called yet.
    NotCalled,
    /// Called, and not here in time.
    Lapsed,
    /// Was in; the session is over.
    Ended,
    /// The room is closed to whoever is not in yet.
    Closed,
    /// Nothing is left to buy.
    SoldOut,
    /// Of another epoch, or not this visitor's.
    InvalidPlace,
    /// No such room.
    Unknown,
}

/// An admission as the Room wrote it down; the token is made from it alone, so the same
/// admission is the same token. Times are unix seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Admitted {
    pub(crate) jti: Jti,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
}

/// What is this place worth, exactly?
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskStanding {
    pub(crate) place: PlaceRef,
}

/// The answer to [`AskStanding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// The room has not opened.
    Lobby,
    /// Not called yet.
    Waiting,
    /// May claim.
    Called,
    /// In.
    Admitted,
    /// Did not come in time.
    Lapsed,
    /// Was in or gave the place up.
    Ended,
    /// Of another epoch, or not this visitor's.
    InvalidPlace,
    /// No such room.
    Unknown,
}

/// I give up the place and whatever came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Leave {
    pub(crate) place: PlaceRef,
}

/// The answer to [`Leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LeaveReply {
    /// Gone, now or before.
    Left,
    /// Of another epoch, or not this visitor's.
    InvalidPlace,
    /// No such room.
    Unknown,
}

/// The one place of an account: the one it has, else the number that it has just been given.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HoldPlace {
    pub(crate) account: AccountId,
    /// Taken when it has none that is still good.
    pub(crate) candidate: Option<Candidate>,
}

/// A number, given a moment ago.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) number: u64,
    pub(crate) joined_at_ms: u64,
    #[serde(default = "Lane::standard")]
    pub(crate) lane: Lane,
}

/// The answer to [`HoldPlace`]; `None` from an unknown room, or when there is none.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) epoch: u32,
    pub(crate) place: Candidate,
    pub(crate) standing: Standing,
}
