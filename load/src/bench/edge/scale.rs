//! What a waiting visitor costs when few wait and when many do: counted, not timed.

use serde::Deserialize;

use super::Figures;
use super::http::{self, Loop, Until};
use super::rooms::{self, Room};
use super::rounds::count;
use super::workerd::{Places, Program, Workerd};

/// Polls made once everybody waits.
const POLLS: u64 = 20_000;
/// Places that are polled.
const POLLED: usize = 1_000;

/// What `load/peers/counted.js` says.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    object_requests: u64,
    alarms: u64,
    rows_written: u64,
    rows_read: u64,
    storage_bytes: u64,
}

/// How cost grows.
pub(super) struct Scale {
    /// Slopes in log-log: 1 is proportional, 0 is constant.
    pub(super) slopes: Figures,
    pub(super) figures: Figures,
}

/// Lets so many wait, each time in a fresh process.
///
/// # Errors
/// When an answer is not the one hoped for.
pub(super) fn measure(places: &Places, waiting: &[u64]) -> anyhow::Result<Scale> {
    println!(
        "waiting | object requests | rows written | rows read | storage bytes | alarms | \
         object requests of 20,000 polls"
    );
    let mut totals = Vec::new();
    for &visitors in waiting {
        let server = Workerd::start(places, &format!("scale-{visitors}"), Program::Counted)?;
        let room = Room {
            name: "scale",
            control: "paused",
            rate_per_minute: 600,
        };
        rooms::open(&server, room)?;
        let before = counts(&server)?;
        let sample = visitors.min(u64::try_from(POLLED)?);
        let sampled = rooms::join(&server, room.name, Until::Count(sample), true)?;
        let rest = rooms::join(&server, room.name, Until::Count(visitors - sample), false)?;
        anyhow::ensure!(sampled.other + rest.other == 0, "some did not get in");
        let joined = counts(&server)?;
        let requests = rooms::requests("GET", room.name, "place", &rooms::places(&sampled.kept)?);
        let polls = Loop {
            address: server.address,
            connections: 32,
            until: Until::Count(POLLS),
            hoped_for: 200,
            requests: &requests,
            keep: false,
        }
        .run()?;
        anyhow::ensure!(polls.other == 0, "some polls failed");
        let polled = counts(&server)?;
        let total = Totals {
            visitors: count(visitors),
            object_requests: count(joined.object_requests - before.object_requests),
            rows_written: count(joined.rows_written - before.rows_written),
            rows_read: count(joined.rows_read - before.rows_read),
            storage_bytes: count(joined.storage_bytes),
            poll_requests: count(polled.object_requests - joined.object_requests),
            poll_seconds: polls.seconds,
        };
        println!(
            "{visitors} | {} | {} | {} | {} | {} | {} in {:.1} s",
            total.object_requests,
            total.rows_written,
            total.rows_read,
            total.storage_bytes,
            joined.alarms - before.alarms,
            total.poll_requests,
            polls.seconds
        );
        totals.push(total);
    }
    Ok(Scale {
        slopes: slopes(&totals),
        figures: totals.last().map(per_visitor).unwrap_or_default(),
    })
}

struct Totals {
    visitors: f64,
    object_requests: f64,
    rows_written: f64,
    rows_read: f64,
    storage_bytes: f64,
    poll_requests: f64,
    poll_seconds: f64,
}

fn per_visitor(total: &Totals) -> Figures {
    Figures::from([
        ("waiting_most", total.visitors),
        (
            "object_requests_per_join",
            total.object_requests / total.visitors,
        ),
        ("rows_written_per_join", total.rows_written / total.visitors),
        ("rows_read_per_join", total.rows_read / total.visitors),
        (
            "storage_bytes_per_waiting",
            total.storage_bytes / total.visitors,
        ),
        (
            "object_requests_per_poll",
            total.poll_requests / count(POLLS),
        ),
        (
            "object_requests_per_second_of_polling",
            total.poll_requests / total.poll_seconds,
        ),
    ])
}

fn slopes(totals: &[Totals]) -> Figures {
    let of = |cost: fn(&Totals) -> f64| {
        slope(
            totals
                .iter()
                .map(|total| (total.visitors.ln(), cost(total).max(1.0).ln())),
        )
    };
    Figures::from([
        ("object_requests_slope", of(|total| total.object_requests)),
        ("rows_written_slope", of(|total| total.rows_written)),
        ("storage_bytes_slope", of(|total| total.storage_bytes)),
    ])
}

/// Least squares.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let n = points.clone().fold(0.0, |n, _| n + 1.0);
    let (mean_x, mean_y) = points.clone().fold((0.0, 0.0), |(x, y), point| {
        (x + point.0 / n, y + point.1 / n)
    });
    let (above, below) = points.fold((0.0, 0.0), |(above, below), (x, y)| {
        let dx = x - mean_x;
        (above + dx * (y - mean_y), below + dx * dx)
    });
    above / below
}

fn counts(server: &Workerd) -> anyhow::Result<Counts> {
    let (status, body) = http::once(server.address, &http::request("GET", "/counts", "", ""))?;
    anyhow::ensure!(status == 200, "/counts answered {status}: {body}");
    Ok(serde_json::from_str(&body)?)
}
