//! The auditor: reads the database, the payment sandbox's ledger and the crowd's journal, and
//! says of each invariant whether it held, with the rows that break it. It shares no code with
//! the core; all queries of one audit see one snapshot.
//!
//! [`seats`] has invariants 1 and 2, [`money`] 3, [`room`] 4, [`numbers`] 5, [`sessions`] 7,
//! [`kept`] the part of 8 that can be seen from outside.

mod check;
mod journal;
mod kept;
mod ledger;
mod money;
mod numbers;
mod report;
mod room;
mod seats;
mod sessions;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use tokio_postgres::{Client, IsolationLevel, NoTls, Transaction};
use url::Url;

use journal::Journal;
use ledger::Ledger;
use report::{Finding, Report};

/// How often unsettled orders are looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What to audit.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The core's database, `postgres://…`.
    #[arg(long)]
    pub(crate) postgres: String,
    /// The payment sandbox's address: the providers' own books are compared too.
    #[arg(long)]
    pub(crate) sandbox: Option<Url>,
    /// What the crowd was told (`onsale --journal`).
    #[arg(long)]
    pub(crate) journal: Option<PathBuf>,
    /// How long orders whose hold is over, refunds and the providers' books may take to settle.
    #[arg(long, default_value_t = 60)]
    pub(crate) settle_seconds: u64,
    /// A room whose `rate_per_minute` or `max_active` changed during the sale: the database
    /// knows only the last ones, so its pace is not judged. Repeatable.
    #[arg(long = "changed-room")]
    pub(crate) changed_rooms: Vec<String>,
    /// Fail when nothing was sold: an audit over nothing proves nothing.
    #[arg(long)]
    pub(crate) require_sales: bool,
    /// Print the report as JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Audits and prints; true when nothing is broken.
///
/// # Errors
/// When the database, the sandbox or the journal can't be read: that is no verdict.
pub(crate) async fn main(options: &Options) -> anyhow::Result<bool> {
    let report = audit(options).await?;
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(report.passes(options.require_sales))
}

/// Waits for the money to settle, then judges everything.
///
/// # Errors
/// As [`main`].
pub(crate) async fn audit(options: &Options) -> anyhow::Result<Report> {
    let (mut client, connection) = tokio_postgres::connect(&options.postgres, NoTls)
        .await
        .context("connecting to the database")?;
    // The client reports when the connection is lost.
    tokio::spawn(connection);
    let journal = options.journal.as_deref().map(Journal::read).transpose()?;
    let settle_by = Instant::now() + Duration::from_secs(options.settle_seconds);
    loop {
        let ledger = Ledger::fetch(options.sandbox.as_ref()).await?;
        let snapshot = snapshot(&mut client).await?;
        let money = money::audit(&snapshot, ledger.as_ref()).await?;
        if money.is_broken() && Instant::now() < settle_by {
            drop(snapshot);
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            continue;
        }
        return judge(&snapshot, journal.as_ref(), money, options).await;
    }
}

/// Invariants 1 and 2 alone, for a benchmark's database; prints and answers whether they held.
///
/// # Errors
/// When the database can't be read.
pub(crate) async fn seats_are_right(postgres: &str) -> anyhow::Result<bool> {
    let (mut client, connection) = tokio_postgres::connect(postgres, NoTls).await?;
    tokio::spawn(connection);
    let findings = seats::audit(&snapshot(&mut client).await?).await?;
    for finding in &findings {
        let (name, offences) = (finding.name, &finding.offences);
        println!("{name}: {}, {} wrong", finding.checked, offences.len());
        offences
            .iter()
            .take(5)
            .for_each(|offence| println!("  {offence}"));
    }
    Ok(findings.iter().all(|finding| finding.offences.is_empty()))
}

/// Invariants 1, 2 and 8 alone: the seats, and what `journal` says was acknowledged. Prints, and
/// answers whether they held.
///
/// # Errors
/// When the database or the journal can't be read.
pub(crate) async fn seats_and_kept(
    postgres: &str,
    journal: &std::path::Path,
) -> anyhow::Result<bool> {
    let seats = seats_are_right(postgres).await?;
    let (mut client, connection) = tokio_postgres::connect(postgres, NoTls).await?;
    tokio::spawn(connection);
    let journal = Journal::read(journal)?;
    let finding = kept::audit(&snapshot(&mut client).await?, &journal).await?;
    let (name, offences) = (finding.name, &finding.offences);
    println!("{name}: {}, {} wrong", finding.checked, offences.len());
    offences
        .iter()
        .take(5)
        .for_each(|offence| println!("  {offence}"));
    Ok(seats && offences.is_empty())
}

async fn snapshot(client: &mut Client) -> anyhow::Result<Transaction<'_>> {
    let transaction = client.build_transaction().read_only(true);
    let transaction = transaction.isolation_level(IsolationLevel::RepeatableRead);
    transaction.start().await.context("starting the snapshot")
}

async fn judge(
    snapshot: &Transaction<'_>,
    journal: Option<&Journal>,
    money: Finding,
    options: &Options,
) -> anyhow::Result<Report> {
    let admissions = room::Admissions::load(snapshot, journal).await?;
    let mut findings = seats::audit(snapshot).await?;
    findings.push(money);
    findings.push(room::audit(snapshot, &admissions, journal, &options.changed_rooms).await?);
    findings.push(numbers::audit(snapshot, &admissions, journal).await?);
    findings.push(sessions::audit(snapshot).await?);
    if let Some(journal) = journal {
        findings.push(kept::audit(snapshot, journal).await?);
    }
    Report::over(snapshot, findings, options.sandbox.is_some(), journal).await
}
