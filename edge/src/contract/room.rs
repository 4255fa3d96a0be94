//! To the Room, about the room itself: its configuration from the core, leases and status for its
//! Dispensers, its log for everyone. And to the directory of rooms.

use catraca_domain::admission_log::{Chain, Entry, LogName};
use catraca_domain::draw::DrawRecord;
use catraca_domain::ids::{Lane, RoomName};
use catraca_domain::lease::{Lease, LeaseRequest, Range};
use catraca_domain::room::{Challenge, Departures, Identity, RoomConfig, RoomLive, Status};
use serde::{Deserialize, Serialize};

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

/// The answer to [`AskLive`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Live {
    /// The numbers.
    pub(crate) numbers: RoomLive,
    /// What the room asks of its visitors: not every edge is set up for it.
    pub(crate) challenge: Challenge,
}

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

// Worker → Room, for everyone.

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
