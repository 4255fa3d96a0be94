//! The join of somebody who brings nothing: no place, pass, account or solution.
//!
//! Those who come while numbers are being asked for share the next call to a Dispenser (`quick.js`
//! has the waiting). Here is what is known and made: whether the quick way is open, the call, its answer,
//! and each one's place.

use super::whole;
use crate::answer;
use crate::contract::{Call, JoinTogether, NewStanding, Numbers, Refusal};
use crate::holder::{self, Holder};
use crate::queue::join::{no_number, place_document, state};
use crate::settings::Settings;
use crate::status_cache;
use crate::visit::cookie_in;
use catraca_domain::ids::{Lane, RoomName};
use catraca_domain::place::Place;
use catraca_domain::room::{Challenge, Identity};
use std::fmt::Write as _;
use wasm_bindgen::prelude::wasm_bindgen;

/// Whether a join with these cookies and no `Authorization` may take the quick way.
#[wasm_bindgen]
#[expect(
    clippy::needless_pass_by_value,
    reason = "JavaScript hands its strings over for good"
)]
pub fn quick_join(room: &str, cookie: Option<String>, now_ms: f64) -> bool {
    may_join(room, cookie.as_deref(), whole(now_ms)).is_some()
}

fn may_join(room: &str, cookie: Option<&str>, now_ms: u64) -> Option<()> {
    let room: RoomName = room.parse().ok()?;
    let document = status_cache::at_hand(&room, now_ms)?;
    let open_to_all =
        document.identity == Identity::Anonymous && document.challenge == Challenge::None;
    let carries = |name: &str| cookie.is_some_and(|cookie| cookie_in(cookie, name).is_some());
    let brings_nothing =
        !carries(&answer::place_cookie_name(&room)) && !carries(&answer::lane_cookie_name(&room));
    (open_to_all && brings_nothing).then_some(())
}

/// The call for so many numbers, to one of the room's Dispensers: its object's name, the path and
/// the body, a space between.
#[wasm_bindgen]
pub fn quick_joins_call(room: &str, people: u32) -> Option<String> {
    let room: RoomName = room.parse().ok()?;
    let dispensers = status_cache::last(&room)?.dispensers;
    let id = status_cache::any_dispenser(&room, dispensers);
    let name = id.object_name();
    let body = serde_json::to_string(&JoinTogether { id, people }).ok()?;
    Some(format!("{name} {} {body}", JoinTogether::ROUTE))
}

/// The answer: epoch, number and standing of each who gets a number, in order of arrival, then the
/// refusal of all others.
#[wasm_bindgen]
pub fn quick_joins_reply(reply: &str) -> Option<Vec<f64>> {
    let Numbers { runs, rest } = serde_json::from_str(reply).ok()?;
    let mut flat = Vec::new();
    for run in runs {
        for index in 0..run.count {
            let number = run.first + u64::from(index);
            flat.extend([run.epoch.into(), number_of(number), code(run.standing)]);
        }
    }
    flat.push(rest.map_or(UNAVAILABLE, |refusal| match refusal {
        Refusal::Closed => 0.0,
        Refusal::SoldOut => 1.0,
        Refusal::Unknown => 2.0,
        Refusal::Unavailable => UNAVAILABLE,
    }));
    Some(flat)
}

/// A refusal's code where nothing is known.
const UNAVAILABLE: f64 = 3.0;

/// What somebody is answered who got a number: status, body and headers, a line each.
#[wasm_bindgen]
#[expect(
    clippy::needless_pass_by_value,
    reason = "JavaScript hands its strings over for good"
)]
pub fn quick_joined(
    room: &str,
    cookie: Option<String>,
    from_browser: bool,
    joined_at_ms: f64,
    epoch: u32,
    number: f64,
    standing: u32,
) -> Option<String> {
    let room: RoomName = room.parse().ok()?;
    let settings = Settings::at_hand()?;
    let standing = match standing {
        0 => NewStanding::Waiting,
        1 => NewStanding::Lobby,
        _ => NewStanding::Called,
    };
    let number = whole(number);
    let kept = || Holder::parse(cookie_in(cookie.as_deref()?, answer::HOLDER_COOKIE)?);
    let holder = from_browser.then(|| kept().unwrap_or_else(Holder::random));
    let place = Place {
        epoch,
        number,
        joined_at_ms: whole(joined_at_ms),
        visitor: holder::visitor(holder.as_ref(), &room, number),
        lane: Lane::standard(),
    };
    let token = place.mint(&room, &settings.place_keys);
    let document = place_document(&token, number, state(standing));
    let mut text = format!("201\n{document}");
    for (name, value) in answer::json_headers() {
        line(&mut text, name, value);
    }
    line(
        &mut text,
        "set-cookie",
        &answer::place_cookie(&room, &token),
    );
    if let Some(holder) = holder {
        line(&mut text, "set-cookie", &answer::holder_cookie(&holder));
    }
    Some(text)
}

/// What somebody is answered who got none, the same way.
#[wasm_bindgen]
pub fn quick_refused(refusal: f64) -> String {
    let problem = no_number(match whole(refusal) {
        0 => Refusal::Closed,
        1 => Refusal::SoldOut,
        2 => Refusal::Unknown,
        _ => Refusal::Unavailable,
    });
    let mut text = format!("{}\n{}", problem.status, problem.to_json());
    for (name, value) in answer::problem_headers(&problem) {
        line(&mut text, name, &value);
    }
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _infallible = write!(text, "\n{name}: {value}");
}

fn code(standing: NewStanding) -> f64 {
    match standing {
        NewStanding::Waiting => 0.0,
        NewStanding::Lobby => 1.0,
        NewStanding::Called => 2.0,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of `standard` count people: far below 2^53"
)]
fn number_of(number: u64) -> f64 {
    number as f64
}
