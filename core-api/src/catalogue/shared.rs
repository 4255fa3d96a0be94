//! The same in Redis, for all processes: per event a hash with the plan's version and a counter of
//! free seats for each section, and per section a bitmap of two bits a seat. Changes patch both;
//! they must agree, so that a bit that fell over is noticed. A key that lives for [`FRESH`] says
//! that all of it was read from PostgreSQL no longer ago; without it nobody believes the rest.

use super::board::Reading;
use super::plan::Plan;
use super::push::News;
use super::states;
use crate::app::App;
use catraca_domain::ids::EventNumber;
use redis::Script;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// For how long what one process read from PostgreSQL serves the others.
const FRESH: Duration = Duration::from_millis(400);
/// Longest time that others wait for a process that reads.
const READING_MS: u64 = 250;
/// Seconds after which Redis forgets an event that nobody asks for.
const KEPT_SECONDS: u64 = 86_400;

fn key(event: EventNumber) -> String {
    format!("avail:{{{}}}", event.0)
}

fn fresh_key(event: EventNumber) -> String {
    format!("{}:fresh", key(event))
}

fn reader_key(event: EventNumber) -> String {
    format!("{}:reader", key(event))
}

fn map_key(event: EventNumber, section: &str) -> String {
    format!("{}:map:{section}", key(event))
}

fn counter(section: &str) -> String {
    format!("free:{section}")
}

type Found = (Vec<Option<i64>>, i64, Vec<Option<Vec<u8>>>);

/// Every seat, if Redis has them, they fit the plan, agree with their counters and are fresh.
pub(super) async fn read(app: &App, plan: &Arc<Plan>) -> Option<Reading> {
    let event = plan.number;
    if plan.sections.is_empty() {
        return None;
    }
    let mut question = redis::pipe();
    question.cmd("HMGET").arg(key(event)).arg("version");
    question.arg("stamp");
    for section in &plan.sections {
        question.arg(counter(&section.name));
    }
    question.cmd("PTTL").arg(fresh_key(event));
    let maps = plan.sections.iter();
    let maps: Vec<String> = maps.map(|section| map_key(event, &section.name)).collect();
    question.cmd("MGET").arg(maps);
    let mut redis = app.redis.clone();
    let asked = question.query_async::<Found>(&mut redis);
    let (fields, fresh_ms, maps) = app.breaker.ask(asked).await?;
    let left = Duration::from_millis(u64::try_from(fresh_ms).ok()?);
    let age = FRESH.checked_sub(left)?;
    let [version, stamp, counters @ ..] = fields.as_slice() else {
        return None;
    };
    if *version != Some(plan.version) {
        return None;
    }
    let mut states = Vec::with_capacity(maps.len());
    for ((section, bits), counter) in plan.sections.iter().zip(&maps).zip(counters) {
        let capacity = usize::try_from(section.capacity).ok()?;
        let seats = states::unpack(bits.as_deref()?, capacity)?;
        if i64::try_from(states::free(&seats)).ok() != *counter {
            metrics::counter!("catraca_catalogue_disagreements_total").increment(1);
            return None;
        }
        states.push(seats);
    }
    (states.len() == plan.sections.len()).then_some(())?;
    Some(Reading {
        plan: Arc::clone(plan),
        states,
        stamp: (*stamp)?,
        as_of: OffsetDateTime::now_utc() - age,
        taken_at: Instant::now().checked_sub(age)?,
        decides: false,
    })
}

/// Who reads from PostgreSQL.
pub(super) enum Turn {
    /// This process, and then tells the others. `changes` is what [`write`] wants to know.
    Ours {
        /// How many changes of unknown extent there had been.
        changes: i64,
    },
    /// Another process, at this moment.
    Theirs,
    /// Everybody for himself: Redis does not answer.
    Nobodys,
}

/// Asks to be the one who reads.
pub(super) async fn turn(app: &App, event: EventNumber) -> Turn {
    let mut question = redis::pipe();
    question.cmd("SET").arg(reader_key(event)).arg(1);
    question.arg("NX").arg("PX").arg(READING_MS);
    question.cmd("HGET").arg(key(event)).arg("changes");
    let mut redis = app.redis.clone();
    let asked = question.query_async::<(Option<String>, Option<i64>)>(&mut redis);
    match app.breaker.ask(asked).await {
        Some((Some(_), changes)) => Turn::Ours {
            changes: changes.unwrap_or(0),
        },
        Some((None, _)) => Turn::Theirs,
        None => Turn::Nobodys,
    }
}

/// Only if nothing of unknown extent has changed since the reader began.
static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('DEL', KEYS[3])
         if (redis.call('HGET', KEYS[1], 'changes') or '0') ~= ARGV[1] then return 0 end
         redis.call('DEL', KEYS[1])
         redis.call('HSET', KEYS[1], 'changes', ARGV[1], 'version', ARGV[2], 'stamp', ARGV[3])
         for i = 4, #KEYS do
           local at = 6 + (i - 4) * 3
           redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
           redis.call('SET', KEYS[i], ARGV[at + 2], 'EX', ARGV[5])
         end
         redis.call('EXPIRE', KEYS[1], ARGV[5])
         redis.call('SET', KEYS[2], 1, 'PX', ARGV[4])
         return 1",
    )
});

/// Leaves a reading for the others, in the background, and ends the turn.
pub(super) fn write(app: &App, reading: &Reading, changes: i64) {
    let (plan, app) = (&reading.plan, app.clone());
    let event = plan.number;
    let mut call = WRITE.prepare_invoke();
    call.key(key(event))
        .key(fresh_key(event))
        .key(reader_key(event));
    let left = FRESH.saturating_sub(reading.taken_at.elapsed());
    let left_ms = u64::try_from(left.as_millis()).unwrap_or(0).max(1);
    call.arg(changes).arg(plan.version).arg(reading.stamp);
    call.arg(left_ms).arg(KEPT_SECONDS);
    for (section, seats) in plan.sections.iter().zip(&reading.states) {
        call.key(map_key(event, &section.name));
        call.arg(counter(&section.name)).arg(states::free(seats));
        call.arg(states::pack(seats));
    }
    // The invocation borrows the script alone, which lives for ever.
    tokio::spawn(async move {
        let mut redis = app.redis.clone();
        app.breaker.ask(call.invoke_async::<i64>(&mut redis)).await;
    });
}

/// Patches bits and counters, if they are of this plan, and tells everyone.
static TELL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], 'version') == ARGV[3] then
           for i = 4, #ARGV, 4 do
             local map, free = ARGV[i], ARGV[i + 1]
             local seat, state = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
             if redis.call('STRLEN', map) * 4 > seat then
               local was = redis.call('BITFIELD', map, 'SET', 'u2', '#' .. seat, state)[1]
               if was == 0 and state ~= 0 then redis.call('HINCRBY', KEYS[1], free, -1) end
               if was ~= 0 and state == 0 then redis.call('HINCRBY', KEYS[1], free, 1) end
             end
           end
         end
         redis.call('PUBLISH', ARGV[1], ARGV[2])",
    )
});

/// Something changed, nobody knows what: what is kept is not fresh any more.
static TELL_ALL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('HINCRBY', KEYS[1], 'changes', 1)
         redis.call('EXPIRE', KEYS[1], ARGV[3])
         redis.call('DEL', KEYS[2])
         redis.call('PUBLISH', ARGV[1], ARGV[2])",
    )
});

/// Tells the other processes, and Redis itself.
pub(super) async fn tell(app: &App, channel: &str, news: &News) {
    let Ok(text) = serde_json::to_string(news) else {
        return;
    };
    let event = EventNumber(news.event);
    let mut redis = app.redis.clone();
    let call = if let Some(change) = &news.seats {
        let mut call = TELL.prepare_invoke();
        call.key(key(event))
            .arg(channel)
            .arg(text)
            .arg(change.version);
        for (section, ordinal, state) in &change.seats {
            call.arg(map_key(event, section)).arg(counter(section));
            call.arg(*ordinal).arg(*state);
        }
        call
    } else {
        let mut call = TELL_ALL.prepare_invoke();
        call.key(key(event)).key(fresh_key(event));
        call.arg(channel).arg(text).arg(KEPT_SECONDS);
        call
    };
    let told = app.breaker.ask(call.invoke_async::<()>(&mut redis)).await;
    if told.is_none() {
        metrics::counter!("catraca_catalogue_untold_total").increment(1);
    }
}
