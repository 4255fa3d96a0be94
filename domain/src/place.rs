//! The place token: a visitor's position in a room, carried by the visitor.
//!
//! `p1.<kid>.<payload>.<tag>`, the last two in base64url without padding. Payload, big-endian:
//! epoch `u32`, number `u64`, joined at `u64` (unix ms), visitor 16 bytes, lane as UTF-8. The tag
//! is HMAC-SHA256 over `catraca-place-v1\0<room>\0<payload>`: the room is not in the token, so a
//! place of one room is worthless in another.

use crate::ids::{Lane, RoomName, VisitorId};
use crate::keyring::Keyring;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;
use uuid::Uuid;

const CONTEXT: &[u8] = b"catraca-place-v1\0";
const FIXED_BYTES: usize = 4 + 8 + 8 + 16;
/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 512;

/// A place in a room's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which opening of the room; places of an earlier epoch are void.
    pub epoch: u32,
    /// Position, from 1, unique within room and epoch.
    pub number: u64,
    /// When the number was given, unix milliseconds.
    pub joined_at_ms: u64,
    /// Whose place it is.
    pub visitor: VisitorId,
    /// Its class.
    pub lane: Lane,
}

/// The token is absent, damaged, forged, of another room or signed by a key no longer held.
/// One error for all: a forger learns nothing.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("place token is not valid in this room")]
pub struct InvalidPlace;

impl Place {
    /// Signs the place for `room` with the ring's first key.
    pub fn mint(&self, room: &RoomName, keys: &Keyring) -> String {
        let payload = self.encode();
        let key = keys.signer();
        let tag = key.sign(&[CONTEXT, room.as_str().as_bytes(), b"\0", &payload]);
        format!(
            "p1.{}.{}.{}",
            key.kid,
            URL_SAFE_NO_PAD.encode(payload),
            URL_SAFE_NO_PAD.encode(tag)
        )
    }

    /// Checks and reads a token.
    ///
    /// # Errors
    /// [`InvalidPlace`] for anything but a place that this system gave out for this room.
    pub fn verify(token: &str, room: &RoomName, keys: &Keyring) -> Result<Self, InvalidPlace> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(InvalidPlace);
        }
        let mut parts = token.split('.');
        let (Some("p1"), Some(kid), Some(payload), Some(tag), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(InvalidPlace);
        };
        let key = keys.find(kid).ok_or(InvalidPlace)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| InvalidPlace)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| InvalidPlace)?;
        if !key.verify(&[CONTEXT, room.as_str().as_bytes(), b"\0", &payload], &tag) {
            return Err(InvalidPlace);
        }
        Self::decode(&payload).ok_or(InvalidPlace)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + self.lane.as_str().len());
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.joined_at_ms.to_be_bytes());
        bytes.extend_from_slice(self.visitor.0.as_bytes());
        bytes.extend_from_slice(self.lane.as_str().as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (epoch, rest) = bytes.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (joined_at_ms, rest) = rest.split_first_chunk::<8>()?;
        let (visitor, lane) = rest.split_first_chunk::<16>()?;
        Some(Self {
            epoch: u32::from_be_bytes(*epoch),
            number: u64::from_be_bytes(*number),
            joined_at_ms: u64::from_be_bytes(*joined_at_ms),
            visitor: VisitorId(Uuid::from_bytes(*visitor)),
            lane: std::str::from_utf8(lane).ok()?.parse().ok()?,
        })
    }
}
