//! The waiting room, from the door to the admission.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::browser::Browser;
use super::call::{Body, Call, Stop};
use super::fan::Visit;
use super::plan::LeavesWhen;
use super::tally::Outcome;
use super::wire::{Admission, ClaimLater, Claimed, Joined, Place, Status};

/// How often a closed room is asked whether it has opened.
const KNOCK_EVERY: Duration = Duration::from_secs(1);
/// Shortest pause between polls, whatever the server says.
const POLL_MIN: Duration = Duration::from_millis(100);

/// The room's public status.
pub(crate) async fn status(browser: &Browser, room: &str) -> Result<Status, Stop> {
    let call = Call::get("status", browser.at(&["queue", "v1", room, "status"]));
    let answer = browser.send(&call).await?;
    match answer.status {
        StatusCode::OK => answer.json(),
        _ => Err(answer.unexpected()),
    }
}

/// The room's status as soon as there is such a room.
pub(crate) async fn await_room(browser: &Browser, room: &str) -> Result<Status, Stop> {
    loop {
        match status(browser, room).await {
            Err(Stop::Failed(reason)) if reason.starts_with("status answered 404") => {
                browser
                    .pause(KNOCK_EVERY, &format!("no room {room}"))
                    .await?;
            }
            other => return other,
        }
    }
}

/// Joins, waits and claims.
pub(crate) async fn get_in(visit: &mut Visit<'_>) -> Result<Admission, Stop> {
    join(visit).await?;
    if visit.plan.leaves == Some(LeavesWhen::Waiting) {
        visit.browser.pause(KNOCK_EVERY, "giving up").await?;
        give_up(visit).await?;
        return Err(Stop::Ended(Outcome::Left));
    }
    loop {
        await_call(visit).await?;
        if visit.plan.leaves == Some(LeavesWhen::Called) {
            return Err(Stop::Ended(Outcome::Left));
        }
        if let Some(admission) = claim(visit).await? {
            return Ok(admission);
        }
    }
}

async fn join(visit: &mut Visit<'_>) -> Result<(), Stop> {
    let url = visit
        .browser
        .at(&["queue", "v1", &visit.plan.event, "join"]);
    // One call for all knocks: should an answer be lost, the key lets the room know it again.
    let call = Call::change("join", Method::POST, url, Body::Json(json!({})));
    loop {
        let answer = visit.browser.send(&call).await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::OK => {
                let joined: Joined = answer.json()?;
                let epoch = visit.epoch().await?;
                visit
                    .journal
                    .number(&visit.plan.event, epoch, joined.number, visit.plan.visitor);
                return Ok(());
            }
            // A room that wants to know who comes.
            StatusCode::FORBIDDEN if !visit.logged_in => visit.log_in().await?,
            StatusCode::CONFLICT if answer.problem() == "sold_out" => {
                return Err(Stop::Ended(Outcome::TurnedAway));
            }
            StatusCode::CONFLICT => {
                if status(visit.browser, &visit.plan.event).await?.phase == "sold_out" {
                    return Err(Stop::Ended(Outcome::TurnedAway));
                }
                visit
                    .browser
                    .pause(KNOCK_EVERY, "the room is closed")
                    .await?;
            }
            _ => return Err(answer.unexpected()),
        }
    }
}

async fn await_call(visit: &Visit<'_>) -> Result<(), Stop> {
    let call = Call::get(
        "place",
        visit
            .browser
            .at(&["queue", "v1", &visit.plan.event, "place"]),
    );
    loop {
        let answer = visit.browser.send(&call).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.unexpected());
        }
        let place: Place = answer.json()?;
        match (place.state.as_str(), place.phase.as_str()) {
            ("called" | "admitted", _) => return Ok(()),
            ("lobby" | "waiting", "sold_out" | "closed") => {
                return Err(Stop::Ended(Outcome::TurnedAway));
            }
            ("lobby" | "waiting", _) => {
                let wait = Duration::from_millis(place.poll_after_ms).max(POLL_MIN);
                visit.browser.pause(wait, "waiting in line").await?;
            }
            // It asked whenever it was told to.
            ("lapsed", _) => return Err(Stop::Failed("place: lapsed in line".into())),
            (other, _) => return Err(Stop::Failed(format!("place: unknown state {other}"))),
        }
    }
}

/// The admission, or nothing when the call was withdrawn.
async fn claim(visit: &Visit<'_>) -> Result<Option<Admission>, Stop> {
    let url = visit
        .browser
        .at(&["queue", "v1", &visit.plan.event, "claim"]);
    let call = Call::change("claim", Method::POST, url, Body::Json(json!({})));
    loop {
        let answer = visit.browser.send(&call).await?;
        match answer.status {
            StatusCode::OK => {
                let claimed: Claimed = answer.json()?;
                let admission = read(&claimed.admission_token)?;
                visit.journal.admission(&visit.plan.event, &admission);
                return Ok(Some(admission));
            }
            StatusCode::ACCEPTED => {
                let later: ClaimLater = answer.json()?;
                let wait = Duration::from_millis(later.retry_after_ms).max(POLL_MIN);
                visit.browser.pause(wait, "called, not let in").await?;
            }
            StatusCode::CONFLICT if answer.problem() == "not_called" => {
                visit
                    .browser
                    .pause(KNOCK_EVERY, "claim before the call")
                    .await?;
                return Ok(None);
            }
            // Paused, sold out or closed meanwhile: the place knows which.
            StatusCode::CONFLICT => {
                let phase = status(visit.browser, &visit.plan.event).await?.phase;
                if matches!(phase.as_str(), "sold_out" | "closed") {
                    return Err(Stop::Ended(Outcome::TurnedAway));
                }
                visit.browser.pause(KNOCK_EVERY, "claim refused").await?;
                return Ok(None);
            }
            _ => return Err(answer.unexpected()),
        }
    }
}

/// Leaves the line or the room.
pub(crate) async fn give_up(visit: &Visit<'_>) -> Result<(), Stop> {
    let url = visit
        .browser
        .at(&["queue", "v1", &visit.plan.event, "leave"]);
    let answer = visit
        .browser
        .send(&Call::change(
            "leave",
            Method::POST,
            url,
            Body::Json(json!({})),
        ))
        .await?;
    if answer.status.is_success() {
        Ok(())
    } else {
        Err(answer.unexpected())
    }
}

fn read(token: &str) -> Result<Admission, Stop> {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let unreadable = |what: String| Stop::Failed(format!("claim: unreadable admission: {what}"));
    let json = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_slice(&json).map_err(|error| unreadable(error.to_string()))
}
