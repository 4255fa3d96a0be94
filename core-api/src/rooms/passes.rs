//! Lane passes: the operator's way to give someone a place in a lane. Nothing is stored here; the edge
//! takes each once.

use super::control::event_of;
use super::store::read;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::params::Path;
use crate::login::Operator;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catraca_domain::ids::Lane;
use catraca_domain::lane_pass::LanePass;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use time::OffsetDateTime;

/// Most passes at once.
const COUNT: RangeInclusive<u32> = 1..=1_000;
/// How long they may be good for, in seconds.
const VALID_SECONDS: RangeInclusive<u32> = 60..=2_592_000;

/// `POST …/passes`.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    lane: Lane,
    count: u32,
    valid_seconds: u32,
}

/// Passes, each good once.
#[derive(Debug, Serialize)]
pub(super) struct Passes {
    passes: Vec<String>,
}

/// Issues passes for a lane that the room declares.
pub(super) async fn issue(
    State(app): State<App>,
    _: Operator,
    Path(room): Path<String>,
    body: JsonBody<Wanted>,
) -> Result<(StatusCode, Json<Passes>), ApiError> {
    let (event, room) = event_of(&app, &room).await?;
    let (config, _) = read(&app, event).await?;
    let wanted = body.parsed;
    if config.lanes.iter().all(|share| share.lane != wanted.lane) {
        return Err(ApiError::field("lane", "is not declared in this room"));
    }
    for (field, given, range) in [
        ("count", wanted.count, COUNT),
        ("valid_seconds", wanted.valid_seconds, VALID_SECONDS),
    ] {
        if !range.contains(&given) {
            let reason = format!("must be {} to {}", range.start(), range.end());
            return Err(ApiError::field(field, reason));
        }
    }
    let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or_default();
    let pass = || LanePass {
        lane: wanted.lane.clone(),
        id: rand::random(),
        expires_at: now + u64::from(wanted.valid_seconds),
    };
    let secret = &app.config.edge_secret;
    let passes = (0..wanted.count)
        .map(|_| pass().mint(&room, secret))
        .collect();
    Ok((StatusCode::CREATED, Json(Passes { passes })))
}
