//! "This order has changed", from whoever changed it to whoever is watching, by Redis. Only a
//! hint: who watches reads the order again, and reads it every so often without any hint.

use crate::app::App;
use catraca_domain::ids::OrderId;
use futures::StreamExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::broadcast;

/// Redis channel; the message is the order's id.
const CHANNEL: &str = "orders:changed";
/// Hints kept for a watcher that is slow; one that falls further behind just reads its order.
const BACKLOG: usize = 1024;
/// Pause before subscribing again after Redis was lost.
const RESUBSCRIBE: Duration = Duration::from_secs(1);

/// The process's one subscription, begun by the first watcher.
pub struct Changes {
    heard: broadcast::Sender<OrderId>,
    listening: AtomicBool,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            heard: broadcast::channel(BACKLOG).0,
            listening: AtomicBool::new(false),
        }
    }
}

/// Tells whoever is watching. Never fails, never waits.
pub fn publish(app: &App, order: OrderId) {
    let _ = app.changes.heard.send(order);
    let mut redis = app.redis.clone();
    tokio::spawn(async move {
        let told: redis::RedisResult<()> = redis::cmd("PUBLISH")
            .arg(CHANNEL)
            .arg(order.to_string())
            .query_async(&mut redis)
            .await;
        if let Err(error) = told {
            tracing::debug!(%error, "a change was not told to other processes");
        }
    });
}

/// Hears of every order's changes from now on.
pub(super) fn watch(app: &App) -> broadcast::Receiver<OrderId> {
    let receiver = app.changes.heard.subscribe();
    if !app.changes.listening.swap(true, Ordering::AcqRel) {
        tokio::spawn(listen(app.clone()));
    }
    receiver
}

async fn listen(app: App) {
    loop {
        if let Err(error) = subscribed(&app).await {
            tracing::debug!(%error, "not hearing of changes; orders are polled");
        }
        tokio::time::sleep(RESUBSCRIBE).await;
    }
}

async fn subscribed(app: &App) -> anyhow::Result<()> {
    let client = redis::Client::open(app.config.redis_url.expose_str()?)?;
    let mut pubsub = client.get_async_pubsub().await?;
    pubsub.subscribe(CHANNEL).await?;
    let mut messages = pubsub.on_message();
    while let Some(message) = messages.next().await {
        let text: String = message.get_payload()?;
        if let Ok(order) = text.parse() {
            // Nobody watching is fine.
            let _ = app.changes.heard.send(order);
        }
    }
    Ok(())
}
