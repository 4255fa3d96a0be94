//! `/e/{room}`: the waiting page, or the shop once admitted, and the forms on it.

use super::template::Template;
use crate::answer;
use crate::client::{Unreachable, ask_room};
use crate::contract::{AskStanding, ClaimReply, Standing};
use crate::queue::challenge::Given;
use crate::queue::claim;
use crate::queue::join::{Joined, Wish, join};
use crate::queue::leave;
use crate::status_cache::{self, Document, Lack};
use crate::visit::{Visit, place_ref};
use catraca_domain::ids::RoomName;
use catraca_domain::lane;
use catraca_domain::lane_pass::LanePass;
use catraca_domain::place::Place;
use catraca_domain::room::{Challenge, Eta, Identity, Phase, PlaceState, PlaceView};
use time::format_description::well_known::Rfc3339;
use worker::{Response, Result};

/// What the waiting page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Lobby,
    Waiting,
    Called,
    Lapsed,
    Closed,
    SoldOut,
    Unavailable,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Lobby => "lobby",
            Self::Waiting => "waiting",
            Self::Called => "called",
            Self::Lapsed => "lapsed",
            Self::Closed => "closed",
            Self::SoldOut => "sold_out",
            Self::Unavailable => "unavailable",
        }
    }

    /// Seconds until a page without JavaScript loads itself again.
    fn refresh_seconds(self, view: Option<&PlaceView>) -> u64 {
        let poll_seconds = view.map_or(10, |view| view.poll_after_ms.div_ceil(1000));
        match self {
            Self::Called => 2,
            Self::Lobby | Self::Waiting => poll_seconds.clamp(3, 20),
            Self::Unavailable => 5,
            Self::New | Self::Lapsed | Self::Closed | Self::SoldOut => 30,
        }
    }
}

/// `GET /e/{room}`.
pub(crate) async fn show(visit: Visit, room: &RoomName) -> Result<Response> {
    if !visit.is_get() {
        return answer::method_not_allowed("GET");
    }
    let visit = &visit;
    if let Some(response) = with_pass(visit, room)? {
        return Ok(response);
    }
    let place = visit.place(room);
    if visit.admission(room).is_some() && still_shopping(visit, room, place.as_ref()).await {
        return shop(visit, room).await;
    }
    let document = match status_cache::status(visit, room).await {
        Ok(document) => document,
        Err(Lack::Unknown) => return super::no_such_room(visit).await,
        Err(Lack::Unavailable) => return unavailable(visit, room).await,
    };
    let status = &document.status;
    let state = match status.phase {
        Phase::Closed => State::Closed,
        Phase::SoldOut => State::SoldOut,
        Phase::Lobby | Phase::Open | Phase::Paused => State::New,
    };
    let Some(place) = place.filter(|place| place.epoch == status.epoch) else {
        return waiting(visit, room, state, Some(&document), None).await;
    };
    let view = document.view(place.number, visit.now_ms);
    match view.state {
        PlaceState::Lobby if state == State::New => {
            waiting(visit, room, State::Lobby, Some(&document), Some(&view)).await
        }
        PlaceState::Waiting if state == State::New => {
            waiting(visit, room, State::Waiting, Some(&document), Some(&view)).await
        }
        PlaceState::Lobby | PlaceState::Waiting => {
            waiting(visit, room, state, Some(&document), Some(&view)).await
        }
        PlaceState::Called | PlaceState::Admitted | PlaceState::Lapsed => {
            enter(visit, room, &place, &document, &view).await
        }
    }
}

/// `?lane_token=…`: a link with a lane pass. The pass waits in a cookie until its bearer joins, and is
/// gone from the address.
fn with_pass(visit: &Visit, room: &RoomName) -> Result<Option<Response>> {
    let url = visit.request.url()?;
    let pass = url.query_pairs().find(|(name, _)| name == "lane_token");
    let Some((_, pass)) = pass else {
        return Ok(None);
    };
    let response = answer::see_other(&format!("/e/{room}"))?;
    let (secret, now) = (&visit.settings.edge_secret, visit.now_ms / 1000);
    if let Ok(read) = LanePass::verify(&pass, room, secret, now) {
        let cookie = answer::lane_cookie(room, &pass, read.expires_at - now);
        response.headers().append("set-cookie", &cookie)?;
    }
    Ok(Some(response))
}

/// What a form without a script brings.
fn from_a_form(given: &Given) -> Wish<'_> {
    Wish {
        bound: true,
        given,
        lane_token: None,
    }
}

/// Claims for whoever is called: the page does by itself what a script would do.
async fn enter(
    visit: &Visit,
    room: &RoomName,
    place: &Place,
    document: &Document,
    view: &PlaceView,
) -> Result<Response> {
    let state = match claim::claim(visit, room, place).await {
        Ok(ClaimReply::Admitted(admitted)) => {
            let token = claim::token(visit, room, place, &admitted);
            let response = shop(visit, room).await?;
            let cookie = claim::cookie(visit, &token, &admitted);
            response.headers().append("set-cookie", &cookie)?;
            return Ok(response);
        }
        Ok(ClaimReply::Wait { .. }) => State::Called,
        Ok(ClaimReply::NotCalled) => State::Waiting,
        Ok(ClaimReply::Lapsed | ClaimReply::Ended) => State::Lapsed,
        Ok(ClaimReply::Closed) => State::Closed,
        Ok(ClaimReply::SoldOut) => State::SoldOut,
        Ok(ClaimReply::InvalidPlace) => State::New,
        Ok(ClaimReply::Unknown) => return super::no_such_room(visit).await,
        Err(Unreachable) => State::Unavailable,
    };
    waiting(visit, room, state, Some(document), Some(view)).await
}

/// Whether the Room still counts the admission. When it can't be asked, whoever is in stays in.
async fn still_shopping(visit: &Visit, room: &RoomName, place: Option<&Place>) -> bool {
    let Some(place) = place else {
        return true;
    };
    let call = AskStanding {
        place: place_ref(place),
    };
    match ask_room(&visit.env, room, &call).await {
        Ok(Standing::Admitted) | Err(Unreachable) => true,
        Ok(
            Standing::Lobby
            | Standing::Waiting
            | Standing::Called
            | Standing::Lapsed
            | Standing::Ended
            | Standing::InvalidPlace
            | Standing::Unknown,
        ) => false,
    }
}

async fn shop(visit: &Visit, room: &RoomName) -> Result<Response> {
    match Template::fetch(visit, "shop").await {
        Some(template) => answer::page(200, template.fill(&[("room", room.as_str())])),
        None => unavailable(visit, room).await,
    }
}

/// With the room away, what can still be told is the number in the visitor's own token.
async fn unavailable(visit: &Visit, room: &RoomName) -> Result<Response> {
    waiting(visit, room, State::Unavailable, None, None).await
}

async fn waiting(
    visit: &Visit,
    room: &RoomName,
    state: State,
    document: Option<&Document>,
    view: Option<&PlaceView>,
) -> Result<Response> {
    let status = document.map(|document| &document.status);
    let turnstile = visit.settings.turnstile.is_ok()
        && document.is_some_and(|document| document.challenge == Challenge::Turnstile);
    let template = Template::fetch(visit, "waiting").await;
    let template = template.unwrap_or_else(Template::fallback);
    let opens_at = status
        .and_then(|status| status.opens_at)
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default();
    let message = status.and_then(|status| status.message.clone());
    let number = view
        .map(|view| view.number)
        .or_else(|| Some(lane::shown(visit.place(room)?.number)))
        .filter(|_| view.is_some() || state == State::Unavailable)
        .map(|number| number.to_string());
    let ahead = view.map(|view| view.ahead.to_string());
    let eta = view.and_then(|view| view.eta_seconds).map(in_words);
    let html = template.fill(&[
        ("state", state.name()),
        ("room", room.as_str()),
        ("number", &number.unwrap_or_default()),
        ("ahead", &ahead.unwrap_or_default()),
        ("eta", &eta.unwrap_or_default()),
        ("message", &message.unwrap_or_default()),
        ("opens_at", &opens_at),
        (
            "identity",
            document.map_or("", |it| identity_name(it.identity)),
        ),
        (
            "challenge",
            document.map_or("", |it| challenge_name(it.challenge)),
        ),
        (
            "draw",
            document.map_or("", |it| if it.record.is_some() { "yes" } else { "" }),
        ),
        ("refresh", &state.refresh_seconds(view).to_string()),
    ]);
    let code = if state == State::Unavailable {
        503
    } else {
        200
    };
    answer::page_with(code, html, turnstile)
}

fn identity_name(identity: Identity) -> &'static str {
    match identity {
        Identity::Anonymous => "anonymous",
        Identity::Account => "account",
    }
}

fn challenge_name(challenge: Challenge) -> &'static str {
    match challenge {
        Challenge::None => "none",
        Challenge::ProofOfWork => "proof_of_work",
        Challenge::Turnstile => "turnstile",
    }
}

fn in_words(eta: Eta) -> String {
    let Eta { low, high } = eta;
    if high <= 90 {
        format!("{low}–{high} s")
    } else {
        format!("{}–{} min", low / 60, high.div_ceil(60))
    }
}

/// `POST /e/{room}/{action}`: the forms. Whatever comes of it is on the page they lead back to.
pub(crate) async fn act(visit: Visit, room: &RoomName, action: &str) -> Result<Response> {
    if !matches!(action, "join" | "claim" | "leave") {
        return super::no_such_room(&visit).await;
    }
    if !visit.is_post() {
        return answer::method_not_allowed("POST");
    }
    let mut cookies = Vec::new();
    match action {
        "join" => match join(&visit, room, &from_a_form(&Given::default())).await {
            Joined::Place { token, holder, .. } => {
                cookies.push(answer::place_cookie(room, &token));
                cookies.extend(
                    visit
                        .lane_cookie(room)
                        .map(|_| answer::lane_cookie(room, "", 0)),
                );
                cookies.extend(holder.as_ref().map(answer::holder_cookie));
            }
            Joined::Unknown => return super::no_such_room(&visit).await,
            Joined::Unavailable => return unavailable(&visit, room).await,
            // A challenge takes the page's script.
            Joined::Closed
            | Joined::SoldOut
            | Joined::WorthlessPlace
            | Joined::NotLoggedIn
            | Joined::Refused(_) => {}
        },
        "claim" => {
            if let Some(place) = visit.place(room)
                && let Ok(ClaimReply::Admitted(admitted)) = claim::claim(&visit, room, &place).await
            {
                let token = claim::token(&visit, room, &place, &admitted);
                cookies.push(claim::cookie(&visit, &token, &admitted));
            }
        }
        _ => {
            if let Some(place) = visit.place(room)
                && leave::leave(&visit, room, &place).await.is_err()
            {
                return unavailable(&visit, room).await;
            }
            cookies = leave::cookies(&visit, room);
        }
    }
    let response = answer::see_other(&format!("/e/{room}"))?;
    for cookie in cookies {
        response.headers().append("set-cookie", &cookie)?;
    }
    Ok(response)
}
