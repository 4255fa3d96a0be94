//! The rooms' status documents in isolate memory: what lets a waiting visitor cost nothing.
//!
//! One refresh at a time for a room and isolate. Nobody waits on another request's work (the
//! runtime ties I/O to the request that began it): who finds a refresh under way and nothing to
//! show meanwhile looks again a moment later.

use crate::client::{Unreachable, ask_dispenser};
use crate::contract::{Bulletin, DispenserId, SharedStatus, StatusReply};
use crate::runtime::{below, date, now_ms, sleep};
use crate::visit::Visit;
use catraca_domain::draw::{Draw, DrawRecord};
use catraca_domain::ids::RoomName;
use catraca_domain::lane;
use catraca_domain::room::{Challenge, Identity, PlaceState, PlaceView, Status};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use worker::Env;

/// Up to this age, in milliseconds, a document is simply used.
const FRESH_MS: u64 = 400;
/// Up to this age it is used while being refreshed behind the answer.
const STALE_MS: u64 = 800;
/// An unknown room is not asked for again for this long.
const UNKNOWN_MS: u64 = 1_000;
/// A refresh that takes longer is taken for dead: its request was cut off.
const REFRESH_MS_MAX: u64 = 6_000;
/// How long a request looks for another's refresh to end.
const PATIENCE_MS: u64 = 3_000;
/// How often it looks.
const LOOK_MS: u64 = 8;
/// Most rooms remembered.
const ROOMS_MAX: usize = 512;

/// What is known of a room, for a while.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) status: Status,
    /// [`Document::status`] as it is sent.
    pub(crate) json: Vec<u8>,
    /// How many Dispensers share the arrivals.
    pub(crate) dispensers: u32,
    /// Who may hold a place.
    pub(crate) identity: Identity,
    /// What is to be solved before joining.
    pub(crate) challenge: Challenge,
    /// Joins within the last second, about.
    pub(crate) joins_last_second: u64,
    /// Numbers given up lately.
    given_up: HashSet<u64>,
    /// What is published of the draw, in a room that has one.
    pub(crate) record: Option<DrawRecord>,
    /// The order, once drawn.
    draw: Option<Draw>,
}

/// Why there is no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// No such room.
    Unknown,
    /// The room could not be asked.
    Unavailable,
}

type Known = Result<Rc<Document>, Lack>;

#[derive(Default)]
struct Entry {
    known: Option<Known>,
    /// The last document there was, however old.
    last: Option<Rc<Document>>,
    at_ms: u64,
    refreshing_since_ms: Option<u64>,
}

enum Next {
    Use(Known),
    UseAndRefresh(Known),
    Refresh,
    Look,
}

thread_local!(static ROOMS: RefCell<HashMap<RoomName, Entry>> = RefCell::default());

/// The status of `room`, at most [`STALE_MS`] old.
pub(crate) async fn status(visit: &Visit, room: &RoomName) -> Known {
    let mut now = visit.now_ms;
    let mut waited_ms = 0;
    loop {
        match next(room, now) {
            Next::Use(known) => return known,
            Next::UseAndRefresh(known) => {
                let (env, room) = (visit.env.clone(), room.clone());
                visit.context.wait_until(async move {
                    let _refreshed = refresh(&env, &room).await;
                });
                return known;
            }
            Next::Refresh => return refresh(&visit.env, room).await,
            Next::Look if waited_ms > PATIENCE_MS => return Err(Lack::Unavailable),
            Next::Look => {
                sleep(LOOK_MS).await;
                waited_ms += LOOK_MS;
                now = now_ms();
            }
        }
    }
}

/// Forgets the room, because it is known to have changed.
pub(crate) fn forget(room: &RoomName) {
    ROOMS.with_borrow_mut(|rooms| rooms.remove(room));
}

/// Whether the room was found missing a moment ago.
pub(crate) fn is_missing(room: &RoomName, now_ms: u64) -> bool {
    ROOMS.with_borrow(|rooms| {
        rooms.get(room).is_some_and(|entry| {
            matches!(entry.known, Some(Err(Lack::Unknown)))
                && now_ms.abs_diff(entry.at_ms) < UNKNOWN_MS
        })
    })
}

/// The status of `room`, or what it was when it could last be had.
pub(crate) async fn latest(visit: &Visit, room: &RoomName) -> Known {
    match status(visit, room).await {
        Err(Lack::Unavailable) => last(room).ok_or(Lack::Unavailable),
        known => known,
    }
}

/// One of the room's Dispensers, any of them.
pub(crate) fn any_dispenser(room: &RoomName, dispensers: u32) -> DispenserId {
    DispenserId {
        room: room.clone(),
        index: below(dispensers),
        lane: None,
    }
}

/// The last document there was, however old.
pub(crate) fn last(room: &RoomName) -> Option<Rc<Document>> {
    ROOMS.with_borrow(|rooms| rooms.get(room)?.last.clone())
}

/// The document, if it is at hand and not old.
pub(crate) fn remembered(room: &RoomName, now_ms: u64) -> Option<Rc<Document>> {
    ROOMS.with_borrow(|rooms| {
        let entry = rooms.get(room)?;
        let document = entry.known.as_ref()?.as_ref().ok()?;
        (now_ms.abs_diff(entry.at_ms) < STALE_MS).then(|| Rc::clone(document))
    })
}

/// What [`status`] would answer at once, and without beginning a refresh.
pub(crate) fn at_hand(room: &RoomName, now_ms: u64) -> Option<Rc<Document>> {
    ROOMS.with_borrow(|rooms| {
        let entry = rooms.get(room)?;
        let document = entry.known.as_ref()?.as_ref().ok()?;
        let age_ms = now_ms.abs_diff(entry.at_ms);
        let refreshing = entry
            .refreshing_since_ms
            .is_some_and(|since| now_ms.abs_diff(since) < REFRESH_MS_MAX);
        let use_ms = if refreshing { STALE_MS } else { FRESH_MS };
        (age_ms < use_ms).then(|| Rc::clone(document))
    })
}

fn next(room: &RoomName, now: u64) -> Next {
    ROOMS.with_borrow_mut(|rooms| {
        if rooms.len() >= ROOMS_MAX && !rooms.contains_key(room) {
            rooms.retain(|_, entry| now.saturating_sub(entry.at_ms) < STALE_MS);
            if rooms.len() >= ROOMS_MAX {
                rooms.clear();
            }
        }
        let entry = rooms.entry(room.clone()).or_default();
        let age_ms = now.abs_diff(entry.at_ms);
        let refreshing = entry
            .refreshing_since_ms
            .is_some_and(|since| now.abs_diff(since) < REFRESH_MS_MAX);
        let keep_ms = match entry.known {
            Some(Err(_)) => UNKNOWN_MS,
            Some(Ok(_)) | None => FRESH_MS,
        };
        match &entry.known {
            Some(known) if age_ms < keep_ms => return Next::Use(known.clone()),
            Some(known @ Ok(_)) if age_ms < STALE_MS => {
                let known = known.clone();
                if refreshing {
                    return Next::Use(known);
                }
                entry.refreshing_since_ms = Some(now);
                return Next::UseAndRefresh(known);
            }
            _ => {}
        }
        if refreshing {
            Next::Look
        } else {
            entry.refreshing_since_ms = Some(now);
            Next::Refresh
        }
    })
}

async fn refresh(env: &Env, room: &RoomName) -> Known {
    let last = last(room);
    let id = any_dispenser(room, last.as_ref().map_or(1, |last| last.dispensers));
    let known = match ask_dispenser(env, &id, &SharedStatus(id.clone())).await {
        Ok(StatusReply::Known(bulletin)) => match Document::new(*bulletin) {
            Ok(document) => Ok(Rc::new(document)),
            Err(_) => Err(Lack::Unavailable),
        },
        Ok(StatusReply::Unknown) => Err(Lack::Unknown),
        Ok(StatusReply::Unavailable) | Err(Unreachable) => Err(Lack::Unavailable),
    };
    let entry = Entry {
        last: known.as_ref().ok().cloned().or(last),
        known: Some(known.clone()),
        at_ms: now_ms(),
        refreshing_since_ms: None,
    };
    ROOMS.with_borrow_mut(|rooms| rooms.insert(room.clone(), entry));
    known
}

impl Document {
    fn new(bulletin: Bulletin) -> serde_json::Result<Self> {
        let Bulletin {
            status,
            dispensers,
            draw,
            identity,
            challenge,
            joins_last_second,
            given_up,
        } = bulletin;
        Ok(Self {
            json: serde_json::to_vec(&status)?,
            status,
            dispensers,
            identity,
            challenge,
            joins_last_second,
            given_up: given_up.into_iter().collect(),
            draw: draw.as_ref().and_then(|record| record.verify().ok()),
            record: draw,
        })
    }

    /// Where a number stands in the line.
    pub(crate) fn position(&self, number: u64) -> u64 {
        let draw = self.draw.as_ref();
        draw.map_or(number, |draw| draw.position(number))
    }

    /// What the holder of `number` is told.
    pub(crate) fn view(&self, number: u64, now_ms: u64) -> PlaceView {
        let position = self.position(number);
        let mut view = self.status.view(position, date(now_ms));
        view.number = lane::shown(number);
        if lane::slot_of(number) > 0 {
            // Lanes are not drawn.
        } else if self.draw.is_some() {
            view.position = Some(position);
        } else if self.record.is_some() {
            // Anyone may be drawn before anyone.
            view.ahead = self.status.waiting_standard().saturating_sub(1);
        }
        if self.given_up.contains(&number) {
            view.state = PlaceState::Lapsed;
            view.eta_seconds = None;
        }
        view
    }
}
