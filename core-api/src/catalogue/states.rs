//! Who has which seat of a section: one state a seat in memory, two bits a seat in Redis.

/// For sale.
pub(super) const FREE: u8 = 0;
/// In somebody's hold.
pub(super) const HELD: u8 = 1;
/// Sold.
pub(super) const SOLD: u8 = 2;

/// How a state is written in a seat map: all as long, so that one can take another's place.
pub(super) const NAMES: [&[u8; 4]; 3] = [b"free", b"held", b"sold"];

/// Microseconds by the database's clock, read before what it stands for.
pub(super) type Stamp = i64;

/// A seat's state, and when it was so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) section: usize,
    pub(super) ordinal: usize,
    pub(super) state: u8,
    pub(super) stamp: Stamp,
}

/// A section's seats. A change counts only if it was read later than what is here, so it does not
/// matter in which order changes arrive.
#[derive(Debug)]
pub(super) struct States {
    each: Vec<u8>,
    stamps: Vec<Stamp>,
    free: usize,
}

impl States {
    /// As read at `stamp`.
    pub(super) fn new(states: Vec<u8>, stamp: Stamp) -> Self {
        Self {
            free: free(&states),
            stamps: vec![stamp; states.len()],
            each: states,
        }
    }

    pub(super) fn all(&self) -> &[u8] {
        &self.each
    }

    pub(super) fn free(&self) -> usize {
        self.free
    }

    /// True when anything is different now.
    pub(super) fn apply(&mut self, ordinal: usize, state: u8, stamp: Stamp) -> bool {
        let (Some(here), Some(since)) = (self.each.get_mut(ordinal), self.stamps.get_mut(ordinal))
        else {
            return false;
        };
        if *since >= stamp {
            return false;
        }
        *since = stamp;
        if *here == state {
            return false;
        }
        self.free = self.free + usize::from(state == FREE) - usize::from(*here == FREE);
        *here = state;
        true
    }

    /// Takes over what was read of every seat at `stamp`, where nothing later is known.
    pub(super) fn merge(&mut self, states: &[u8], stamp: Stamp) {
        for (ordinal, state) in states.iter().enumerate() {
            self.apply(ordinal, *state, stamp);
        }
    }
}

pub(super) fn free(states: &[u8]) -> usize {
    states.iter().map(|state| usize::from(*state == FREE)).sum()
}

/// Two bits a seat, the first seat in a byte's highest: `BITFIELD key GET u2 #ordinal`.
pub(super) fn pack(states: &[u8]) -> Vec<u8> {
    let byte = |four: &[u8]| {
        let bits = four.iter().zip([6, 4, 2, 0]);
        bits.fold(0, |byte, (state, shift)| byte | (state & 3) << shift)
    };
    states.chunks(4).map(byte).collect()
}

/// The states of `count` seats; `None` when the bits can't be theirs.
pub(super) fn unpack(bits: &[u8], count: usize) -> Option<Vec<u8>> {
    if bits.len() != count.div_ceil(4) {
        return None;
    }
    let state = |ordinal: usize| bits[ordinal / 4] >> (6 - ordinal % 4 * 2) & 3;
    let states: Vec<u8> = (0..count).map(state).collect();
    (states.iter().all(|state| *state <= SOLD) && pack(&states) == bits).then_some(states)
}
