//! How many admissions are live: exact at any moment, without asking the database.

use std::collections::BTreeMap;

/// Live admissions by the second in which they expire.
#[derive(Debug, Default)]
pub(super) struct Live {
    by_expiry: BTreeMap<u64, u64>,
    total: u64,
    /// The latest second at which expired ones have been struck off.
    swept_at: u64,
}

impl Live {
    /// From `(expiry, count)` pairs.
    pub(super) fn new(counts: impl IntoIterator<Item = (u64, u64)>, now_seconds: u64) -> Self {
        let mut live = Self {
            swept_at: now_seconds,
            ..Self::default()
        };
        for (expiry, count) in counts {
            live.total += count;
            *live.by_expiry.entry(expiry).or_default() += count;
        }
        live
    }

    /// How many live at `now_seconds`; `None` when the clock has gone back behind an expiry, and
    /// the database has to be asked again.
    pub(super) fn count(&mut self, now_seconds: u64) -> Option<u64> {
        if now_seconds < self.swept_at {
            return None;
        }
        self.swept_at = now_seconds;
        while let Some(entry) = self.by_expiry.first_entry() {
            if *entry.key() > now_seconds {
                break;
            }
            self.total -= entry.remove();
        }
        Some(self.total)
    }

    /// One more.
    pub(super) fn enter(&mut self, expiry: u64) {
        self.total += 1;
        *self.by_expiry.entry(expiry).or_default() += 1;
    }

    /// One less, unless it has expired already.
    pub(super) fn leave(&mut self, expiry: u64) -> bool {
        let Some(count) = self.by_expiry.get_mut(&expiry) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.by_expiry.remove(&expiry);
        }
        self.total -= 1;
        true
    }
}
