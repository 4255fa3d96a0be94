//! Lane passes: what gets someone into a lane. Good once; its lane's Dispenser remembers it.

use crate::contract::DispenserId;
use crate::status_cache::Document;
use crate::visit::Visit;
use catraca_domain::ids::{Lane, RoomName};
use catraca_domain::lane_pass::LanePass;
use catraca_domain::problem::Problem;

/// The pass that came with a join, or waits in a cookie. One in a cookie that has become worthless
/// is just old.
pub(super) fn carried(
    visit: &Visit,
    room: &RoomName,
    given: Option<&str>,
) -> Result<Option<LanePass>, Problem> {
    let read = |pass: &str| {
        let secret = &visit.settings.edge_secret;
        LanePass::verify(pass, room, secret, visit.now_ms / 1000)
    };
    match given {
        Some(pass) => read(pass)
            .map(Some)
            .map_err(|error| bad(&error.to_string())),
        None => Ok(visit.lane_cookie(room).and_then(|pass| read(&pass).ok())),
    }
}

/// 422 for a pass.
pub(super) fn bad(reason: &str) -> Problem {
    Problem::field("lane_token", reason)
}

/// The Dispenser of a pass's lane, which takes newcomers only while it is declared.
pub(super) fn dispenser(
    room: &RoomName,
    document: &Document,
    pass: &LanePass,
) -> Result<DispenserId, Problem> {
    let mut lanes = document.status.lanes.iter();
    if !lanes.any(|lane| lane.lane == pass.lane && lane.share_percent > 0) {
        return Err(bad("is for a lane that this room does not have"));
    }
    Ok(DispenserId {
        room: room.clone(),
        index: 0,
        lane: Some(pass.lane.clone()).filter(|lane| *lane != Lane::standard()),
    })
}
