//! What an operator may set, and within which bounds.

use crate::error::ApiError;
use catraca_domain::draw::Beacon;
use catraca_domain::problem::{FieldError, Kind, Problem};
use catraca_domain::room::{
    Challenge, FailMode, Identity, LaneShare, Method, RoomConfig, bounds, standard_share,
};
use serde::{Deserialize, Deserializer};
use std::ops::RangeInclusive;
use time::OffsetDateTime;

/// `PUT /api/v1/admin/rooms/{room}`: what is absent keeps its value.
#[derive(Debug, Deserialize)]
pub(super) struct Settings {
    method: Option<Method>,
    identity: Option<Identity>,
    challenge: Option<Challenge>,
    #[serde(default, deserialize_with = "given")]
    opens_at: Option<OpensAt>,
    rate_per_minute: Option<u32>,
    max_active: Option<u32>,
    session_seconds: Option<u32>,
    claim_window_seconds: Option<u32>,
    dispensers: Option<u32>,
    lanes: Option<Vec<LaneShare>>,
    fail_mode: Option<FailMode>,
    #[serde(default, deserialize_with = "given_beacon")]
    beacon: Option<GivenBeacon>,
}

/// Null takes the beacon back, as far as no draw has committed to it.
#[derive(Debug, Deserialize)]
struct GivenBeacon(Option<Beacon>);

fn given_beacon<'de, D: Deserializer<'de>>(from: D) -> Result<Option<GivenBeacon>, D::Error> {
    GivenBeacon::deserialize(from).map(Some)
}

/// Null takes the opening back.
#[derive(Debug, Deserialize)]
struct OpensAt(#[serde(with = "time::serde::rfc3339::option")] Option<OffsetDateTime>);

/// Present, even as null: absent is the field's default.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OpensAt>, D::Error> {
    OpensAt::deserialize(deserializer).map(Some)
}

impl Settings {
    /// Writes what was given into a configuration.
    ///
    /// `turnstile`: whether this deployment has keys for it.
    ///
    /// # Errors
    /// 422 with every bad field.
    pub(super) fn apply(self, config: &mut RoomConfig, turnstile: bool) -> Result<(), ApiError> {
        let mut errors = Vec::new();
        let mut bad = |field: &str, reason: String| {
            errors.push(FieldError {
                field: field.to_owned(),
                reason,
            });
        };
        if self.challenge == Some(Challenge::Turnstile) && !turnstile {
            let reason = "needs Turnstile's keys: set CATRACA_TURNSTILE_SITE_KEY here and at the \
                          edge, and CATRACA_TURNSTILE_SECRET at the edge";
            bad("challenge", reason.to_owned());
        }
        if let Some(Err(reason)) = self.lanes.as_deref().map(standard_share) {
            bad("lanes", reason);
        }
        let beacon = self.beacon.as_ref().and_then(|given| given.0.as_ref());
        if let Some(Err(error)) = beacon.map(Beacon::check) {
            bad("beacon", error.to_string());
        }
        let mut number =
            |field: &str, given: Option<u32>, range: RangeInclusive<u32>, to: &mut u32| match given
            {
                Some(number) if range.contains(&number) => *to = number,
                Some(_) => bad(
                    field,
                    format!("must be {} to {}", range.start(), range.end()),
                ),
                None => {}
            };
        let c = &mut *config;
        number(
            "rate_per_minute",
            self.rate_per_minute,
            bounds::RATE_PER_MINUTE,
            &mut c.rate_per_minute,
        );
        number(
            "max_active",
            self.max_active,
            bounds::MAX_ACTIVE,
            &mut c.max_active,
        );
        number(
            "session_seconds",
            self.session_seconds,
            bounds::SESSION_SECONDS,
            &mut c.session_seconds,
        );
        number(
            "claim_window_seconds",
            self.claim_window_seconds,
            bounds::CLAIM_WINDOW_SECONDS,
            &mut c.claim_window_seconds,
        );
        number(
            "dispensers",
            self.dispensers,
            bounds::DISPENSERS,
            &mut c.dispensers,
        );
        if !errors.is_empty() {
            let detail = format!("{} of the fields can't be taken.", errors.len());
            let mut problem = Problem::new(Kind::INVALID_FIELD, detail);
            problem.errors = errors;
            return Err(problem.into());
        }
        config.method = self.method.unwrap_or(config.method);
        config.identity = self.identity.unwrap_or(config.identity);
        config.challenge = self.challenge.unwrap_or(config.challenge);
        config.fail_mode = self.fail_mode.unwrap_or(config.fail_mode);
        if let Some(lanes) = self.lanes {
            config.lanes = lanes;
        }
        if let Some(GivenBeacon(beacon)) = self.beacon {
            config.beacon = beacon;
        }
        if let Some(OpensAt(opens_at)) = self.opens_at {
            config.opens_at = opens_at;
        }
        Ok(())
    }
}

/// Words to those waiting.
///
/// # Errors
/// 422 when they are too many.
pub(super) fn message(text: Option<String>) -> Result<Option<String>, ApiError> {
    let text = text.filter(|text| !text.trim().is_empty());
    let fits = text.as_ref().is_none_or(|text| {
        text.chars().count() <= bounds::MESSAGE_CHARS_MAX
            && !text.chars().any(|c| c.is_control() && c != '\n')
    });
    if fits {
        return Ok(text);
    }
    Err(ApiError::field(
        "message",
        format!(
            "must be at most {} printable characters",
            bounds::MESSAGE_CHARS_MAX
        ),
    ))
}
