//! A room: how it is configured, what it tells everyone, and what that means for one place.

use crate::draw::Beacon;
use crate::ids::{Jti, Lane, RoomName};
use crate::lane;
use crate::lease::{Range, voids_in};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Bounds of a room's settings, each inclusive; outside them the core answers 422.
pub mod bounds {
    use std::ops::RangeInclusive;
    /// Claims a minute.
    pub const RATE_PER_MINUTE: RangeInclusive<u32> = 1..=600_000;
    /// Live admissions.
    pub const MAX_ACTIVE: RangeInclusive<u32> = 1..=1_000_000;
    /// Length of a shopping session, seconds.
    pub const SESSION_SECONDS: RangeInclusive<u32> = 10..=14_400;
    /// Time to turn up once called, seconds.
    pub const CLAIM_WINDOW_SECONDS: RangeInclusive<u32> = 5..=3_600;
    /// Longest message to those waiting, in characters.
    pub const MESSAGE_CHARS_MAX: usize = 500;
    /// Dispensers of a room. One gives some thousand numbers a second.
    pub const DISPENSERS: RangeInclusive<u32> = 1..=64;
    /// Most lanes at a time.
    pub const LANES_MAX: usize = 16;
    /// What `standard` keeps at least, in percent of the claims: nobody waits for ever.
    pub const STANDARD_PERCENT_MIN: u32 = 1;
}

/// How places are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// In order of arrival.
    Fifo,
    /// Those in the lobby are shuffled at opening; later ones queue behind.
    Draw,
    /// No line: whoever comes is let in, up to `max_active`.
    Passthrough,
}

/// Who may hold a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Anyone.
    Anonymous,
    /// Logged-in accounts, one place each.
    Account,
}

/// What a visitor must solve before joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Challenge {
    /// Nothing.
    None,
    /// A proof of work.
    ProofOfWork,
    /// Cloudflare Turnstile.
    Turnstile,
}

/// What happens at the edge when the room can't be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailMode {
    /// Nobody new enters; places are kept. The only mode there is: fail closed.
    Closed,
}

/// What the operator has asked of the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Lobby until `opens_at`, then open; closed when there is no `opens_at`.
    Scheduled,
    /// Open now.
    Open,
    /// Nobody is called; everybody keeps the place.
    Paused,
    /// Nobody joins, nobody is called.
    Closed,
}

/// What the room is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// People gather; the line does not move yet.
    Lobby,
    /// The line moves.
    Open,
    /// The line stands still for a while.
    Paused,
    /// Nothing is left to buy.
    SoldOut,
    /// No line.
    Closed,
}

impl Phase {
    /// Whether a newcomer gets a place.
    pub fn takes_joins(self) -> bool {
        match self {
            Self::Lobby | Self::Open | Self::Paused => true,
            Self::SoldOut | Self::Closed => false,
        }
    }
}

/// A lane and its share of the pace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneShare {
    /// The lane.
    pub lane: Lane,
    /// Percent of the claims, from 1; what all leave, at least
    /// [`bounds::STANDARD_PERCENT_MIN`], is that of `standard`.
    pub share_percent: u8,
}

/// The percent left to `standard`.
///
/// # Errors
/// What is wrong with the lanes, in words.
pub fn standard_share(lanes: &[LaneShare]) -> Result<u32, String> {
    if lanes.len() > bounds::LANES_MAX {
        return Err(format!("must be at most {}", bounds::LANES_MAX));
    }
    let mut left = 100_u32;
    for (
        index,
        LaneShare {
            lane,
            share_percent,
        },
    ) in lanes.iter().enumerate()
    {
        if *lane == Lane::standard() {
            return Err("must not name standard: it has what the others leave".to_owned());
        }
        if lanes[..index].iter().any(|before| before.lane == *lane) {
            return Err(format!("names {lane} twice"));
        }
        if *share_percent == 0 {
            return Err(format!("gives {lane} nothing"));
        }
        left = left.saturating_sub(u32::from(*share_percent));
    }
    if left < bounds::STANDARD_PERCENT_MIN {
        return Err("must leave standard at least 1 percent".to_owned());
    }
    Ok(left)
}

/// A room's configuration, as the core pushes it to the edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomConfig {
    /// Which room.
    pub room: RoomName,
    /// Grows with every change; an older one arriving late is ignored.
    pub version: u64,
    /// Order of places.
    pub method: Method,
    /// Who may hold one.
    pub identity: Identity,
    /// What to solve first.
    pub challenge: Challenge,
    /// The operator's word.
    pub control: Control,
    /// When a scheduled room opens.
    #[serde(with = "time::serde::rfc3339::option")]
    pub opens_at: Option<OffsetDateTime>,
    /// Target pace, in claims a minute.
    pub rate_per_minute: u32,
    /// Most live admissions, ever.
    pub max_active: u32,
    /// Length of a shopping session.
    pub session_seconds: u32,
    /// Time to turn up once called.
    pub claim_window_seconds: u32,
    /// Lanes beside `standard`.
    pub lanes: Vec<LaneShare>,
    /// When the room can't be reached.
    pub fail_mode: FailMode,
    /// Words to everyone waiting.
    pub message: Option<String>,
    /// Whether the last seat is sold.
    pub sold_out: bool,
    /// Whether the last seat may be sold within half a minute.
    #[serde(default)]
    pub selling_out: bool,
    /// How many Dispensers share the arrivals; may change while the room is open.
    #[serde(default = "one_dispenser")]
    pub dispensers: u32,
    /// The public value that a draw mixes in: its source is part of the commitment, so it is to be
    /// there before the lobby opens; the lobby lasts until its value is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beacon: Option<Beacon>,
    /// Most live admissions that what is left to buy allows; none while there is plenty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock_max: Option<u64>,
}

fn one_dispenser() -> u32 {
    *bounds::DISPENSERS.start()
}

impl RoomConfig {
    /// Most live admissions at this time.
    pub fn admissions_max(&self) -> u64 {
        let max = u64::from(self.max_active);
        self.stock_max.map_or(max, |stock| stock.min(max))
    }

    /// The phase at a moment: a function of the configuration and the time alone, so that a
    /// missed alarm can't keep a room shut.
    pub fn phase(&self, now: OffsetDateTime) -> Phase {
        let open = if self.sold_out {
            Phase::SoldOut
        } else {
            Phase::Open
        };
        match (self.control, self.opens_at) {
            (Control::Paused, _) => Phase::Paused,
            (Control::Scheduled, Some(opens_at)) if now < opens_at => Phase::Lobby,
            (Control::Open, _) | (Control::Scheduled, Some(_)) => open,
            (Control::Closed, _) | (Control::Scheduled, None) => Phase::Closed,
        }
    }
}

/// What is left to buy, as far as those waiting are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stock {
    /// Something.
    Available,
    /// Something, but perhaps not for another half minute.
    Low,
    /// Nothing.
    SoldOut,
}

/// The room's status document: public, the same for everyone, a second old at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Which room.
    pub room: RoomName,
    /// Which opening of it.
    pub epoch: u32,
    /// What it is doing.
    pub phase: Phase,
    /// All numbers up to this one have been called.
    pub frontier: u64,
    /// All numbers up to this one have been called too long ago to claim now.
    pub lapsed: u64,
    /// People in line, in all lanes.
    pub waiting: u64,
    /// Target pace, in claims a minute.
    pub rate_per_minute: u32,
    /// When it opens, if that is to come.
    #[serde(with = "time::serde::rfc3339::option")]
    pub opens_at: Option<OffsetDateTime>,
    /// The operator's words.
    pub message: Option<String>,
    /// When this was true.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// What is left.
    pub stock: Stock,
    /// Numbers beyond the frontier that nobody has, ascending.
    pub voids: Vec<Range>,
    /// People called a minute lately, while people waited; 0: unknown.
    #[serde(default)]
    pub calls_per_minute: u64,
    /// The lanes beside `standard`, by slot; those taken off the room too, while people may be in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneStatus>,
}

/// The same for a lane. Numbers are as in the admission log: see [`crate::lane`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneStatus {
    /// Which.
    pub lane: Lane,
    /// Its declared share; 0: nobody new gets in.
    pub share_percent: u8,
    /// All numbers up to this one have been called.
    pub frontier: u64,
    /// All numbers up to this one have been called too long ago to claim now.
    pub lapsed: u64,
    /// People in line.
    pub waiting: u64,
    /// People called a minute lately.
    pub calls_per_minute: u64,
    /// Numbers beyond the frontier that nobody has, ascending.
    pub voids: Vec<Range>,
}

/// What a place is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceState {
    /// The room has not opened.
    Lobby,
    /// In line.
    Waiting,
    /// It is your turn: claim.
    Called,
    /// You have been admitted.
    Admitted,
    /// You were called and did not come in time, or your session is over.
    Lapsed,
}

/// Seconds to go, as an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eta {
    /// At the earliest.
    pub low: u64,
    /// Most likely by then.
    pub high: u64,
}

/// What one visitor is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaceView {
    /// What the place is worth.
    pub state: PlaceState,
    /// Its number within its lane.
    pub number: u64,
    /// Its lane, unless that is `standard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// Where it stands, once drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// People before it; before a draw, everyone else, for any of them may be.
    pub ahead: u64,
    /// Estimated wait; unknown while the line stands still.
    pub eta_seconds: Option<Eta>,
    /// When to ask again, in milliseconds, before jitter.
    pub poll_after_ms: u64,
    /// The room's phase, so that one poll tells all.
    pub phase: Phase,
    /// The operator's words.
    pub message: Option<String>,
}

/// Shortest and longest time between polls, in milliseconds.
pub const POLL_MS: std::ops::RangeInclusive<u64> = 1_000..=20_000;

/// Longest time between polls while the stock is [`Stock::Low`], in milliseconds: with jitter, and what it
/// takes for the news to spread, everyone waiting hears within five seconds that all is sold.
pub const POLL_LOW_MS: u64 = 2_500;

/// The part of a status document that a place's lane is told by.
struct Front<'a> {
    lane: Option<&'a Lane>,
    frontier: u64,
    lapsed: u64,
    calls_per_minute: u64,
    voids: &'a [Range],
}

impl Status {
    /// When to ask again, for one who would otherwise do so after `poll_ms`.
    pub fn poll_ms(&self, poll_ms: u64) -> u64 {
        match self.stock {
            Stock::Low => poll_ms.min(POLL_LOW_MS),
            Stock::Available | Stock::SoldOut => poll_ms,
        }
    }

    /// People in the line of `standard`.
    pub fn waiting_standard(&self) -> u64 {
        let elsewhere: u64 = self.lanes.iter().map(|lane| lane.waiting).sum();
        self.waiting.saturating_sub(elsewhere)
    }

    /// The slot of a lane that has one.
    pub fn slot(&self, lane: &Lane) -> Option<usize> {
        if *lane == Lane::standard() {
            return Some(0);
        }
        let index = self.lanes.iter().position(|status| status.lane == *lane);
        index.map(|index| index + 1)
    }

    fn front(&self, number: u64) -> Front<'_> {
        let slot = lane::slot_of(number);
        match slot.checked_sub(1).map(|index| self.lanes.get(index)) {
            None => Front {
                lane: None,
                frontier: self.frontier,
                lapsed: self.lapsed,
                calls_per_minute: self.calls_per_minute,
                voids: &self.voids,
            },
            Some(Some(status)) => Front {
                lane: Some(&status.lane),
                frontier: status.frontier,
                lapsed: status.lapsed,
                calls_per_minute: status.calls_per_minute,
                voids: &status.voids,
            },
            // A lane that this document is too old to know.
            Some(None) => Front {
                lane: None,
                frontier: lane::base(slot),
                lapsed: lane::base(slot),
                calls_per_minute: 0,
                voids: &[],
            },
        }
    }

    /// How far the lane of `number` has been called.
    pub fn frontier_of(&self, number: u64) -> u64 {
        self.front(number).frontier
    }

    /// What the holder of `number` is told. `now` moves the opening countdown between refreshes.
    ///
    /// A called place is [`PlaceState::Called`] or [`PlaceState::Lapsed`] here, even when it has
    /// been admitted: only the Room knows who has.
    pub fn view(&self, number: u64, now: OffsetDateTime) -> PlaceView {
        let front = self.front(number);
        let voids_ahead = voids_in(
            front.voids,
            Range {
                lo: front.frontier + 1,
                hi: number,
            },
        );
        let ahead = number
            .saturating_sub(front.frontier + 1)
            .saturating_sub(voids_ahead);
        let state = if number <= front.lapsed {
            PlaceState::Lapsed
        } else if number <= front.frontier {
            PlaceState::Called
        } else if self.phase == Phase::Lobby {
            PlaceState::Lobby
        } else {
            PlaceState::Waiting
        };
        let per_minute = match front.calls_per_minute {
            0 => u64::from(self.rate_per_minute.max(1)),
            measured => measured,
        };
        let wait = ahead.saturating_mul(60) / per_minute;
        let moves = (state, self.phase) == (PlaceState::Waiting, Phase::Open);
        let until_open_ms = self.opens_at.map_or(0, |at| {
            u64::try_from((at - now).whole_milliseconds()).unwrap_or(0)
        });
        let poll_ms = match state {
            PlaceState::Lobby => until_open_ms / 2,
            PlaceState::Waiting if moves => wait.saturating_mul(1000 / 4),
            PlaceState::Waiting => *POLL_MS.end() / 4,
            PlaceState::Called | PlaceState::Admitted | PlaceState::Lapsed => 0,
        };
        PlaceView {
            state,
            number: lane::shown(number),
            lane: front.lane.cloned(),
            position: None,
            ahead,
            eta_seconds: moves.then(|| Eta::around(wait)),
            poll_after_ms: poll_ms.clamp(*POLL_MS.start(), *POLL_MS.end()),
            phase: self.phase,
            message: self.message.clone(),
        }
    }
}

impl Eta {
    /// A fifth less to a quarter more than measured, and five seconds for the last poll.
    fn around(wait_seconds: u64) -> Self {
        Self {
            low: wait_seconds - wait_seconds / 5,
            high: (wait_seconds / 4)
                .saturating_add(wait_seconds)
                .saturating_add(5),
        }
    }
}

/// Shopping sessions that are over: the core tells the room, in batches, again and again until
/// it is acknowledged; doubles change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departures {
    /// The admissions whose sessions ended.
    pub jtis: Vec<Jti>,
}

/// Most departures in one batch.
pub const DEPARTURES_MAX: usize = 1000;

/// What the room tells its operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomLive {
    /// The public document.
    pub status: Status,
    /// The configuration's version in force.
    pub version: u64,
    /// Live admissions.
    pub active: u64,
    /// Admissions so far.
    pub admitted_total: u64,
    /// Most live admissions.
    pub max_active: u32,
    /// What is wrong with the edge's set-up for this room, in words.
    #[serde(default)]
    pub faults: Vec<String>,
}
