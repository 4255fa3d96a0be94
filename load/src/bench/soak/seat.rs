//! So many buyers for one seat, round after round: one of them gets it each time, all others are
//! told that it is taken. The winner gives it back, and the next round begins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use tokio::task::JoinSet;
use url::Url;

use crate::audit;
use crate::bench::Measured;
use crate::bench::numbered::{hold_request, release, text_of, venue};
use crate::bench::reader::Reader;
use crate::bench::reserve::programs::Programs;
use crate::bench::reserve::shop::{Shop, Shoppers};
use crate::bench::token::Key;

/// Where, and how much.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The server on which a database is made, and dropped again.
    #[arg(long, env = "CATRACA_TEST_DATABASE_URL", hide_env_values = true)]
    postgres: Url,
    /// Redis.
    #[arg(long, env = "CATRACA_TEST_REDIS_URL", hide_env_values = true)]
    redis: String,
    /// The core; else the one beside this program.
    #[arg(long)]
    core: Option<PathBuf>,
    /// Buyers, each on a connection of its own.
    #[arg(long, default_value_t = 1_000)]
    buyers: u32,
    /// Rounds.
    #[arg(long, default_value_t = 1_000)]
    rounds: u32,
}

/// Runs it; false when a round had more than one holder.
pub(in crate::bench) async fn run(options: Options) -> anyhow::Result<(Measured, bool)> {
    let mut shop = Shop::make(&options.postgres).await?;
    let programs = Programs::prepare(options.core.as_deref(), &shop.url, &options.redis).await?;
    shop.accounts(options.buyers).await?;
    let event = venue(&mut shop, 1, 1, options.buyers).await?;
    // Two cores, as behind a load balancer.
    let cores = [programs.serve().await?, programs.serve().await?];
    let key = Key::parse(&programs.admission_key)?;
    let shoppers = Shoppers::of(&event, &key)?;
    let mut readers = Vec::new();
    for buyer in 0..options.buyers {
        let core = &cores[usize::try_from(buyer)? % cores.len()];
        let reader = Reader::with_buffer(core.address, 8 * 1024).await;
        let reader = reader.context("is the limit of open files too low?")?;
        readers.push((reader, Arc::<str>::from(shoppers.cookies(buyer))));
    }
    let began = Instant::now();
    let (mut refused, mut wrong) = (0_u32, Vec::new());
    let (mut round, mut again) = (0, 0);
    while round < options.rounds {
        let mut asked = JoinSet::new();
        for (buyer, (mut reader, cookies)) in readers.drain(..).enumerate() {
            let key = format!("{}-{round}-{again}-{buyer}", event.number);
            let request = hold_request(&event, &cookies, &key, (0, 0));
            asked.spawn(async move {
                let answer = reader.send(&request, true).await;
                (reader, cookies, answer)
            });
        }
        let mut holders = Vec::new();
        while let Some(answered) = asked.join_next().await {
            let (reader, cookies, answer) = answered.context("a buyer of this program")?;
            let answer = answer?;
            match answer.status {
                201 => holders.push((readers.len(), text_of(&answer, "hold")?)),
                409 => refused += 1,
                other => anyhow::bail!("round {round}: answered {other}"),
            }
            readers.push((reader, cookies));
        }
        if holders.is_empty() {
            // All were told "taken" because of a lock of the round before, which Redis was slow to
            // give back. Buyers ask again, and so do these.
            again += 1;
            anyhow::ensure!(again <= options.rounds, "nobody gets the seat");
            continue;
        }
        round += 1;
        if holders.len() != 1 {
            wrong.push(format!("round {round}: {} holders", holders.len()));
        }
        for (index, hold) in holders {
            if let Some((reader, cookies)) = readers.get_mut(index) {
                release(reader, cookies, &hold).await?;
            }
        }
        if round % 100 == 0 {
            println!("{round} rounds, {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    wrong.iter().take(5).for_each(|line| println!("{line}"));
    let holds = shop.count("SELECT count(*) FROM holds").await?;
    let right = audit::seats_are_right(shop.url.as_str()).await?;
    let right = right && wrong.is_empty() && holds == options.rounds;
    drop(cores);
    shop.drop().await?;
    let figures = BTreeMap::from([
        ("buyers", f64::from(options.buyers)),
        ("rounds", f64::from(options.rounds)),
        ("holds", f64::from(holds)),
        ("asked_again", f64::from(again)),
        ("refused", f64::from(refused)),
        ("wrong_rounds", f64::from(u32::try_from(wrong.len())?)),
        ("seconds", began.elapsed().as_secs_f64()),
    ]);
    let measured = Measured {
        bench: "soak-seat",
        ratios: BTreeMap::new(),
        figures,
    };
    Ok((measured, right))
}
