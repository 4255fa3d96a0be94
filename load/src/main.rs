//! The crowd, the auditor and the benchmarks: an outside program that speaks only HTTP and SQL
//! and shares no code with what it tries.
//!
//! `venues` writes the sample seat plans, `onsale` sends a crowd through a sale, `audit` checks
//! afterwards that everything it was promised is true, `bench` measures. [`verify`] checks what a
//! room publishes, by the domain's own rules.

mod audit;
mod bench;
mod onsale;
mod peers;
mod venues;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "catraca-load", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the sample venues as CSV files.
    Venues(venues::Options),
    /// Send a crowd through a sale.
    Onsale(onsale::Options),
    /// Check the invariants in the database, the payment sandbox and the crowd's journal.
    Audit(audit::Options),
    /// Measure; the last line printed is one line of JSON.
    Bench(bench::Options),
    /// Check a draw offline: recompute every place from the published record.
    VerifyDraw(verify::DrawOptions),
    /// Check an admission log: nobody let in out of order, nothing changed.
    VerifyLog(verify::LogOptions),
    /// Check ticket codes offline, with the published keys.
    VerifyTicket(verify::TicketOptions),
    /// Serve holds from a counter (a benchmark starts this itself).
    #[command(hide = true)]
    PeerCounter(peers::counter::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    // Refused only if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ended = match Cli::parse().command {
        Command::Venues(options) => venues::write(&options).map(|()| true),
        Command::Onsale(options) => onsale::main(options).await,
        Command::Audit(options) => audit::main(&options).await,
        Command::Bench(options) => bench::main(options).await,
        Command::VerifyDraw(options) => verify::verify_draw(&options),
        Command::VerifyLog(options) => verify::verify_log(&options).await,
        Command::VerifyTicket(options) => return verify::verify_ticket(&options),
        Command::PeerCounter(options) => peers::counter::main(options).await,
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("catraca-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
