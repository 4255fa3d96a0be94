//! The code on a ticket, which the door verifies without a network.
//!
//! Format: `T1.<payload>.<signature>`, both parts base64url without padding.
//! - payload: JSON, keys in this order: `e` the event's slug, `t` the ticket's id, `s` the section,
//!   and, for a numbered seat, `r` its row and `n` its number;
//! - signature: Ed25519 (RFC 8032) over the ASCII text `T1.<payload>` as it stands in the code.
//!
//! `T1` is the version of format and algorithm alike. The code says what was sold, not that it is
//! still valid: a door that has a network also asks whether the ticket was voided or used.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catraca_domain::ids::{RoomName, TicketId};
use catraca_domain::secret::Secret;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of format and algorithm.
const VERSION: &str = "T1";
/// Longest code that is looked at, in bytes.
const CODE_BYTES_MAX: usize = 2048;

/// What a code says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// The event.
    #[serde(rename = "e")]
    pub event: RoomName,
    /// The ticket.
    #[serde(rename = "t")]
    pub ticket: TicketId,
    /// Section.
    #[serde(rename = "s")]
    pub section: String,
    /// Row; none in general admission.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Number in the row; none in general admission.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
}

/// Why a code was refused.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum CodeError {
    /// Not `T1.<payload>.<signature>`.
    #[error("not a ticket code")]
    Malformed,
    /// Not signed with this key.
    #[error("the code's signature is not valid")]
    Forged,
    /// The configured key is not an Ed25519 seed.
    #[error("the ticket key must be 32 bytes")]
    Key,
}

/// The key from its 32-byte seed.
///
/// # Errors
/// [`CodeError::Key`].
pub fn signing_key(seed: &Secret) -> Result<SigningKey, CodeError> {
    let seed = seed.expose().try_into().map_err(|_| CodeError::Key)?;
    Ok(SigningKey::from_bytes(seed))
}

/// The code of a ticket. The same payload and key give the same code.
///
/// # Errors
/// [`CodeError::Malformed`] when the payload can't be written, which doesn't happen.
pub fn sign(key: &SigningKey, payload: &Payload) -> Result<String, CodeError> {
    let json = serde_json::to_vec(payload).map_err(|_| CodeError::Malformed)?;
    let signed = format!("{VERSION}.{}", URL_SAFE_NO_PAD.encode(json));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    Ok(format!("{signed}.{signature}"))
}

/// What a genuine code says.
///
/// # Errors
/// [`CodeError`].
pub fn verify(key: &VerifyingKey, code: &str) -> Result<Payload, CodeError> {
    if code.len() > CODE_BYTES_MAX {
        return Err(CodeError::Malformed);
    }
    let (signed, signature) = code.rsplit_once('.').ok_or(CodeError::Malformed)?;
    let (version, payload) = signed.split_once('.').ok_or(CodeError::Malformed)?;
    if version != VERSION {
        return Err(CodeError::Malformed);
    }
    let decode = |text| {
        URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| CodeError::Malformed)
    };
    let signature = decode(signature)?;
    let signature = Signature::from_slice(&signature).map_err(|_| CodeError::Malformed)?;
    key.verify_strict(signed.as_bytes(), &signature)
        .map_err(|_| CodeError::Forged)?;
    serde_json::from_slice(&decode(payload)?).map_err(|_| CodeError::Malformed)
}
