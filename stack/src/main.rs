//! `catraca-stack`: all parts of Catraca on this machine.

use std::process::ExitCode;
use std::time::Instant;

use catraca_stack::demo;
use catraca_stack::launch::Launch;
use catraca_stack::report::Report;
use catraca_stack::up::{self, Options, Then};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Runs every part of Catraca on this machine.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything and keeps it running until Ctrl-C.
    Up {
        /// Runs the edge in `wrangler dev` instead of `workerd`.
        #[arg(long)]
        wrangler: bool,
        /// Stops again as soon as everything is ready.
        #[arg(long)]
        exit_when_ready: bool,
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
    let ended = match Cli::parse().command {
        Command::Launch(launch) => Err(launch.run()),
        Command::Up {
            wrangler,
            exit_when_ready,
        } => in_runtime(up::run(
            Options {
                wrangler,
                exit_when_ready,
            },
            started,
            |_, _, _| async { Ok(Then::StayUp) },
        )),
        Command::Demo(options) => {
            in_runtime(up::run(Options::default(), started, |plan, run, report| {
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
