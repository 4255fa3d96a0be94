//! The auditor finds nothing in a clean sale, and names what is broken in each broken one.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::breaks::BREAKS;
use crate::database::{Server, ids};

/// Runs the auditor; its report and whether it was content.
async fn audit(url: &str, more: &[&str]) -> anyhow::Result<(Value, bool)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catraca-load"));
    command
        .args([
            "audit",
            "--json",
            "--settle-seconds",
            "0",
            "--postgres",
            url,
        ])
        .args(more);
    let output = command.output().await?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).with_context(|| errors)?;
    Ok((report, output.status.success()))
}

/// The offences of one invariant in a report.
fn offences(report: &Value, invariant: u64) -> Vec<&str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let offences = findings.filter(|finding| finding["invariant"] == invariant);
    let offences = offences
        .filter_map(|finding| finding["offences"].as_array())
        .flatten();
    offences.filter_map(Value::as_str).collect()
}

/// Fails unless the auditor blames `invariant` and says `because`.
fn blames(report: &Value, content: bool, invariant: u64, because: &str) -> anyhow::Result<()> {
    ensure!(
        !content,
        "invariant {invariant} broken ({because}), and the auditor is content"
    );
    let offences = offences(report, invariant);
    let because = ids(because);
    ensure!(
        offences.iter().any(|offence| offence.contains(&because)),
        "invariant {invariant}: expected {because:?}, got {report:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_clean_sale_passes_and_each_break_is_named() -> anyhow::Result<()> {
    let server = Server::prepare().await?;
    let url = server.copy("").await?;
    let (report, content) = audit(&url, &["--require-sales"]).await?;
    server.drop(&url).await?;
    ensure!(
        content && report["verdict"] == "ok",
        "the clean sale: {report:#}"
    );
    for (invariant, change, because) in BREAKS {
        let url = server.copy(change).await?;
        let audited = audit(&url, &[]).await;
        server.drop(&url).await?;
        let (report, content) = audited?;
        blames(&report, content, *invariant, because).context(*change)?;
    }
    server.finish().await
}

#[tokio::test]
async fn nothing_sold_is_said_and_can_be_refused() -> anyhow::Result<()> {
    let server = Server::prepare().await?;
    let url = server
        .copy(
            "ALTER TABLE ledger DISABLE TRIGGER USER;
             TRUNCATE ledger, partial_refunds, dead_letters, mails, tickets, refunds, payments, orders,
                holds, seats",
        )
        .await?;
    let emptied = audit(&url, &[]).await?;
    let url_sections = server
        .copy("ALTER TABLE ledger DISABLE TRIGGER USER; TRUNCATE events, accounts CASCADE")
        .await?;
    let (lenient, strict) = (
        audit(&url_sections, &[]).await?,
        audit(&url_sections, &["--require-sales"]).await?,
    );
    server.drop(&url).await?;
    server.drop(&url_sections).await?;
    server.finish().await?;
    blames(&emptied.0, emptied.1, 1, "show/A: capacity 4")?;
    ensure!(
        lenient.1 && lenient.0["verdict"] == "empty",
        "nothing: {lenient:?}"
    );
    ensure!(!strict.1, "nothing, with --require-sales: {strict:?}");
    Ok(())
}

/// A sandbox that says only this.
async fn sandbox(ledger: &str) -> anyhow::Result<String> {
    let ledger: Value = serde_json::from_str(&ids(ledger))?;
    let app = Router::new().route("/sandbox/ledger", get(async || axum::Json(ledger)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}

const LEDGER: &str = r#"{"payments": [
    {"provider": "card", "provider_ref": "cs_1", "order": "@e1", "hold": "@d1",
     "currency": "BRL", "captured_minor": 10000, "refunded_minor": 0},
    {"provider": "paypal", "provider_ref": "PP3", "order": "@e3", "hold": "@d3",
     "currency": "BRL", "captured_minor": 5000, "refunded_minor": 5000},
    {"provider": "card", "provider_ref": "cs_4", "order": "@e4", "hold": "@d4",
     "currency": "BRL", "captured_minor": 0, "refunded_minor": 0}]}"#;

/// What the providers' books say instead, and what the auditor makes of it.
const BAD_BOOKS: &[(&str, &str, &str)] = &[
    (
        "10000",
        "9000",
        "9000 BRL captured, 0 refunded: by our books 10000",
    ),
    (
        "\"refunded_minor\": 5000",
        "\"refunded_minor\": 0",
        "by our books 5000 BRL captured, 5000",
    ),
    ("@e3", "@e9", "no payment of ours has this order"),
    (
        "\"@e3\", \"hold\": \"@d3\"",
        "\"@e1\", \"hold\": \"@d1\"",
        "order @e1: captured by",
    ),
    ("10000", "0", "order @e1: 10000 captured, by our books only"),
];

#[tokio::test]
async fn the_providers_books_are_compared() -> anyhow::Result<()> {
    let server = Server::prepare().await?;
    let url = server.copy("").await?;
    let (report, content) = audit(&url, &["--sandbox", &sandbox(LEDGER).await?]).await?;
    ensure!(content, "books that agree: {report:#}");
    for (ours, theirs, because) in BAD_BOOKS {
        let sandbox = sandbox(&LEDGER.replace(ours, theirs)).await?;
        let (report, content) = audit(&url, &["--sandbox", &sandbox]).await?;
        blames(&report, content, 3, because)?;
    }
    server.drop(&url).await?;
    server.finish().await
}

fn journal(lines: &[Value]) -> anyhow::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("{}.jsonl", uuid::Uuid::new_v4()));
    let lines: Vec<String> = lines
        .iter()
        .map(|line| ids(&line.to_string()) + "\n")
        .collect();
    std::fs::write(&path, lines.concat())?;
    Ok(path)
}

fn told() -> Vec<Value> {
    let run = "@71";
    let seat = |n: &str| json!({"section": "A", "row": "1", "seat": n});
    let number = |number: u32| {
        json!({"kind": "number", "run": run, "room": "show", "epoch": 1,
            "number": number, "visitor": number})
    };
    vec![
        json!({"kind": "run", "run": run, "seed": 1}),
        json!({"kind": "room", "run": run, "room": "show", "epoch": 1, "rate_per_minute": 60}),
        number(1),
        number(2),
        json!({"kind": "admission", "run": run, "room": "show", "jti": "@b1", "sub": "@c1",
            "epoch": 1, "number": 1, "iat": 1000, "exp": 2000}),
        json!({"kind": "hold", "run": run, "room": "show", "jti": "@b1", "hold": "@d1",
            "seats": [seat("2"), seat("1")], "amount": 10000}),
        json!({"kind": "order", "run": run, "room": "show", "order": "@e1", "hold": "@d1",
            "amount": 10000}),
        json!({"kind": "paid", "run": run, "room": "show", "order": "@e1",
            "tickets": ["@91", "@92"]}),
    ]
}

/// A line told otherwise, and what the auditor makes of it.
const TOLD_OTHERWISE: &[(&str, &str, &str, u64, &str)] = &[
    ("hold", "/hold", "@d9", 8, "hold @d9 is gone"),
    ("hold", "/seats/0/seat", "3", 8, "hold @d1: told"),
    ("order", "/order", "@e9", 8, "order @e9 is gone"),
    ("order", "/hold", "@d2", 8, "order @e1: told hold @d2"),
    (
        "paid",
        "/order",
        "@e4",
        8,
        "order @e4 was paid and is awaiting_payment",
    ),
    (
        "paid",
        "/tickets/0",
        "@99",
        8,
        "ticket @99 of order @e1 is gone",
    ),
    ("admission", "/jti", "@bf", 5, "number 1 was let in as"),
];

#[tokio::test]
async fn what_was_acknowledged_must_still_be_there() -> anyhow::Result<()> {
    let server = Server::prepare().await?;
    let url = server.copy("").await?;
    let check = async |lines: &[Value]| {
        let path = journal(lines)?;
        let audited = audit(&url, &["--journal", &path.to_string_lossy()]).await;
        std::fs::remove_file(path)?;
        audited
    };
    let (report, content) = check(&told()).await?;
    ensure!(content, "a true journal: {report:#}");
    for (kind, place, otherwise, invariant, because) in TOLD_OTHERWISE {
        let mut lines = told();
        let line = lines
            .iter_mut()
            .find(|line| line["kind"] == *kind)
            .context(*kind)?;
        *line.pointer_mut(place).context(*place)? = json!(otherwise);
        let (report, content) = check(&lines).await?;
        blames(&report, content, *invariant, because)?;
    }
    let mut twice = told();
    twice[3]["number"] = json!(1);
    let (report, content) = check(&twice).await?;
    blames(&report, content, 5, "number 1 was given to visitor 1")?;
    let mut changed = told();
    changed[1]["rate_per_minute"] = json!(90);
    let (report, content) = check(&changed).await?;
    let not_judged = report["findings"].as_array().into_iter().flatten();
    let mut not_judged = not_judged.filter(|finding| finding["not_judged"] != json!([]));
    ensure!(
        content && not_judged.next().is_some(),
        "a changed room is not judged: {report:#}"
    );
    server.drop(&url).await?;
    server.finish().await
}
