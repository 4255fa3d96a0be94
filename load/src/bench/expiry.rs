//! From a hold's end to the seat's being somebody else's, with nobody sweeping: the serving role
//! runs alone. Each seat is bought over and over by two shoppers in turns, with holds of a second;
//! whoever waits asks again as soon as answered. Judged by the database's clock: a hold of the same
//! seat begins no earlier than the one before it ended, and the answer is there soon after.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::Measured;
use super::numbered::{hold_request, text_of, venue};
use super::reader::Reader;
use super::reserve::programs::Programs;
use super::reserve::shop::{Event, Shop, Shoppers};
use super::token::Key;
use crate::audit;

/// How long before the end the next buyer begins to ask.
const EAGER: time::Duration = time::Duration::milliseconds(60);
/// Between a refusal and the next question.
const PAUSE: Duration = Duration::from_millis(4);

/// Where, and how much.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The server on which the benchmark makes a database of its own, and drops it.
    #[arg(long, env = "CATRACA_TEST_DATABASE_URL", hide_env_values = true)]
    postgres: Url,
    /// Redis.
    #[arg(long, env = "CATRACA_TEST_REDIS_URL", hide_env_values = true)]
    redis: String,
    /// The core; else the one beside this program.
    #[arg(long)]
    core: Option<PathBuf>,
    /// Seats.
    #[arg(long, default_value_t = 20)]
    seats: u32,
    /// Ends of holds for each seat, a second each.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
}

/// Runs it; false when a seat was had early, or the audit finds one wrong.
pub(super) async fn run(options: Options) -> anyhow::Result<(Measured, bool)> {
    let mut shop = Shop::make(&options.postgres).await?;
    let programs = Programs::prepare(options.core.as_deref(), &shop.url, &options.redis).await?;
    shop.accounts(options.seats * 2).await?;
    let event = venue(&mut shop, options.seats, 1, options.seats * 2).await?;
    let short = format!(
        "UPDATE events SET hold_seconds = 1 WHERE event_id = {}",
        event.number
    );
    shop.db.batch_execute(&short).await?;
    let core = programs.serve().await?;
    let key = Key::parse(&programs.admission_key)?;
    let shoppers = Arc::new(Shoppers::of(&event, &key)?);
    let mut lanes = tokio::task::JoinSet::new();
    for seat in 0..options.seats {
        let (event, shoppers) = (Arc::clone(&event), Arc::clone(&shoppers));
        let reader = Reader::with_buffer(core.address, 16 * 1024).await?;
        // Ends are spread over the second.
        let offset = Duration::from_secs(1) * seat / options.seats;
        let rounds = options.rounds;
        lanes.spawn(async move {
            tokio::time::sleep(offset).await;
            lane(reader, &event, &shoppers, seat, rounds).await
        });
    }
    let mut answered = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        answered.extend(lane.context("a lane of this program")??);
    }
    let begun = begun(&shop, &event).await?;
    drop(core);
    let early = begun.iter().filter(|delay| **delay < 0.0).count();
    println!("{} holds ended, {early} had early", begun.len());
    let right = audit::seats_are_right(shop.url.as_str()).await? && early == 0;
    shop.drop().await?;
    let (begun, answered) = (Spread::of(begun), Spread::of(answered));
    let figures = BTreeMap::from([
        ("ends", begun.count),
        ("early", f64::from(u32::try_from(early)?)),
        ("begun_ms_p50", begun.p50),
        ("begun_ms_p99", begun.p99),
        ("answered_ms_p50", answered.p50),
        ("answered_ms_p99", answered.p99),
        ("answered_ms_max", answered.max),
    ]);
    for (name, value) in &figures {
        println!("  {name}: {value:.1}");
    }
    let measured = Measured {
        bench: "expiry",
        ratios: BTreeMap::new(),
        figures,
    };
    Ok((measured, right))
}

/// Milliseconds between each end of a hold and the answer to whoever got the seat then.
async fn lane(
    mut reader: Reader,
    event: &Event,
    shoppers: &Shoppers,
    seat: u32,
    rounds: u32,
) -> anyhow::Result<Vec<f64>> {
    let mut delays = Vec::new();
    let mut ends: Option<OffsetDateTime> = None;
    for round in 0..=rounds {
        let cookies = shoppers.cookies(seat * 2 + round % 2);
        if let Some(ends) = ends {
            let wait = ends - EAGER - OffsetDateTime::now_utc();
            tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
        }
        let mut tries = 0;
        let answer = loop {
            let key = format!("{}-{seat}-{round}-{tries}", event.number);
            let request = hold_request(event, &cookies, &key, (0, seat));
            let answer = reader.send(&request, true).await?;
            match answer.status {
                201 => break answer,
                409 => tokio::time::sleep(PAUSE).await,
                other => anyhow::bail!("answered {other}"),
            }
            tries += 1;
            anyhow::ensure!(tries < 10_000, "never to be had");
        };
        if let Some(ends) = ends {
            delays.push((OffsetDateTime::now_utc() - ends).as_seconds_f64() * 1e3);
        }
        ends = Some(OffsetDateTime::parse(
            &text_of(&answer, "expires_at")?,
            &Rfc3339,
        )?);
    }
    Ok(delays)
}

/// Milliseconds between each end of a hold and the beginning of the next one's transaction.
async fn begun(shop: &Shop, event: &Event) -> anyhow::Result<Vec<f64>> {
    let sql = "SELECT (extract(epoch FROM created_at - before) * 1000)::float8 FROM (
                   SELECT created_at, lag(expires_at) OVER (
                       PARTITION BY seats -> 0 -> 'ordinal' ORDER BY created_at) AS before
                   FROM holds WHERE event_id = $1) ends
               WHERE before IS NOT NULL";
    let rows = shop.db.query(sql, &[&event.number]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

struct Spread {
    count: f64,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let at = |hundredth: usize| {
            let index = (values.len() * hundredth / 100).min(last);
            values.get(index).copied().unwrap_or(f64::NAN)
        };
        Self {
            count: u32::try_from(values.len()).map_or(f64::NAN, f64::from),
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}
