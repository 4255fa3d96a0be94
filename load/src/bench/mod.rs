//! Benchmarks. Each prints what it does as it goes, and as its last line one line of JSON:
//! `{"bench": name, "ratios": {…}, "figures": {…}}`. Ratios are against a limit that is named,
//! so that they compare across machines; figures are this machine's.

mod catalog;
mod edge;
mod expiry;
mod numbered;
mod onsale;
mod operator;
mod purchase;
mod reader;
mod reserve;
mod soak;
pub(crate) mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use url::Url;

/// What to measure, against what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// A whole on-sale: arrival, line, login, hold, order, payment, tickets.
    Onsale(onsale::Options),
    /// Polls, joins and claims at the edge, next to JavaScript, on workerd alone.
    Edge(edge::Options),
    /// Availability and seat maps, next to nginx serving the same bytes.
    Catalog(catalog::Options),
    /// Ten thousand orders queued at once, fifty requests a second.
    Purchase(purchase::Options),
    /// How soon a seat whose hold has ended is somebody else's, with nobody sweeping.
    Expiry(expiry::Options),
    /// A crowd on one seat, round after round.
    SoakSeat(soak::seat::Options),
    /// Shoppers among processes that are killed, stopped and emptied.
    SoakFaults(soak::faults::Options),
    /// Holds and sales of places, against `pgbench` and a counter.
    Reserve(reserve::Options),
}

/// One benchmark's last line.
#[derive(Debug, Serialize)]
struct Measured {
    bench: &'static str,
    ratios: BTreeMap<&'static str, f64>,
    figures: BTreeMap<&'static str, f64>,
}

/// The running stack, as its supervisor describes it: only what is needed here.
#[derive(Debug, Deserialize)]
struct Stack {
    edge: Url,
}

impl Stack {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("{}: is the stack up?", path.display());
        let text = std::fs::read(path).with_context(context)?;
        serde_json::from_slice(&text).with_context(context)
    }
}

/// Where the stack says what runs where.
#[derive(Debug, Args)]
struct RunFile {
    /// What `make up` wrote.
    #[arg(long, default_value = ".local/run.json")]
    run_json: PathBuf,
}

/// Runs a benchmark; true when it measured what it meant to.
///
/// # Errors
/// When the stack is not up, or refuses what the benchmark needs.
pub(crate) async fn main(options: Options) -> anyhow::Result<bool> {
    let (measured, ok) = match options.bench {
        Bench::Onsale(options) => onsale::run(options).await?,
        Bench::Edge(options) => edge::run(options).await?,
        Bench::Catalog(options) => catalog::run(options).await?,
        Bench::Purchase(options) => purchase::run(options).await?,
        Bench::Expiry(options) => expiry::run(options).await?,
        Bench::SoakSeat(options) => soak::seat::run(options).await?,
        Bench::SoakFaults(options) => soak::faults::run(options).await?,
        Bench::Reserve(options) => reserve::run(options).await?,
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(ok)
}
