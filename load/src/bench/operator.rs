//! The operator's side of a benchmark: an event of its own, on sale.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::onsale::{Body, Browser, Call, Network, log_in};

/// How long setting up may take.
const WITHIN: Duration = Duration::from_mins(2);
const OPERATOR: &str = "operator@example.com";

/// Pace and size of a room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) rate_per_minute: u32,
    pub(crate) max_active: u32,
}

/// Creates an event from a seat plan and opens its room.
///
/// # Errors
/// When a call is refused.
pub(crate) async fn put_on_sale(
    edge: &Url,
    event: &str,
    seats_csv: String,
    room: Room,
) -> anyhow::Result<()> {
    let network = Arc::new(Network::new(edge.clone(), Arc::default())?);
    let browser = Browser::new(network, Instant::now() + WITHIN);
    // The operator lands on a page that needs no room.
    log_in(&browser, OPERATOR, "/").await?;
    let starts_at = time::OffsetDateTime::from(SystemTime::now()) + time::Duration::days(30);
    let starts_at = starts_at.format(&time::format_description::well_known::Rfc3339)?;
    let body = json!({
        "event": event, "title": "Benchmark", "venue": "Teatro", "starts_at": starts_at,
        "currency": "BRL", "max_seats_per_buyer": 8, "hold_seconds": 120,
    });
    change(&browser, Method::POST, &["events"], Body::Json(body)).await?;
    change(
        &browser,
        Method::POST,
        &["events", event, "seats:import"],
        Body::Csv(seats_csv),
    )
    .await?;
    change(
        &browser,
        Method::PUT,
        &["rooms", event],
        Body::Json(settings(room)),
    )
    .await?;
    change(
        &browser,
        Method::POST,
        &["rooms", event, "open"],
        Body::Json(json!({})),
    )
    .await
}

fn settings(room: Room) -> Value {
    json!({
        "method": "fifo", "identity": "anonymous", "challenge": "none", "opens_at": null,
        "rate_per_minute": room.rate_per_minute, "max_active": room.max_active,
        "session_seconds": 300, "claim_window_seconds": 60, "lanes": [], "fail_mode": "closed",
    })
}

async fn change(
    browser: &Browser,
    method: Method,
    path: &[&str],
    body: Body,
) -> anyhow::Result<()> {
    let url = browser.at(&[&["api", "v1", "admin"], path].concat());
    let what = url.path().to_owned();
    let answer = browser
        .send(&Call::change("operator", method, url, body))
        .await?;
    anyhow::ensure!(
        answer.status.is_success(),
        "{what} answered {}: {}",
        answer.status,
        answer.body
    );
    Ok(())
}
