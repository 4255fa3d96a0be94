//! A proof of work before joining: cheap for one visitor, dear for a thousand places.
//!
//! A *puzzle* is a signed text, `c1.<kid>.<payload>.<tag>`, the last two in base64url without
//! padding. Payload, big-endian: difficulty `u8`, issued at `u64` (unix ms), nonce 16 bytes. The
//! tag is HMAC-SHA256 over `catraca-challenge-v1\0<room>\0<payload>`: nothing is stored until a
//! puzzle is solved, and a puzzle of one room is worthless in another.
//!
//! Its *solution* is [`PARTS`] counters (`u32`, big-endian, together in base64url): with
//! `seed = SHA-256(puzzle text)`, the digest `SHA-256(seed ‖ part as u8 ‖ counter)` of each part
//! must begin with `difficulty - log2(PARTS)` zero bits. On average that is `2^difficulty`
//! hashes, like the one search of Hashcash (A. Back, "Hashcash: a denial of service
//! counter-measure", 2002), but in many small searches rather than one large: the unlucky one in
//! a hundred waits 1.7 times as long as the average, instead of 4.6 times.
//!
//! A solution can be used again until its puzzle expires: whoever accepts one must remember
//! [`Solved::nonce`] until [`Solved::expires_at_ms`], and refuse when it can remember no more.

use crate::hex32::{Hex32, ShortHash};
use crate::ids::RoomName;
use crate::keyring::Keyring;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::ops::RangeInclusive;
use thiserror::Error;

const CONTEXT: &[u8] = b"catraca-challenge-v1\0";
const PAYLOAD_BYTES: usize = 1 + 8 + 16;
/// Searches in one puzzle.
pub const PARTS: u8 = 16;
const PARTS_BITS: u8 = 4;
/// Difficulties that can be asked for: the binary logarithm of the hashes it takes on average.
pub const DIFFICULTY: RangeInclusive<u8> = 14..=22;
/// How long a puzzle can be answered, in milliseconds. Also how far ahead one can be solved.
pub const LIFE_MS: u64 = 120_000;
/// How far in the future a puzzle may have been issued, by another machine's clock.
const CLOCK_AHEAD_MS: u64 = 5_000;
/// Longest puzzle or solution that is looked at, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// Joins a second at which the difficulty begins to grow.
pub const CALM_JOINS_PER_SECOND: u64 = 100;

/// What is to be solved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Puzzle {
    /// Hashes it takes on average, as a power of two.
    pub difficulty: u8,
    /// When, unix milliseconds.
    pub issued_at_ms: u64,
    /// Random, so that no two puzzles are alike.
    pub nonce: [u8; 16],
}

/// A puzzle that has been solved: good for one join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solved {
    /// What to remember it by.
    pub nonce: [u8; 16],
    /// From when on it may be forgotten, unix milliseconds.
    pub expires_at_ms: u64,
}

/// Why an answer was refused.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum ChallengeError {
    /// Not a puzzle that this room gave out.
    #[error("not a challenge of this room")]
    Puzzle,
    /// Too old, or from the future.
    #[error("the challenge has expired: ask for a new one")]
    Expired,
    /// Not a solution of that puzzle.
    #[error("the challenge is not solved")]
    Unsolved,
}

/// The difficulty for new puzzles, from the joins of the last second: one bit more for each
/// doubling beyond [`CALM_JOINS_PER_SECOND`], from `base` up to the end of [`DIFFICULTY`].
pub fn difficulty(joins_last_second: u64, base: u8) -> u8 {
    let doublings = (joins_last_second / CALM_JOINS_PER_SECOND)
        .checked_ilog2()
        .and_then(|doublings| u8::try_from(doublings).ok())
        .unwrap_or(0);
    base.saturating_add(doublings)
        .clamp(*DIFFICULTY.start(), *DIFFICULTY.end())
}

impl Puzzle {
    /// A puzzle of that difficulty, or of the nearest that there is.
    pub fn new(difficulty: u8, issued_at_ms: u64, nonce: [u8; 16]) -> Self {
        Self {
            difficulty: difficulty.clamp(*DIFFICULTY.start(), *DIFFICULTY.end()),
            issued_at_ms,
            nonce,
        }
    }

    /// Signs the puzzle for `room` with the ring's first key.
    pub fn mint(&self, room: &RoomName, keys: &Keyring) -> String {
        let mut payload = [0; PAYLOAD_BYTES];
        payload[0] = self.difficulty;
        payload[1..9].copy_from_slice(&self.issued_at_ms.to_be_bytes());
        payload[9..].copy_from_slice(&self.nonce);
        let key = keys.signer();
        let tag = key.sign(&[CONTEXT, room.as_str().as_bytes(), b"\0", &payload]);
        format!(
            "c1.{}.{}.{}",
            key.kid,
            URL_SAFE_NO_PAD.encode(payload),
            URL_SAFE_NO_PAD.encode(tag)
        )
    }

    /// What a puzzle's text says, its signature unread: for whoever is to solve it.
    pub fn read(text: &str) -> Option<Self> {
        let (_, payload, _) = split(text)?;
        let (difficulty, rest) = payload.split_first()?;
        let (issued_at_ms, nonce) = rest.split_first_chunk::<8>()?;
        DIFFICULTY.contains(difficulty).then_some(Self {
            difficulty: *difficulty,
            issued_at_ms: u64::from_be_bytes(*issued_at_ms),
            nonce: nonce.try_into().ok()?,
        })
    }
}

/// Checks that `solution` solves `puzzle`, which `room` gave out not long before `now_ms`.
///
/// # Errors
/// [`ChallengeError`].
pub fn check(
    puzzle: &str,
    solution: &str,
    room: &RoomName,
    keys: &Keyring,
    now_ms: u64,
) -> Result<Solved, ChallengeError> {
    let (kid, payload, tag) = split(puzzle).ok_or(ChallengeError::Puzzle)?;
    let key = keys.find(kid).ok_or(ChallengeError::Puzzle)?;
    if !key.verify(&[CONTEXT, room.as_str().as_bytes(), b"\0", &payload], &tag) {
        return Err(ChallengeError::Puzzle);
    }
    let read = Puzzle::read(puzzle).ok_or(ChallengeError::Puzzle)?;
    let expires_at_ms = read.issued_at_ms.saturating_add(LIFE_MS);
    if now_ms >= expires_at_ms || read.issued_at_ms > now_ms.saturating_add(CLOCK_AHEAD_MS) {
        return Err(ChallengeError::Expired);
    }
    let counters = decode_solution(solution).ok_or(ChallengeError::Unsolved)?;
    let search = Search::new(puzzle, read.difficulty);
    let solved = (0..PARTS)
        .zip(counters)
        .all(|(part, counter)| search.hits(part, counter));
    if solved {
        Ok(Solved {
            nonce: read.nonce,
            expires_at_ms,
        })
    } else {
        Err(ChallengeError::Unsolved)
    }
}

/// Solves a puzzle; `None` when it isn't one, or took more than `hashes_max` hashes. Keeps a
/// processor busy: in a browser, call it from a worker.
pub fn solve(puzzle: &str, hashes_max: u64) -> Option<String> {
    Solving::of(puzzle)?.step(hashes_max)
}

/// A solution in the making, so that whoever searches can say how far it has come.
pub struct Solving {
    search: Search,
    /// Where the search goes on; beyond `u32::MAX`, there is nothing to be found.
    next: Option<u32>,
    found: Vec<u32>,
    hashes: u64,
}

impl Solving {
    /// The search at its beginning; `None` when the text is no puzzle.
    pub fn of(puzzle: &str) -> Option<Self> {
        Some(Self {
            search: Search::new(puzzle, Puzzle::read(puzzle)?.difficulty),
            next: Some(0),
            found: Vec::with_capacity(usize::from(PARTS)),
            hashes: 0,
        })
    }

    /// Searches on, for at most so many hashes. The solution, once there is one.
    pub fn step(&mut self, hashes_max: u64) -> Option<String> {
        let mut left = hashes_max;
        while self.parts() < PARTS && left > 0 {
            let counter = self.next?;
            left -= 1;
            self.hashes += 1;
            if self.search.hits(self.parts(), counter) {
                self.found.push(counter);
                self.next = Some(0);
            } else {
                self.next = counter.checked_add(1);
            }
        }
        (self.parts() == PARTS).then(|| {
            let bytes: Vec<u8> = self.found.iter().flat_map(|c| c.to_be_bytes()).collect();
            URL_SAFE_NO_PAD.encode(bytes)
        })
    }

    /// Searches done, of [`PARTS`].
    #[expect(clippy::cast_possible_truncation, reason = "at most PARTS are found")]
    pub fn parts(&self) -> u8 {
        self.found.len() as u8
    }

    /// Hashes so far.
    pub fn hashes(&self) -> u64 {
        self.hashes
    }
}

struct Search {
    hash: ShortHash,
    zero_bits: u32,
}

impl Search {
    fn new(puzzle: &str, difficulty: u8) -> Self {
        Self {
            hash: ShortHash::new(Hex32::sha256(&[puzzle.as_bytes()]).0, 5),
            zero_bits: u32::from(difficulty.saturating_sub(PARTS_BITS)),
        }
    }

    fn hits(&self, part: u8, counter: u32) -> bool {
        self.hash.of(part, u64::from(counter)).leading_zeros() >= self.zero_bits
    }
}

fn decode_solution(text: &str) -> Option<[u32; PARTS as usize]> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (chunks, rest) = bytes.as_chunks::<4>();
    let counters: [[u8; 4]; PARTS as usize] = chunks.try_into().ok()?;
    rest.is_empty().then(|| counters.map(u32::from_be_bytes))
}

/// Key id, payload and tag of a puzzle's text.
fn split(text: &str) -> Option<(&str, Vec<u8>, Vec<u8>)> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut parts = text.split('.');
    let (Some("c1"), Some(kid), Some(payload), Some(tag), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    (payload.len() == PAYLOAD_BYTES).then_some((kid, payload, tag))
}
