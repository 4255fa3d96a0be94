//! Waiting: what a place is worth. From isolate memory, unless its number has been called.

use super::join::invalid_place;
use crate::answer;
use crate::client::{Unreachable, ask_room};
use crate::contract::{AskStanding, Standing};
use crate::runtime::jittered;
use crate::status_cache::{self, Lack};
use crate::visit::{Visit, place_ref};
use catraca_domain::ids::RoomName;
use catraca_domain::room::PlaceState;
use worker::{Response, Result};

/// `GET /queue/v1/{room}/place`.
pub(super) async fn answer(visit: &Visit, room: &RoomName) -> Result<Response> {
    let document = match status_cache::status(visit, room).await {
        Ok(document) => document,
        Err(Lack::Unknown) => return answer::no_such_room(),
        Err(Lack::Unavailable) => return answer::unavailable(),
    };
    let Some(place) = visit
        .place(room)
        .filter(|place| place.epoch == document.status.epoch)
    else {
        return invalid_place();
    };
    let mut view = document.view(place.number, visit.now_ms);
    if matches!(view.state, PlaceState::Called | PlaceState::Lapsed) {
        let call = AskStanding {
            place: place_ref(&place),
        };
        view.state = match ask_room(&visit.env, room, &call).await {
            Ok(Standing::Lobby) => PlaceState::Lobby,
            Ok(Standing::Waiting) => PlaceState::Waiting,
            Ok(Standing::Called) => PlaceState::Called,
            Ok(Standing::Admitted) => PlaceState::Admitted,
            Ok(Standing::Lapsed | Standing::Ended) => PlaceState::Lapsed,
            Ok(Standing::InvalidPlace) => return invalid_place(),
            Ok(Standing::Unknown) => return answer::no_such_room(),
            Err(Unreachable) => return answer::unavailable(),
        };
    }
    view.poll_after_ms = jittered(document.status.poll_ms(view.poll_after_ms));
    answer::json(200, &view)
}
