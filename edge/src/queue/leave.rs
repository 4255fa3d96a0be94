//! Leaving: the place is given up, and the slot with it.

use super::join::{invalid_place, no_place};
use crate::answer;
use crate::client::{Unreachable, ask_room};
use crate::contract::{Leave, LeaveReply};
use crate::visit::{Visit, place_ref};
use catraca_domain::ids::RoomName;
use catraca_domain::place::Place;
use worker::{Response, Result};

/// `POST /queue/v1/{room}/leave`.
pub(super) async fn answer(visit: &Visit, room: &RoomName) -> Result<Response> {
    let Some(place) = visit.place(room) else {
        return no_place(visit, room).await;
    };
    match leave(visit, room, &place).await {
        Ok(LeaveReply::Left) => {
            let response = answer::no_content()?;
            for cookie in cookies(visit, room) {
                response.headers().append("set-cookie", &cookie)?;
            }
            Ok(response)
        }
        Ok(LeaveReply::InvalidPlace) => invalid_place(),
        Ok(LeaveReply::Unknown) => answer::no_such_room(),
        Err(Unreachable) => answer::unavailable(),
    }
}

/// Tells the Room.
pub(crate) async fn leave(
    visit: &Visit,
    room: &RoomName,
    place: &Place,
) -> std::result::Result<LeaveReply, Unreachable> {
    let call = Leave {
        place: place_ref(place),
    };
    ask_room(&visit.env, room, &call).await
}

/// What takes the cookies back: the place, and the admission if it is to this room.
pub(crate) fn cookies(visit: &Visit, room: &RoomName) -> Vec<String> {
    let mut cookies = vec![answer::no_place_cookie(room)];
    if visit.admission(room).is_some() {
        cookies.push(answer::admission_cookie("", 0));
    }
    cookies
}
