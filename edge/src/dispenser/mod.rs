//! The Dispenser: gives the numbers of a room from memory, out of leases from the Room.
//!
//! A lease is in storage before the first of its numbers is given, and the runtime sends no reply
//! before what was written is on disk. After a restart the stored lease is not touched again:
//! nobody knows how far it had come. One request to the Room at a time; whoever joins meanwhile
//! stands in line in memory and is served in order of arrival.

mod arrivals;
mod desk;
mod party;
mod store;

use crate::client::{Unreachable, ask_room, read_call, reply};
use crate::contract::{
    AskLease, AskStatus, Call, DispenserId, Join, JoinReply, JoinTogether, LeaseReply, Numbers,
    Refresh, Refusal, Run, SharedStatus, StatusReply,
};
use crate::runtime::{now_ms, sleep};
use desk::{Desk, Step, Tidy};
use futures::channel::oneshot;
use std::cell::RefCell;
use std::rc::Rc;
use store::Store;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{DurableObject, Env, Request, Response, Result, State, console_error, durable_object};

/// The Durable Object.
#[durable_object(fetch)]
pub struct Dispenser {
    state: State,
    shared: Rc<Shared>,
}

/// What outlives a single request.
struct Shared {
    env: Env,
    store: Store,
    desk: RefCell<Option<Desk>>,
}

impl DurableObject for Dispenser {
    fn new(state: State, env: Env) -> Self {
        let store = Store::new(state.storage().sql());
        Self {
            state,
            shared: Rc::new(Shared {
                env,
                store,
                desk: RefCell::new(None),
            }),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let body = request.bytes().await?;
        match request.path().as_str() {
            Join::ROUTE => {
                let call: Join = read_call(&body)?;
                reply::<Join>(&self.join(&call).await?)
            }
            JoinTogether::ROUTE => {
                let JoinTogether { id, people } = read_call(&body)?;
                reply::<JoinTogether>(&self.numbers(&id, people).await?)
            }
            SharedStatus::ROUTE => {
                let SharedStatus(id) = read_call(&body)?;
                reply::<SharedStatus>(&self.status(&id).await?)
            }
            Refresh::ROUTE => {
                let Refresh(id) = read_call(&body)?;
                self.shared.with_desk(&id, Desk::forget)?;
                reply::<Refresh>(&true)
            }
            _ => Response::error("no such call", 404),
        }
    }
}

impl Dispenser {
    async fn join(&self, Join { id, spent, pass }: &Join) -> Result<JoinReply> {
        let now_ms = now_ms();
        if let Some(pass) = pass
            && self.shared.store.is_used(pass, now_ms / 1000)?
        {
            return Ok(JoinReply::SpentBefore);
        }
        if let Some(spent) = spent
            && !self
                .shared
                .with_desk(id, |desk| desk.spend(spent, now_ms))?
        {
            return Ok(JoinReply::SpentBefore);
        }
        let Numbers { runs, rest } = self.numbers(id, 1).await?;
        let Some(&Run {
            epoch,
            first: number,
            standing,
            ..
        }) = runs.first()
        else {
            return Ok(JoinReply::Refused(rest.unwrap_or(Refusal::Unavailable)));
        };
        // Of two that came with one pass together, the number of the second is nobody's.
        if let Some(pass) = pass
            && !self.shared.store.take(pass)?
        {
            return Ok(JoinReply::SpentBefore);
        }
        Ok(JoinReply::Given {
            epoch,
            number,
            standing,
        })
    }

    /// Numbers for people who come together, in order of arrival.
    async fn numbers(&self, id: &DispenserId, people: u32) -> Result<Numbers> {
        let (sender, receiver) = oneshot::channel();
        let now_ms = now_ms();
        let start = self
            .shared
            .with_desk(id, |desk| desk.arrive(people, sender, now_ms))?;
        if start {
            let (shared, id) = (Rc::clone(&self.shared), id.clone());
            self.state.wait_until(async move {
                shared.serve(&id).await;
                shared.tidy(&id).await;
            });
        }
        // A sender is dropped only when the desk is.
        Ok(receiver.await.unwrap_or(Numbers {
            runs: Vec::new(),
            rest: Some(Refusal::Unavailable),
        }))
    }

    async fn status(&self, id: &DispenserId) -> Result<StatusReply> {
        let (sender, receiver) = oneshot::channel();
        let now_ms = now_ms();
        let start = self
            .shared
            .with_desk(id, |desk| desk.ask_status(sender, now_ms))?;
        if start {
            let (shared, id) = (Rc::clone(&self.shared), id.clone());
            self.state
                .wait_until(async move { shared.refresh(&id).await });
        }
        Ok(receiver.await.unwrap_or(StatusReply::Unavailable))
    }
}

impl Shared {
    /// Does something at the desk, which is set up from storage if need be.
    fn with_desk<T>(&self, id: &DispenserId, act: impl FnOnce(&mut Desk) -> T) -> Result<T> {
        let mut slot = self.desk.borrow_mut();
        if slot.is_none() {
            *slot = Some(Desk::new(id, self.store.last_seq()?));
        }
        let desk = slot.as_mut().ok_or("no desk")?;
        Ok(act(desk))
    }

    fn at_desk<T>(&self, act: impl FnOnce(&mut Desk) -> T) -> Option<T> {
        self.desk.borrow_mut().as_mut().map(act)
    }

    /// Leases until nobody is in line.
    async fn serve(&self, id: &DispenserId) {
        while let Some(Step::Lease(request)) = self.at_desk(|desk| desk.serve(now_ms())) {
            let asked_at_ms = now_ms();
            let call = AskLease {
                request: request.clone(),
                lane: id.lane.clone(),
            };
            let answer = ask_room(&self.env, &id.room, &call).await;
            let now_ms = now_ms();
            match answer {
                Ok(LeaseReply::Granted { lease, bulletin }) => {
                    // Before the first number of it is given.
                    let stored = self.store.keep(&lease);
                    if let Err(error) = stored {
                        console_error!("lease {} not stored: {error}", lease.seq);
                        self.at_desk(|desk| desk.fail(now_ms));
                        continue;
                    }
                    self.at_desk(|desk| {
                        desk.install(&request, lease, bulletin, asked_at_ms, now_ms);
                    });
                }
                Ok(LeaseReply::Refused { bulletin }) => {
                    self.at_desk(|desk| desk.refuse(bulletin, now_ms));
                }
                Ok(LeaseReply::Unknown) => {
                    self.at_desk(|desk| desk.unknown(now_ms));
                }
                Err(Unreachable) => {
                    self.at_desk(|desk| desk.fail(now_ms));
                }
            }
        }
    }

    /// Gives the rest of the lease back when its time is up.
    async fn tidy(&self, id: &DispenserId) {
        if self.at_desk(Desk::begin_tidying) != Some(true) {
            return;
        }
        loop {
            match self.at_desk(|desk| desk.tidy(now_ms())) {
                Some(Tidy::Wait(ms)) => sleep(ms).await,
                Some(Tidy::GiveBack) => return self.refresh(id).await,
                Some(Tidy::Done) | None => return,
            }
        }
    }

    /// Asks the Room how it is, for everyone who wants to know.
    async fn refresh(&self, id: &DispenserId) {
        let Some(give_back) = self.at_desk(|desk| desk.rest_to_give_back(now_ms())) else {
            return;
        };
        let call = AskStatus {
            give_back: give_back.clone(),
        };
        let answer = ask_room(&self.env, &id.room, &call).await;
        let now_ms = now_ms();
        self.at_desk(|desk| match answer {
            Ok(bulletin) => desk.refreshed(bulletin, give_back.as_ref(), now_ms),
            Err(Unreachable) => desk.refresh_failed(now_ms),
        });
    }
}
