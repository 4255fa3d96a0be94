//! Opening a room on the product, as the core would, and joining it.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::http::{self, Loop, Run, Until};
use super::workerd::{EDGE_SECRET, Workerd};

/// Connections of a run of joins or claims: they wait for the disk, so many are under way.
pub(super) const WAITING_CONNECTIONS: usize = 128;

/// What differs between rooms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) name: &'a str,
    pub(super) control: &'a str,
    pub(super) rate_per_minute: u32,
}

/// Opens it.
///
/// # Errors
/// When it is refused.
pub(super) fn open(product: &Workerd, room: Room<'_>) -> anyhow::Result<()> {
    let body = json!({
        "room": room.name, "version": 1, "method": "fifo", "identity": "anonymous",
        "challenge": "none", "control": room.control, "opens_at": null,
        "rate_per_minute": room.rate_per_minute, "max_active": 1_000_000,
        "session_seconds": 3600, "claim_window_seconds": 600, "lanes": [], "fail_mode": "closed",
        "message": null, "sold_out": false,
    })
    .to_string();
    let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut mac = Hmac::<Sha256>::new_from_slice(EDGE_SECRET.as_bytes())?;
    mac.update(format!("{at}.{body}").as_bytes());
    let tag = hex::encode(mac.finalize().into_bytes());
    let headers = format!("catraca-signature: t={at},v1={tag}\r\n");
    let path = format!("/internal/v1/rooms/{}/config", room.name);
    let (status, answer) = http::once(
        product.address,
        &http::request("POST", &path, &headers, &body),
    )?;
    anyhow::ensure!(status == 200, "{path} answered {status}: {answer}");
    Ok(())
}

/// Joins and keeps the answers.
///
/// # Errors
/// When the process breaks down.
pub(super) fn join(server: &Workerd, room: &str, until: Until, keep: bool) -> anyhow::Result<Run> {
    let request = http::request("POST", &format!("/queue/v1/{room}/join"), "", "");
    Loop {
        address: server.address,
        connections: WAITING_CONNECTIONS,
        until,
        hoped_for: 201,
        requests: &[request],
        keep,
    }
    .run()
}

/// A visitor's number and token.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) token: String,
}

/// The places in answers to joins.
///
/// # Errors
/// When one is no such answer.
pub(super) fn places(answers: &[String]) -> anyhow::Result<Vec<Place>> {
    answers
        .iter()
        .map(|text| {
            let answer: Value = serde_json::from_str(text)?;
            match (answer["number"].as_u64(), answer["place_token"].as_str()) {
                (Some(number), Some(token)) => Ok(Place {
                    number,
                    token: token.to_owned(),
                }),
                _ => anyhow::bail!("no place in {text}"),
            }
        })
        .collect()
}

/// A request of each place's holder.
pub(super) fn requests(method: &str, room: &str, action: &str, places: &[Place]) -> Vec<Vec<u8>> {
    let path = format!("/queue/v1/{room}/{action}");
    places
        .iter()
        .map(|place| {
            let headers = format!("authorization: Place {}\r\n", place.token);
            http::request(method, &path, &headers, "")
        })
        .collect()
}
