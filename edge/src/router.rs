//! Which address is whose.

use crate::answer;
use crate::gateway;
use crate::internal;
use crate::log_key::LogKey;
use crate::pages;
use crate::queue;
use crate::rooms;
use crate::runtime::now_ms;
use crate::settings::Settings;
use crate::visit::{BODY_BYTES_MAX, Visit};
use catraca_domain::ids::RoomName;
use catraca_domain::problem::Kind;
use serde_json::json;
use worker::{Context, Env, Request, Response, Result, console_error};

/// Answers a request; what went wrong unforeseen is logged and answered with 500.
pub(crate) async fn route(request: Request, env: Env, context: Context) -> Result<Response> {
    let Ok(settings) = Settings::of(&env) else {
        return answer::problem(Kind::INTERNAL, "The Worker is not configured.");
    };
    let path = request.path();
    let visit = Visit {
        request,
        env,
        context,
        settings,
        now_ms: now_ms(),
    };
    match dispatch(visit, &path).await {
        Ok(response) => Ok(response),
        Err(error) => {
            console_error!("request failed: {error}");
            answer::problem(Kind::INTERNAL, "The request could not be completed.")
        }
    }
}

async fn dispatch(mut visit: Visit, path: &str) -> Result<Response> {
    // Split before decoding: nothing we name needs escapes, so an escaped name is another one.
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if let ["api" | "auth" | "webhooks", _, ..] = segments.as_slice() {
        return gateway::forward(visit).await;
    }
    if visit.announces_too_much()
        && let Err(problem) = visit.body(BODY_BYTES_MAX).await
    {
        return answer::problem_document(&problem);
    }
    match segments.as_slice() {
        ["queue", "v1", room, action] => match known(&visit, room).await {
            Some(room) => queue::answer(visit, &room, action).await,
            None => answer::no_such_room(),
        },
        ["internal", "v1", "rooms", room, action] => match room.parse::<RoomName>() {
            Ok(room) => internal::answer(visit, &room, action).await,
            Err(_) => answer::no_such_room(),
        },
        ["e", room] => match known(&visit, room).await {
            Some(room) => pages::room::show(visit, &room).await,
            None => pages::no_such_room(&visit).await,
        },
        ["e", room, action] => match known(&visit, room).await {
            Some(room) => pages::room::act(visit, &room, action).await,
            None => pages::no_such_room(&visit).await,
        },
        [".well-known", "jwks.json"] => jwks(&visit),
        [""] => pages::plain(&visit, "landing", "").await,
        ["verify"] => pages::plain(&visit, "verify", "").await,
        ["door"] => pages::door(&visit).await,
        ["orders", id] if !id.is_empty() => pages::plain(&visit, "order", id).await,
        ["tickets", id] if !id.is_empty() => pages::plain(&visit, "ticket", id).await,
        ["assets", ..] | ["favicon.ico" | "robots.txt" | "sw.js"] => {
            pages::assets::serve(&visit, path).await
        }
        _ => pages::missing(&visit).await,
    }
}

/// The room of that name, if the name is one and there may be such a room.
async fn known(visit: &Visit, name: &str) -> Option<RoomName> {
    let room = name.parse().ok()?;
    rooms::may_exist(visit, &room).await.then_some(room)
}

/// The public keys of whatever this edge signs.
fn jwks(visit: &Visit) -> Result<Response> {
    if !visit.is_get() {
        return answer::method_not_allowed("GET");
    }
    let keys: Vec<_> = visit.settings.log_key.iter().map(LogKey::jwk).collect();
    let document = serde_json::to_vec(&json!({ "keys": keys }))?;
    answer::json_text(200, document, "public, max-age=300")
}
