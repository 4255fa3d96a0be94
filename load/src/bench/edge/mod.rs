//! The edge, side by side with what one would write in JavaScript, on bare workerd processes of
//! the benchmark's own: one core for the process measured, one for the generator.
//!
//! Runs are interleaved, so that whatever else the machine does falls on all of them; a ratio is
//! taken within each round, and the median of the rounds is what counts.

mod http;
mod rooms;
mod rounds;
mod scale;
mod workerd;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use super::Measured;
use rounds::Spread;
use workerd::{Places, Program, Workerd};

/// How long and how often.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The checkout, built.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// How many rounds of each comparison.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Length of one run.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// How many are waiting, each time on a fresh process.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
    waiting: Vec<u64>,
}

/// Figures under their names, as they come in.
pub(super) type Figures = BTreeMap<&'static str, f64>;

/// Runs it on a thread of its own; false when a number was given twice or an answer was wrong.
pub(super) async fn run(options: Options) -> anyhow::Result<(Measured, bool)> {
    tokio::task::spawn_blocking(move || measure(&options)).await?
}

fn measure(options: &Options) -> anyhow::Result<(Measured, bool)> {
    let root = options.root.canonicalize()?;
    let data = std::env::temp_dir().join(format!("catraca-bench-edge-{}", std::process::id()));
    let places = Places { root, data };
    std::fs::create_dir_all(&places.data)?;
    let measured = compare(&places, options);
    // What is left of it says why it failed.
    if measured.is_ok() {
        std::fs::remove_dir_all(&places.data)?;
    }
    measured.with_context(|| format!("see {}", places.data.display()))
}

fn compare(places: &Places, options: &Options) -> anyhow::Result<(Measured, bool)> {
    let (mut ratios, mut figures) = (Figures::new(), Figures::new());
    let length = Duration::from_secs_f64(options.seconds);
    figures.extend(starts(places, options.rounds)?);
    let hello = Workerd::start(places, "hello", Program::Peer("hello.js"))?;
    let peer = Workerd::start(places, "peer", Program::Peer("waiting-room.js"))?;
    let product = Workerd::start(places, "product", Program::Product)?;

    let polls = rounds::polls(&hello, &peer, &product, options.rounds, length)?;
    report("polls ÷ JavaScript hello", &polls.to_hello);
    report("polls ÷ JavaScript, same work", &polls.to_peer);
    ratios.insert("polls_to_js_hello", polls.to_hello.median);
    ratios.insert("polls_to_js_same_work", polls.to_peer.median);
    ratios.insert("poll_cpu_to_js_hello", polls.cpu_to_hello.median);
    ratios.insert("poll_cpu_to_js_same_work", polls.cpu_to_peer.median);
    figures.extend(polls.figures);

    let joins = rounds::joins(&peer, &product, options.rounds, length)?;
    report("joins ÷ a row a join", &joins.to_peer);
    ratios.insert("joins_to_js_row_per_join", joins.to_peer.median);
    ratios.insert("join_cpu_to_js_row_per_join", joins.cpu_to_peer.median);
    figures.extend(joins.figures);
    println!(
        "audit: {} joins, {} numbers given twice",
        joins.given, joins.doubled
    );

    figures.extend(rounds::claims(&product)?);
    let panicked = product.log().contains("wasm trapped");
    drop((hello, peer, product));

    let scale = scale::measure(places, &options.waiting)?;
    ratios.extend(scale.slopes);
    figures.extend(scale.figures);

    figures.insert("numbers_given_twice", rounds::count(joins.doubled));
    let measured = Measured {
        bench: "edge",
        ratios,
        figures,
    };
    Ok((measured, joins.doubled == 0 && !panicked))
}

/// How long until a fresh process has answered for the first time, in milliseconds: the wasm is
/// compiled and the Worker set up by then.
fn starts(places: &Places, rounds: usize) -> anyhow::Result<Figures> {
    let (mut hellos, mut products) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (program, took_ms) in [
            (Program::Peer("hello.js"), &mut hellos),
            (Program::Product, &mut products),
        ] {
            let began = Instant::now();
            drop(Workerd::start(places, "start", program)?);
            took_ms.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    let (hello, product) = (Spread::of(hellos), Spread::of(products));
    println!(
        "from start to the first answer: {:.0} ms, of which a Worker that says hello takes {:.0}",
        product.median, hello.median
    );
    Ok(Figures::from([
        ("start_ms", product.median),
        ("js_hello_start_ms", hello.median),
    ]))
}

fn report(what: &str, spread: &Spread) {
    println!(
        "{what}: {:.2} (rounds from {:.2} to {:.2})",
        spread.median, spread.least, spread.most
    );
}
