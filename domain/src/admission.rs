//! The admission token: the right to shop, as a JWT (RFC 7519) signed with HS256 (RFC 7518).
//!
//! Minted here for the edge. The core verifies with the `jsonwebtoken` crate instead, so that
//! two implementations have to agree; golden vectors in `tests/` hold them together.

use crate::ids::{Jti, Lane, RoomName, VisitorId};
use crate::keyring::Keyring;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// The `iss` of every admission.
pub const ISSUER: &str = "catraca";
/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 2048;

/// What an admission says. Times are unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Always [`ISSUER`].
    pub iss: String,
    /// The room, and so the event, that it admits to.
    pub aud: RoomName,
    /// The visitor.
    pub sub: VisitorId,
    /// Its id: opens one shopping session, once.
    pub jti: Jti,
    /// Issued at.
    pub iat: u64,
    /// Not before.
    pub nbf: u64,
    /// Not from this second on.
    pub exp: u64,
    /// The place's number.
    pub num: u64,
    /// The place's lane.
    pub lane: Lane,
    /// The room's epoch.
    pub epoch: u32,
}

/// Why an admission was refused.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum AdmissionError {
    /// Not three base64url parts with the expected JSON in them.
    #[error("admission token is malformed")]
    Malformed,
    /// `alg` is not HS256.
    #[error("admission token has another algorithm than HS256")]
    Algorithm,
    /// Unknown key or wrong signature.
    #[error("admission token is not signed by this system")]
    Signature,
    /// Of another room or issuer.
    #[error("admission token is for another room")]
    Audience,
    /// Expired or not yet valid.
    #[error("admission token has expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// A new admission id: a `UUIDv8` (RFC 9562, 5.8) with the place's number in its first 48 bits
/// and 74 random ones, so that the room finds the admission by its number without an index.
pub fn jti(number: u64, random: [u8; 10]) -> Jti {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&number.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    Jti(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The number that [`jti`] put into the id; of any other id, some number.
pub fn jti_number(id: Jti) -> u64 {
    let Jti(uuid) = id;
    let bytes = Uuid::as_bytes(&uuid);
    bytes[..6]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Admission {
    /// The signed token.
    pub fn mint(&self, keys: &Keyring) -> String {
        let key = keys.signer();
        // A kid is [A-Za-z0-9_-] and every claim is a number, a UUID or a checked name: this
        // JSON needs no escapes, and its field order is fixed, so equal admissions are equal text.
        let header = format!(r#"{{"alg":"HS256","kid":"{}","typ":"JWT"}}"#, key.kid);
        let claims = format!(
            r#"{{"iss":"{}","aud":"{}","sub":"{}","jti":"{}","iat":{},"nbf":{},"exp":{},"num":{},"lane":"{}","epoch":{}}}"#,
            self.iss,
            self.aud,
            self.sub,
            self.jti,
            self.iat,
            self.nbf,
            self.exp,
            self.num,
            self.lane,
            self.epoch
        );
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let tag = key.sign(&[signed.as_bytes()]);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Checks a token for `room` at `now` (unix seconds). No leeway: edge and core read the same
    /// clock to within the network's time protocol, and a token lives for minutes.
    ///
    /// # Errors
    /// [`AdmissionError`].
    pub fn verify(
        token: &str,
        room: &RoomName,
        keys: &Keyring,
        now: u64,
    ) -> Result<Self, AdmissionError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AdmissionError::Malformed);
        }
        let (signed, tag) = token.rsplit_once('.').ok_or(AdmissionError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(AdmissionError::Malformed)?;
        let header: Header = decode(header)?;
        if header.alg != "HS256" {
            return Err(AdmissionError::Algorithm);
        }
        let key = keys.find(&header.kid).ok_or(AdmissionError::Signature)?;
        let tag = URL_SAFE_NO_PAD
            .decode(tag)
            .map_err(|_| AdmissionError::Malformed)?;
        if !key.verify(&[signed.as_bytes()], &tag) {
            return Err(AdmissionError::Signature);
        }
        let admission: Self = decode(claims)?;
        if admission.iss != ISSUER || admission.aud != *room {
            return Err(AdmissionError::Audience);
        }
        if now < admission.nbf || now >= admission.exp {
            return Err(AdmissionError::Expired);
        }
        Ok(admission)
    }
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, AdmissionError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| AdmissionError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| AdmissionError::Malformed)
}
