//! A lock in Redis before chosen seats, so that a thousand clicks on one seat make one transaction.
//!
//! It only refuses early; PostgreSQL decides. Redis away, or a lock run out while its holder
//! slept, costs work and nothing else.

use super::request::SeatName;
use crate::app::App;
use catraca_domain::ids::EventNumber;
use redis::Script;
use redis::aio::ConnectionManager;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Longest life of a lock: a transaction is over long before.
const LOCK_MS: u64 = 3_000;
/// Pause between two tries to give locks back.
const INSIST_EVERY: Duration = Duration::from_millis(50);

/// All or none. Whoever repeats a request may pass the lock of its own first try: the same
/// `Idempotency-Key` is made one after the other by the database.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local busy = {}
         for i, key in ipairs(KEYS) do
           local value = redis.call('GET', key)
           if value and string.sub(value, 1, #ARGV[1]) ~= ARGV[1] then busy[#busy + 1] = i end
         end
         if #busy == 0 then
           for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1] .. ARGV[2], 'PX', ARGV[3]) end
         end
         return busy",
    )
});

/// Only what is still ours: the fencing value tells.
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for _, key in ipairs(KEYS) do
           if redis.call('GET', key) == ARGV[1] .. ARGV[2] then redis.call('DEL', key) end
         end",
    )
});

/// Locks that are ours, to be given back.
pub(super) struct SeatLocks {
    keys: Vec<String>,
    owner: String,
    fence: String,
}

/// Seats that somebody else is claiming at this moment, by index.
pub(super) struct Busy(pub(super) Vec<usize>);

impl SeatLocks {
    /// Takes all locks, or says which are taken. Without Redis there is nothing to take.
    pub(super) async fn take(
        app: &App,
        event: EventNumber,
        seats: &[SeatName],
        owner: String,
    ) -> Result<Option<Self>, Busy> {
        let locks = Self {
            keys: seats.iter().map(|seat| key(event, seat)).collect(),
            owner,
            fence: format!("{:032x}", rand::random::<u128>()),
        };
        let mut redis = app.redis.clone();
        let mut call = locks.call(&TAKE);
        call.arg(LOCK_MS);
        let taken = app.breaker.ask(call.invoke_async::<Vec<usize>>(&mut redis));
        match taken.await {
            None => {
                // It may have taken them and been too slow to say so.
                tokio::spawn(locks.insist(redis));
                Ok(None)
            }
            Some(busy) if busy.is_empty() => Ok(Some(locks)),
            Some(busy) => Err(Busy(busy.into_iter().map(|index| index - 1).collect())),
        }
    }

    /// Gives the locks back, before anybody is answered: a lock that outlived its answer would turn
    /// the next buyers away from seats that are free. Goes on when the caller hangs up.
    pub(super) async fn give_back(self, app: &App) {
        let app = app.clone();
        let given_back = tokio::spawn(async move {
            let mut redis = app.redis.clone();
            let call = self.call(&GIVE_BACK);
            let told = app.breaker.ask(call.invoke_async::<()>(&mut redis)).await;
            if told.is_none() {
                tokio::spawn(self.insist(redis));
            }
        });
        // A panic in there loses a lock that ends by itself.
        let _ = given_back.await;
    }

    /// Gives the locks back although Redis is slow, or rests: for as long as they may live.
    async fn insist(self, mut redis: ConnectionManager) {
        let call = self.call(&GIVE_BACK);
        let until = Instant::now() + Duration::from_millis(LOCK_MS);
        while Instant::now() < until && call.invoke_async::<()>(&mut redis).await.is_err() {
            tokio::time::sleep(INSIST_EVERY).await;
        }
    }

    fn call<'a>(&self, script: &'a Script) -> redis::ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        call.arg(&self.owner).arg(&self.fence);
        call
    }
}

fn key(event: EventNumber, seat: &SeatName) -> String {
    let SeatName { section, row, seat } = seat;
    format!("seat:{{{}}}:{section}\u{1f}{row}\u{1f}{seat}", event.0)
}
