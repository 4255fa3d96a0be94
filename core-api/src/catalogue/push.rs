//! News of changes. Whoever commits one says which hold it was about; in a moment the seats of all
//! those holds are read in one statement, taken into this process' boards, patched in Redis and
//! published to every other server. Read after the commit and stamped by the database's clock,
//! news can't be older than what it is about, and may arrive in any order.

use super::shared;
use super::states::{Change, FREE, HELD, SOLD, Stamp};
use crate::app::App;
use crate::db::by_key;
use crate::error::ApiError;
use catraca_domain::ids::{EventNumber, HoldId};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// Redis channel: each message is [`News`].
const CHANNEL: &str = "avail:news";
/// Changes within this time are told once.
const GATHER: Duration = Duration::from_millis(10);
/// More seats at once are not named: all are read again.
const SEATS_MAX: usize = 2_000;

/// A message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct News {
    pub(super) event: i32,
    /// Nothing: anything may have changed.
    pub(super) seats: Option<Look>,
}

/// Look, as they were at `stamp`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Look {
    /// Of the plan.
    pub(super) version: i64,
    pub(super) stamp: Stamp,
    /// Section, ordinal, state.
    pub(super) seats: Vec<(String, i32, u8)>,
}

/// What is still to be told of an event.
#[derive(Debug, Default)]
pub(super) struct Untold {
    pub(super) holds: Vec<Uuid>,
    /// Something else.
    pub(super) anything: bool,
}

/// Tells of everything that gathers from now on for a moment.
pub(super) async fn tell_soon(app: App, event: EventNumber) {
    tokio::time::sleep(GATHER).await;
    let Untold { holds, anything } = app.catalogue.untold(event);
    let mut unknown = anything;
    if !holds.is_empty() {
        match seats_of(&app, event, &holds).await {
            Ok(Some(seats)) => {
                app.catalogue.heard(event, Some(&seats));
                let seats = Some(seats);
                shared::tell(
                    &app,
                    CHANNEL,
                    &News {
                        event: event.0,
                        seats,
                    },
                )
                .await;
            }
            Ok(None) => unknown = true,
            Err(error) => {
                tracing::debug!(?error, event = event.0, "which seats changed is not known");
                unknown = true;
            }
        }
    }
    if unknown {
        // Heard here when it happened.
        let news = News {
            event: event.0,
            seats: None,
        };
        shared::tell(&app, CHANNEL, &news).await;
    }
}

/// The seats that these holds were granted, whoever has them now. `None`: too many to name.
async fn seats_of(app: &App, event: EventNumber, holds: &[Uuid]) -> Result<Option<Look>, ApiError> {
    let mut db = app.db.get().await?;
    let tx = db.transaction().await?;
    by_key(&tx).await?;
    let query = tx
        .prepare_cached(
            "SELECT e.version, (extract(epoch FROM statement_timestamp()) * 1000000)::bigint,
                    s.section, s.ordinal, s.state,
                    s.held_until IS NOT NULL AND s.held_until < statement_timestamp()
             FROM (SELECT DISTINCT g.section, g.ordinal FROM unnest($2::uuid[]) AS t (hold_id)
                   CROSS JOIN LATERAL (SELECT seats FROM holds
                       WHERE event_id = $1 AND hold_id = t.hold_id OFFSET 0) h
                   CROSS JOIN LATERAL jsonb_to_recordset(h.seats)
                       AS g (section text, ordinal integer)) granted
             CROSS JOIN LATERAL (SELECT section, ordinal, state, held_until FROM seats
                 WHERE event_id = $1 AND section = granted.section
                   AND ordinal = granted.ordinal OFFSET 0) s
             JOIN events e ON e.event_id = $1
             LIMIT $3",
        )
        .await?;
    let most = i64::try_from(SEATS_MAX).unwrap_or(0) + 1;
    let rows = tx.query(&query, &[&event.0, &holds, &most]).await?;
    tx.commit().await?;
    let Some(first) = rows.first().filter(|_| rows.len() <= SEATS_MAX) else {
        return Ok(None);
    };
    let seat = |row: &tokio_postgres::Row| {
        let state = match row.get::<_, &str>(4) {
            "sold" => SOLD,
            "held" if !row.get::<_, bool>(5) => HELD,
            _ => FREE,
        };
        (row.get(2), row.get(3), state)
    };
    Ok(Some(Look {
        version: first.get(0),
        stamp: first.get(1),
        seats: rows.iter().map(seat).collect(),
    }))
}

impl Look {
    /// By the sections' places in a plan. `None`: it has no such section.
    pub(super) fn changes(&self, plan: &super::plan::Plan) -> Option<Vec<Change>> {
        if self.version != plan.version {
            return None;
        }
        let change = |(section, ordinal, state): &(String, i32, u8)| {
            Some(Change {
                section: plan.index_of(section)?,
                ordinal: usize::try_from(*ordinal).ok()?,
                state: (*state <= SOLD).then_some(*state)?,
                stamp: self.stamp,
            })
        };
        self.seats.iter().map(change).collect()
    }
}

/// Tells in a while: the change of a hold.
pub(super) fn note(untold: &mut Untold, hold: Option<HoldId>) {
    match hold {
        Some(hold) => untold.holds.push(hold.0),
        None => untold.anything = true,
    }
}

/// Listens for ever; comes back by itself when Redis does. Deaf, a server still looks twice a second.
pub(crate) async fn listen(app: App) {
    loop {
        if let Err(error) = hear(&app).await {
            tracing::debug!(%error, "not listening for changes");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn hear(app: &App) -> anyhow::Result<()> {
    let client = redis::Client::open(app.config.redis_url.expose_str()?)?;
    let mut news = client.get_async_pubsub().await?;
    news.subscribe(CHANNEL).await?;
    let mut messages = news.on_message();
    while let Some(message) = messages.next().await {
        let Ok(News { event, seats }) = serde_json::from_slice(message.get_payload_bytes()) else {
            metrics::counter!("catraca_catalogue_disagreements_total").increment(1);
            continue;
        };
        app.catalogue.heard(EventNumber(event), seats.as_ref());
    }
    Ok(())
}
