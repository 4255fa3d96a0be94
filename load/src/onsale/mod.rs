//! The crowd. A visitor arrives, joins the line, waits, claims, logs in, holds seats, orders,
//! pays at the provider's page and fetches the tickets, or drops off somewhere on the way:
//! [`plan`] says who does what, [`fan`] lives it with the steps in [`queue`], [`shop`] and
//! [`checkout`], each through a [`browser`] of their own; [`journal`] keeps what was acknowledged,
//! [`tally`] counts.

mod browser;
mod call;
mod checkout;
mod fan;
mod journal;
mod plan;
mod queue;
mod shop;
mod summary;
mod tally;
mod wire;

pub(crate) use browser::{Browser, Network};
pub(crate) use call::{Body, Call};
pub(crate) use fan::log_in;
pub(crate) use tally::Summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use tokio::task::JoinSet;
use url::Url;

/// How often progress is printed.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// How long a room that does not exist yet is waited for.
const ROOM_APPEARS_WITHIN: Duration = Duration::from_mins(1);

/// Who comes, and how they behave.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The edge's address.
    #[arg(long)]
    pub(crate) edge: Url,
    /// Slug of an event on sale; repeated, the crowd spreads over them.
    #[arg(long = "event", required = true)]
    pub(crate) events: Vec<String>,
    /// How many visitors.
    #[arg(long)]
    pub(crate) crowd: u32,
    /// Time over which they arrive: most in a burst at once, the rest in a tail.
    #[arg(long, default_value_t = 20)]
    pub(crate) arrive_seconds: u32,
    /// The same seed makes the same crowd; by default the clock's seconds.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Share of the buyers whose payment is declined.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) decline_percent: u8,
    /// Share of the buyers who walk away from the pay page.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) abandon_percent: u8,
    /// Share of all who drop off before: in line, when called, once in, or holding seats.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) leave_percent: u8,
    /// Most seats one visitor wants.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) quantity_max: u32,
    /// Share who pay by `PayPal` rather than by card.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) paypal_percent: u8,
    /// Share who pick their seats on the plan.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) pick_seats_percent: u8,
    /// Longest that one visitor's whole visit may take.
    #[arg(long, default_value_t = 600)]
    pub(crate) timeout_seconds: u64,
    /// File to append what was acknowledged to, as JSON lines.
    #[arg(long)]
    pub(crate) journal: Option<PathBuf>,
    /// File to write the summary to.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// Runs the crowd and prints its summary; true when nobody met an unexpected error.
///
/// # Errors
/// When there is no such room, or a file can't be written.
pub(crate) async fn main(options: Options) -> anyhow::Result<bool> {
    let json = options.json.clone();
    let summary = run(options).await?;
    print!("{summary}");
    if let Some(path) = json {
        std::fs::write(&path, serde_json::to_vec_pretty(&summary)?)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(summary.failed == 0)
}

/// Runs the crowd to its end.
///
/// # Errors
/// As [`main`].
pub(crate) async fn run(options: Options) -> anyhow::Result<Summary> {
    let seed = options.seed.unwrap_or_else(clock_seconds);
    let began = Instant::now();
    let tally = Arc::new(tally::Tally::default());
    let network = Arc::new(Network::new(options.edge.clone(), Arc::clone(&tally))?);
    let journal = Arc::new(journal::Journal::open(options.journal.as_deref(), seed)?);
    let appears_by = began + ROOM_APPEARS_WITHIN;
    for room in &options.events {
        let browser = Browser::new(Arc::clone(&network), appears_by);
        let status = queue::await_room(&browser, room).await?;
        journal.room(room, &status);
    }
    println!("crowd of {} with seed {seed}", options.crowd);
    let progress = tokio::spawn(report_progress(Arc::clone(&tally), began));
    let mut fans = JoinSet::new();
    let opened = Instant::now();
    for plan in plan::crowd(&options, seed) {
        let (network, journal) = (Arc::clone(&network), Arc::clone(&journal));
        let (tally, timeout) = (Arc::clone(&tally), options.timeout_seconds);
        fans.spawn(async move {
            tokio::time::sleep_until((opened + plan.arrives_after).into()).await;
            let browser = Browser::new(network, Instant::now() + Duration::from_secs(timeout));
            fan::visit(plan, browser, &journal, &tally).await;
        });
    }
    while let Some(ended) = fans.join_next().await {
        if let Err(error) = ended {
            tally.ended(
                tally::Outcome::Failed,
                Some(format!("this program: {error}")),
            );
        }
    }
    progress.abort();
    for room in &options.events {
        let browser = Browser::new(Arc::clone(&network), Instant::now() + PROGRESS_EVERY);
        if let Ok(status) = queue::status(&browser, room).await {
            journal.room(room, &status);
        }
    }
    journal.finish()?;
    Ok(tally.summary(seed, began.elapsed()))
}

async fn report_progress(tally: Arc<tally::Tally>, began: Instant) {
    let mut tick = tokio::time::interval(PROGRESS_EVERY);
    tick.tick().await;
    loop {
        tick.tick().await;
        println!("{:>4}s {}", began.elapsed().as_secs(), tally.progress());
    }
}

fn clock_seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
