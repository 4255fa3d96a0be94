//! `catraca-core migrate | serve | worker`.

use anyhow::Context as _;
use catraca_core::app::App;
use catraca_core::config::{Config, ServeConfig, WorkConfig};
use catraca_core::{db, worker};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(version, about = "Catraca's ticket-selling core")]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Brings the database's schema up to date.
    Migrate(Box<Config>),
    /// Answers HTTP.
    Serve(Box<Serve>),
    /// Carries purchases to the providers, tidies holds, tells the edge.
    Worker(Box<Work>),
}

#[derive(clap::Args)]
struct Serve {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    serve: ServeConfig,
}

#[derive(clap::Args)]
struct Work {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    work: WorkConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Another provider may have been installed by a library: either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,tokio_postgres=warn".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match Cli::parse().role {
        Role::Migrate(config) => db::migrate(&db::pool(&config)?).await,
        Role::Serve(role) => {
            let Serve { config, serve } = *role;
            let app = App::new(config).await?;
            let listener = tokio::net::TcpListener::bind(serve.listen)
                .await
                .with_context(|| format!("listen on {}", serve.listen))?;
            tracing::info!(address = %listener.local_addr()?, "serving");
            app.serve(listener, stop()?).await
        }
        Role::Worker(role) => {
            let Work { config, work } = *role;
            let app = App::new(config).await?;
            if let Some(address) = work.listen {
                let listener = tokio::net::TcpListener::bind(address)
                    .await
                    .with_context(|| format!("listen on {address}"))?;
                tracing::info!(address = %listener.local_addr()?, "showing metrics");
                tokio::spawn(worker::show(app.clone(), listener));
            }
            worker::run(app, stop()?).await
        }
    }
}

/// Resolves at the first TERM or Ctrl-C.
fn stop() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
