//! What Worker, Dispenser and Room say to each other: names, routes and messages, typed once.
//!
//! Every call is a `POST` of JSON to a Durable Object, answered by 200 and JSON. Any other answer
//! means that the object could not be reached or broke down, never a decision.

mod dispenser;
mod place;
mod room;

pub(crate) use dispenser::{
    Join, JoinReply, JoinTogether, NewStanding, Numbers, Refresh, Refusal, Run, SharedStatus,
    Spent, StatusReply, UsedPass,
};
pub(crate) use place::{
    Admitted, AskStanding, Candidate, Claim, ClaimReply, Held, HoldPlace, Leave, LeaveReply,
    PlaceRef, Standing,
};
pub(crate) use room::{
    AskLease, AskLive, AskLog, AskRooms, AskStatus, Bulletin, Configure, Configured, Depart,
    GiveBack, LeaseReply, Live, LogPage, Register,
};

use catraca_domain::ids::{Lane, RoomName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Binding of the Room namespace.
pub(crate) const ROOM_BINDING: &str = "ROOM";
/// Binding of the Dispenser namespace.
pub(crate) const DISPENSER_BINDING: &str = "DISPENSER";
/// The one object of the Room class that is no room: it knows which rooms there are. No room's
/// name begins with a hyphen.
pub(crate) const DIRECTORY: &str = "-rooms";

/// A Dispenser gives no number of a lease that takes part in a draw later than this after it asked
/// for it, in milliseconds: when the Room has waited longer, nobody gets such a number any more.
pub(crate) const LOBBY_LEASE_MS: u64 = 1_500;

/// One of a room's Dispensers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DispenserId {
    /// The room.
    pub(crate) room: RoomName,
    /// From 0.
    pub(crate) index: u32,
    /// Whose numbers it gives; `None`: those of `standard`. Every other lane has one Dispenser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lane: Option<Lane>,
}

impl DispenserId {
    /// The Durable Object's name. A room's name has no slash, so no two are alike.
    pub(crate) fn object_name(&self) -> String {
        match &self.lane {
            None => format!("{}/{}", self.room, self.index),
            Some(lane) => format!("{}/{lane}/{}", self.room, self.index),
        }
    }
}

/// A message with its route and its reply.
pub(crate) trait Call: Serialize + DeserializeOwned {
    /// What comes back.
    type Reply: Serialize + DeserializeOwned;
    /// Path within the Durable Object.
    const ROUTE: &'static str;
}

macro_rules! calls {
    ($($message:ty => $route:literal => $reply:ty;)*) => {
        $(impl Call for $message {
            type Reply = $reply;
            const ROUTE: &'static str = $route;
        })*
    };
}

calls! {
    Configure => "/config" => Configured;
    Depart => "/departures" => Option<u64>;
    Register => "/register" => bool;
    AskRooms => "/rooms" => Vec<RoomName>;
    AskLive => "/live" => Option<Live>;
    AskLease => "/lease" => LeaseReply;
    AskStatus => "/status" => Option<Bulletin>;
    Claim => "/claim" => ClaimReply;
    AskStanding => "/standing" => Standing;
    Leave => "/leave" => LeaveReply;
    HoldPlace => "/hold" => Option<Held>;
    AskLog => "/log" => Option<LogPage>;
    Join => "/join" => JoinReply;
    JoinTogether => "/joins" => Numbers;
    SharedStatus => "/shared-status" => StatusReply;
    Refresh => "/refresh" => bool;
}
