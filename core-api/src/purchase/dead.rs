//! Dead letters: jobs that could not be worked off in bounded tries. The table decides; the stream
//! `purchase:{<event>}:dead` shows the same to whoever reads Redis, and is filled again when Redis
//! has lost it. An operator retries or drops them ([`crate::admin`]).

use super::outbox::{self, Job};
use super::sql;
use super::stream::Streams;
use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use catraca_domain::ids::{EventNumber, OrderId};
use deadpool_postgres::{GenericClient, Transaction};

/// Failures after which a job is dead. They are 1, 2, 4 and 8 s apart, give or take a half.
pub(super) const FAILURES_MAX: i32 = 5;
/// Beginnings after which it is, even if each ended with its worker's death. Many, because a death
/// counts for each job that was under way, and all but one of them are innocent.
pub(super) const STARTS_MAX: i32 = 100;
/// Longest story kept, in characters.
const STORY_CHARS_MAX: usize = 500;

/// Writes the letter, marks the row as done, and lets the order be.
pub(super) async fn bury(
    app: &App,
    streams: &Streams,
    job: &Job,
    story: &str,
) -> Result<(), ApiError> {
    let story: String = story.chars().take(STORY_CHARS_MAX).collect();
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    let written = sql::execute(
        &tx,
        "INSERT INTO dead_letters (event_id, outbox_id, order_id, provider, starts, failures, error)
         SELECT event_id, outbox_id, order_id, $3, starts, failures, $4 FROM outbox
         WHERE event_id = $1 AND outbox_id = $2
         ON CONFLICT (event_id, outbox_id) DO NOTHING",
        &[&job.event.0, &job.outbox, &job.provider, &story],
    )
    .await?;
    outbox::done(&tx, job).await?;
    sql::execute(
        &tx,
        "UPDATE orders SET next_look_at = NULL WHERE event_id = $1 AND order_id = $2",
        &[&job.event.0, &job.order.0],
    )
    .await?;
    tx.commit().await?;
    if written > 0 {
        tracing::error!(order = %job.order, outbox = job.outbox, story, "a dead letter");
        metrics::counter!("catraca_dead_letters_total", "provider" => job.provider.clone())
            .increment(1);
        show(&client, streams, 1).await?;
    }
    Ok(())
}

/// Puts letters into the stream that are not there, at most `limit`.
pub(super) async fn show<C: GenericClient>(
    client: &C,
    streams: &Streams,
    limit: i64,
) -> Result<(), ApiError> {
    let rows = sql::query(
        client,
        "SELECT event_id, outbox_id, order_id, provider, error FROM dead_letters
         WHERE resolution IS NULL AND stream_id IS NULL ORDER BY died_at LIMIT $1",
        &[&limit],
    )
    .await?;
    for row in rows {
        let job = Job {
            event: EventNumber(row.get(0)),
            outbox: row.get(1),
            order: OrderId(row.get(2)),
            provider: row.get(3),
        };
        let Ok(id) = streams.bury(&job, row.get(4)).await else {
            // Redis is away; it is shown later.
            return Ok(());
        };
        sql::execute(
            client,
            "UPDATE dead_letters SET stream_id = $3 WHERE event_id = $1 AND outbox_id = $2",
            &[&job.event.0, &job.outbox, &id],
        )
        .await?;
    }
    Ok(())
}

/// How an operator ends a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// The order is looked at again, with as many tries as at first.
    Retried,
    /// It is left as it is.
    Dropped,
}

impl Resolution {
    /// Its name in the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Retried => "retried",
            Self::Dropped => "dropped",
        }
    }
}

/// A letter that was resolved.
pub(crate) struct Resolved {
    pub(crate) order: OrderId,
    stream_id: Option<String>,
}

/// Resolves a letter once; nothing when there is none that is open.
///
/// # Errors
/// The database's.
pub(crate) async fn resolve(
    tx: &Transaction<'_>,
    event: EventNumber,
    outbox_id: i64,
    operator: uuid::Uuid,
    resolution: Resolution,
    reason: &str,
) -> Result<Option<Resolved>, ApiError> {
    let row = sql::query_opt(
        tx,
        "UPDATE dead_letters SET resolution = $3, resolved_at = now(), resolved_by = $4, reason = $5
         WHERE event_id = $1 AND outbox_id = $2 AND resolution IS NULL
         RETURNING order_id, stream_id",
        &[
            &event.0,
            &outbox_id,
            &resolution.as_str(),
            &operator,
            &reason,
        ],
    )
    .await?;
    let Some(row) = row else { return Ok(None) };
    let resolved = Resolved {
        order: OrderId(row.get(0)),
        stream_id: row.get(1),
    };
    if resolution == Resolution::Retried {
        outbox::ask_anew(tx, event, resolved.order).await?;
        let touched = sql::execute(
            tx,
            "UPDATE orders SET next_look_at = now() + interval '5 seconds'
             WHERE event_id = $1 AND order_id = $2",
            &[&event.0, &resolved.order.0],
        )
        .await?;
        expect_rows(touched, 1, "dead letter's order looked at again")?;
    }
    Ok(Some(resolved))
}

/// Takes a resolved letter out of the stream; without Redis it stays there, and is not the truth.
pub(crate) async fn unshow(app: &App, event: EventNumber, resolved: &Resolved) {
    let Some(id) = &resolved.stream_id else {
        return;
    };
    let streams = Streams::new(app.redis.clone());
    if let Err(error) = streams.unbury(event, id).await {
        tracing::debug!(%error, "a resolved letter stays in the stream");
    }
}
