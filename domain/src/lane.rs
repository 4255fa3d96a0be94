//! Numbers of lanes: every lane counts from one, in a range of numbers of its own.
//!
//! A room gives each lane a *slot* when it is first declared, and never another; `standard` has
//! slot 0. Number n of a lane is `slot · 2^40 + n`, so a number tells its lane, no two lanes share
//! one, and within a lane numbers are dense. People are shown n.

/// Numbers of one lane, in bits.
const BITS: u32 = 40;
/// Most slots: what an admission's id has room for.
pub const SLOTS_MAX: usize = 256;

/// What all numbers of a slot lie above.
pub fn base(slot: usize) -> u64 {
    u64::try_from(slot).unwrap_or(u64::MAX >> BITS) << BITS
}

/// The slot that a number belongs to.
pub fn slot_of(number: u64) -> usize {
    usize::try_from(number >> BITS).unwrap_or(usize::MAX)
}

/// The number within its lane: what people are shown.
pub fn shown(number: u64) -> u64 {
    number & ((1 << BITS) - 1)
}
