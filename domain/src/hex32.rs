//! Thirty-two public bytes, written as 64 lower-case hexadecimal digits and no other way.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Not 64 lower-case hexadecimal digits.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("must be 64 lower-case hexadecimal digits")]
pub struct NotHex32;

/// A hash, a commitment or a revealed secret: nothing in it is confidential.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hex32(pub [u8; 32]);

impl Hex32 {
    /// SHA-256 over the concatenation of `parts`.
    pub fn sha256(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Hex32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hex32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hex32 {
    type Err = NotHex32;

    fn from_str(text: &str) -> Result<Self, NotHex32> {
        unhex(text).map(Self).ok_or(NotHex32)
    }
}

impl Serialize for Hex32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The first eight bytes, big-endian, of the SHA-256 of a short message of fixed length: the whole
/// of it in one block, padded here (FIPS 180-4, 5.1.1), which spares millions of hashes the
/// buffering that a message of any length needs.
#[derive(Clone)]
pub(crate) struct ShortHash {
    block: [u8; 64],
    length: usize,
}

impl ShortHash {
    /// Messages begin with `prefix`, and `rest` bytes follow. Both together are at most 55 bytes.
    pub(crate) fn new(prefix: [u8; 32], rest: u8) -> Self {
        let length = prefix.len() + usize::from(rest);
        debug_assert!(length <= 55);
        let bits = 8 * (32 + u16::from(rest));
        let mut block = [0; 64];
        block[..32].copy_from_slice(&prefix);
        block[length] = 0x80;
        block[62..].copy_from_slice(&bits.to_be_bytes());
        Self { block, length }
    }

    /// The hash of the prefix, `tag` and `value`'s last bytes, as many as there is room for.
    pub(crate) fn of(&self, tag: u8, value: u64) -> u64 {
        let mut block = self.block;
        let bytes = value.to_be_bytes();
        block[32] = tag;
        block[33..self.length].copy_from_slice(&bytes[8 - (self.length - 33)..]);
        let mut state = INITIAL;
        sha2::compress256(&mut state, &[block.into()]);
        u64::from(state[0]) << 32 | u64::from(state[1])
    }
}

/// FIPS 180-4, 5.3.3.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Exactly `N` bytes from `2 N` lower-case digits: one spelling for each value.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
