//! The admission log: who was let in, in what order, so that nobody can be let in unseen.
//!
//! One entry an admission, in the order in which the Room decided. Each is chained to the one
//! before by SHA-256, and the Room signs heads of the chain with Ed25519 (RFC 8032), so that
//! whoever holds a signed head can tell whether anything before it was changed. Big-endian:
//!
//! ```text
//! head 0 = SHA-256("catraca-log-v1" ‖ 0x00 ‖ len(room) as u8 ‖ room ‖ epoch as u32 ‖ draw)
//! draw   = 0x00, or 0x01 ‖ the draw's commitment, 32 bytes
//! head n = SHA-256("catraca-log-v1" ‖ 0x01 ‖ head n-1 ‖ entry n)
//! entry  = index as u64 ‖ number as u64 ‖ len(lane) as u8 ‖ lane ‖ at_ms as u64
//!          ‖ jti_hash, 32 bytes ‖ frontier as u64
//! signed = "catraca-log-head-v1" ‖ 0x00 ‖ head 0 ‖ index as u64 ‖ head ‖ at_ms as u64
//! ```
//!
//! Number and frontier are those of [`crate::lane`], so each lane's are apart.
//! An entry says nothing about a visitor but the place's number. [`jti_hash`] lets the holder of
//! an admission find it, and nobody else: an admission's id has 74 random bits.
//!
//! [`verifier`] says what a log proves, and what it can't.

mod passage;
pub mod verifier;

use crate::hex32::{Hex32, unhex};
use crate::ids::{Jti, Lane, RoomName};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use thiserror::Error;

const CONTEXT: &[u8] = b"catraca-log-v1";
const HEAD_CONTEXT: &[u8] = b"catraca-log-head-v1\0";
/// Most entries in one page.
pub const PAGE_ENTRIES_MAX: usize = 1000;

/// Which log: a room has one for each epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogName {
    /// Which room.
    pub room: RoomName,
    /// Which opening of it.
    pub epoch: u32,
    /// The commitment of its draw, when places are drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<Hex32>,
}

impl LogName {
    /// The chain's head before its first entry.
    pub fn genesis(&self) -> Hex32 {
        let draw = self.draw.as_ref();
        Hex32::sha256(&[
            CONTEXT,
            &[0],
            &[length_byte(self.room.as_str())],
            self.room.as_str().as_bytes(),
            &self.epoch.to_be_bytes(),
            &[u8::from(draw.is_some())],
            draw.map_or(&[][..], |commitment| &commitment.0),
        ])
    }
}

/// One admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Place in the log, from 1, without gaps.
    pub index: u64,
    /// The number of the place let in.
    pub number: u64,
    /// Its lane.
    pub lane: Lane,
    /// When, unix milliseconds; never less than the entry before.
    pub at_ms: u64,
    /// [`jti_hash`] of the admission.
    pub jti_hash: Hex32,
    /// How far that lane had been called: every position up to it.
    pub frontier: u64,
}

/// What an admission is known by in the log.
pub fn jti_hash(jti: Jti) -> Hex32 {
    Hex32::sha256(&[b"catraca-jti-v1\0", jti.0.as_bytes()])
}

/// What the Room decided, before the log has numbered and chained it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The number of the place let in.
    pub number: u64,
    /// Its lane.
    pub lane: Lane,
    /// When, unix milliseconds.
    pub at_ms: u64,
    /// The admission's id.
    pub jti: Jti,
    /// How far that lane has been called.
    pub frontier: u64,
}

/// An entry that doesn't continue the chain.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("the entry does not follow entry {0} of this log")]
pub struct Broken(pub u64);

/// The end of a chain: all that has to be kept in order to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Entries so far.
    pub index: u64,
    /// Time of the last one, unix milliseconds.
    pub at_ms: u64,
    /// The hash over all of them.
    pub head: Hex32,
}

impl Chain {
    /// A log without entries.
    pub fn begin(name: &LogName) -> Self {
        Self {
            index: 0,
            at_ms: 0,
            head: name.genesis(),
        }
    }

    /// Appends an admission; the entry must be stored together with it. A clock that was set back
    /// gives the time of the entry before: order in the log is order of decision.
    pub fn append(&mut self, admitted: &Admitted) -> Entry {
        let entry = Entry {
            index: self.index + 1,
            number: admitted.number,
            lane: admitted.lane.clone(),
            at_ms: admitted.at_ms.max(self.at_ms),
            jti_hash: jti_hash(admitted.jti),
            frontier: admitted.frontier,
        };
        self.take(&entry);
        entry
    }

    /// Goes on by an entry that somebody else appended.
    ///
    /// # Errors
    /// [`Broken`]: its index or time don't follow. A changed or missing entry shows in the head.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), Broken> {
        if self.index.checked_add(1) != Some(entry.index) || entry.at_ms < self.at_ms {
            return Err(Broken(self.index));
        }
        self.take(entry);
        Ok(())
    }

    fn take(&mut self, entry: &Entry) {
        self.head = Hex32::sha256(&[
            CONTEXT,
            &[1],
            &self.head.0,
            &entry.index.to_be_bytes(),
            &entry.number.to_be_bytes(),
            &[length_byte(entry.lane.as_str())],
            entry.lane.as_str().as_bytes(),
            &entry.at_ms.to_be_bytes(),
            &entry.jti_hash.0,
            &entry.frontier.to_be_bytes(),
        ]);
        self.index = entry.index;
        self.at_ms = entry.at_ms;
    }
}

/// An Ed25519 signature, as 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HeadSignature(pub [u8; 64]);

/// A head that the Room has put its name to. Two that contradict each other prove it false.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// Entries that it covers.
    pub index: u64,
    /// The chain's head after them.
    pub head: Hex32,
    /// When it was signed, unix milliseconds.
    pub at_ms: u64,
    /// Which key signed, as the published key set names it.
    pub kid: String,
    /// The signature.
    pub signature: HeadSignature,
}

impl SignedHead {
    /// Signs where the chain stands at `now_ms`. Deterministic, as RFC 8032 has it.
    pub fn sign(name: &LogName, chain: &Chain, now_ms: u64, kid: &str, key: &SigningKey) -> Self {
        let message = head_message(name, chain.index, &chain.head, now_ms);
        Self {
            index: chain.index,
            head: chain.head,
            at_ms: now_ms,
            kid: kid.to_owned(),
            signature: HeadSignature(key.sign(&message).to_bytes()),
        }
    }

    /// Whether the holder of `key` signed this head of that log.
    pub fn is_signed_by(&self, name: &LogName, key: &VerifyingKey) -> bool {
        let message = head_message(name, self.index, &self.head, self.at_ms);
        let signature = Signature::from_bytes(&self.signature.0);
        key.verify_strict(&message, &signature).is_ok()
    }
}

fn head_message(name: &LogName, index: u64, head: &Hex32, at_ms: u64) -> Vec<u8> {
    [
        HEAD_CONTEXT,
        &name.genesis().0,
        &index.to_be_bytes(),
        &head.0,
        &at_ms.to_be_bytes(),
    ]
    .concat()
}

/// A part of a log as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Which log.
    pub log: LogName,
    /// Consecutive entries, at most [`PAGE_ENTRIES_MAX`].
    pub entries: Vec<Entry>,
    /// The log's newest signed head, which may lie beyond this page.
    pub head: SignedHead,
}

/// A lane's and a room's name are shorter than 256 bytes, by their types.
fn length_byte(text: &str) -> u8 {
    text.len().to_be_bytes()[size_of::<usize>() - 1]
}

impl fmt::Display for HeadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HeadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for HeadSignature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HeadSignature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        unhex(&String::deserialize(deserializer)?)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("must be 128 lower-case hexadecimal digits"))
    }
}
