//! The body of a join: optional, small, an object.

use super::challenge::Given;
use crate::visit::Visit;
use catraca_domain::problem::{Kind, Problem};
use serde_json::{Map, Value};

/// Largest body of a call to the waiting room, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Fields that are text when they are there; all others are ignored.
const TEXT_FIELDS: [&str; 2] = ["lane_token", "entry_token"];

/// What a join says.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// The answer to a challenge.
    pub(super) challenge: Given,
    /// A lane pass.
    pub(super) lane_token: Option<String>,
}

/// Reads and checks it; no body is an empty object.
pub(super) async fn read(visit: &mut Visit) -> Result<Body, Problem> {
    let bytes = visit.body(BODY_BYTES_MAX).await?;
    if bytes.is_empty() {
        return Ok(Body::default());
    }
    let content_type = visit.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            Kind::UNSUPPORTED_MEDIA_TYPE,
            "The body must be application/json.",
        ));
    }
    let mut fields: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| {
        Problem::new(
            Kind::MALFORMED_BODY,
            format!("The body is not a JSON object: {error}."),
        )
    })?;
    for name in TEXT_FIELDS {
        match fields.get(name) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(_) => return Err(Problem::field(name, "must be text")),
        }
    }
    let challenge = match fields.remove("challenge") {
        None | Some(Value::Null) => Given::default(),
        Some(value) => serde_json::from_value(value)
            .map_err(|error| Problem::field("challenge", error.to_string()))?,
    };
    let lane_token = match fields.remove("lane_token") {
        Some(Value::String(pass)) => Some(pass),
        _ => None,
    };
    Ok(Body {
        challenge,
        lane_token,
    })
}
