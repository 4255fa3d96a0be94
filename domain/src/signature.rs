//! Signed bodies between programs: `t=<unix seconds>,v1=<hex HMAC-SHA256("<t>.<body>")>`.
//!
//! The scheme is Stripe's (<https://docs.stripe.com/webhooks#verify-manually>), used for its
//! webhooks and for the core's calls to the edge, so that there is one check to get right.

use crate::keyring::hmac_sha256;
use crate::secret::Secret;
use thiserror::Error;

/// How far a signature's time may lie from ours, in seconds, either way.
pub const TOLERANCE_SECONDS: i64 = 300;
/// Header of the core's calls to the edge.
pub const HEADER: &str = "catraca-signature";
/// Longest signature header that is looked at, in bytes.
const HEADER_BYTES_MAX: usize = 4096;

/// Why a signature was refused.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum SignatureError {
    /// Not `t=…,v1=…`.
    #[error("signature header is malformed")]
    Malformed,
    /// Older or newer than [`TOLERANCE_SECONDS`].
    #[error("signature is outside the tolerance of {TOLERANCE_SECONDS} s")]
    Stale,
    /// No `v1` matches any of the secrets.
    #[error("signature does not match")]
    Mismatch,
}

/// The header's value for `body`, signed at `unix_seconds`.
pub fn sign(secret: &Secret, unix_seconds: i64, body: &[u8]) -> String {
    let tag = mac(secret, &unix_seconds.to_string(), body);
    let mut header = format!("t={unix_seconds},v1=");
    for byte in tag {
        header.push(char::from(HEX[usize::from(byte >> 4)]));
        header.push(char::from(HEX[usize::from(byte & 15)]));
    }
    header
}

/// Checks a header against the raw body. Several secrets are tried, so that one can be rotated.
///
/// # Errors
/// [`SignatureError`]; nothing in it depends on how much of the signature was right.
pub fn verify(
    secrets: &[Secret],
    header: &str,
    body: &[u8],
    now_unix_seconds: i64,
) -> Result<(), SignatureError> {
    if header.len() > HEADER_BYTES_MAX {
        return Err(SignatureError::Malformed);
    }
    let mut timestamp = None;
    let mut tags: Vec<Vec<u8>> = Vec::new();
    for item in header.split(',') {
        match item.trim().split_once('=') {
            Some(("t", value)) => timestamp = Some(value),
            Some(("v1", value)) => tags.push(unhex(value).ok_or(SignatureError::Malformed)?),
            Some(_) => {}
            None => return Err(SignatureError::Malformed),
        }
    }
    let timestamp = timestamp.ok_or(SignatureError::Malformed)?;
    let signed_at: i64 = timestamp.parse().map_err(|_| SignatureError::Malformed)?;
    if tags.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let matches = secrets.iter().any(|secret| {
        tags.iter().any(|tag| {
            hmac_sha256(secret.expose(), &[timestamp.as_bytes(), b".", body]).verify_slice_ok(tag)
        })
    });
    if !matches {
        return Err(SignatureError::Mismatch);
    }
    if now_unix_seconds.abs_diff(signed_at) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(SignatureError::Stale);
    }
    Ok(())
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn mac(secret: &Secret, timestamp: &str, body: &[u8]) -> [u8; 32] {
    use hmac::Mac as _;
    hmac_sha256(secret.expose(), &[timestamp.as_bytes(), b".", body])
        .finalize()
        .into_bytes()
        .into()
}

trait VerifySlice {
    fn verify_slice_ok(self, tag: &[u8]) -> bool;
}

impl VerifySlice for hmac::Hmac<sha2::Sha256> {
    fn verify_slice_ok(self, tag: &[u8]) -> bool {
        use hmac::Mac as _;
        self.verify_slice(tag).is_ok()
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        })
        .collect()
}
