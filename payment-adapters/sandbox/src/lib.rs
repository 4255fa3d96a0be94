//! A stand-in for Stripe and `PayPal`: no money moves here. It speaks the subset of both APIs that
//! Catraca's adapters use, with hosted pay pages where whoever plays the buyer picks the outcome,
//! and webhooks signed the provider's way.
//!
//! What a request goes through: [`stripe`] or [`paypal`] parse it and check who asks; [`app::App`]
//! runs it as one transaction over the [`world`]; the [`journal`] makes that durable before the
//! answer leaves; [`gate`] counts calls and makes them fail on demand; [`background`] resolves what the pay page held back, and [`webhooks`] delivers.

mod app;
mod background;
mod config;
mod control;
mod faults;
mod gate;
mod journal;
mod ledger;
mod page;
mod payment;
mod paypal;
mod stripe;
mod traffic;
mod webhooks;
mod world;

use std::future::Future;

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

pub use config::Config;

/// Serves until `shutdown` resolves; requests under way are finished.
///
/// # Errors
/// When the journal can't be opened or read, or the listener fails.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let address = listener.local_addr().context("listener has no address")?;
    let app = app::App::open(config, address).await?;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(background::run(app.clone()));
    tasks.spawn(webhooks::run(app.clone())?);
    tracing::info!(%address, "payment sandbox listening");
    let stopping = app.clone();
    let shutdown = async move {
        shutdown.await;
        stopping.stop();
    };
    axum::serve(listener, router(app))
        .with_graceful_shutdown(shutdown)
        .await?;
    tasks.shutdown().await;
    Ok(())
}

fn router(app: app::App) -> Router {
    let gate = axum::middleware::from_fn_with_state(app.clone(), gate::pass);
    let apis = stripe::router().merge(paypal::router()).route_layer(gate);
    Router::new()
        .route("/", get(page::index))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/pay/{id}", get(page::show).post(page::choose))
        .route("/pay/{id}/qr.svg", get(page::qr_code))
        .merge(control::router())
        .merge(apis)
        .with_state(app)
}
