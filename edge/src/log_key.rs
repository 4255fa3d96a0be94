//! The key that signs heads of the admission log, and the key set that lets anyone check them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catraca_domain::admission_log::{Chain, LogName, SignedHead};
use catraca_domain::hex32::Hex32;
use catraca_domain::secret::Secret;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use std::fmt;

/// An Ed25519 key (RFC 8032) and its public name.
pub(crate) struct LogKey {
    /// The public key's thumbprint (RFC 7638).
    kid: String,
    key: SigningKey,
}

impl LogKey {
    /// From the 32 bytes of its seed, in base64url; `None` when that is not what it is.
    pub(crate) fn from_base64url(seed: &str) -> Option<Self> {
        let seed = Secret::from_base64url(seed).ok()?;
        let key = SigningKey::from_bytes(seed.expose().try_into().ok()?);
        let x = public(&key);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(Hex32::sha256(&[canonical.as_bytes()]).0);
        Some(Self { kid, key })
    }

    /// Puts the room's name to where its log stands.
    pub(crate) fn sign(&self, name: &LogName, chain: &Chain, now_ms: u64) -> SignedHead {
        SignedHead::sign(name, chain, now_ms, &self.kid, &self.key)
    }

    /// The public key as a JWK (RFC 7517, RFC 8037).
    pub(crate) fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": self.kid, "x": public(&self.key),
        })
    }
}

fn public(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes())
}

impl fmt::Debug for LogKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LogKey({}, REDACTED)", self.kid)
    }
}
