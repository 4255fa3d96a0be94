//! The whole on-sale. What it shows: whether the line keeps its pace, how many orders a second
//! get through, and how long a hold and an order take meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Args;

use super::operator::{Room, put_on_sale};
use super::{Measured, RunFile, Stack};
use crate::onsale;

/// Size and pace.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    run: RunFile,
    /// How many visitors.
    #[arg(long, default_value_t = 500)]
    crowd: u32,
    /// The room's pace, in claims a minute: the limit that the measured pace is compared to.
    #[arg(long, default_value_t = 1200)]
    rate_per_minute: u32,
    /// Most live admissions; low ones make the line wait for the shop instead of the pace.
    #[arg(long, default_value_t = 500)]
    max_active: u32,
    /// The seat plan.
    #[arg(long, default_value = "load/venues/teatro.csv")]
    seats: PathBuf,
}

/// Runs it; false when a visitor met an unexpected error, which makes the figures worth little.
pub(super) async fn run(options: Options) -> anyhow::Result<(Measured, bool)> {
    let stack = Stack::read(&options.run.run_json)?;
    let seats = std::fs::read_to_string(&options.seats)
        .with_context(|| format!("reading {}", options.seats.display()))?;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let event = format!("bench-{seed}");
    let room = Room {
        rate_per_minute: options.rate_per_minute,
        max_active: options.max_active,
    };
    put_on_sale(&stack.edge, &event, seats, room).await?;
    println!(
        "{event}: {} visitors, {} claims a minute",
        options.crowd, options.rate_per_minute
    );
    // Everybody buys, at once: drop-offs would measure the crowd's patience.
    let summary = onsale::run(onsale::Options {
        edge: stack.edge,
        events: vec![event],
        crowd: options.crowd,
        arrive_seconds: 5,
        seed: Some(seed),
        decline_percent: 0,
        abandon_percent: 0,
        leave_percent: 0,
        quantity_max: 2,
        paypal_percent: 30,
        pick_seats_percent: 30,
        timeout_seconds: 600,
        journal: None,
        json: None,
    })
    .await?;
    print!("{summary}");
    let admitting_minutes = summary.admitting_seconds / 60.0;
    // The first admission starts the clock, so it is not counted.
    let claims_per_minute = count(summary.admitted.saturating_sub(1)) / admitting_minutes.max(1e-9);
    let pace = claims_per_minute / f64::from(options.rate_per_minute);
    let measured = Measured {
        bench: "onsale",
        ratios: BTreeMap::from([
            ("claims_per_minute_to_rate_per_minute", pace),
            (
                "buyers_to_admitted",
                count(summary.sold_orders) / count(summary.admitted).max(1.0),
            ),
        ]),
        figures: BTreeMap::from([
            ("crowd", f64::from(options.crowd)),
            ("rate_per_minute", f64::from(options.rate_per_minute)),
            ("claims_per_minute", claims_per_minute),
            (
                "orders_per_second",
                count(summary.sold_orders) / summary.duration_seconds,
            ),
            ("tickets", count(summary.sold_tickets)),
            ("hold_call_ms_p50", summary.hold_call_ms.p50),
            ("hold_call_ms_p95", summary.hold_call_ms.p95),
            ("order_call_ms_p50", summary.order_call_ms.p50),
            ("order_call_ms_p95", summary.order_call_ms.p95),
            ("wait_ms_p50", summary.wait_ms.p50),
            ("wait_ms_p95", summary.wait_ms.p95),
            ("failed", count(summary.failed)),
            ("seconds", summary.duration_seconds),
        ]),
    };
    Ok((measured, summary.failed == 0 && summary.sold_orders > 0))
}

/// A count as a number to divide; exact far beyond any crowd.
fn count(n: u64) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
