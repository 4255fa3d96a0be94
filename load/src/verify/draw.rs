//! `verify-draw`: is this record true, and where does it put whom?

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catraca_domain::draw::{Draw, DrawRecord};
use clap::Args;

/// Most places that are recomputed to see that each position is taken once.
const EVERY_PLACE_MAX: u64 = 10_000_000;

/// Which draw, and whose places.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The record, as `GET /queue/v1/{room}/draw` answers it once the draw has taken place.
    record: PathBuf,
    /// A record kept from before the draw: it must have committed to this one.
    #[arg(long)]
    sealed: Option<PathBuf>,
    /// A number to find the position of. Repeatable.
    #[arg(long = "number")]
    numbers: Vec<u64>,
    /// A place token to find the position of. Repeatable.
    #[arg(long = "place")]
    places: Vec<String>,
    /// Don't recompute every place.
    #[arg(long)]
    quick: bool,
}

/// Verifies and prints; false, with the reason on the error stream, when the record is.
///
/// # Errors
/// When a file can't be read or an argument is no place: that is no verdict.
pub(crate) fn main(options: &Options) -> anyhow::Result<bool> {
    let text = read(&options.record)?;
    let record = match DrawRecord::parse(&text) {
        Ok(record) => record,
        Err(reason) => return Ok(refuse(&reason)),
    };
    let mut numbers = options.numbers.clone();
    for token in &options.places {
        numbers.push(number_of(token, record.epoch)?);
    }
    ensure!(!numbers.contains(&0), "numbers begin at 1");
    if let Some(sealed) = &options.sealed {
        let kept = DrawRecord::parse(&read(sealed)?).context("the record kept from before")?;
        if let Err(reason) = record.follows(&kept) {
            return Ok(refuse(&reason));
        }
    }
    let draw = match record.verify() {
        Ok(draw) => draw,
        Err(reason) => return Ok(refuse(&reason)),
    };
    println!(
        "true: room {}, epoch {}, {} places drawn",
        record.room,
        record.epoch,
        draw.count()
    );
    for number in numbers {
        let late = if number > draw.count() {
            " (came after the draw)"
        } else {
            ""
        };
        println!("number {number}: position {}{late}", draw.position(number));
    }
    if !options.quick && draw.count() <= EVERY_PLACE_MAX {
        let start = Instant::now();
        every_place_once(&draw)?;
        println!(
            "all {} places recomputed in {:.1?}",
            draw.count(),
            start.elapsed()
        );
    }
    Ok(true)
}

fn refuse(reason: &dyn std::error::Error) -> bool {
    eprintln!("false: {reason}");
    false
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Every position from 1 to N is somebody's, and one person's only. One thread a core.
fn every_place_once(draw: &Draw) -> anyhow::Result<()> {
    let count = draw.count();
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let share = count.div_ceil(threads).max(1);
    let parts: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|part| {
                let numbers = part * share + 1..=((part + 1) * share).min(count);
                scope.spawn(move || numbers.map(|number| draw.position(number)).collect())
            })
            .collect();
        let joined = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.collect::<Result<_, _>>()
    })
    .map_err(|_| anyhow::anyhow!("a thread failed"))?;
    let mut taken = vec![false; usize::try_from(count)? + 1];
    for position in parts.into_iter().flatten() {
        match taken.get_mut(usize::try_from(position)?) {
            Some(taken) if position > 0 && !*taken => *taken = true,
            _ => bail!("position {position} is outside the draw or taken twice"),
        }
    }
    Ok(())
}

/// The number that a place token carries. Only the room can tell whether the token is genuine.
fn number_of(token: &str, epoch: u32) -> anyhow::Result<u64> {
    let mut parts = token.split('.');
    let payload = match (parts.next(), parts.next(), parts.next()) {
        (Some("p1"), Some(_), Some(payload)) => URL_SAFE_NO_PAD.decode(payload).ok(),
        _ => None,
    };
    let payload = payload.context("not a place token: p1.<key>.<payload>.<tag>")?;
    let (of_epoch, rest) = payload
        .split_first_chunk::<4>()
        .context("the place token is cut off")?;
    let (number, _) = rest
        .split_first_chunk::<8>()
        .context("the place token is cut off")?;
    let of_epoch = u32::from_be_bytes(*of_epoch);
    ensure!(
        of_epoch == epoch,
        "the place is of epoch {of_epoch}, the draw of {epoch}"
    );
    Ok(u64::from_be_bytes(*number))
}
