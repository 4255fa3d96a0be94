//! Keys by id: the first signs, every one verifies, so that a key can be replaced without
//! turning away whoever holds a token signed with the one before.

use crate::secret::Secret;
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use std::fmt;
use thiserror::Error;

/// Shortest key accepted, in bytes: the output length of SHA-256 (RFC 7518, 3.2).
pub const KEY_BYTES_MIN: usize = 32;
/// Most keys a ring may hold.
pub const KEYS_MAX: usize = 16;

/// Why a keyring could not be read. Never contains key material.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyringError {
    /// Not the JSON `[{"kid": …, "secret": …}]`.
    #[error("keyring is not a JSON list of {{kid, secret}}")]
    Malformed,
    /// No key, or more than [`KEYS_MAX`].
    #[error("keyring has {0} keys; 1 to {KEYS_MAX} are allowed")]
    Count(usize),
    /// A key that is too short or not base64url.
    #[error("key {0:?} is not base64url of at least {KEY_BYTES_MIN} bytes")]
    Weak(String),
    /// Empty, repeated or unprintable key id.
    #[error("key id {0:?} is empty, repeated, longer than 32 or not [A-Za-z0-9_-]")]
    Kid(String),
}

/// One named HMAC-SHA256 key.
#[derive(Clone)]
pub struct Key {
    /// Public name of the key, `[A-Za-z0-9_-]{1,32}`.
    pub kid: String,
    secret: Secret,
    /// Begun with the secret: two of five rounds of a short message's.
    begun: Hmac<Sha256>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// HMAC-SHA256 (RFC 2104) over the concatenation of `parts`.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Constant-time check of [`Key::sign`]'s output.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.mac(parts).verify_slice(tag).is_ok()
    }

    /// The key bytes, for a library that signs by itself.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    fn new(kid: String, secret: Secret) -> Self {
        Self {
            begun: hmac_sha256(secret.expose(), &[]),
            kid,
            secret,
        }
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        over(self.begun.clone(), parts)
    }
}

pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    over(mac, parts)
}

fn over(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> Hmac<Sha256> {
    for part in parts {
        mac.update(part);
    }
    mac
}

/// One key or several; the first is the one that signs.
#[derive(Debug, Clone)]
pub struct Keyring(Vec<Key>);

#[derive(Deserialize)]
struct KeyWire {
    kid: String,
    secret: String,
}

impl Keyring {
    /// Reads `[{"kid": "a1", "secret": "<base64url>"}]`.
    ///
    /// # Errors
    /// [`KeyringError`], which names the key at fault but never its value.
    pub fn from_json(json: &str) -> Result<Self, KeyringError> {
        let wires: Vec<KeyWire> =
            serde_json::from_str(json).map_err(|_| KeyringError::Malformed)?;
        if wires.is_empty() || wires.len() > KEYS_MAX {
            return Err(KeyringError::Count(wires.len()));
        }
        let mut keys: Vec<Key> = Vec::with_capacity(wires.len());
        for KeyWire { kid, secret } in wires {
            let well_named = (1..=32).contains(&kid.len())
                && kid
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !well_named || keys.iter().any(|k| k.kid == kid) {
                return Err(KeyringError::Kid(kid));
            }
            match Secret::from_base64url(&secret) {
                Ok(secret) if secret.expose().len() >= KEY_BYTES_MIN => {
                    keys.push(Key::new(kid, secret));
                }
                _ => return Err(KeyringError::Weak(kid)),
            }
        }
        Ok(Self(keys))
    }

    /// The key that signs.
    pub fn signer(&self) -> &Key {
        &self.0[0]
    }

    /// The key of that id, if the ring still has it.
    pub fn find(&self, kid: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// Every key.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}
