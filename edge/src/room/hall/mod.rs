//! The room's state and its decisions. Nothing in here waits.
//!
//! A visitor meets, in order: [`numbers`] given by the lease, the [`draw`] if there is one, what
//! a [place](places) is worth meanwhile, [admission](admissions). The [`bulletin`] is what
//! everyone is told.

mod admissions;
mod bulletin;
mod draw;
mod numbers;
mod places;

use super::lanes::{self, GivenUp, LaneBook};
use super::live::Live;
use super::lottery::Lottery;
use super::store::{Document, Logged, Store};
use crate::contract::Configured;
use crate::runtime::date;
use catraca_domain::admission_log::Chain;
use catraca_domain::lease::{LeaseBook, Range};
use catraca_domain::release::{Moment, Queue, Release};
use catraca_domain::room::{Method, Phase, RoomConfig};
use worker::Result;

/// The epoch of a room that has not been opened anew.
const FIRST_EPOCH: u32 = 1;
/// Largest number there can be: what the database gets through JavaScript unharmed, and an admission's
/// id has room for.
const NUMBER_MAX: u64 = (1 << 48) - 1;

/// A room that exists.
pub(super) struct Hall {
    store: Store,
    config: RoomConfig,
    book: LeaseBook,
    /// The line, in positions: those are the numbers unless there was a draw.
    release: Release,
    /// Whether the line has moved since it was stored.
    moved: bool,
    lottery: Option<Lottery>,
    /// Positions in the line of `standard` that nobody has.
    voids: Vec<Range>,
    /// From slot 1 on.
    lanes: Vec<LaneBook>,
    given_up: GivenUp,
    live: Live,
    admitted_total: u64,
    /// Where the admission log stands; `None` before its first entry.
    log: Option<Chain>,
}

impl Hall {
    /// The room as storage knows it; `None` when it was never opened.
    pub(super) fn load(store: Store, now_ms: u64) -> Result<Option<Self>> {
        if !store.exists()? {
            return Ok(None);
        }
        store.upgrade()?;
        let config: RoomConfig = store.load(Document::Config)?;
        let book: LeaseBook = store.load(Document::Book)?;
        let lottery = store
            .find::<Lottery>(Document::Draw)?
            .map(|lottery| lottery.restored(&config.room, book.epoch));
        let draw = lottery.as_ref().and_then(Lottery::draw);
        let mut release = store.load::<Release>(Document::Release)?.resumed(now_ms);
        recount(&mut release, &store, draw.is_some())?;
        let given_up = GivenUp::new(store.given_up()?);
        let lanes: Vec<LaneBook> = store.find(Document::Lanes)?.unwrap_or_default();
        let live = Live::new(store.live(now_ms / 1000)?, now_ms / 1000);
        let admitted_total = store.admitted_between(0, NUMBER_MAX, false)?;
        let mut hall = Self {
            voids: Vec::new(),
            log: store.last_logged()?.map(|Logged { entry, head }| Chain {
                index: entry.index,
                at_ms: entry.at_ms,
                head,
            }),
            store,
            config,
            book,
            release,
            moved: false,
            lottery,
            lanes,
            given_up,
            live,
            admitted_total,
        };
        hall.find_voids();
        Ok(Some(hall))
    }

    /// A new room.
    pub(super) fn open(
        store: Store,
        config: RoomConfig,
        secret: [u8; 32],
        now_ms: u64,
    ) -> Result<Self> {
        store.create()?;
        let mut hall = Self {
            store,
            config,
            book: LeaseBook::new(FIRST_EPOCH),
            release: Release::new(now_ms),
            moved: false,
            lottery: None,
            voids: Vec::new(),
            lanes: Vec::new(),
            given_up: GivenUp::default(),
            live: Live::new([], now_ms / 1000),
            admitted_total: 0,
            log: None,
        };
        hall.store.save(Document::Config, &hall.config)?;
        hall.store.save(Document::Book, &hall.book)?;
        hall.store.save(Document::Release, &hall.release)?;
        hall.seal(secret)?;
        hall.declare()?;
        Ok(hall)
    }

    /// Takes a newer configuration over.
    pub(super) fn configure(
        &mut self,
        config: &RoomConfig,
        secret: [u8; 32],
        now_ms: u64,
    ) -> Result<Configured> {
        if config.version <= self.config.version {
            return Ok(self.configured());
        }
        // Time up to now passed under the old rules.
        self.look(now_ms)?;
        self.config = config.clone();
        self.store.save(Document::Config, &self.config)?;
        self.seal(secret)?;
        self.declare()?;
        self.look(now_ms)?;
        Ok(self.configured())
    }

    /// Sees to a slot for each lane.
    fn declare(&mut self) -> Result<()> {
        let epoch = self.book.epoch;
        if lanes::declare(&mut self.lanes, &self.config.lanes, epoch) {
            self.store.save(Document::Lanes, &self.lanes)?;
        }
        Ok(())
    }

    /// The version in force, and who has to hear of it.
    pub(super) fn configured(&self) -> Configured {
        let ever = self.book.last.iter().map(|(index, _)| index + 1).max();
        Configured {
            version: self.config.version,
            dispensers: self.config.dispensers.max(ever.unwrap_or_default()),
            lanes: self.lanes.iter().map(|lane| lane.lane.clone()).collect(),
        }
    }

    /// Lets time pass: who has expired is out, who is late lapses, who is next is called. What has
    /// come of it is stored by [`Hall::keep`].
    pub(super) fn look(&mut self, now_ms: u64) -> Result<()> {
        self.hold_draw(now_ms)?;
        let active = self.active(now_ms)?;
        let open = self.phase(now_ms) == Phase::Open;
        let standard = (self.book.issued(), self.voids.as_slice());
        let queues = lanes::queues(&self.config, standard, &self.lanes);
        let moment = moment(&self.config, &queues, open, active, now_ms);
        self.moved |= self.release.advance(&moment);
        Ok(())
    }

    /// Stores how far the line has come: once for all that was decided together, and before
    /// anybody hears of it.
    pub(super) fn keep(&mut self) -> Result<()> {
        if std::mem::take(&mut self.moved) {
            self.store.save(Document::Release, &self.release)?;
        }
        Ok(())
    }

    /// Whether time alone can change anything.
    pub(super) fn has_work(&self, now_ms: u64) -> bool {
        let opening = self.config.phase(date(now_ms)) == Phase::Open && self.awaits_draw();
        opening
            || self.phase(now_ms) == Phase::Open
                && (self.release.lines().enumerate()).any(|(slot, line)| {
                    !line.steps.is_empty() || self.book(slot).issued() > line.frontier
                })
    }

    /// The configuration's phase; until a draw is revealed nobody has a position, and the lobby
    /// goes on.
    fn phase(&self, now_ms: u64) -> Phase {
        match self.config.phase(date(now_ms)) {
            Phase::Open | Phase::Paused if self.awaits_draw() => Phase::Lobby,
            phase => phase,
        }
    }

    fn active(&mut self, now_ms: u64) -> Result<u64> {
        let now_seconds = now_ms / 1000;
        if let Some(active) = self.live.count(now_seconds) {
            return Ok(active);
        }
        self.live = Live::new(self.store.live(now_seconds)?, now_seconds);
        Ok(self.live.count(now_seconds).unwrap_or_default())
    }
}

/// Claims are stored as admissions, not with every change of the steps.
fn recount(release: &mut Release, store: &Store, drawn: bool) -> Result<()> {
    for slot in 0..=release.lanes.len() {
        let Some(line) = release.line_mut(slot) else {
            continue;
        };
        let mut from = line.lapsed + 1;
        for index in 0..line.steps.len() {
            let upto = line.steps[index].upto;
            line.recount(index, store.admitted_between(from, upto, drawn)?);
            from = upto + 1;
        }
    }
    Ok(())
}

fn moment<'a>(
    config: &RoomConfig,
    queues: &'a [Queue<'a>],
    open: bool,
    active: u64,
    now_ms: u64,
) -> Moment<'a> {
    Moment {
        now_ms,
        open,
        paced: config.method != Method::Passthrough,
        rate_per_minute: config.rate_per_minute,
        max_active: config.admissions_max(),
        active,
        claim_window_ms: u64::from(config.claim_window_seconds) * 1000,
        queues,
    }
}
