//! News of changes, between processes: counted and published in Redis, heard by every server.

use super::load::changes_key;
use crate::app::App;
use catraca_domain::ids::EventNumber;
use futures::StreamExt as _;
use std::time::Duration;

/// Redis channel: each message is an event's number.
const CHANNEL: &str = "avail:changed";
/// Changes within this time are told once.
const GATHER: Duration = Duration::from_millis(20);

/// Tells the other processes, in a moment.
pub(super) async fn publish(app: &App, event: EventNumber) {
    let mut redis = app.redis.clone();
    let mut news = redis::pipe();
    news.incr(changes_key(event), 1).ignore();
    news.expire(changes_key(event), 86_400).ignore();
    news.publish(CHANNEL, event.0).ignore();
    app.breaker.ask(news.query_async::<()>(&mut redis)).await;
}

/// How long [`publish`] is put off, to gather changes.
pub(super) async fn gather() {
    tokio::time::sleep(GATHER).await;
}

/// Listens for ever; comes back by itself when Redis does. Deaf, a server still looks once a second.
pub(crate) async fn listen(app: App) {
    loop {
        if let Err(error) = hear(&app).await {
            tracing::debug!(%error, "not listening for changes");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn hear(app: &App) -> anyhow::Result<()> {
    let client = redis::Client::open(app.config.redis_url.expose_str()?)?;
    let mut news = client.get_async_pubsub().await?;
    news.subscribe(CHANNEL).await?;
    let mut messages = news.on_message();
    while let Some(message) = messages.next().await {
        let event: i32 = message.get_payload()?;
        app.catalogue.heard(EventNumber(event));
    }
    Ok(())
}
