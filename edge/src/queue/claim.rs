//! Claiming: the Room decides and writes down; the token is made here, from what it wrote.

use super::join::{invalid_place, no_place, room_closed, sold_out};
use crate::answer;
use crate::client::{Unreachable, ask_room};
use crate::contract::{Admitted, Claim, ClaimReply};
use crate::identity::{self, Login};
use crate::runtime::{date, random_bytes};
use crate::status_cache;
use crate::visit::{Visit, place_ref};
use catraca_domain::admission::{Admission, ISSUER};
use catraca_domain::ids::RoomName;
use catraca_domain::place::Place;
use catraca_domain::problem::Kind;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use worker::{Response, Result};

/// A number this far beyond the last one known to be called, and a minute's pace more, is told
/// so without asking the Room.
const FAR: u64 = 1_000;

/// `POST /queue/v1/{room}/claim`.
pub(super) async fn answer(visit: &Visit, room: &RoomName) -> Result<Response> {
    let Some(place) = visit.place(room) else {
        return no_place(visit, room).await;
    };
    match claim(visit, room, &place).await {
        Ok(ClaimReply::Admitted(admitted)) => {
            let token = token(visit, room, &place, &admitted);
            let expires_at = date(admitted.exp * 1000)
                .format(&Rfc3339)
                .unwrap_or_default();
            let document = json!({ "admission_token": token, "expires_at": expires_at });
            let response = answer::json(200, &document)?;
            let cookie = cookie(visit, &token, &admitted);
            response.headers().append("set-cookie", &cookie)?;
            Ok(response)
        }
        Ok(ClaimReply::Wait { retry_after_ms }) => {
            let document = json!({ "state": "called", "retry_after_ms": retry_after_ms });
            answer::json(202, &document)
        }
        Ok(ClaimReply::NotCalled) => {
            answer::problem(Kind::NOT_CALLED, "Your number has not been called yet.")
        }
        Ok(ClaimReply::Lapsed) => answer::problem(
            Kind::PLACE_LAPSED,
            "You were called and did not come in time. Join again.",
        ),
        Ok(ClaimReply::Ended) => answer::problem(
            Kind::PLACE_LAPSED,
            "The session that this place opened is over. Join again.",
        ),
        Ok(ClaimReply::Closed) => room_closed(),
        Ok(ClaimReply::SoldOut) => sold_out(),
        Ok(ClaimReply::InvalidPlace) => invalid_place(),
        Ok(ClaimReply::Unknown) => answer::no_such_room(),
        Err(Unreachable) => answer::unavailable(),
    }
}

/// Asks the Room to let the place in.
pub(crate) async fn claim(
    visit: &Visit,
    room: &RoomName,
    place: &Place,
) -> std::result::Result<ClaimReply, Unreachable> {
    if let Some(document) = status_cache::remembered(room, visit.now_ms) {
        let status = &document.status;
        let position = document.position(place.number);
        let far = status.frontier_of(position) + FAR + u64::from(status.rate_per_minute);
        if status.epoch == place.epoch && position > far && status.phase.takes_joins() {
            return Ok(ClaimReply::NotCalled);
        }
    }
    // An account's place lets in that account, whoever shows it.
    if identity::is_accounts(place) {
        match identity::login(visit).await {
            Login::Account(account)
                if identity::visitor(account, room, place.number) == place.visitor => {}
            Login::Account(_) | Login::Nobody => return Ok(ClaimReply::InvalidPlace),
            Login::Unavailable => return Err(Unreachable),
        }
    }
    let call = Claim {
        place: place_ref(place),
        random: random_bytes(),
    };
    ask_room(&visit.env, room, &call).await
}

/// The admission token: the same for the same admission.
pub(crate) fn token(visit: &Visit, room: &RoomName, place: &Place, admitted: &Admitted) -> String {
    Admission {
        iss: ISSUER.to_owned(),
        aud: room.clone(),
        sub: place.visitor,
        jti: admitted.jti,
        iat: admitted.iat,
        nbf: admitted.iat,
        exp: admitted.exp,
        num: place.number,
        lane: place.lane.clone(),
        epoch: place.epoch,
    }
    .mint(&visit.settings.admission_keys)
}

/// Its cookie, for what is left of its life.
pub(crate) fn cookie(visit: &Visit, token: &str, admitted: &Admitted) -> String {
    answer::admission_cookie(token, admitted.exp.saturating_sub(visit.now_ms / 1000))
}
