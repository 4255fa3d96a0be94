//! The draw: those in the lobby are put into an order that nobody chose and anyone can check.
//!
//! 1. When the lobby opens, the Room takes 32 random bytes ([`ballot::Ballot::seal`]) and publishes their
//!    SHA-256, the *commitment*, and the public beacon it will wait for, if any.
//! 2. At opening it freezes the count N: numbers 1 to N take part ([`ballot::Ballot::freeze`]). From now
//!    on nobody may be given a number up to N.
//! 3. It reveals the secret, and the beacon's value ([`ballot::Ballot::reveal`]). Everyone's position
//!    follows from the published [`DrawRecord`]; nothing is stored for a visitor.
//!
//! The key of the permutation is HKDF-SHA256 (RFC 5869), one block:
//!
//! ```text
//! prk  = HMAC-SHA256(key = "catraca-draw-v1", secret)
//! info = len(room) as u8 ‖ room ‖ epoch as u32 ‖ N as u64 ‖ beacon          (big-endian)
//! beacon = 0x00, or 0x01 ‖ len(source) as u16 ‖ source ‖ len(value) as u16 ‖ value
//! key  = HMAC-SHA256(key = prk, info ‖ 0x01)
//! ```
//!
//! Number n (1 to N) has position `P(n - 1) + 1`, with `P` the permutation of [`crate::feistel`].
//! Later numbers keep their number as their position, behind everyone drawn.
//!
//! What it proves: the secret was fixed before anyone joined, so nobody could be favoured by
//! choosing it afterwards. Whoever holds the secret early can still foresee the order for each N
//! and steer N, or the number of a friend, towards a good one; a beacon whose value is published
//! only after the freeze takes that away. Without a beacon the operator has to be trusted with it.
//! A declared beacon whose value is not there at the opening is waited for: nobody has a position, and
//! the lobby lasts until it is. Drawing without it would leave the operator a choice of two orders.

pub mod ballot;

use crate::feistel::{Permutation, SIZE_MAX};
use crate::hex32::Hex32;
use crate::ids::RoomName;
use crate::keyring::hmac_sha256;
use crate::lease::Range;
use hmac::Mac as _;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

const SALT: &[u8] = b"catraca-draw-v1";
/// Longest record that is looked at, in bytes.
pub const RECORD_BYTES_MAX: usize = 4096;
/// Longest source or value of a beacon, in bytes.
pub const BEACON_BYTES_MAX: usize = 256;

/// How the order is made. There is one way; another would have another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// This module's.
    #[serde(rename = "catraca-feistel-sha256-v1")]
    FeistelSha256V1,
}

/// A public random value that nobody here can choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beacon {
    /// Which beacon and which of its rounds, declared with the commitment.
    pub source: String,
    /// What it said; published with the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What is published of a draw: the commitment from the lobby on, the count from the freeze on,
/// the secret from the reveal on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawRecord {
    /// Which room.
    pub room: RoomName,
    /// Which opening of it.
    pub epoch: u32,
    /// SHA-256 of the secret.
    pub commitment: Hex32,
    /// The secret's 32 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Hex32>,
    /// The public value mixed in, if the room has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beacon: Option<Beacon>,
    /// N: numbers 1 to N were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How.
    pub algorithm: Algorithm,
}

/// Why a record proves nothing, or a step of a draw was refused.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum DrawError {
    /// Not the JSON of a record, or longer than [`RECORD_BYTES_MAX`].
    #[error("not a draw record")]
    Malformed,
    /// More than [`SIZE_MAX`] numbers.
    #[error("the count is larger than any room")]
    Count,
    /// Empty, too long or not printable ASCII.
    #[error("the beacon's source and value are 1 to {BEACON_BYTES_MAX} printable ASCII characters")]
    Beacon,
    /// A secret without a count, or a beacon's value without a secret.
    #[error("the record shows a secret or a beacon's value too early")]
    OutOfTurn,
    /// The commitment alone.
    #[error("the draw has not taken place: only the commitment is known")]
    Sealed,
    /// The commitment and the count.
    #[error("the draw has not taken place: the secret is not revealed")]
    Frozen,
    /// A beacon is declared and its value missing, or the other way round.
    #[error("the declared beacon's value is missing, or an undeclared one was given")]
    BeaconValue,
    /// The secret is another one.
    #[error("the secret is not the one committed to")]
    Commitment,
    /// A later record contradicts an earlier one.
    #[error("the record contradicts one published earlier")]
    Contradiction,
}

impl Beacon {
    /// Checks that source and value can be recorded.
    ///
    /// # Errors
    /// [`DrawError::Beacon`].
    pub fn check(&self) -> Result<(), DrawError> {
        check_beacon_text(&self.source)?;
        self.value.as_deref().map_or(Ok(()), check_beacon_text)
    }
}

impl DrawRecord {
    /// Reads a record: known fields only, each once, each in its one spelling.
    ///
    /// # Errors
    /// [`DrawError`] for what no Room publishes.
    pub fn parse(json: &str) -> Result<Self, DrawError> {
        if json.len() > RECORD_BYTES_MAX {
            return Err(DrawError::Malformed);
        }
        let record: Self = serde_json::from_str(json).map_err(|_| DrawError::Malformed)?;
        record.check_shape()?;
        Ok(record)
    }

    /// Checks the secret against the commitment; the draw that follows from it.
    ///
    /// # Errors
    /// [`DrawError`]: the record is false, or it is too early to say.
    pub fn verify(&self) -> Result<Draw, DrawError> {
        self.check_shape()?;
        let count = self.count.ok_or(DrawError::Sealed)?;
        let secret = self.secret.ok_or(DrawError::Frozen)?;
        if Hex32::sha256(&[&secret.0]) != self.commitment {
            return Err(DrawError::Commitment);
        }
        let beacon = match &self.beacon {
            None => None,
            Some(Beacon { source, value }) => Some((
                source.as_str(),
                value.as_deref().ok_or(DrawError::BeaconValue)?,
            )),
        };
        Draw::new(&secret, &self.room, self.epoch, count, beacon)
    }

    /// Checks that this record says nothing else than an earlier one did, which a visitor kept.
    ///
    /// # Errors
    /// [`DrawError::Contradiction`].
    pub fn follows(&self, earlier: &Self) -> Result<(), DrawError> {
        fn source(record: &DrawRecord) -> Option<&str> {
            record.beacon.as_ref().map(|beacon| beacon.source.as_str())
        }
        fn value(record: &DrawRecord) -> Option<&str> {
            record.beacon.as_ref()?.value.as_deref()
        }
        let same = (
            &self.room,
            self.epoch,
            self.commitment,
            self.algorithm,
            source(self),
        ) == (
            &earlier.room,
            earlier.epoch,
            earlier.commitment,
            earlier.algorithm,
            source(earlier),
        );
        let kept = earlier.count.is_none_or(|count| self.count == Some(count))
            && earlier
                .secret
                .is_none_or(|secret| self.secret == Some(secret))
            && value(earlier).is_none_or(|said| value(self) == Some(said));
        if same && kept {
            Ok(())
        } else {
            Err(DrawError::Contradiction)
        }
    }

    fn check_shape(&self) -> Result<(), DrawError> {
        if self.count.is_some_and(|count| count > SIZE_MAX) {
            return Err(DrawError::Count);
        }
        self.beacon.as_ref().map_or(Ok(()), Beacon::check)?;
        let value = self
            .beacon
            .as_ref()
            .and_then(|beacon| beacon.value.as_ref());
        if (self.secret.is_some() && self.count.is_none())
            || (value.is_some() && self.secret.is_none())
        {
            return Err(DrawError::OutOfTurn);
        }
        Ok(())
    }
}

fn check_beacon_text(text: &str) -> Result<(), DrawError> {
    let fits = (1..=BEACON_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if fits { Ok(()) } else { Err(DrawError::Beacon) }
}

/// An order that has been drawn.
#[derive(Clone)]
pub struct Draw(Permutation);

impl Draw {
    fn new(
        secret: &Hex32,
        room: &RoomName,
        epoch: u32,
        count: u64,
        beacon: Option<(&str, &str)>,
    ) -> Result<Self, DrawError> {
        let mut info = with_length(&[], 1, room.as_str());
        info.extend_from_slice(&epoch.to_be_bytes());
        info.extend_from_slice(&count.to_be_bytes());
        info.push(u8::from(beacon.is_some()));
        if let Some((source, value)) = beacon {
            info = with_length(&with_length(&info, 2, source), 2, value);
        }
        let prk: [u8; 32] = hmac_sha256(SALT, &[&secret.0])
            .finalize()
            .into_bytes()
            .into();
        let key = hmac_sha256(&prk, &[&info, &[1]]).finalize().into_bytes();
        Permutation::new(key.into(), count)
            .map(Self)
            .ok_or(DrawError::Count)
    }

    /// The same order, quicker for whoever looks at most of it.
    #[must_use]
    pub fn tabled(self) -> Self {
        Self(self.0.tabled())
    }

    /// N: how many numbers took part.
    pub fn count(&self) -> u64 {
        self.0.size()
    }

    /// Where the holder of `number` stands, from 1. Numbers beyond [`Draw::count`] came after the
    /// draw and keep their number. There is no number 0.
    pub fn position(&self, number: u64) -> u64 {
        if number == 0 {
            return 0;
        }
        self.0.apply(number - 1) + 1
    }

    /// The number that stands at `position`: the inverse of [`Draw::position`].
    pub fn number_at(&self, position: u64) -> u64 {
        if position == 0 {
            return 0;
        }
        self.0.invert(position - 1) + 1
    }

    /// Ranges of numbers as the positions they take: ascending, apart, touching ones joined. Takes
    /// time and memory in proportion to the numbers drawn among them.
    pub fn positions_of(&self, numbers: &[Range]) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for range in numbers {
            let late = range.hi.min(self.count() + 1).max(range.lo);
            let drawn = (range.lo..late).map(|number| {
                let lo = self.position(number);
                Range { lo, hi: lo + 1 }
            });
            ranges.extend(drawn);
            ranges.push(Range {
                lo: late,
                hi: range.hi,
            });
        }
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| range.lo);
        ranges.dedup_by(|next, last| {
            let touching = next.lo <= last.hi;
            if touching {
                last.hi = last.hi.max(next.hi);
            }
            touching
        });
        ranges
    }
}

fn with_length(before: &[u8], length_bytes: usize, text: &str) -> Vec<u8> {
    let mut bytes = before.to_vec();
    // Every text here is shorter than 257 bytes.
    bytes.extend_from_slice(&text.len().to_be_bytes()[size_of::<usize>() - length_bytes..]);
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draw of {}", self.count())
    }
}
