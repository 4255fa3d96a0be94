//! Points where a process can be made to die, so that tests can kill it between any two steps. In
//! a release build there are none.

/// Passes a point. With `CATRACA_DIE_AT_POINT=n` in the environment of a debug build, the process
/// aborts at the n-th point that it passes, and says which it was.
pub fn pass(name: &'static str) {
    if cfg!(debug_assertions) {
        count(name);
    }
}

fn count(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};
    static LEFT: OnceLock<Option<AtomicI64>> = OnceLock::new();
    let left = LEFT.get_or_init(|| {
        let number = std::env::var("CATRACA_DIE_AT_POINT").ok()?;
        Some(AtomicI64::new(number.parse().ok()?))
    });
    let Some(left) = left else { return };
    if left.fetch_sub(1, Ordering::Relaxed) == 1 {
        tracing::error!(point = name, "died as told");
        std::process::abort();
    }
}
