//! The code on a ticket, which the door verifies without a network.
//!
//! Format: `T2.<kid>.<payload>.<signature>`, the last two base64url without padding.
//! - `kid`: the first eight characters of the key's thumbprint (RFC 7638), so that nobody can give
//!   two keys one name by mistake;
//! - payload: JSON, keys in this order: `e` the event's slug, `t` the ticket's id, `s` the section,
//!   and, for a numbered seat, `r` its row and `n` its number;
//! - signature: Ed25519 (RFC 8032) over the ASCII text `T2.<kid>.<payload>` as it stands in the code.
//!
//! `T2` is the version of format and algorithm alike. `T1`, which is on tickets printed earlier, has
//! no kid: any key may have signed it. The code says what was sold, not that it is still valid: a
//! door also keeps the list of void tickets and remembers whom it let in.

use crate::ids::{RoomName, TicketId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Version of format and algorithm of what is signed now.
const VERSION: &str = "T2";
/// The version without a key's name.
const UNNAMED: &str = "T1";
/// Longest code that is looked at, in bytes.
const CODE_BYTES_MAX: usize = 2048;
/// Characters of a key's thumbprint in a code.
const KID_CHARS: usize = 8;
/// Most keys in a set.
const KEYS_MAX: usize = 32;

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
    /// Not `T2.<kid>.<payload>.<signature>`.
    #[error("not a ticket code")]
    Malformed,
    /// Signed with a key that is not in the set: forged, or the set is out of date.
    #[error("signed with a key that is not known here")]
    UnknownKey,
    /// Not signed with the key that it names.
    #[error("the signature is not valid")]
    Forged,
}

impl CodeError {
    /// The verdict's stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
        }
    }
}

/// Why a set of keys could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeysError {
    /// Not a JSON Web Key Set.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// None, or more than are looked at.
    #[error("{0} Ed25519 keys in the set; 1 to {KEYS_MAX} are allowed")]
    Count(usize),
    /// A key that is no Ed25519 key.
    #[error("key {0:?} is not an Ed25519 public key: 32 bytes in base64url")]
    Key(String),
}

/// The name of a key in codes.
pub fn kid(key: &VerifyingKey) -> String {
    // The members of RFC 7638, in its order, without spaces.
    let members = format!(
        r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(key.as_bytes())
    );
    let mut thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(members));
    thumbprint.truncate(KID_CHARS);
    thumbprint
}

/// Reads a public key from the 32 bytes that base64url says.
///
/// # Errors
/// [`KeysError::Key`].
pub fn public_key(base64url: &str) -> Result<VerifyingKey, KeysError> {
    let bytes = URL_SAFE_NO_PAD.decode(base64url).ok();
    let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes
        .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
        .ok_or_else(|| KeysError::Key(base64url.chars().take(64).collect()))
}

/// The code of a ticket. The same payload and key give the same code.
///
/// # Errors
/// [`CodeError::Malformed`] when the payload can't be written, or is too long to be read again.
pub fn sign(key: &SigningKey, payload: &Payload) -> Result<String, CodeError> {
    let json = serde_json::to_vec(payload).map_err(|_| CodeError::Malformed)?;
    let kid = kid(&key.verifying_key());
    let signed = format!("{VERSION}.{kid}.{}", URL_SAFE_NO_PAD.encode(json));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    let code = format!("{signed}.{signature}");
    if code.len() > CODE_BYTES_MAX {
        return Err(CodeError::Malformed);
    }
    Ok(code)
}

/// The public keys whose codes are genuine: the one that signs, those that did, those that will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketKeys(Vec<(String, VerifyingKey)>);

/// A JSON Web Key Set (RFC 7517), as far as it is read and written here (RFC 8037).
#[derive(Serialize, Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    x: String,
    #[serde(default, rename = "use")]
    used_for: Option<String>,
    #[serde(default)]
    alg: Option<String>,
}

impl TicketKeys {
    /// These keys; one given twice counts once.
    ///
    /// # Errors
    /// [`KeysError::Count`].
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, KeysError> {
        let mut named: Vec<(String, VerifyingKey)> = Vec::new();
        for key in keys {
            if !named.iter().any(|(_, known)| *known == key) {
                named.push((kid(&key), key));
            }
        }
        if named.is_empty() || named.len() > KEYS_MAX {
            return Err(KeysError::Count(named.len()));
        }
        Ok(Self(named))
    }

    /// Reads a published set. Keys of other kinds are passed over; names are worked out anew.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn from_jwks(json: &str) -> Result<Self, KeysError> {
        let set: KeySet = serde_json::from_str(json).map_err(|_| KeysError::Malformed)?;
        let ours = set
            .keys
            .iter()
            .filter(|key| key.kty == "OKP" && key.crv == "Ed25519");
        let keys: Result<Vec<_>, _> = ours.map(|key| public_key(&key.x)).collect();
        Self::new(keys?)
    }

    /// The set as it is published.
    pub fn to_jwks(&self) -> String {
        let keys = self.0.iter().map(|(kid, key)| Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            kid: kid.clone(),
            x: URL_SAFE_NO_PAD.encode(key.as_bytes()),
            used_for: Some("sig".to_owned()),
            alg: Some("EdDSA".to_owned()),
        });
        let set = KeySet {
            keys: keys.collect(),
        };
        // Texts alone: writing them can't fail.
        serde_json::to_string(&set).unwrap_or_default()
    }

    /// The keys' names.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(kid, _)| kid.as_str())
    }

    /// What a genuine code says.
    ///
    /// # Errors
    /// [`CodeError`].
    pub fn verify(&self, code: &str) -> Result<Payload, CodeError> {
        let parts = Parts::of(code).ok_or(CodeError::Malformed)?;
        let decode = |text| URL_SAFE_NO_PAD.decode(text);
        let signature = decode(parts.signature).map_err(|_| CodeError::Malformed)?;
        let signature = Signature::from_slice(&signature).map_err(|_| CodeError::Malformed)?;
        let payload = decode(parts.payload).map_err(|_| CodeError::Malformed)?;
        let mut keys = self
            .0
            .iter()
            .filter(|(kid, _)| parts.kid.is_none_or(|named| named == kid))
            .map(|(_, key)| key)
            .peekable();
        if keys.peek().is_none() {
            return Err(CodeError::UnknownKey);
        }
        let signed = parts.signed.as_bytes();
        if !keys.any(|key| key.verify_strict(signed, &signature).is_ok()) {
            return Err(CodeError::Forged);
        }
        serde_json::from_slice(&payload).map_err(|_| CodeError::Malformed)
    }
}

/// A code taken apart, undecoded.
struct Parts<'a> {
    signed: &'a str,
    kid: Option<&'a str>,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn of(code: &'a str) -> Option<Self> {
        if code.len() > CODE_BYTES_MAX {
            return None;
        }
        let (signed, signature) = code.rsplit_once('.')?;
        let (version, rest) = signed.split_once('.')?;
        let (kid, payload) = match version {
            VERSION => {
                let (kid, payload) = rest.split_once('.')?;
                (Some(kid), payload)
            }
            UNNAMED => (None, rest),
            _ => return None,
        };
        Some(Self {
            signed,
            kid,
            payload,
            signature,
        })
    }
}
