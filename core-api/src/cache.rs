//! A small, bounded memory for what may be a few seconds old.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keeps up to `entries_max` values, each for `ttl`. Full, it first drops what is over, then
/// everything: what it holds can always be asked for again.
pub struct TtlCache<K, V> {
    ttl: Duration,
    entries_max: usize,
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash, V: Clone> TtlCache<K, V> {
    /// Empty.
    pub fn new(ttl: Duration, entries_max: usize) -> Self {
        Self {
            ttl,
            entries_max,
            entries: Mutex::new(HashMap::new()),
        }
    }

    /// The value, unless it is older than the cache's time.
    pub fn get(&self, key: &K) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept_at, value) = entries.get(key)?;
        (kept_at.elapsed() < self.ttl).then(|| value.clone())
    }

    /// Keeps a value that was true at `as_of`: the moment before it was asked for.
    pub fn put(&self, key: K, value: V, as_of: Instant) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.entries_max {
            let ttl = self.ttl;
            entries.retain(|_, (kept_at, _)| kept_at.elapsed() < ttl);
            if entries.len() >= self.entries_max {
                entries.clear();
            }
        }
        entries.insert(key, (as_of, value));
    }

    /// Forgets a value.
    pub fn forget(&self, key: &K) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(key);
    }
}
