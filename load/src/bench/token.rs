//! Admission tokens, made and read by this outside program's own few lines.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// The admission key of a core that the benchmark starts itself.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    /// From base64url.
    ///
    /// # Errors
    /// When it is not that.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).context("the admission key")?;
        let mac = Hmac::new_from_slice(&bytes);
        Ok(Self(mac.context("the admission key")?))
    }

    /// A signed token with these claims.
    pub(crate) fn mint(&self, kid: &str, claims: &Value) -> String {
        let header = format!(r#"{{"alg":"HS256","kid":"{kid}","typ":"JWT"}}"#);
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mac = self.0.clone().chain_update(&signed).finalize();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.into_bytes()))
    }

    /// The claims of a token that this key has signed.
    pub(crate) fn open(&self, token: &str) -> Option<Value> {
        let (signed, tag) = token.rsplit_once('.')?;
        let mac = self.0.clone().chain_update(signed);
        mac.verify_slice(&URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}
