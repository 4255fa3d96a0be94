//! `catraca-stack demo`: two sales, a crowd, the auditor's verdict.
//!
//! Everything an operator does here goes through the edge and the public API, as in [`operator`].

mod operator;
mod programs;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use time::OffsetDateTime;

use crate::parts::Plan;
use crate::report::Report;
use crate::runfile::RunFile;
use crate::up::Then;
use operator::{Operator, Sale};

/// From the configuration of the rooms to their opening: time to click on the address.
const LOBBY: Duration = Duration::from_secs(8);
/// How long the crowd's buying is spread over, roughly.
const SALE_SECONDS: u32 = 45;
/// Title, venue and seat plan of each event.
const EVENTS: &[(&str, &str, &str, &str)] = &[
    (
        "teatro",
        "Noite de Estreia",
        "Teatro Municipal",
        "load/venues/teatro.csv",
    ),
    (
        "estadio",
        "Final do Campeonato",
        "Estádio Central",
        "load/venues/estadio.csv",
    ),
];

/// Size of the demo.
#[derive(Args, Clone, Copy, Debug)]
pub struct Options {
    /// How many visitors come.
    #[arg(long, env = "CROWD", default_value_t = 500)]
    pub crowd: u32,
    /// Exits with the audit's status instead of staying up; on when not empty and not 0.
    #[arg(long, env = "ONCE", default_value = "", value_parser = switch)]
    pub once: Switch,
}

/// On or off, as people write it in an environment variable.
#[derive(Clone, Copy, Debug)]
pub struct Switch(bool);

#[expect(clippy::unnecessary_wraps, reason = "the signature that clap asks for")]
fn switch(text: &str) -> Result<Switch, std::convert::Infallible> {
    Ok(Switch(!matches!(text, "" | "0" | "false" | "no")))
}

/// The demo on a run that is ready.
pub async fn run(
    options: Options,
    plan: Plan,
    run: RunFile,
    report: Report,
) -> anyhow::Result<Then> {
    let clean = match sale(options, &plan, &run, report).await {
        Ok(clean) => clean,
        Err(error) if options.once.0 => return Err(error),
        Err(error) => {
            report.line(format!("the demo failed: {error:#}"));
            false
        }
    };
    if options.once.0 {
        return Ok(Then::Exit(if clean {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }));
    }
    report.line(format!("still running at {}; Ctrl-C stops it", run.edge));
    Ok(Then::StayUp)
}

/// True when something was sold and the auditor found nothing wrong.
async fn sale(
    options: Options,
    plan: &Plan,
    run: &RunFile,
    report: Report,
) -> anyhow::Result<bool> {
    let operator = Operator::log_in(&run.edge)
        .await
        .context("logging in as operator")?;
    report.line("logged in as operator@example.com");
    let sales = create_events(&operator, plan, report).await?;
    open_rooms(&operator, &sales, options.crowd, report).await?;
    report.line("join the line in your browser:");
    for sale in &sales {
        report.line(format!("    {}/e/{}", run.edge, sale.event));
    }
    report.line(format!("a crowd of {} is on its way", options.crowd));
    let summary = programs::crowd(plan, run, &sales, options.crowd).await?;
    report.line("auditing");
    let clean = programs::audit(plan, run).await?;
    report.line(format!(
        "{} arrived, {} admitted, {} held, {} tickets sold, {} failed; \
         wait p50 {:.1} s, p95 {:.1} s",
        summary.arrived,
        summary.admitted,
        summary.held,
        summary.sold_tickets,
        summary.failed,
        summary.wait_ms.p50 / 1000.0,
        summary.wait_ms.p95 / 1000.0,
    ));
    let sold = summary.sold_tickets > 0;
    report.line(match (clean, sold) {
        (true, true) => "audit: clean",
        (true, false) => "audit: clean, but nothing was sold",
        (false, _) => "audit: BROKEN, see above",
    });
    Ok(clean && sold)
}

async fn create_events(
    operator: &Operator,
    plan: &Plan,
    report: Report,
) -> anyhow::Result<Vec<Sale>> {
    // A second demo in the same checkout gets events of its own.
    let suffix = OffsetDateTime::now_utc().unix_timestamp() % 1_000_000;
    let mut sales = Vec::new();
    for (slug, title, venue, file) in EVENTS {
        let sale = Sale {
            event: format!("{slug}-{suffix}"),
            title,
            venue,
        };
        let path = plan.layout.root.join(file);
        let csv = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
        operator.create_event(&sale).await?;
        let imported = operator.import_seats(&sale, csv).await?;
        report.line(format!(
            "{}: {} places in {} sections",
            sale.event, imported.seats, imported.sections
        ));
        sales.push(sale);
    }
    Ok(sales)
}

async fn open_rooms(
    operator: &Operator,
    sales: &[Sale],
    crowd: u32,
    report: Report,
) -> anyhow::Result<()> {
    let opens_at = OffsetDateTime::now_utc() + LOBBY;
    let share = crowd.div_ceil(u32::try_from(sales.len())?).max(1);
    let rate_per_minute = (share * 60).div_ceil(SALE_SECONDS).max(60);
    // A third of them at once: enough to keep the pace, few enough to see the limit at work.
    let max_active = share.div_ceil(3).max(20);
    for sale in sales {
        operator
            .configure_room(sale, opens_at, rate_per_minute, max_active)
            .await?;
    }
    for sale in sales {
        operator.await_lobby(sale).await?;
    }
    report.line(format!(
        "rooms open in {} s: {rate_per_minute} admissions a minute, at most {max_active} at once",
        LOBBY.as_secs()
    ));
    Ok(())
}
