//! What Worker, Dispenser and Room say to each other: names, routes and messages, typed once.
//!
//! Every call is a `POST` of JSON to a Durable Object, answered by 200 and JSON. Any other answer
//! means that the object could not be reached or broke down, never a decision.

use catraca_domain::admission_log::{Chain, Entry, LogName};
use catraca_domain::draw::DrawRecord;
use catraca_domain::ids::{AccountId, Jti, Lane, RoomName, VisitorId};
use catraca_domain::lease::{Lease, LeaseRequest, Range};
use catraca_domain::room::{Challenge, Departures, Identity, RoomConfig, RoomLive, Status};
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

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
    AskLive => "/live" => Option<RoomLive>;
    AskLease => "/lease" => LeaseReply;
    AskStatus => "/status" => Option<Bulletin>;
    Claim => "/claim" => ClaimReply;
    AskStanding => "/standing" => Standing;
    Leave => "/leave" => LeaveReply;
    HoldPlace => "/hold" => Option<Held>;
    AskLog => "/log" => Option<LogPage>;
    Join => "/join" => JoinReply;
    SharedStatus => "/shared-status" => StatusReply;
    Refresh => "/refresh" => bool;
}

// Core → Worker → Room.

/// A new configuration.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Configure(pub(crate) RoomConfig);

/// The answer to [`Configure`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Configured {
    /// The version in force.
    pub(crate) version: u64,
    /// How many Dispensers have to hear of it: all there are and were.
    pub(crate) dispensers: u32,
    /// The lanes whose Dispensers have to.
    pub(crate) lanes: Vec<Lane>,
}

/// Sessions that ended; answered with how many slots that freed, `None` from an unknown room.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Depart(pub(crate) Departures);

/// The operator's numbers; `None` from an unknown room.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskLive {}

// Worker → the directory.

/// There is such a room from now on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Register(pub(crate) RoomName);

/// Which rooms are there?
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskRooms {}

// Room → Dispenser → Worker.

/// What the Room lets everyone who serves it know: the public status document, and the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bulletin {
    /// The public document.
    pub(crate) status: Status,
    /// How many Dispensers share the arrivals.
    pub(crate) dispensers: u32,
    /// The draw, in a room that has one.
    pub(crate) draw: Option<DrawRecord>,
    /// Who may hold a place.
    pub(crate) identity: Identity,
    /// What is to be solved before joining.
    pub(crate) challenge: Challenge,
    /// Joins within the last second, as far as whoever passes this on can tell.
    pub(crate) joins_last_second: u64,
    /// Numbers given up lately, the newest of those not called yet.
    #[serde(default)]
    pub(crate) given_up: Vec<u64>,
}

// Dispenser → Room.

/// The next numbers, please.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskLease {
    pub(crate) request: LeaseRequest,
    /// Of which lane; `None`: `standard`.
    pub(crate) lane: Option<Lane>,
}

/// The answer to [`AskLease`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum LeaseReply {
    /// Numbers, already written down by the Room.
    Granted {
        /// Them.
        lease: Lease,
        /// The room at that moment.
        bulletin: Bulletin,
    },
    /// Nobody joins in this phase, or in this lane any more.
    Refused {
        /// Which says why.
        bulletin: Bulletin,
    },
    /// No such room.
    Unknown,
}

/// The bulletin; `None` from an unknown room.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskStatus {
    /// Numbers that will not be given after all.
    pub(crate) give_back: Option<GiveBack>,
}

/// The rest of a lease that nobody came for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GiveBack {
    /// Whose lease.
    pub(crate) dispenser: u32,
    /// Of which lane; `None`: `standard`.
    pub(crate) lane: Option<Lane>,
    /// Which one.
    pub(crate) seq: u64,
    /// Its tail.
    pub(crate) unused: Range,
}

// Worker → Room, for one visitor. The Worker has checked the place token.

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
#[derive(Debug, Serialize, Deserialize)]
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

/// Part of the admission log; `None` from an unknown room.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AskLog {
    /// The index before the first entry wanted.
    pub(crate) after: u64,
}

/// The answer to [`AskLog`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LogPage {
    /// Which log.
    pub(crate) log: LogName,
    /// A page of it at most.
    pub(crate) entries: Vec<Entry>,
    /// Where it ends now.
    pub(crate) chain: Chain,
}

// Worker → Dispenser.

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
