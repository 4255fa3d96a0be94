//! The waiting room's HTTP API, in the order of a visit: join, wait (status, place), claim, leave.

mod body;
pub(crate) mod challenge;
pub(crate) mod claim;
pub(crate) mod join;
pub(crate) mod leave;
mod log;
mod pass;
pub(crate) mod place;
mod turnstile;

use crate::answer;
use crate::status_cache::{self, Lack};
use crate::visit::Visit;
use catraca_domain::ids::RoomName;
use catraca_domain::problem::Kind;
use worker::{Response, Result};

/// `/queue/v1/{room}/{action}`.
pub(crate) async fn answer(visit: Visit, room: &RoomName, action: &str) -> Result<Response> {
    match action {
        "join" if visit.is_post() => join::answer(visit, room).await,
        "claim" if visit.is_post() => claim::answer(&visit, room).await,
        "leave" if visit.is_post() => leave::answer(&visit, room).await,
        "status" if visit.is_get() => status(&visit, room).await,
        "place" if visit.is_get() => place::answer(&visit, room).await,
        "log" if visit.is_get() => log::answer(&visit, room).await,
        "draw" if visit.is_get() => draw(&visit, room).await,
        "join" | "claim" | "leave" => answer::method_not_allowed("POST"),
        "status" | "place" | "draw" | "log" => answer::method_not_allowed("GET"),
        _ => answer::not_found(),
    }
}

async fn status(visit: &Visit, room: &RoomName) -> Result<Response> {
    match status_cache::status(visit, room).await {
        Ok(document) => answer::json_text(200, document.json.clone(), "public, max-age=1"),
        Err(Lack::Unknown) => answer::no_such_room(),
        Err(Lack::Unavailable) => answer::unavailable(),
    }
}

async fn draw(visit: &Visit, room: &RoomName) -> Result<Response> {
    let document = match status_cache::status(visit, room).await {
        Ok(document) => document,
        Err(Lack::Unknown) => return answer::no_such_room(),
        Err(Lack::Unavailable) => return answer::unavailable(),
    };
    match &document.record {
        Some(record) => answer::json_text(200, serde_json::to_vec(record)?, "public, max-age=1"),
        None => answer::problem(Kind::NOT_FOUND, "Nothing is drawn in this room."),
    }
}
