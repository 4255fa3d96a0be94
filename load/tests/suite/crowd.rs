//! The crowd goes all the way, is patient, and complains when it should.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::product;

struct Ran {
    success: bool,
    summary: Value,
    journal: Vec<Value>,
}

impl Ran {
    fn of(&self, name: &str) -> u64 {
        self.summary[name].as_u64().unwrap_or(u64::MAX)
    }

    fn journalled(&self, kind: &str) -> Vec<&Value> {
        self.journal
            .iter()
            .filter(|line| line["kind"] == kind)
            .collect()
    }
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("catraca-crowd-{}-{name}", uuid::Uuid::new_v4()))
}

async fn crowd(edge: &str, more: &[&str]) -> anyhow::Result<Ran> {
    let (journal, json) = (scratch("journal"), scratch("json"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_catraca-load"));
    command.args(["onsale", "--edge", edge, "--event", "show", "--seed", "7"]);
    command.args(["--arrive-seconds", "1"]).args(more);
    command
        .arg("--journal")
        .arg(&journal)
        .arg("--json")
        .arg(&json);
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| said.clone());
    let ran = Ran {
        success: output.status.success(),
        summary: serde_json::from_str(&read(&json)?)?,
        journal: read(&journal)?
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?,
    };
    std::fs::remove_file(journal)?;
    std::fs::remove_file(json)?;
    Ok(ran)
}

#[tokio::test]
async fn everybody_reaches_an_end_and_is_counted_once() -> anyhow::Result<()> {
    let (edge, world) = product::start(false).await?;
    let ran = crowd(
        &edge,
        &[
            "--crowd",
            "80",
            "--leave-percent",
            "20",
            "--decline-percent",
            "20",
            "--abandon-percent",
            "20",
        ],
    )
    .await?;
    let summary = &ran.summary;
    ensure!(ran.success && ran.of("failed") == 0, "{summary:#}");
    let ends = [
        "sold_orders",
        "declined",
        "abandoned",
        "left",
        "turned_away",
        "ran_out",
    ];
    let ended: u64 = ends.iter().map(|end| ran.of(end)).sum();
    ensure!(
        ended == 80 && ran.of("arrived") == 80,
        "ends add up to the crowd: {summary:#}"
    );
    for end in &ends[..4] {
        ensure!(ran.of(end) > 0, "somebody should have: {end}: {summary:#}");
    }
    let issued = world.lock().map_or(0, |world| world.tickets);
    ensure!(
        ran.of("sold_tickets") == issued as u64,
        "{issued} tickets issued: {summary:#}"
    );
    // Every first attempt at a hold and an order was answered 503 after it was carried out.
    let retries = &summary["retries"];
    ensure!(
        retries["hold answered 503"] == summary["held"],
        "{summary:#}"
    );
    ensure!(ran.journalled("number").len() == 80, "a number each");
    ensure!(
        ran.journalled("admission").len() as u64 == ran.of("admitted"),
        "an admission each"
    );
    ensure!(
        ran.journalled("hold").len() as u64 == ran.of("held"),
        "a hold each"
    );
    ensure!(
        ran.journalled("paid").len() as u64 == ran.of("sold_orders"),
        "paid orders"
    );
    Ok(())
}

#[tokio::test]
async fn what_should_not_happen_is_named_and_fails_the_run() -> anyhow::Result<()> {
    let (edge, _world) = product::start(true).await?;
    let ran = crowd(
        &edge,
        &[
            "--crowd",
            "5",
            "--leave-percent",
            "0",
            "--decline-percent",
            "0",
            "--abandon-percent",
            "0",
        ],
    )
    .await?;
    ensure!(!ran.success && ran.of("failed") == 5, "{:#}", ran.summary);
    let reasons = &ran.summary["failures"];
    ensure!(
        reasons["ticket image answered 404 not_found"] == 5,
        "{reasons:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_visitor_whose_time_is_up_says_what_it_waited_for() -> anyhow::Result<()> {
    let (edge, _world) = product::start(false).await?;
    let ran = crowd(
        &edge,
        &[
            "--crowd",
            "2",
            "--timeout-seconds",
            "0",
            "--leave-percent",
            "0",
        ],
    );
    let ran = ran.await?;
    ensure!(!ran.success && ran.of("failed") == 2, "{:#}", ran.summary);
    ensure!(
        ran.summary["failures"]["timed out: waiting in line"] == 2,
        "{:#}",
        ran.summary
    );
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    drop(listener);
    let edge = format!("http://{address}");
    let (ran, started) = tokio::join!(
        crowd(&edge, &["--crowd", "5", "--leave-percent", "0"]),
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            product::start_on(TcpListener::bind(address).await?, false)
        }
    );
    let (ran, _product) = (ran?, started?);
    ensure!(ran.success && ran.of("failed") == 0, "{:#}", ran.summary);
    ensure!(
        ran.summary["retries"]["status: connection lost"].as_u64() > Some(0),
        "retried"
    );
    Ok(())
}
