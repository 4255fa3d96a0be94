//! The keys of ticket codes: one signs, and all whose codes are good are published.
//!
//! A key is replaced without turning anybody away: publish the next one's public key beside the
//! present one, give doors time to load it, let it sign, and keep the old public key published
//! until its last event is over.

use crate::config::Config;
use crate::error::ApiError;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use catraca_domain::secret::Secret;
use catraca_domain::ticket_code::TicketKeys;
use ed25519_dalek::SigningKey;

/// The key from its 32-byte seed.
///
/// # Errors
/// When it hasn't 32 bytes.
pub fn signing_key(seed: &Secret) -> Result<SigningKey, ApiError> {
    let seed = seed.expose().try_into();
    let seed = seed.map_err(|_| ApiError::internal("the ticket key is not 32 bytes"))?;
    Ok(SigningKey::from_bytes(seed))
}

/// Every key whose codes are genuine.
///
/// # Errors
/// When there are too many.
pub fn published(config: &Config) -> Result<TicketKeys, ApiError> {
    let present = signing_key(&config.ticket_key)?.verifying_key();
    let others = config.ticket_public_keys.iter().copied();
    TicketKeys::new(std::iter::once(present).chain(others))
        .map_err(|error| ApiError::internal(format!("ticket keys: {error}")))
}

/// `GET /api/v1/ticket-keys`: a JSON Web Key Set, for everybody.
pub(super) fn answer(config: &Config) -> Result<Response, ApiError> {
    let headers = [
        (header::CONTENT_TYPE, "application/jwk-set+json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    Ok((headers, published(config)?.to_jwks()).into_response())
}
