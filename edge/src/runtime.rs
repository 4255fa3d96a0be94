//! Where time and randomness come in. Everything else takes them as arguments.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;
use time::OffsetDateTime;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Delay;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(buffer: &mut [u8]);
}

/// Unix milliseconds. The runtime moves its clock only when something comes in from outside.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where time comes in"
)]
pub(crate) fn now_ms() -> u64 {
    worker::Date::now().as_millis()
}

/// Cryptographically random bytes.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    get_random_values(&mut bytes);
    bytes
}

/// `unix_ms` as a date; a time beyond the calendar is its end.
pub(crate) fn date(unix_ms: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A number in `value ± 20 %`, so that those told the same don't come back together.
pub(crate) fn jittered(value: u64) -> u64 {
    value * (800 + spread() % 401) / 1000
}

/// A number from 0 up to but without `limit`, each about as often.
pub(crate) fn below(limit: u32) -> u32 {
    u32::try_from(spread() % u64::from(limit.max(1))).unwrap_or_default()
}

/// Spread, not secret: one call for random bytes per isolate, then a xorshift.
fn spread() -> u64 {
    thread_local!(static SEED: Cell<u64> = const { Cell::new(0) });
    SEED.with(|seed| {
        let mut x = match seed.get() {
            0 => u64::from_le_bytes(random_bytes()) | 1,
            x => x,
        };
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        seed.set(x);
        x
    })
}

/// Waits.
pub(crate) async fn sleep(ms: u64) {
    Delay::from(Duration::from_millis(ms)).await;
}

/// `None` when `work` takes longer than `ms`.
pub(crate) async fn within<T>(ms: u64, work: impl Future<Output = T>) -> Option<T> {
    let work = std::pin::pin!(work);
    let limit = std::pin::pin!(sleep(ms));
    match futures::future::select(work, limit).await {
        futures::future::Either::Left((done, _)) => Some(done),
        futures::future::Either::Right(_) => None,
    }
}
