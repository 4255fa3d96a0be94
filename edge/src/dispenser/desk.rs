//! The Dispenser's state in memory and its decisions. Nothing in here waits or writes.

use super::arrivals::Arrivals;
use super::party::Party;
use crate::contract::{
    Bulletin, DispenserId, GiveBack, LOBBY_LEASE_MS, NewStanding, Numbers, Refusal, Spent,
    StatusReply,
};
use catraca_domain::ids::Lane;
use catraca_domain::lease::{LEASE_MS, Lease, LeaseRequest, Range, lease_size};
use catraca_domain::room::Phase;
use futures::channel::oneshot::Sender;
use std::collections::{HashMap, VecDeque};

/// How long a status document is passed on before the Room is asked again, in milliseconds.
const STATUS_MS: u64 = 400;
/// How long the Room is left alone after it could not be reached, or did not exist.
const REST_MS: u64 = 500;
/// Most people in line for a number; beyond it they are told to come back.
const IN_LINE_MAX: u64 = 8_192;
/// Most solutions remembered: 120 s of a thousand joins a second.
const SPENT_MAX: usize = 131_072;

/// What serving the line takes next.
pub(super) enum Step {
    /// A lease.
    Lease(LeaseRequest),
    /// Nothing.
    Done,
}

/// What becomes of the rest of a lease.
pub(super) enum Tidy {
    /// It is still given out for so long.
    Wait(u64),
    /// It goes back.
    GiveBack,
    /// There is none.
    Done,
}

struct Lent {
    lease: Lease,
    /// The next number to give.
    next: u64,
    at_ms: u64,
    /// When it was asked for.
    asked_at_ms: u64,
}

/// What the Room was, when it was last heard of.
enum Room {
    Is(Box<Bulletin>),
    Missing,
    Away,
}

/// A Dispenser at work.
pub(super) struct Desk {
    index: u32,
    lane: Option<Lane>,
    /// The last answered request.
    last_seq: u64,
    lent: Option<Lent>,
    /// A rest that the Room has been told of, perhaps: not to be given any more.
    declared: Option<Range>,
    arrivals: Arrivals,
    in_line: VecDeque<Party>,
    serving: bool,
    tidying: bool,
    curious: Vec<Sender<StatusReply>>,
    refreshing: bool,
    room: Option<(Room, u64)>,
    /// Solutions that have been used, until they are worthless. Forgotten in a restart: for as long
    /// as a puzzle lives, one may then count twice.
    spent: HashMap<[u8; 16], u64>,
    /// Joins within the last second, when somebody last looked.
    joins_last_second: u64,
}

impl Desk {
    /// After a start: whatever was lent before is lost.
    pub(super) fn new(id: &DispenserId, last_seq: u64) -> Self {
        Self {
            index: id.index,
            lane: id.lane.clone(),
            last_seq,
            lent: None,
            declared: None,
            arrivals: Arrivals::default(),
            in_line: VecDeque::new(),
            serving: false,
            tidying: false,
            curious: Vec::new(),
            refreshing: false,
            room: None,
            spent: HashMap::new(),
            joins_last_second: 0,
        }
    }

    /// Notes a solution as used; false when it was before, or no more can be remembered.
    pub(super) fn spend(&mut self, spent: &Spent, now_ms: u64) -> bool {
        if self.spent.len() >= SPENT_MAX {
            self.spent
                .retain(|_, expires_at_ms| *expires_at_ms > now_ms);
            if self.spent.len() >= SPENT_MAX {
                return false;
            }
        }
        self.spent
            .insert(spent.nonce, spent.expires_at_ms)
            .is_none()
    }

    /// The room has changed.
    pub(super) fn forget(&mut self) {
        self.room = None;
        // A number of the lease must not be given in a room that has just closed.
        if let Some(lent) = &mut self.lent {
            lent.at_ms = 0;
        }
    }

    /// So many join. True when the line has to be served by a task of its own.
    pub(super) fn arrive(&mut self, people: u32, sender: Sender<Numbers>, now_ms: u64) -> bool {
        self.arrivals.note(u64::from(people), now_ms);
        let mut party = Party::new(people, sender);
        if self.in_line.is_empty() {
            if self.give(&mut party, now_ms) {
                return party.answer();
            }
            match self.lately(now_ms, REST_MS) {
                Some(Room::Away) => return party.refuse(Refusal::Unavailable),
                Some(Room::Missing) => return party.refuse(Refusal::Unknown),
                Some(Room::Is(_)) | None => {}
            }
        }
        if self.people_in_line() + u64::from(party.left) > IN_LINE_MAX {
            return party.refuse(Refusal::Unavailable);
        }
        self.in_line.push_back(party);
        !std::mem::replace(&mut self.serving, true)
    }

    /// Gives numbers out while there are some; says what it takes to go on.
    pub(super) fn serve(&mut self, now_ms: u64) -> Step {
        self.in_line.retain(Party::is_there);
        while let Some(mut party) = self.in_line.pop_front() {
            if !self.give(&mut party, now_ms) {
                self.in_line.push_front(party);
                return Step::Lease(self.request(now_ms));
            }
            party.answer();
        }
        self.serving = false;
        Step::Done
    }

    /// A lease has come in, and is in storage.
    pub(super) fn install(
        &mut self,
        request: &LeaseRequest,
        lease: Lease,
        bulletin: Bulletin,
        asked_at_ms: u64,
        now_ms: u64,
    ) {
        self.room = Some((Room::Is(Box::new(bulletin)), now_ms));
        self.last_seq = lease.seq;
        self.declared = None;
        // Another sequence number than asked for: the Room remembers more than this Dispenser
        // does. The lease is empty; the next request goes on from there.
        if lease.seq == request.seq {
            self.lent = Some(Lent {
                lease,
                next: lease.range.lo,
                at_ms: now_ms,
                asked_at_ms,
            });
        }
    }

    /// Nobody joins in this phase.
    pub(super) fn refuse(&mut self, bulletin: Bulletin, now_ms: u64) {
        let refusal = match bulletin.status.phase {
            Phase::SoldOut => Refusal::SoldOut,
            Phase::Closed | Phase::Lobby | Phase::Open | Phase::Paused => Refusal::Closed,
        };
        self.room = Some((Room::Is(Box::new(bulletin)), now_ms));
        self.dismiss(refusal);
    }

    /// There is no such room.
    pub(super) fn unknown(&mut self, now_ms: u64) {
        self.room = Some((Room::Missing, now_ms));
        self.dismiss(Refusal::Unknown);
    }

    /// The Room could not be reached, or the lease not stored: nobody tries again for a while.
    pub(super) fn fail(&mut self, now_ms: u64) {
        self.room = Some((Room::Away, now_ms));
        self.dismiss(Refusal::Unavailable);
    }

    /// Somebody asks how the room is. True when it has to be found out by a task of its own.
    pub(super) fn ask_status(&mut self, sender: Sender<StatusReply>, now_ms: u64) -> bool {
        self.joins_last_second = self.arrivals.last_second(now_ms);
        let known = match self.lately(now_ms, STATUS_MS) {
            Some(Room::Is(bulletin)) => {
                Some(StatusReply::Known(Box::new(self.corrected(bulletin))))
            }
            Some(Room::Missing) => Some(StatusReply::Unknown),
            Some(Room::Away) => Some(StatusReply::Unavailable),
            None => None,
        };
        if let Some(known) = known {
            return answer(sender, known);
        }
        self.curious.push(sender);
        !std::mem::replace(&mut self.refreshing, true)
    }

    /// What nobody has come for in time, to be given back with the next question.
    pub(super) fn rest_to_give_back(&mut self, now_ms: u64) -> Option<GiveBack> {
        let old = self
            .lent
            .as_ref()
            .is_some_and(|lent| now_ms.abs_diff(lent.at_ms) > LEASE_MS);
        if old {
            self.declare_rest();
        }
        // While a lease is being asked for, that request says it.
        self.declared
            .filter(|_| !self.serving)
            .map(|unused| GiveBack {
                dispenser: self.index,
                lane: self.lane.clone(),
                seq: self.last_seq,
                unused,
            })
    }

    /// Whether a task has to see to it that the rest of the lease goes back when its time is up,
    /// should nobody come for it: other Dispensers' visitors stand behind those numbers.
    pub(super) fn begin_tidying(&mut self) -> bool {
        self.rest().is_some() && !std::mem::replace(&mut self.tidying, true)
    }

    /// What that task does next.
    pub(super) fn tidy(&mut self, now_ms: u64) -> Tidy {
        let left_ms = self
            .lent
            .as_ref()
            .filter(|lent| lent.next < lent.lease.range.hi)
            .map(|lent| (lent.at_ms + LEASE_MS + 1).saturating_sub(now_ms));
        match left_ms {
            Some(ms @ 1..) => return Tidy::Wait(ms.min(LEASE_MS)),
            Some(0) if !self.serving && !std::mem::replace(&mut self.refreshing, true) => {
                self.tidying = false;
                return Tidy::GiveBack;
            }
            // Whoever asks for a lease or for the status gives it back on the way.
            Some(_) | None => {}
        }
        self.tidying = false;
        Tidy::Done
    }

    /// The Room has answered; `None` when there is none.
    pub(super) fn refreshed(
        &mut self,
        bulletin: Option<Bulletin>,
        gave_back: Option<&GiveBack>,
        now_ms: u64,
    ) {
        if gave_back.map(|rest| rest.unused) == self.declared {
            self.declared = None;
        }
        self.tell(
            match bulletin {
                Some(bulletin) => Room::Is(Box::new(bulletin)),
                None => Room::Missing,
            },
            now_ms,
        );
    }

    /// The Room could not be reached.
    pub(super) fn refresh_failed(&mut self, now_ms: u64) {
        self.tell(Room::Away, now_ms);
    }

    fn tell(&mut self, room: Room, now_ms: u64) {
        self.refreshing = false;
        let reply = match &room {
            Room::Is(bulletin) => StatusReply::Known(Box::new(self.corrected(bulletin))),
            Room::Missing => StatusReply::Unknown,
            Room::Away => StatusReply::Unavailable,
        };
        self.room = Some((room, now_ms));
        for sender in self.curious.drain(..) {
            answer(sender, reply.clone());
        }
    }

    /// Numbers lent and not given are nobody waiting. What the other Dispensers hold is counted
    /// until they give it back: no longer than a lease lives.
    fn corrected(&self, bulletin: &Bulletin) -> Bulletin {
        let mut bulletin = bulletin.clone();
        // The others have about as many.
        bulletin.joins_last_second = self.joins_last_second * u64::from(bulletin.dispensers);
        let status = &mut bulletin.status;
        let rest = self.rest().or(self.declared);
        let ungiven = rest.map_or(0, |rest| {
            let called = Range {
                lo: 0,
                hi: status.frontier_of(rest.lo) + 1,
            };
            rest.len() - rest.overlap(called)
        });
        status.waiting = status.waiting.saturating_sub(ungiven);
        bulletin
    }

    fn lately(&self, now_ms: u64, within_ms: u64) -> Option<&Room> {
        self.room
            .as_ref()
            .filter(|(_, at_ms)| now_ms.abs_diff(*at_ms) < within_ms)
            .map(|(room, _)| room)
    }

    fn take(&mut self, now_ms: u64) -> Option<u64> {
        let lent = self.lent.as_mut()?;
        let takes_part = match &self.room {
            Some((Room::Is(bulletin), _)) => bulletin.draw.as_ref().is_some_and(|draw| {
                draw.secret.is_none() || draw.count.is_some_and(|count| lent.next <= count)
            }),
            _ => true,
        };
        if takes_part && now_ms.abs_diff(lent.asked_at_ms) > LOBBY_LEASE_MS {
            return None;
        }
        let young = now_ms.abs_diff(lent.at_ms) <= LEASE_MS;
        if !young || lent.next >= lent.lease.range.hi {
            return None;
        }
        lent.next += 1;
        Some(lent.next - 1)
    }

    /// Numbers for all of them; false when there are not enough.
    fn give(&mut self, party: &mut Party, now_ms: u64) -> bool {
        while party.left > 0 {
            let Some(number) = self.take(now_ms) else {
                return false;
            };
            let epoch = self.lent.as_ref().map_or(0, |lent| lent.lease.epoch);
            party.take(epoch, number, self.standing(number));
        }
        true
    }

    fn standing(&self, number: u64) -> NewStanding {
        match &self.room {
            Some((Room::Is(bulletin), _)) => {
                let status = &bulletin.status;
                if number <= status.frontier_of(number) {
                    NewStanding::Called
                } else if status.phase == Phase::Lobby {
                    NewStanding::Lobby
                } else {
                    NewStanding::Waiting
                }
            }
            _ => NewStanding::Waiting,
        }
    }

    fn people_in_line(&self) -> u64 {
        self.in_line.iter().map(|party| u64::from(party.left)).sum()
    }

    fn rest(&self) -> Option<Range> {
        let lent = self.lent.as_ref()?;
        let rest = Range {
            lo: lent.next,
            hi: lent.lease.range.hi,
        };
        (!rest.is_empty()).then_some(rest)
    }

    /// From here on the rest is not given, whether or not the Room hears of it.
    fn declare_rest(&mut self) {
        if let Some(rest) = self.rest() {
            self.declared = Some(rest);
        }
        self.lent = None;
    }

    fn request(&mut self, now_ms: u64) -> LeaseRequest {
        self.declare_rest();
        let by_rate = lease_size(self.arrivals.last_second(now_ms));
        LeaseRequest {
            dispenser: self.index,
            seq: self.last_seq + 1,
            size: by_rate.max(self.people_in_line()),
            unused: self.declared,
        }
    }

    fn dismiss(&mut self, refusal: Refusal) {
        for party in self.in_line.drain(..) {
            party.refuse(refusal);
        }
    }
}

/// Answers; whoever has gone meanwhile has gone. False: nothing is left to be done.
fn answer<T>(sender: Sender<T>, reply: T) -> bool {
    let _gone = sender.send(reply);
    false
}
