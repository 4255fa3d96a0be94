//! Verifying an admission token: `jsonwebtoken`, pinned to HS256.

use crate::error::ApiError;
use crate::http::cookies;
use axum::http::{HeaderMap, header};
use catraca_domain::admission::{Admission, ISSUER, TOKEN_BYTES_MAX};
use catraca_domain::keyring::Keyring;
use catraca_domain::problem::Kind;
use catraca_domain::secret::Secret;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use time::OffsetDateTime;

/// The request's admission, checked at `now`. A bearer token goes before the cookie.
///
/// # Errors
/// 401 `no_admission` without a token, `session_ended` for one of ours whose time is over,
/// `invalid_admission` for anything else.
pub(super) fn read(
    headers: &HeaderMap,
    keys: &Keyring,
    now: OffsetDateTime,
) -> Result<Admission, ApiError> {
    let token = bearer(headers).or_else(|| cookies::get(headers, cookies::ADMISSION));
    let token = token
        .ok_or_else(|| ApiError::new(Kind::NO_ADMISSION, "Join the event's waiting room first."))?;
    let text = token.expose_str().map_err(|_| invalid())?;
    verify(text, keys, now)
}

/// The one answer to every bad token: a forger learns nothing.
pub(super) fn invalid() -> ApiError {
    ApiError::new(
        Kind::INVALID_ADMISSION,
        "The admission was not given out for this.",
    )
}

pub(super) fn ended() -> ApiError {
    ApiError::new(
        Kind::SESSION_ENDED,
        "The shopping session is over. Join the waiting room again.",
    )
}

fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::from(token.trim()))
}

fn verify(text: &str, keys: &Keyring, now: OffsetDateTime) -> Result<Admission, ApiError> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(invalid());
    }
    let header = jsonwebtoken::decode_header(text).map_err(|_| invalid())?;
    let key = header.kid.and_then(|kid| keys.find(&kid));
    let key = key.ok_or_else(invalid)?;
    let mut rules = Validation::new(Algorithm::HS256);
    rules.leeway = 0;
    rules.validate_nbf = true;
    // The audience is the room, which only the token names; the caller looks its event up.
    rules.validate_aud = false;
    rules.set_issuer(&[ISSUER]);
    rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    let decoding = DecodingKey::from_secret(key.secret().expose());
    let admission = match jsonwebtoken::decode::<Admission>(text, &decoding, &rules) {
        Ok(data) => data.claims,
        Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => return Err(ended()),
        Err(_) => return Err(invalid()),
    };
    // The crate still takes a token in the very second it expires; the edge does not.
    if u64::try_from(now.unix_timestamp()).unwrap_or(0) >= admission.exp {
        return Err(ended());
    }
    Ok(admission)
}
