//! The purchase: how an order gets from "accepted" to its tickets, or to "nothing was charged".
//!
//! What an order goes through here, in order:
//! 1. it was written with a row in the [`outbox`], and the `relay` appends that to the `stream` of
//!    its event and provider in Redis (without Redis, it hands it straight to the lanes);
//! 2. the `consumer` of the worker whose lane that is reads it, and puts it on the `desk`;
//! 3. there, under a `lease`, [`settle`] takes step after step: starts the payment, and rests
//!    while the buyer pays; each request to the provider keeps to its [`pace`];
//! 4. the provider's `webhook`, or `reconcile` when its time has come, writes another outbox row,
//!    and [`settle`] goes on: sells the seats, takes the money, issues the tickets, or lets go of
//!    both.
//!
//! Money is entered in the [`ledger`] as it moves. What fails again and again becomes a [`dead`]
//! letter. PostgreSQL remembers everything; Redis only spreads the work.

mod consumer;
pub(crate) mod dead;
mod desk;
mod facts;
mod gauges;
mod lease;
pub(crate) mod ledger;
pub mod outbox;
pub mod pace;
mod provider;
mod reconcile;
mod record;
mod relay;
pub mod settle;
pub(crate) mod sql;
mod stream;
mod webhook;

use crate::app::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use desk::Desk;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a stopping worker waits for purchases under way.
const DRAIN: Duration = Duration::from_secs(20);

/// Routes.
pub fn router() -> Router<App> {
    Router::new().route(
        "/webhooks/{provider}",
        post(webhook::receive).layer(DefaultBodyLimit::max(webhook::BYTES_MAX)),
    )
}

/// The worker's part: relay, consumer and reconciler, until `stop`; then what is under way is
/// finished, for at most 20 s.
pub async fn run(app: App, stop: CancellationToken) {
    let desk = Desk::new(app, stop);
    tokio::join!(
        relay::run(&desk),
        consumer::run(&desk),
        consumer::keep(&desk),
        reconcile::run(&desk),
    );
    desk.drain(DRAIN).await;
}
