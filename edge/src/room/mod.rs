//! The Room: one Durable Object a room, the only writer of its configuration, of who is called
//! and of who is in.
//!
//! What happens in it, in order: a [`Configure`] opens it, [`AskLease`] gives numbers away by the
//! range, time calls them, [`Claim`] lets people in, [`Leave`] and [`Depart`] let them out.
//!
//! Claims wait a moment for one another ([`door`]): they are what many people do at once, and each
//! would wait for the disk alone.
//!
//! A call is read whole, then decided without a pause in between, so no two calls mix and the
//! writes of one are one transaction. The runtime holds every reply back until what was written
//! before it is on disk. An error drops the state in memory; the next call loads it from storage.

mod directory;
mod door;
mod hall;
mod lanes;
mod live;
mod lottery;
mod store;

use crate::client::{read_call, reply};
use crate::contract::{
    AskLease, AskLive, AskLog, AskRooms, AskStanding, AskStatus, Call, Claim, ClaimReply,
    Configure, Configured, Depart, HoldPlace, LeaseReply, Leave, LeaveReply, Register, Standing,
};
use crate::runtime::{now_ms, random_bytes, sleep};
use catraca_domain::room::RoomConfig;
use door::Door;
use futures::channel::oneshot;
use hall::Hall;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use store::Store;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{
    DurableObject, Env, Request, Response, Result, SqlStorage, State, console_error, durable_object,
};

/// How often the line moves by itself, while there is anybody to call, in milliseconds. Any
/// request moves it too, and nothing depends on either being on time.
const TICK_MS: u64 = 500;

/// The Durable Object.
#[durable_object(alarm)]
pub struct Room {
    state: State,
    inside: Rc<Inside>,
    ticking: Cell<bool>,
}

/// What outlives a single call.
struct Inside {
    sql: SqlStorage,
    hall: RefCell<Option<Hall>>,
    door: RefCell<Door>,
}

impl DurableObject for Room {
    fn new(state: State, _env: Env) -> Self {
        Self {
            inside: Rc::new(Inside {
                sql: state.storage().sql(),
                hall: RefCell::new(None),
                door: RefCell::default(),
            }),
            state,
            ticking: Cell::new(false),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let body = request.bytes().await?;
        let path = request.path();
        if path == Claim::ROUTE {
            let claimed = self.claim(read_call(&body)?).await;
            self.keep_ticking().await?;
            return reply::<Claim>(&claimed?);
        }
        let response = self.inside.answer(&path, &body, now_ms());
        if response.is_err() {
            // Whatever was half done in memory: storage knows.
            self.inside.hall.replace(None);
        }
        self.keep_ticking().await?;
        response
    }

    async fn alarm(&self) -> Result<Response> {
        self.ticking.set(false);
        let looked = self.inside.with_hall(now_ms(), Hall::look);
        if looked.is_err() {
            self.inside.hall.replace(None);
        }
        looked?;
        self.keep_ticking().await?;
        Response::empty()
    }
}

impl Room {
    /// Claims that come in together are decided together, in order of arrival: one wait for the disk.
    async fn claim(&self, claim: Claim) -> Result<ClaimReply> {
        let (sender, receiver) = oneshot::channel();
        if self.inside.door.borrow_mut().arrive(claim, sender) {
            let inside = Rc::clone(&self.inside);
            self.state.wait_until(async move {
                sleep(door::GATHER_MS).await;
                inside.open_door(now_ms());
            });
        }
        receiver
            .await
            .map_err(|_| "the claim was not decided".into())
    }

    async fn keep_ticking(&self) -> Result<()> {
        let has_work = self
            .inside
            .hall
            .borrow()
            .as_ref()
            .is_some_and(|hall| hall.has_work(now_ms()));
        if has_work && !self.ticking.replace(true) {
            let storage = self.state.storage();
            storage.set_alarm(Duration::from_millis(TICK_MS)).await?;
        }
        Ok(())
    }
}

impl Inside {
    /// Decides what has gathered, without a pause: one transaction. After an error nobody is answered:
    /// whoever was let in before it finds the admission when asking again.
    fn open_door(&self, now_ms: u64) {
        let gathered = self.door.borrow_mut().take();
        let (claims, senders): (Vec<_>, Vec<_>) = gathered.into_iter().unzip();
        let decided = self.with_hall(now_ms, |hall, now| {
            let replies = claims.iter().map(|claim| hall.claim(claim, now));
            replies.collect::<Result<Vec<_>>>()
        });
        match decided {
            Ok(replies) => {
                let replies = replies.unwrap_or_else(|| vec![ClaimReply::Unknown; claims.len()]);
                for (sender, reply) in senders.into_iter().zip(replies) {
                    // Whoever has gone meanwhile finds the admission when asking again.
                    let _gone = sender.send(reply);
                }
            }
            Err(error) => {
                console_error!("claims were not decided: {error}");
                self.hall.replace(None);
            }
        }
    }

    fn answer(&self, path: &str, body: &[u8], now_ms: u64) -> Result<Response> {
        match path {
            AskStanding::ROUTE => {
                let call: AskStanding = read_call(body)?;
                let standing =
                    self.with_hall(now_ms, |hall, now| hall.standing(&call.place, now))?;
                reply::<AskStanding>(&standing.unwrap_or(Standing::Unknown))
            }
            AskLease::ROUTE => {
                let call: AskLease = read_call(body)?;
                let lease = self.with_hall(now_ms, |hall, now| hall.lease(&call, now))?;
                reply::<AskLease>(&lease.unwrap_or(LeaseReply::Unknown))
            }
            AskStatus::ROUTE => {
                let call: AskStatus = read_call(body)?;
                let give_back = call.give_back.as_ref();
                let status = self.with_hall(now_ms, |hall, now| hall.status(give_back, now))?;
                reply::<AskStatus>(&status)
            }
            Leave::ROUTE => {
                let call: Leave = read_call(body)?;
                let left = self.with_hall(now_ms, |hall, now| hall.leave(&call.place, now))?;
                reply::<Leave>(&left.unwrap_or(LeaveReply::Unknown))
            }
            Depart::ROUTE => {
                let Depart(departures) = read_call(body)?;
                let ended = self.with_hall(now_ms, |hall, now| hall.depart(&departures, now))?;
                reply::<Depart>(&ended)
            }
            Configure::ROUTE => {
                let Configure(config) = read_call(body)?;
                let secret = random_bytes();
                let known =
                    self.with_hall(now_ms, |hall, now| hall.configure(&config, secret, now))?;
                let configured = match known {
                    Some(configured) => configured,
                    None => self.open(config, secret, now_ms)?,
                };
                reply::<Configure>(&configured)
            }
            Register::ROUTE => {
                let Register(room) = read_call(body)?;
                reply::<Register>(&directory::register(&self.sql, &room)?)
            }
            AskRooms::ROUTE => reply::<AskRooms>(&directory::rooms(&self.sql)?),
            HoldPlace::ROUTE => {
                let call: HoldPlace = read_call(body)?;
                let held = self.with_hall(now_ms, |hall, now| hall.hold(&call, now))?;
                reply::<HoldPlace>(&held.flatten())
            }
            AskLog::ROUTE => {
                let AskLog { after } = read_call(body)?;
                reply::<AskLog>(&self.with_hall(now_ms, |hall, _| hall.log(after))?)
            }
            AskLive::ROUTE => {
                let live = self.with_hall(now_ms, Hall::live)?;
                reply::<AskLive>(&live)
            }
            _ => Response::error("no such call", 404),
        }
    }

    /// Does something with the room, loaded if need be, and stores what it has moved; `None` when there
    /// is no such room.
    fn with_hall<T>(
        &self,
        now_ms: u64,
        act: impl FnOnce(&mut Hall, u64) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut slot = self.hall.borrow_mut();
        if slot.is_none() {
            *slot = Hall::load(self.store(), now_ms)?;
        }
        let Some(hall) = slot.as_mut() else {
            return Ok(None);
        };
        let done = act(hall, now_ms)?;
        hall.keep()?;
        Ok(Some(done))
    }

    fn open(&self, config: RoomConfig, secret: [u8; 32], now_ms: u64) -> Result<Configured> {
        let hall = Hall::open(self.store(), config, secret, now_ms)?;
        let configured = hall.configured();
        self.hall.replace(Some(hall));
        Ok(configured)
    }

    fn store(&self) -> Store {
        Store::new(self.sql.clone())
    }
}
