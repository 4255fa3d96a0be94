//! What the core tells the rooms: signed, idempotent calls.

use crate::answer;
use crate::client::{Unreachable, ask_directory, ask_dispenser, ask_room};
use crate::contract::{
    AskLive, Configure, Configured, Depart, DispenserId, Live, Refresh, Register,
};
use crate::rooms;
use crate::status_cache;
use crate::visit::{BODY_BYTES_MAX, Visit};
use catraca_domain::draw::Beacon;
use catraca_domain::ids::RoomName;
use catraca_domain::problem::{Kind, Problem};
use catraca_domain::room::{
    Challenge, DEPARTURES_MAX, Departures, RoomConfig, RoomLive, bounds, standard_share,
};
use catraca_domain::signature;
use futures::future::join_all;
use serde::de::DeserializeOwned;
use serde_json::json;
use worker::{Response, Result, console_error};

/// `/internal/v1/rooms/{room}/{action}`.
pub(crate) async fn answer(mut visit: Visit, room: &RoomName, action: &str) -> Result<Response> {
    let allowed = match action {
        "config" | "departures" if visit.is_post() => true,
        "live" if visit.is_get() => true,
        "config" | "departures" => return answer::method_not_allowed("POST"),
        "live" => return answer::method_not_allowed("GET"),
        _ => false,
    };
    if !allowed {
        return answer::not_found();
    }
    let body = match visit.body(BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(problem) => return answer::problem_document(&problem),
    };
    let header = visit.header(signature::HEADER).unwrap_or_default();
    let now_seconds = i64::try_from(visit.now_ms / 1000).unwrap_or(i64::MAX);
    let secrets = std::slice::from_ref(&visit.settings.edge_secret);
    if let Err(error) = signature::verify(secrets, &header, &body, now_seconds) {
        return answer::problem(Kind::BAD_SIGNATURE, &error.to_string());
    }
    if action != "config" && !rooms::may_exist(&visit, room).await {
        return answer::no_such_room();
    }
    match action {
        "config" => configure(&visit, room, &body).await,
        "departures" => depart(&visit, room, &body).await,
        _ => live(&visit, room).await,
    }
}

async fn configure(visit: &Visit, room: &RoomName, body: &[u8]) -> Result<Response> {
    let config: RoomConfig = match parse(body) {
        Ok(config) => config,
        Err(problem) => return answer::problem_document(&problem),
    };
    if config.room != *room {
        let problem = Problem::field("room", "is not the room of the address");
        return answer::problem_document(&problem);
    }
    if !bounds::DISPENSERS.contains(&config.dispensers) {
        let problem = Problem::field("dispensers", "must be 1 to 64");
        return answer::problem_document(&problem);
    }
    if let Err(reason) = standard_share(&config.lanes) {
        return answer::problem_document(&Problem::field("lanes", reason));
    }
    if let Some(Err(error)) = config.beacon.as_ref().map(Beacon::check) {
        return answer::problem_document(&Problem::field("beacon", error.to_string()));
    }
    let faults = faults(visit, config.challenge);
    for fault in &faults {
        console_error!("room {room}: {fault}");
    }
    let Ok(configured) = ask_room(&visit.env, room, &Configure(config)).await else {
        return answer::unavailable();
    };
    // Without it nobody finds the room: the core is to say it again.
    let registered = ask_directory(&visit.env, &Register(room.clone())).await;
    if registered.is_err() {
        return answer::unavailable();
    }
    rooms::add(room);
    // So that everyone hears of it at the next poll. Whoever is not reached hears within a second.
    status_cache::forget(room);
    let Configured {
        version,
        dispensers,
        lanes,
    } = configured;
    let standard = (0..dispensers).map(|index| (index, None));
    let others = lanes.into_iter().map(|lane| (0, Some(lane)));
    let told = standard.chain(others).map(async |(index, lane)| {
        let id = DispenserId {
            room: room.clone(),
            index,
            lane,
        };
        ask_dispenser(&visit.env, &id, &Refresh(id.clone())).await
    });
    let _told = join_all(told).await;
    answer::json(200, &json!({ "version": version, "faults": faults }))
}

async fn depart(visit: &Visit, room: &RoomName, body: &[u8]) -> Result<Response> {
    let departures: Departures = match parse(body) {
        Ok(departures) => departures,
        Err(problem) => return answer::problem_document(&problem),
    };
    if departures.jtis.len() > DEPARTURES_MAX {
        let problem = Problem::field("jtis", format!("at most {DEPARTURES_MAX} at once"));
        return answer::problem_document(&problem);
    }
    match ask_room(&visit.env, room, &Depart(departures)).await {
        Ok(Some(ended)) => answer::json(200, &json!({ "ended": ended })),
        Ok(None) => answer::no_such_room(),
        Err(Unreachable) => answer::unavailable(),
    }
}

async fn live(visit: &Visit, room: &RoomName) -> Result<Response> {
    match ask_room(&visit.env, room, &AskLive {}).await {
        Ok(Some(Live { numbers, challenge })) => {
            let faults = faults(visit, challenge);
            answer::json(200, &RoomLive { faults, ..numbers })
        }
        Ok(None) => answer::no_such_room(),
        Err(Unreachable) => answer::unavailable(),
    }
}

/// What keeps a room with this challenge from working here, in words for whoever set it up.
fn faults(visit: &Visit, challenge: Challenge) -> Vec<String> {
    match (challenge, &visit.settings.turnstile) {
        (Challenge::Turnstile, Err(lacking)) => vec![format!(
            "the challenge is Turnstile and the edge has no {lacking}: nobody can join"
        )],
        _ => Vec::new(),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> std::result::Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let kind = if error.is_data() {
            Kind::INVALID_FIELD
        } else {
            Kind::MALFORMED_BODY
        };
        Problem::new(kind, error.to_string())
    })
}
