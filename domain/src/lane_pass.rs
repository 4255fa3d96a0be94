//! The lane pass: what gets someone into a lane. The core's operators and the partners' entrance
//! issue it, the edge takes it, once.
//!
//! `l1.<payload>.<tag>`, both in base64url without padding. Payload, big-endian: expiry `u64` (unix
//! seconds), id 16 bytes, lane as UTF-8. The tag is HMAC-SHA256, with the secret that core and edge
//! share, over `catraca-lane-v1\0<room>\0<payload>`.

use crate::ids::{Lane, RoomName};
use crate::keyring::hmac_sha256;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use thiserror::Error;

const CONTEXT: &[u8] = b"catraca-lane-v1\0";
const FIXED_BYTES: usize = 8 + 16;
/// Longest pass that is looked at, in bytes.
pub const PASS_BYTES_MAX: usize = 256;

/// A way into a lane, good once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanePass {
    /// Which lane.
    pub lane: Lane,
    /// What it is remembered by once used.
    pub id: [u8; 16],
    /// When it ends, unix seconds.
    pub expires_at: u64,
}

/// Why a pass opens nothing. A forger learns nothing from the first.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum InvalidPass {
    /// Damaged, forged or of another room.
    #[error("is not a pass for this room")]
    Unknown,
    /// Too old.
    #[error("has expired")]
    Expired,
}

impl LanePass {
    /// Signs the pass for `room`.
    pub fn mint(&self, room: &RoomName, secret: &Secret) -> String {
        let mut payload = Vec::with_capacity(FIXED_BYTES + self.lane.as_str().len());
        payload.extend_from_slice(&self.expires_at.to_be_bytes());
        payload.extend_from_slice(&self.id);
        payload.extend_from_slice(self.lane.as_str().as_bytes());
        let tag = hmac_sha256(secret.expose(), &signed(room, &payload))
            .finalize()
            .into_bytes();
        format!(
            "l1.{}.{}",
            URL_SAFE_NO_PAD.encode(payload),
            URL_SAFE_NO_PAD.encode(tag)
        )
    }

    /// Checks and reads a pass at `now`, unix seconds.
    ///
    /// # Errors
    /// [`InvalidPass`].
    pub fn verify(
        pass: &str,
        room: &RoomName,
        secret: &Secret,
        now: u64,
    ) -> Result<Self, InvalidPass> {
        let read = Self::read(pass, room, secret).ok_or(InvalidPass::Unknown)?;
        if now >= read.expires_at {
            return Err(InvalidPass::Expired);
        }
        Ok(read)
    }

    fn read(pass: &str, room: &RoomName, secret: &Secret) -> Option<Self> {
        if pass.len() > PASS_BYTES_MAX {
            return None;
        }
        let (payload, tag) = pass.strip_prefix("l1.")?.split_once('.')?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac_sha256(secret.expose(), &signed(room, &payload))
            .verify_slice(&tag)
            .ok()?;
        let (expires_at, rest) = payload.split_first_chunk::<8>()?;
        let (id, lane) = rest.split_first_chunk::<16>()?;
        Some(Self {
            lane: std::str::from_utf8(lane).ok()?.parse().ok()?,
            id: *id,
            expires_at: u64::from_be_bytes(*expires_at),
        })
    }
}

fn signed<'a>(room: &'a RoomName, payload: &'a [u8]) -> [&'a [u8]; 4] {
    [CONTEXT, room.as_str().as_bytes(), b"\0", payload]
}
