//! Whose place it is: a browser's place is worth nothing in another browser.
//!
//! A browser that joins gets a secret in the cookie `__Host-holder`, which no script can read, and
//! its place's visitor id is derived from it: a `UUIDv8` (RFC 9562, 5.8). Whoever shows such a place,
//! by cookie or by header, must show the secret too. Any other client gets a random `UUIDv4` and a
//! place that is good for whoever bears it: it asked for a token to put into `Authorization`.

use crate::runtime::random_bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catraca_domain::hex32::Hex32;
use catraca_domain::ids::{RoomName, VisitorId};
use uuid::Builder;

const CONTEXT: &[u8] = b"catraca-holder-v1\0";

/// A browser's secret.
pub(crate) struct Holder([u8; 32]);

impl Holder {
    /// A new one.
    pub(crate) fn random() -> Self {
        Self(random_bytes())
    }

    /// From a cookie's value, if that is one.
    pub(crate) fn parse(cookie: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The cookie's value.
    pub(crate) fn to_cookie(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Who the holder is in a room, as the bearer of a number: different in each.
    pub(crate) fn visitor(&self, room: &RoomName, number: u64) -> VisitorId {
        let number = number.to_be_bytes();
        let hash = Hex32::sha256(&[CONTEXT, room.as_str().as_bytes(), b"\0", &number, &self.0]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.0[..16]);
        VisitorId(Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// Whether a visitor's place is bound to a browser. The place token is signed, so nobody can
/// turn one kind into the other.
pub(crate) fn is_bound(visitor: VisitorId) -> bool {
    visitor.0.get_version_num() == 8
}

/// Who gets a new place: the holder, or someone who is not bound.
pub(crate) fn visitor(holder: Option<&Holder>, room: &RoomName, number: u64) -> VisitorId {
    match holder {
        Some(holder) => holder.visitor(room, number),
        None => VisitorId(Builder::from_random_bytes(random_bytes()).into_uuid()),
    }
}
