//! `catraca-stack up`: everything from nothing to `ready`, and back.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};

use crate::layout::{self, Layout};
use crate::lock::RunLock;
use crate::parts::{self, Plan};
use crate::report::Report;
use crate::runfile::RunFile;
use crate::supervisor::Supervisor;

/// Which parts run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// All of them, the edge in `workerd`.
    #[default]
    Workerd,
    /// All of them, the edge in `wrangler dev`.
    Wrangler,
    /// PostgreSQL and Redis.
    Servers,
}

/// What kind of run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which parts.
    pub scope: Scope,
    /// In place of `.local/`.
    pub local: Option<PathBuf>,
    /// Prints to standard error: standard output belongs to the job.
    pub aside: bool,
}

/// What the job on top of a run wants to happen when it has finished.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Keep everything running until a signal comes.
    StayUp,
    /// Stop everything and exit with this.
    Exit(ExitCode),
}

/// Runs everything until a signal, a fatal death, or the end of `job`, which starts when all is ready.
pub async fn run<J, F>(options: Options, started: Instant, job: J) -> anyhow::Result<ExitCode>
where
    J: FnOnce(Plan, RunFile, Report) -> F,
    F: Future<Output = anyhow::Result<Then>>,
{
    let mut report = Report::new(started);
    if options.aside {
        report = report.aside();
    }
    let layout = Layout::find(options.local.as_deref())?;
    let local = layout.folder("")?;
    let _lock = RunLock::take(&local.join("stack.lock"))?;
    open_to_servers(&layout)?;
    let run_file = layout.run_file();
    layout::remove(&run_file)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let plan = Plan::make(layout.clone()).await?;
    let mut supervisor = Supervisor::new(layout, report);

    let ended = tokio::select! {
        ended = up(&mut supervisor, &plan, options.scope, report, job) => ended,
        _ = interrupt.recv() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        _ = hang_up.recv() => Ok(ExitCode::SUCCESS),
    };
    if let Err(error) = &ended {
        report.line(format!("error: {error:#}"));
    }
    report.line("stopping");
    layout::remove(&run_file)?;
    supervisor.stop().await;
    report.line("stopped");
    Ok(ended.unwrap_or(ExitCode::FAILURE))
}

async fn up<J, F>(
    supervisor: &mut Supervisor,
    plan: &Plan,
    scope: Scope,
    report: Report,
    job: J,
) -> anyhow::Result<ExitCode>
where
    J: FnOnce(Plan, RunFile, Report) -> F,
    F: Future<Output = anyhow::Result<Then>>,
{
    bring_up(supervisor, plan, scope).await?;
    let mut run = addresses(plan)?;
    run.pids = supervisor.pids();
    run.write(&plan.layout.run_file())?;
    announce(&run, report);
    let mut job = pin!(job(plan.clone(), run.clone(), report));
    let mut working = true;
    loop {
        tokio::select! {
            then = &mut job, if working => match then? {
                Then::StayUp => working = false,
                Then::Exit(code) => return Ok(code),
            },
            change = supervisor.change() => {
                change?;
                if supervisor.all_ready() {
                    run.pids = supervisor.pids();
                    run.write(&plan.layout.run_file())?;
                }
            }
        }
    }
}

async fn bring_up(supervisor: &mut Supervisor, plan: &Plan, scope: Scope) -> anyhow::Result<()> {
    supervisor.start(parts::postgres::part(plan).await?).await?;
    parts::postgres::make_database(plan)
        .await
        .context("cannot make the database")?;
    supervisor.start(parts::redis::part(plan)?).await?;
    if scope == Scope::Servers {
        return Ok(());
    }
    supervisor.start(parts::issuer::part(plan)?).await?;
    supervisor.start(parts::sandbox::part(plan)?).await?;
    supervisor.start(parts::mail::part(plan)?).await?;
    parts::core::migrate(plan).await?;
    supervisor.start(parts::core::serve(plan)?).await?;
    supervisor.start(parts::core::worker(plan)?).await?;
    let edge = match scope {
        Scope::Wrangler => parts::wrangler::part(plan)?,
        Scope::Workerd | Scope::Servers => parts::edge::part(plan)?,
    };
    supervisor.start(edge).await
}

fn addresses(plan: &Plan) -> anyhow::Result<RunFile> {
    Ok(RunFile {
        edge: plan.ports.url("edge"),
        core: plan.ports.url("core"),
        worker: plan.ports.url("worker"),
        postgres: plan.postgres_dsn(),
        redis: plan.redis_url(),
        sandbox: plan.ports.url("sandbox"),
        issuer: plan.ports.url("issuer"),
        mail: parts::mail::url(plan),
        mail_folder: parts::mail::folder(plan)?.to_string_lossy().into_owned(),
        pids: BTreeMap::new(),
    })
}

fn announce(run: &RunFile, report: Report) {
    report.plain("ready");
    for (part, address) in [
        ("edge", &run.edge),
        ("core", &run.core),
        ("worker", &run.worker),
        ("postgres", &run.postgres),
        ("redis", &run.redis),
        ("sandbox", &run.sandbox),
        ("issuer", &run.issuer),
        ("mail", &run.mail),
    ] {
        if run.pids.contains_key(part) {
            report.plain(format!("  {part:<9} {address}"));
        }
    }
    if run.pids.contains_key("mail") {
        report.plain(format!("  mail to buyers is kept in {}", run.mail_folder));
    }
}

/// PostgreSQL's user has to walk through our folders; the files in them stay their owner's.
fn open_to_servers(layout: &Layout) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let ours = layout
        .local
        .ancestors()
        .take_while(|folder| *folder != layout.root && folder.starts_with(&layout.root));
    for folder in ours {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711))
            .with_context(|| format!("cannot set the mode of {}", folder.display()))?;
    }
    Ok(())
}
