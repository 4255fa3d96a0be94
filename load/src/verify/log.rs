//! `verify-log`: was anybody let in out of order?

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use catraca_domain::admission_log::verifier::{Fault, Report, Seen, Terms, Verifier};
use catraca_domain::admission_log::{Page, SignedHead};
use catraca_domain::draw::DrawRecord;
use catraca_domain::ids::Lane;
use catraca_domain::room::Status;
use clap::Args;
use url::Url;

use super::draw::read;
use super::keys;

/// Which log, and what is known of its room.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The log's pages, one JSON document after the other, or the address of its first page
    /// (`…/queue/v1/{room}/log`); the others are fetched with `?after=<entries so far>`.
    log: String,
    /// The room's public key: a file with its key set, or 64 hexadecimal digits.
    #[arg(long)]
    key: String,
    /// The draw's record, when places were drawn.
    #[arg(long)]
    draw: Option<PathBuf>,
    /// A lane declared beside `standard`. Repeatable.
    #[arg(long = "lane")]
    lanes: Vec<Lane>,
    /// Time to turn up once called, in seconds.
    #[arg(long)]
    claim_window_seconds: Option<u64>,
    /// Status documents that were kept, one after the other: the log must agree with them.
    #[arg(long)]
    seen: Option<PathBuf>,
    /// Signed heads that were kept, one after the other: the log must contain them.
    #[arg(long)]
    heads: Option<PathBuf>,
    /// Print the report as JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Verifies and prints; false, with the reason on the error stream, when the log is.
///
/// # Errors
/// When something can't be read: that is no verdict.
pub(crate) async fn main(options: &Options) -> anyhow::Result<bool> {
    let first = match options.log.parse::<Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") => fetch(&url).await?,
        _ => documents(Path::new(&options.log))?,
    };
    match judge(options, &first)? {
        Ok(report) if options.json => println!("{}", serde_json::to_string(&report)?),
        Ok(report) => print(&report),
        Err(fault) => {
            eprintln!("false: {fault}");
            return Ok(false);
        }
    }
    Ok(true)
}

fn judge(options: &Options, pages: &[Page]) -> anyhow::Result<Result<Report, Fault>> {
    let terms = terms(options, pages)?;
    let heads: Vec<SignedHead> = options.heads.as_deref().map_or(Ok(Vec::new()), documents)?;
    let seen: Vec<Status> = options.seen.as_deref().map_or(Ok(Vec::new()), documents)?;
    let seen = seen
        .into_iter()
        .filter(|status| (&status.room, status.epoch) == (&terms.log.room, terms.log.epoch))
        .map(|status| {
            let at_ms = u64::try_from(status.as_of.unix_timestamp_nanos() / 1_000_000)?;
            let standard = (Lane::standard(), status.frontier);
            let lanes = status.lanes.into_iter();
            Ok(lanes
                .map(|lane| (lane.lane, lane.frontier))
                .chain([standard])
                .map(|(lane, frontier)| Seen {
                    at_ms,
                    lane,
                    frontier,
                })
                .collect())
        })
        .collect::<anyhow::Result<Vec<Vec<Seen>>>>()?;
    let seen = seen.into_iter().flatten().collect();
    Ok(verify(terms, pages, &heads, seen))
}

fn verify(
    terms: Terms,
    pages: &[Page],
    heads: &[SignedHead],
    seen: Vec<Seen>,
) -> Result<Report, Fault> {
    let mut verifier = Verifier::new(terms)?;
    heads.iter().try_for_each(|head| verifier.head(head))?;
    for seen in seen {
        verifier.saw(seen);
    }
    pages.iter().try_for_each(|page| verifier.page(page))?;
    verifier.finish()
}

/// A key given as digits has no name: it answers to every name in the log.
fn terms(options: &Options, pages: &[Page]) -> anyhow::Result<Terms> {
    let first = pages.first().context("there is no page")?;
    let mut keys = Vec::new();
    for (kid, key) in keys::read(&options.key)? {
        match kid {
            Some(kid) => keys.push((kid, key)),
            None => keys.extend(pages.iter().map(|page| (page.head.kid.clone(), key))),
        }
    }
    let draw = match &options.draw {
        Some(path) => Some(DrawRecord::parse(&read(path)?).context("the draw's record")?),
        None => None,
    };
    ensure!(
        draw.is_some() || first.log.draw.is_none(),
        "this room's places were drawn: give the record with --draw"
    );
    Ok(Terms {
        log: first.log.clone(),
        keys,
        lanes: options.lanes.clone(),
        draw,
        claim_window_ms: options.claim_window_seconds.map(|seconds| seconds * 1_000),
    })
}

/// Every page up to the first signed head: what comes in meanwhile is not waited for.
async fn fetch(first: &Url) -> anyhow::Result<Vec<Page>> {
    let client = reqwest::Client::new();
    let mut pages: Vec<Page> = Vec::new();
    let (mut read, mut signed) = (0, u64::MAX);
    while read < signed {
        let mut url = first.clone();
        url.query_pairs_mut()
            .append_pair("after", &read.to_string());
        let reply = client.get(url.clone()).send().await?.error_for_status()?;
        let mut page: Page = reply
            .json()
            .await
            .with_context(|| format!("reading {url}"))?;
        if pages.is_empty() {
            signed = page.head.index;
        } else {
            page.head = pages[0].head.clone();
        }
        page.entries.retain(|entry| entry.index <= signed);
        read = page.entries.last().map_or(signed, |entry| entry.index);
        pages.push(page);
    }
    Ok(pages)
}

fn documents<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let text = read(path)?;
    serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .with_context(|| format!("reading {}", path.display()))
}

fn print(report: &Report) {
    println!(
        "true: {} admissions under {} signed heads; {} through a declared lane; nobody out of order",
        report.admitted, report.heads, report.lane_passes
    );
    for (name, lane) in &report.lanes {
        println!(
            "{name}: {} let in; {} let in after someone behind them, at most {} such, all of them called before; \
             at most {} called and not in; at most {} ms from call to admission",
            lane.admitted,
            lane.overtaken,
            lane.overtakers_max,
            lane.called_ahead_max,
            lane.claim_delay_ms_max
        );
        if let Some(after_window) = lane.after_window {
            println!(
                "{name}: {after_window} let in later than the claim window, if it never stood still"
            );
        }
    }
}
