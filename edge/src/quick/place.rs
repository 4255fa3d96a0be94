//! The poll of a visitor who waits. Only good news is told here.

use super::whole;
use crate::answer;
use crate::holder::{self, Holder};
use crate::runtime::jittered;
use crate::settings::Settings;
use crate::status_cache;
use crate::visit::{cookie_in, credentials_in};
use catraca_domain::ids::RoomName;
use catraca_domain::place::Place;
use catraca_domain::room::PlaceState;
use wasm_bindgen::prelude::wasm_bindgen;

/// The answer to `GET /queue/v1/{room}/place`, as JSON; `None`: take the long way. The headers
/// as they came, the time in unix milliseconds.
#[wasm_bindgen]
#[expect(
    clippy::needless_pass_by_value,
    reason = "JavaScript hands its strings over for good"
)]
pub fn quick_place(
    room: &str,
    authorization: Option<String>,
    cookie: Option<String>,
    now_ms: f64,
) -> Option<Vec<u8>> {
    let room: RoomName = room.parse().ok()?;
    let now_ms = whole(now_ms);
    let document = status_cache::at_hand(&room, now_ms)?;
    let settings = Settings::at_hand()?;
    let from_header = authorization
        .as_deref()
        .and_then(|header| credentials_in(header, "Place"));
    let token = match from_header {
        Some(token) => token,
        None => cookie_in(cookie.as_deref()?, &answer::place_cookie_name(&room))?,
    };
    let place = Place::verify(token, &room, &settings.place_keys).ok()?;
    if place.epoch != document.status.epoch {
        return None;
    }
    // A browser's place needs the browser's secret; without it the long way says no.
    if holder::is_bound(place.visitor) {
        let secret = Holder::parse(cookie_in(cookie.as_deref()?, answer::HOLDER_COOKIE)?)?;
        if secret.visitor(&room, place.number) != place.visitor {
            return None;
        }
    }
    let mut view = document.view(place.number, now_ms);
    if !matches!(view.state, PlaceState::Waiting | PlaceState::Lobby) {
        return None;
    }
    view.poll_after_ms = jittered(document.status.poll_ms(view.poll_after_ms));
    serde_json::to_vec(&view).ok()
}

/// The headers of that answer, as JSON pairs.
#[wasm_bindgen]
pub fn quick_headers() -> String {
    serde_json::to_string(&answer::json_headers()).unwrap_or_default()
}
