//! How many have joined within the last second.

const SLOTS: usize = 4;
const SLOT_MS: u64 = 250;

/// Joins counted in slots of 250 ms.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    slots: [u64; SLOTS],
    /// Number of the newest slot since 1970.
    newest: u64,
}

impl Arrivals {
    /// So many more.
    pub(super) fn note(&mut self, people: u64, now_ms: u64) {
        self.pass_time(now_ms);
        self.slots[Self::index(self.newest)] += people;
    }

    /// Joins within the last second, more or less a slot.
    pub(super) fn last_second(&mut self, now_ms: u64) -> u64 {
        self.pass_time(now_ms);
        self.slots.iter().sum()
    }

    fn pass_time(&mut self, now_ms: u64) {
        let slot = now_ms / SLOT_MS;
        if slot.abs_diff(self.newest) >= SLOTS as u64 {
            self.slots = [0; SLOTS];
            self.newest = slot;
        }
        while self.newest < slot {
            self.newest += 1;
            self.slots[Self::index(self.newest)] = 0;
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a remainder of SLOTS is less than SLOTS"
    )]
    fn index(slot: u64) -> usize {
        (slot % SLOTS as u64) as usize
    }
}
