//! Joining: a number from a Dispenser, and a place token made of it.

use super::body;
use super::challenge::{self, Given, Refused};
use super::pass;
use crate::answer;
use crate::client::{Unreachable, ask_dispenser, ask_room};
use crate::contract::{
    AskStanding, Candidate, Held, HoldPlace, Join, JoinReply, NewStanding, Refusal, Spent,
    Standing, UsedPass,
};
use crate::holder::{self, Holder};
use crate::identity::{self, Login};
use crate::status_cache::{self, Lack};
use crate::visit::{Carried, Visit, place_ref};
use catraca_domain::challenge::Solved;
use catraca_domain::ids::{AccountId, Lane, RoomName};
use catraca_domain::lane;
use catraca_domain::lane_pass::LanePass;
use catraca_domain::place::Place;
use catraca_domain::problem::{Kind, Problem};
use catraca_domain::room::{Identity, PlaceState};
use serde_json::{Value, json};
use worker::{Response, Result};

/// How a join ended.
pub(crate) enum Joined {
    /// With a place.
    Place {
        /// Signed.
        token: String,
        /// Its number.
        number: u64,
        /// What it is worth now.
        state: PlaceState,
        /// Whether it was given just now.
        new: bool,
        /// What it is bound to, in a browser.
        holder: Option<Holder>,
    },
    /// Something is to be solved first, or the lane pass opens nothing.
    Refused(Box<Problem>),
    /// The room gives places to accounts.
    NotLoggedIn,
    /// The header's place is not of this room.
    WorthlessPlace,
    /// The room takes nobody.
    Closed,
    /// Nothing is left to buy.
    SoldOut,
    /// No such room.
    Unknown,
    /// Ask again shortly.
    Unavailable,
}

/// What a join brings.
pub(crate) struct Wish<'a> {
    /// Whether the place is to be bound to the browser.
    pub(crate) bound: bool,
    /// The answer to a challenge.
    pub(crate) given: &'a Given,
    /// A lane pass; without one, that of the cookie.
    pub(crate) lane_token: Option<&'a str>,
}

/// `POST /queue/v1/{room}/join`.
pub(super) async fn answer(mut visit: Visit, room: &RoomName) -> Result<Response> {
    let body = match body::read(&mut visit).await {
        Ok(body) => body,
        Err(problem) => return answer::problem_document(&problem),
    };
    let bound = visit.is_from_browser();
    let wish = Wish {
        bound,
        given: &body.challenge,
        lane_token: body.lane_token.as_deref(),
    };
    match join(&visit, room, &wish).await {
        Joined::Place {
            token,
            number,
            state,
            new,
            holder,
        } => {
            let document = place_document(&token, number, state);
            let response = answer::json(if new { 201 } else { 200 }, &document)?;
            let cookie = answer::place_cookie(room, &token);
            response.headers().append("set-cookie", &cookie)?;
            if visit.lane_cookie(room).is_some() {
                let cookie = answer::lane_cookie(room, "", 0);
                response.headers().append("set-cookie", &cookie)?;
            }
            if let Some(holder) = holder {
                let cookie = answer::holder_cookie(&holder);
                response.headers().append("set-cookie", &cookie)?;
            }
            Ok(response)
        }
        Joined::Refused(problem) => answer::problem_document(&problem),
        Joined::NotLoggedIn => answer::problem(
            Kind::NOT_LOGGED_IN,
            "This room gives one place to each account. Log in first.",
        ),
        Joined::WorthlessPlace => invalid_place(),
        Joined::Closed => room_closed(),
        Joined::SoldOut => sold_out(),
        Joined::Unknown => answer::no_such_room(),
        Joined::Unavailable => answer::unavailable(),
    }
}

/// What whoever has a place is told.
pub(crate) fn place_document(token: &str, number: u64, state: PlaceState) -> Value {
    json!({ "place_token": token, "number": lane::shown(number), "state": state })
}

impl From<Refusal> for Joined {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => Self::Closed,
            Refusal::SoldOut => Self::SoldOut,
            Refusal::Unknown => Self::Unknown,
            Refusal::Unavailable => Self::Unavailable,
        }
    }
}

/// What whoever gets no number is told.
pub(crate) fn no_number(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Closed => Problem::new(Kind::ROOM_CLOSED, "The waiting room is closed."),
        Refusal::SoldOut => Problem::new(Kind::SOLD_OUT, "Everything has been sold."),
        Refusal::Unknown => answer::no_such_room_problem(),
        Refusal::Unavailable => answer::unavailable_problem(),
    }
}

/// 401 for a place.
pub(super) fn invalid_place() -> Result<Response> {
    answer::problem(Kind::INVALID_PLACE, "Join the waiting room first.")
}

/// What a call without a valid place is told: 401, or 404 where there is no room at all.
pub(super) async fn no_place(visit: &Visit, room: &RoomName) -> Result<Response> {
    match status_cache::status(visit, room).await {
        Err(Lack::Unknown) => answer::no_such_room(),
        Ok(_) | Err(Lack::Unavailable) => invalid_place(),
    }
}

/// 409 of a closed room.
pub(super) fn room_closed() -> Result<Response> {
    answer::problem_document(&no_number(Refusal::Closed))
}

/// 409 of a room with nothing to sell.
pub(super) fn sold_out() -> Result<Response> {
    answer::problem_document(&no_number(Refusal::SoldOut))
}

/// The place that the visitor has already, or a new one: a pass for another lane gives a new one too.
pub(crate) async fn join(visit: &Visit, room: &RoomName, wish: &Wish<'_>) -> Joined {
    if status_cache::is_missing(room, visit.now_ms) {
        return Joined::Unknown;
    }
    let pass = match pass::carried(visit, room, wish.lane_token) {
        Ok(pass) => pass,
        Err(problem) => return Joined::Refused(Box::new(problem)),
    };
    match visit.carried_place(room) {
        Carried::Worthless => Joined::WorthlessPlace,
        Carried::Nothing => new_place(visit, room, wish, pass).await,
        Carried::Place { place, .. }
            if pass.as_ref().is_some_and(|pass| pass.lane != place.lane) =>
        {
            new_place(visit, room, wish, pass).await
        }
        Carried::Place { place, token } => {
            let call = AskStanding {
                place: place_ref(&place),
            };
            let state = match ask_room(&visit.env, room, &call).await {
                Ok(Standing::Lobby) => PlaceState::Lobby,
                // With the room away a signed place is still a place.
                Ok(Standing::Waiting) | Err(Unreachable) => PlaceState::Waiting,
                Ok(Standing::Called) => PlaceState::Called,
                Ok(Standing::Admitted) => PlaceState::Admitted,
                Ok(Standing::Lapsed | Standing::Ended | Standing::InvalidPlace) => {
                    return new_place(visit, room, wish, pass).await;
                }
                Ok(Standing::Unknown) => return Joined::Unknown,
            };
            Joined::Place {
                token,
                number: place.number,
                state,
                new: false,
                holder: None,
            }
        }
    }
}

async fn new_place(
    visit: &Visit,
    room: &RoomName,
    wish: &Wish<'_>,
    pass: Option<LanePass>,
) -> Joined {
    let document = match status_cache::latest(visit, room).await {
        Ok(document) => document,
        Err(Lack::Unknown) => return Joined::Unknown,
        Err(Lack::Unavailable) => return Joined::Unavailable,
    };
    let account = match document.identity {
        Identity::Anonymous => None,
        Identity::Account => match identity::login(visit).await {
            Login::Account(account) => Some(account),
            Login::Nobody => return Joined::NotLoggedIn,
            Login::Unavailable => return Joined::Unavailable,
        },
    };
    if let Some(account) = account
        && let Some(joined) = held(visit, room, account, None).await
    {
        return joined;
    }
    let solved = match challenge::check(visit, room, &document, wish.given).await {
        Ok(solved) => solved,
        Err(Refused::Required(problem)) => return Joined::Refused(problem),
        Err(Refused::Unavailable) => return Joined::Unavailable,
    };
    let spent = solved.map(
        |Solved {
             nonce,
             expires_at_ms,
         }| Spent {
            nonce,
            expires_at_ms,
        },
    );
    // A solution, like a pass, always goes to the same Dispenser, which remembers it.
    let id = match (&spent, &pass) {
        (_, Some(pass)) => match pass::dispenser(room, &document, pass) {
            Ok(id) => id,
            Err(problem) => return Joined::Refused(Box::new(problem)),
        },
        (Some(spent), None) => spent.dispenser(room, document.dispensers),
        (None, None) => status_cache::any_dispenser(room, document.dispensers),
    };
    let lane = id.lane.clone().unwrap_or_else(Lane::standard);
    let call = Join {
        id: id.clone(),
        spent,
        pass: pass.as_ref().map(|pass| UsedPass {
            id: pass.id,
            expires_at: pass.expires_at,
        }),
    };
    match ask_dispenser(&visit.env, &id, &call).await {
        Ok(JoinReply::Given {
            epoch,
            number,
            standing,
        }) => {
            if let Some(account) = account {
                let candidate = Candidate {
                    number,
                    joined_at_ms: visit.now_ms,
                    lane,
                };
                let joined = held(visit, room, account, Some(candidate)).await;
                return joined.unwrap_or(Joined::Unknown);
            }
            given(
                visit,
                room,
                wish.bound,
                (epoch, number, lane),
                state(standing),
            )
        }
        Ok(JoinReply::SpentBefore) if pass.is_some() => {
            Joined::Refused(Box::new(pass::bad("has been used")))
        }
        Ok(JoinReply::SpentBefore) => {
            let detail = "That solution has been used.";
            match challenge::puzzle_required(visit, room, &document, detail) {
                Refused::Required(problem) => Joined::Refused(problem),
                Refused::Unavailable => Joined::Unavailable,
            }
        }
        Ok(JoinReply::Refused(refusal)) => refusal.into(),
        Err(Unreachable) => Joined::Unavailable,
    }
}

/// A place just given: epoch, number and lane.
fn given(
    visit: &Visit,
    room: &RoomName,
    bound: bool,
    (epoch, number, lane): (u32, u64, Lane),
    state: PlaceState,
) -> Joined {
    let holder = bound.then(|| visit.holder().unwrap_or_else(Holder::random));
    let place = Place {
        epoch,
        number,
        joined_at_ms: visit.now_ms,
        visitor: holder::visitor(holder.as_ref(), room, number),
        lane,
    };
    Joined::Place {
        token: place.mint(room, &visit.settings.place_keys),
        number,
        state,
        new: true,
        holder,
    }
}

/// What a new place is worth.
pub(crate) fn state(standing: NewStanding) -> PlaceState {
    match standing {
        NewStanding::Lobby => PlaceState::Lobby,
        NewStanding::Waiting => PlaceState::Waiting,
        NewStanding::Called => PlaceState::Called,
    }
}

/// The place that an account has in the room, or the candidate if it has none; `None` without both.
async fn held(
    visit: &Visit,
    room: &RoomName,
    account: AccountId,
    candidate: Option<Candidate>,
) -> Option<Joined> {
    let given = candidate.as_ref().map(|candidate| candidate.number);
    let Ok(held) = ask_room(&visit.env, room, &HoldPlace { account, candidate }).await else {
        return Some(Joined::Unavailable);
    };
    let Held {
        epoch,
        place: Candidate {
            number,
            joined_at_ms,
            lane,
        },
        standing,
    } = held?;
    let place = Place {
        epoch,
        number,
        joined_at_ms,
        visitor: identity::visitor(account, room, number),
        lane,
    };
    Some(Joined::Place {
        token: place.mint(room, &visit.settings.place_keys),
        number,
        state: match standing {
            Standing::Lobby => PlaceState::Lobby,
            Standing::Waiting => PlaceState::Waiting,
            Standing::Called => PlaceState::Called,
            Standing::Admitted => PlaceState::Admitted,
            Standing::Lapsed | Standing::Ended => PlaceState::Lapsed,
            Standing::InvalidPlace | Standing::Unknown => return Some(Joined::Unknown),
        },
        new: given == Some(number),
        holder: None,
    })
}
