//! The room's public key: 64 hexadecimal digits, or a JSON Web Key Set (RFC 7517, RFC 8037).

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catraca_domain::hex32::Hex32;
use ed25519_dalek::VerifyingKey;
use serde::Deserialize;

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    x: String,
}

/// Where the key is: itself, or the file that it is in.
pub(super) fn read(argument: &str) -> anyhow::Result<Vec<(Option<String>, VerifyingKey)>> {
    if let Ok(Hex32(bytes)) = argument.parse() {
        return Ok(vec![(None, VerifyingKey::from_bytes(&bytes)?)]);
    }
    let text = std::fs::read_to_string(argument).with_context(|| {
        format!("--key is neither 64 hexadecimal digits nor a file: {argument}")
    })?;
    let set: KeySet = serde_json::from_str(&text).context("--key is not a JSON Web Key Set")?;
    let mut keys = Vec::new();
    for key in set.keys {
        if key.kty == "OKP" && key.crv == "Ed25519" {
            let bytes = URL_SAFE_NO_PAD.decode(&key.x).ok();
            let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
            let bytes = bytes.with_context(|| format!("key {:?} is not 32 bytes", key.kid))?;
            keys.push((Some(key.kid), VerifyingKey::from_bytes(&bytes)?));
        }
    }
    ensure!(!keys.is_empty(), "the key set has no Ed25519 key");
    Ok(keys)
}
