//! The secrets of this checkout: random, made once, readable by their owner only.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use rand::RngCore as _;
use serde_json::json;

use crate::layout::write_atomically;

/// Name and alphabet of each secret.
const SECRETS: &[(&str, Kind)] = &[
    ("postgres_password", Kind::Hex),
    ("redis_password", Kind::Hex),
    ("edge_secret", Kind::Base64Url),
    ("admission_key", Kind::Base64Url),
    ("place_key", Kind::Base64Url),
    ("log_key", Kind::Base64Url),
    ("ticket_key", Kind::Base64Url),
    ("oidc_client_secret", Kind::Hex),
    ("card_secret_key", Kind::Prefixed("sk_test_")),
    ("card_webhook_secret", Kind::Prefixed("whsec_")),
    ("paypal_client_id", Kind::Prefixed("paypal-")),
    ("paypal_client_secret", Kind::Hex),
    ("paypal_webhook_id", Kind::Hex),
];

#[derive(Clone, Copy)]
enum Kind {
    Hex,
    Base64Url,
    Prefixed(&'static str),
}

/// All of them, by name.
#[derive(Clone)]
pub struct Secrets(BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secrets(REDACTED)")
    }
}

impl Secrets {
    /// Reads the file, making what is missing in it.
    pub fn load_or_make(file: &Path) -> anyhow::Result<Self> {
        let mut secrets: BTreeMap<String, String> = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is damaged: `make clean` resets", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let before = secrets.len();
        for (name, kind) in SECRETS {
            secrets
                .entry((*name).to_owned())
                .or_insert_with(|| kind.make());
        }
        if secrets.len() != before {
            write_atomically(file, &serde_json::to_vec_pretty(&secrets)?)?;
        }
        Ok(Self(secrets))
    }

    /// One secret; empty for an unknown name.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A keyring of one key, as edge and core read it.
    pub fn keyring(&self, kid: &str, name: &str) -> String {
        json!([{"kid": kid, "secret": self.get(name)}]).to_string()
    }
}

impl Kind {
    fn make(self) -> String {
        let mut bytes = [0_u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        match self {
            Self::Hex => hex(&bytes),
            Self::Base64Url => base64url(&bytes),
            Self::Prefixed(prefix) => format!("{prefix}{}", hex(&bytes[..16])),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
