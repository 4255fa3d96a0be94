//! The room's state and its decisions. Nothing in here waits.

use super::lanes::{self, GivenUp, LaneBook};
use super::live::Live;
use super::lottery::Lottery;
use super::store::{Document, Logged, Row, Store};
use crate::contract::{
    Admitted, AskLease, Bulletin, Candidate, Claim, ClaimReply, Configured, GiveBack, Held,
    HoldPlace, LeaseReply, LeaveReply, LogPage, PlaceRef, Standing,
};
use crate::identity;
use crate::runtime::date;
use catraca_domain::admission::{jti, jti_number};
use catraca_domain::admission_log::{self, Chain, LogName, PAGE_ENTRIES_MAX};
use catraca_domain::draw::DrawError;
use catraca_domain::ids::{AccountId, Lane};
use catraca_domain::lane;
use catraca_domain::lease::{LeaseBook, Range, VOID_RANGES_MAX, voids_in};
use catraca_domain::release::{self, Moment, Queue, Release};
use catraca_domain::room::{
    Control, Departures, LaneStatus, Method, Phase, RoomConfig, RoomLive, Status, Stock,
    standard_share,
};
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

    /// Commits to a draw, once: there is no second try with another secret.
    fn seal(&mut self, secret: [u8; 32]) -> Result<()> {
        let first = self.lottery.is_none() && self.release.standard.frontier == 0;
        if self.config.method == Method::Draw && first {
            let lottery =
                Lottery::seal(secret, self.config.beacon.as_ref()).map_err(broken_draw)?;
            self.store.save(Document::Draw, &lottery)?;
            self.lottery = Some(lottery);
        }
        Ok(())
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

    /// Lets time pass: who has expired is out, who is late lapses, who is next is called.
    pub(super) fn look(&mut self, now_ms: u64) -> Result<()> {
        self.hold_draw(now_ms)?;
        let active = self.active(now_ms)?;
        let open = self.phase(now_ms) == Phase::Open;
        let standard = (self.book.issued(), self.voids.as_slice());
        let queues = lanes::queues(&self.config, standard, &self.lanes);
        let moment = moment(&self.config, &queues, open, active, now_ms);
        if self.release.advance(&moment) {
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

    /// Lets a place in, if it is its turn and there is room.
    pub(super) fn claim(&mut self, claim: &Claim, now_ms: u64) -> Result<ClaimReply> {
        let Claim { place, random } = claim;
        if !self.could_exist(place) {
            return Ok(ClaimReply::InvalidPlace);
        }
        if let Some(row) = self.store.admission(place.number)? {
            return Ok(claim_again(place, &row, now_ms));
        }
        self.look(now_ms)?;
        match self.phase(now_ms) {
            Phase::Closed => return Ok(ClaimReply::Closed),
            Phase::SoldOut => return Ok(ClaimReply::SoldOut),
            Phase::Lobby | Phase::Open | Phase::Paused => {}
        }
        let active = self.active(now_ms)?;
        let open = self.phase(now_ms) == Phase::Open;
        let position = self.position(place.number);
        let standard = (self.book.issued(), self.voids.as_slice());
        let queues = lanes::queues(&self.config, standard, &self.lanes);
        let moment = moment(&self.config, &queues, open, active, now_ms);
        match self.release.claim(position, &moment) {
            release::Claim::Admit => {}
            release::Claim::Wait { retry_after_ms } => {
                return Ok(ClaimReply::Wait { retry_after_ms });
            }
            release::Claim::NotCalled => return Ok(ClaimReply::NotCalled),
            release::Claim::Lapsed => return Ok(ClaimReply::Lapsed),
        }
        let iat = now_ms / 1000;
        let jti = jti(place.number, *random);
        let mut log = self.chain();
        let entry = log.append(&admission_log::Admitted {
            number: place.number,
            lane: place.lane.clone(),
            at_ms: now_ms,
            jti,
            frontier: self.frontier(lane::slot_of(place.number)),
        });
        let row = Row {
            jti,
            visitor: place.visitor,
            iat,
            exp: iat + u64::from(self.config.session_seconds),
            departed: 0,
            position,
            logged: Some(Logged {
                entry,
                head: log.head,
            }),
        };
        self.store.admit(place.number, &row)?;
        self.log = Some(log);
        self.live.enter(row.exp);
        self.admitted_total += 1;
        Ok(ClaimReply::Admitted(admitted(&row)))
    }

    /// A page of the admission log, and where the log ends.
    pub(super) fn log(&self, after: u64) -> Result<LogPage> {
        let page = self.store.log(after + 1, PAGE_ENTRIES_MAX)?;
        Ok(LogPage {
            log: self.log_name(),
            entries: page.into_iter().map(|logged| logged.entry).collect(),
            chain: self.chain(),
        })
    }

    fn chain(&self) -> Chain {
        self.log.unwrap_or_else(|| Chain::begin(&self.log_name()))
    }

    fn log_name(&self) -> LogName {
        let (room, epoch) = (self.config.room.clone(), self.book.epoch);
        let drawn = self.lottery.as_ref().filter(|lottery| lottery.is_frozen());
        LogName {
            draw: drawn.map(|lottery| lottery.record(&room, epoch).commitment),
            room,
            epoch,
        }
    }

    /// What a place is worth, exactly.
    pub(super) fn standing(&mut self, place: &PlaceRef, now_ms: u64) -> Result<Standing> {
        if !self.could_exist(place) {
            return Ok(Standing::InvalidPlace);
        }
        if let Some(row) = self.store.admission(place.number)? {
            return Ok(match claim_again(place, &row, now_ms) {
                ClaimReply::Admitted(_) => Standing::Admitted,
                ClaimReply::InvalidPlace => Standing::InvalidPlace,
                _ => Standing::Ended,
            });
        }
        self.look(now_ms)?;
        let position = self.position(place.number);
        Ok(if self.release.is_called(position) {
            Standing::Called
        } else if self.release.has_lapsed(position) {
            Standing::Lapsed
        } else if self.phase(now_ms) == Phase::Lobby {
            Standing::Lobby
        } else {
            Standing::Waiting
        })
    }

    /// An account's one place: what it has as long as that is good, else the candidate.
    pub(super) fn hold(&mut self, call: &HoldPlace, now_ms: u64) -> Result<Option<Held>> {
        let HoldPlace { account, candidate } = call;
        if let Some(place) = self.store.held(*account)? {
            let held = self.held(*account, place, now_ms)?;
            let over = matches!(
                held.standing,
                Standing::Lapsed | Standing::Ended | Standing::InvalidPlace
            );
            if !over {
                return Ok(Some(held));
            }
        }
        let Some(place) = candidate else {
            return Ok(None);
        };
        self.store.hold(*account, place)?;
        self.held(*account, place.clone(), now_ms).map(Some)
    }

    fn held(&mut self, account: AccountId, place: Candidate, now_ms: u64) -> Result<Held> {
        let epoch = self.book.epoch;
        let place_ref = PlaceRef {
            epoch,
            number: place.number,
            visitor: identity::visitor(account, &self.config.room, place.number),
            lane: place.lane.clone(),
        };
        Ok(Held {
            epoch,
            place,
            standing: self.standing(&place_ref, now_ms)?,
        })
    }

    /// Gives a place up: the admission ends, or never comes.
    pub(super) fn leave(&mut self, place: &PlaceRef, now_ms: u64) -> Result<LeaveReply> {
        if !self.could_exist(place) {
            return Ok(LeaveReply::InvalidPlace);
        }
        self.look(now_ms)?;
        let position = self.position(place.number);
        let slot = lane::slot_of(position);
        match self.store.admission(place.number)? {
            Some(row) if row.visitor != place.visitor => return Ok(LeaveReply::InvalidPlace),
            Some(row) => {
                if let Some(expiry) = self.store.depart(place.number, row.jti)? {
                    self.live.leave(expiry);
                }
            }
            // Only a place that could still be claimed needs a note that it can't.
            None if !self.release.has_lapsed(position) => {
                let row = Row {
                    jti: jti(place.number, [0; 10]),
                    visitor: place.visitor,
                    iat: 0,
                    exp: 0,
                    departed: 1,
                    position,
                    logged: None,
                };
                self.store.admit(place.number, &row)?;
                if position > self.frontier(slot) {
                    // The line steps over it.
                    self.given_up.add(place.number);
                    self.find_voids();
                }
                self.forget_at_the_door(slot, position);
            }
            None => self.forget_at_the_door(slot, position),
        }
        self.look(now_ms)?;
        Ok(LeaveReply::Left)
    }

    /// Ends admissions; how many slots that freed.
    pub(super) fn depart(&mut self, departures: &Departures, now_ms: u64) -> Result<u64> {
        self.look(now_ms)?;
        let mut freed = 0;
        for jti in &departures.jtis {
            if let Some(expiry) = self.store.depart(jti_number(*jti), *jti)? {
                freed += u64::from(self.live.leave(expiry));
            }
        }
        self.look(now_ms)?;
        Ok(freed)
    }

    /// Gives numbers away.
    pub(super) fn lease(&mut self, call: &AskLease, now_ms: u64) -> Result<LeaseReply> {
        self.look(now_ms)?;
        let slot = call.lane.as_ref().map_or(Some(0), |lane| {
            let declared = lanes::share_of(&self.config, lane) > 0;
            self.slot(lane).filter(|_| declared)
        });
        let Some(slot) = slot.filter(|_| self.phase(now_ms).takes_joins()) else {
            let bulletin = self.bulletin(now_ms);
            return Ok(LeaseReply::Refused { bulletin });
        };
        let called = self.called_numbers(slot);
        let lease = self.book_mut(slot).grant_above(&call.request, called);
        self.save_book(slot)?;
        // With nobody before them, the first of them are called at once.
        self.look(now_ms)?;
        let bulletin = self.bulletin(now_ms);
        Ok(LeaseReply::Granted { lease, bulletin })
    }

    /// The bulletin.
    pub(super) fn status(&mut self, give_back: Option<&GiveBack>, now_ms: u64) -> Result<Bulletin> {
        self.look(now_ms)?;
        if let Some(rest) = give_back {
            let slot = rest.lane.as_ref().map_or(Some(0), |lane| self.slot(lane));
            if let Some(slot) = slot {
                let called = self.called_numbers(slot);
                let book = self.book_mut(slot);
                if book.give_back(rest.dispenser, rest.seq, rest.unused, called) {
                    self.save_book(slot)?;
                }
            }
        }
        Ok(self.bulletin(now_ms))
    }

    /// The operator's numbers.
    pub(super) fn live(&mut self, now_ms: u64) -> Result<RoomLive> {
        self.look(now_ms)?;
        Ok(RoomLive {
            status: self.document(now_ms),
            version: self.config.version,
            active: self.active(now_ms)?,
            admitted_total: self.admitted_total,
            max_active: self.config.max_active,
        })
    }

    fn bulletin(&self, now_ms: u64) -> Bulletin {
        Bulletin {
            status: self.document(now_ms),
            dispensers: self.config.dispensers,
            identity: self.config.identity,
            challenge: self.config.challenge,
            joins_last_second: 0,
            given_up: self.given_up.told(),
            draw: self
                .lottery
                .as_ref()
                .filter(|lottery| lottery.is_frozen() || self.config.method == Method::Draw)
                .map(|lottery| lottery.record(&self.config.room, self.book.epoch)),
        }
    }

    fn document(&self, now_ms: u64) -> Status {
        let fronts: Vec<LaneStatus> = (0..=self.lanes.len())
            .map(|slot| self.front(slot))
            .collect();
        let waiting = fronts.iter().map(|front| front.waiting).sum();
        let mut fronts = fronts.into_iter();
        let (frontier, lapsed, calls_per_minute, voids) =
            fronts.next().map_or((0, 0, 0, Vec::new()), |standard| {
                let LaneStatus {
                    frontier,
                    lapsed,
                    calls_per_minute,
                    voids,
                    ..
                } = standard;
                (frontier, lapsed, calls_per_minute, voids)
            });
        Status {
            room: self.config.room.clone(),
            epoch: self.book.epoch,
            phase: self.phase(now_ms),
            frontier,
            lapsed,
            waiting,
            rate_per_minute: self.config.rate_per_minute,
            opens_at: match self.config.control {
                Control::Scheduled => self.config.opens_at,
                Control::Open | Control::Paused | Control::Closed => None,
            },
            message: self.config.message.clone(),
            as_of: date(now_ms),
            stock: if self.config.sold_out {
                Stock::SoldOut
            } else if self.config.selling_out {
                Stock::Low
            } else {
                Stock::Available
            },
            voids,
            calls_per_minute,
            lanes: fronts.collect(),
        }
    }

    /// How far a lane has come.
    fn front(&self, slot: usize) -> LaneStatus {
        let known = slot.checked_sub(1).and_then(|index| self.lanes.get(index));
        let (lane, voids) = known.map_or((Lane::standard(), &self.voids), |known| {
            (known.lane.clone(), &known.voids)
        });
        let share_percent = match slot {
            0 => standard_share(&self.config.lanes)
                .map_or(1, |share| u8::try_from(share).unwrap_or(u8::MAX)),
            _ => lanes::share_of(&self.config, &lane),
        };
        let frontier = self.frontier(slot);
        let ahead = Range {
            lo: frontier + 1,
            hi: self.book(slot).next,
        };
        let moving = self.release.line(slot);
        let target = u64::from(self.config.rate_per_minute) * u64::from(share_percent) / 100;
        let to_come = voids.iter().filter(|void| void.hi > frontier + 1);
        LaneStatus {
            share_percent,
            frontier,
            lapsed: moving.map_or(lane::base(slot), |line| line.lapsed),
            waiting: ahead.len().saturating_sub(voids_in(voids, ahead)),
            calls_per_minute: moving.map_or(0, |line| line.calls_per_minute(target)),
            // A draw scatters what was one range: those beyond the bound are not told of, and whoever
            // is so far back counts a few people too many ahead.
            voids: to_come.take(VOID_RANGES_MAX).copied().collect(),
            lane,
        }
    }

    fn frontier(&self, slot: usize) -> u64 {
        let line = self.release.line(slot);
        line.map_or(lane::base(slot), |line| line.frontier)
    }

    fn slot(&self, lane: &Lane) -> Option<usize> {
        if *lane == Lane::standard() {
            return Some(0);
        }
        let index = self.lanes.iter().position(|known| known.lane == *lane);
        index.map(|index| index + 1)
    }

    /// The numbers of a slot; of one that there is not, those of `standard`.
    fn book(&self, slot: usize) -> &LeaseBook {
        let lane = slot.checked_sub(1).and_then(|index| self.lanes.get(index));
        lane.map_or(&self.book, |lane| &lane.book)
    }

    fn book_mut(&mut self, slot: usize) -> &mut LeaseBook {
        match slot
            .checked_sub(1)
            .and_then(|index| self.lanes.get_mut(index))
        {
            None => &mut self.book,
            Some(lane) => &mut lane.book,
        }
    }

    fn forget_at_the_door(&mut self, slot: usize, position: u64) {
        if let Some(line) = self.release.line_mut(slot) {
            line.turned_up.remove(&position);
        }
    }

    fn could_exist(&self, place: &PlaceRef) -> bool {
        place.epoch == self.book.epoch
            && (1..=NUMBER_MAX).contains(&place.number)
            && self.slot(&place.lane) == Some(lane::slot_of(place.number))
    }

    /// The configuration's phase; until a draw is revealed nobody has a position, and the lobby
    /// goes on.
    fn phase(&self, now_ms: u64) -> Phase {
        match self.config.phase(date(now_ms)) {
            Phase::Open | Phase::Paused if self.awaits_draw() => Phase::Lobby,
            phase => phase,
        }
    }

    /// Whether there will be a draw. Once anyone has been called it is too late for one.
    fn awaits_draw(&self) -> bool {
        self.lottery.as_ref().is_some_and(|lottery| {
            lottery.draw().is_none()
                && (lottery.is_frozen()
                    || (self.config.method == Method::Draw && self.release.standard.frontier == 0))
        })
    }

    /// Takes the draw a step further when that is due.
    fn hold_draw(&mut self, now_ms: u64) -> Result<()> {
        if !self.awaits_draw() {
            return Ok(());
        }
        let opening = self.config.phase(date(now_ms)) == Phase::Open;
        let Some(lottery) = &mut self.lottery else {
            return Ok(());
        };
        let room = &self.config.room;
        let changed = lottery
            .advance(
                room,
                &mut self.book,
                opening,
                self.config.beacon.as_ref(),
                now_ms,
            )
            .map_err(broken_draw)?;
        if changed {
            self.store.save(Document::Draw, &lottery)?;
            self.save_book(0)?;
        }
        Ok(())
    }

    /// Where a number stands in its line: only `standard` is drawn, and numbers of other lanes are
    /// beyond any draw.
    fn position(&self, number: u64) -> u64 {
        let draw = self.lottery.as_ref().and_then(Lottery::draw);
        draw.map_or(number, |draw| draw.position(number))
    }

    /// All numbers up to it have been called. Among those drawn there is no such number until all
    /// have been.
    fn called_numbers(&self, slot: usize) -> u64 {
        let frontier = self.frontier(slot);
        if frontier >= self.book(slot).drawn {
            frontier
        } else {
            lane::base(slot)
        }
    }

    fn save_book(&mut self, slot: usize) -> Result<()> {
        if slot == 0 {
            self.store.save(Document::Book, &self.book)?;
        } else {
            self.store.save(Document::Lanes, &self.lanes)?;
        }
        self.find_voids();
        Ok(())
    }

    /// Where nobody stands, anew.
    fn find_voids(&mut self) {
        let draw = self.lottery.as_ref().and_then(Lottery::draw);
        let release = &self.release;
        let position = |number| draw.map_or(number, |draw| draw.position(number));
        self.given_up.retain(|number| {
            let position = position(number);
            let line = release.line(lane::slot_of(position));
            line.is_none_or(|line| position > line.frontier)
        });
        self.voids = self.given_up.voids(0, &self.book, draw);
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.voids = self.given_up.voids(index + 1, &lane.book, None);
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

fn broken_draw(error: DrawError) -> worker::Error {
    worker::Error::from(error.to_string())
}

fn admitted(row: &Row) -> Admitted {
    Admitted {
        jti: row.jti,
        iat: row.iat,
        exp: row.exp,
    }
}

fn claim_again(place: &PlaceRef, row: &Row, now_ms: u64) -> ClaimReply {
    if row.visitor != place.visitor {
        ClaimReply::InvalidPlace
    } else if row.departed == 0 && now_ms / 1000 < row.exp {
        ClaimReply::Admitted(admitted(row))
    } else {
        ClaimReply::Ended
    }
}
