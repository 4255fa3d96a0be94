//! A keyed permutation of `[0, size)` that needs no memory: a balanced Feistel network with
//! cycle-walking.
//!
//! The network permutes numbers of `2 w` bits, where `w` is the least half width, and at least
//! [`HALF_BITS_MIN`], for which `2^(2w) ≥ size`. Round `r` (0 to 9) maps `(left, right)` to
//! `(right, left XOR F(r, right))`, and `F(r, half)` is the low `w` bits of the first eight bytes,
//! big-endian, of `SHA-256(key ‖ r as u8 ‖ half as u64 big-endian)`: 41 bytes, one block, of fixed
//! length, so nothing can be appended to it. A result outside `[0, size)` is put through again
//! until it lies inside: the cycle comes back to a number inside at the latest by returning to
//! where it began, so this ends, and it makes a permutation of `[0, size)`.
//!
//! Sources: M. Luby, C. Rackoff, "How to construct pseudorandom permutations from pseudorandom
//! functions", SIAM J. Comput. 17(2), 1988 (four rounds suffice against a reader of both
//! directions, up to the birthday bound in the half width); J. Black, P. Rogaway, "Ciphers with
//! arbitrary finite domains", CT-RSA 2002 (cycle-walking); NIST SP 800-38G (ten rounds, for
//! domains as small as these).
//!
//! What it isn't: every one of the `size!` orders. A network of this kind makes even permutations
//! only, which can be told when `size` is within one of `2^(2w)`, and then by nobody who doesn't
//! see all places but two.

use crate::hex32::ShortHash;
use std::sync::Arc;

/// Rounds of the network.
pub const ROUNDS: u8 = 10;
/// Narrowest half, in bits: few rounds mix few bits badly, so small draws walk through 256.
pub const HALF_BITS_MIN: u32 = 4;
/// Largest domain: what an admission's id has room for.
pub const SIZE_MAX: u64 = 1 << 48;

/// A permutation of `[0, size)`.
#[derive(Clone)]
pub struct Permutation {
    hash: ShortHash,
    size: u64,
    half_bits: u32,
    /// Every round function written out, round by round, for whoever asks for all of them anyway.
    rounds: Option<Arc<[u64]>>,
}

/// Widest half, in bits, whose round functions are written out: 1.25 MiB.
const TABLE_BITS_MAX: u32 = 14;

impl Permutation {
    /// The permutation that `key` makes of `[0, size)`; `None` beyond [`SIZE_MAX`].
    pub fn new(key: [u8; 32], size: u64) -> Option<Self> {
        if size > SIZE_MAX {
            return None;
        }
        let bits = u64::BITS - size.saturating_sub(1).leading_zeros();
        Some(Self {
            hash: ShortHash::new(key, 9),
            size,
            half_bits: bits.div_ceil(2).max(HALF_BITS_MIN),
            rounds: None,
        })
    }

    /// The same permutation, quicker to apply to most of its domain: a million numbers go through
    /// ten million rounds, but the rounds have only ten thousand different inputs.
    #[must_use]
    pub fn tabled(self) -> Self {
        let rounds = (self.half_bits <= TABLE_BITS_MAX).then(|| {
            let inputs = (0..ROUNDS).flat_map(|round| (0..=self.mask()).map(move |h| (round, h)));
            inputs
                .map(|(round, half)| self.round(round, half))
                .collect()
        });
        Self { rounds, ..self }
    }

    /// How many numbers it permutes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where `index` goes; itself when it lies outside.
    pub fn apply(&self, index: u64) -> u64 {
        self.walk(index, Self::forward)
    }

    /// What goes to `index`; itself when it lies outside.
    pub fn invert(&self, index: u64) -> u64 {
        self.walk(index, Self::backward)
    }

    fn walk(&self, index: u64, step: fn(&Self, u64) -> u64) -> u64 {
        if index >= self.size || self.size == 1 {
            return index;
        }
        let mut at = step(self, index);
        while at >= self.size {
            at = step(self, at);
        }
        at
    }

    fn forward(&self, value: u64) -> u64 {
        let (mut left, mut right) = self.split(value);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(round, right));
        }
        left << self.half_bits | right
    }

    fn backward(&self, value: u64) -> u64 {
        let (mut left, mut right) = self.split(value);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.round(round, left), left);
        }
        left << self.half_bits | right
    }

    fn split(&self, value: u64) -> (u64, u64) {
        (value >> self.half_bits, value & self.mask())
    }

    fn mask(&self) -> u64 {
        (1 << self.half_bits) - 1
    }

    fn round(&self, round: u8, half: u64) -> u64 {
        if let Some(rounds) = &self.rounds {
            let at = (u64::from(round) << self.half_bits) | half;
            // At most 10 * 2^14.
            #[expect(clippy::cast_possible_truncation, reason = "see above")]
            return rounds[at as usize];
        }
        self.hash.of(round, half) & self.mask()
    }
}
