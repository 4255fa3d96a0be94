//! `catraca-stack`: all parts of Catraca on this machine.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use catraca_stack::launch::Launch;
use catraca_stack::report::Report;
use catraca_stack::up::{self, Options, Scope, Then};
use catraca_stack::{demo, job};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Runs every part of Catraca on this machine.")]
struct Cli {
    /// Folder for everything a run writes, relative to the checkout.
    #[arg(long, env = "CATRACA_LOCAL", global = true)]
    local: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything and keeps it running until Ctrl-C, or for as long as a command runs.
    Up {
        /// Runs the edge in `wrangler dev` instead of `workerd`.
        #[arg(long)]
        wrangler: bool,
        /// Starts PostgreSQL and Redis only.
        #[arg(long, conflicts_with = "wrangler")]
        servers_only: bool,
        /// Stops again as soon as everything is ready.
        #[arg(long)]
        exit_when_ready: bool,
        /// Runs this when everything is ready, then stops everything; its exit status is the result.
        #[arg(last = true, conflicts_with = "exit_when_ready")]
        command: Vec<OsString>,
    },
    /// Starts everything, opens two sales and sends a crowd to them.
    Demo(demo::Options),
    /// Starts one part (the stack calls this itself).
    #[command(hide = true)]
    Launch(Launch),
}

fn main() -> ExitCode {
    let started = Instant::now();
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Cli { local, command } = Cli::parse();
    let ended = match command {
        Command::Launch(launch) => Err(launch.run()),
        Command::Up {
            wrangler,
            servers_only,
            exit_when_ready,
            command,
        } => {
            let scope = match (servers_only, wrangler) {
                (true, _) => Scope::Servers,
                (false, true) => Scope::Wrangler,
                (false, false) => Scope::Workerd,
            };
            let run = Options {
                scope,
                local,
                aside: !command.is_empty(),
            };
            in_runtime(up::run(run, started, |plan, run, _| async move {
                if exit_when_ready {
                    return Ok(Then::Exit(ExitCode::SUCCESS));
                }
                job::run(command, plan, run).await
            }))
        }
        Command::Demo(options) => {
            let run = Options {
                local,
                ..Options::default()
            };
            in_runtime(up::run(run, started, |plan, run, report| {
                demo::run(options, plan, run, report)
            }))
        }
    };
    ended.unwrap_or_else(|error| {
        Report::new(started).line(format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

/// On this very thread: the kernel ties each part to the thread that started it.
fn in_runtime<F>(run: F) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run)
}
