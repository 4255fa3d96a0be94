//! The rows of mail to be sent: taken, and written down as sent, put off or given up.

use super::queue::Kind;
use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use crate::purchase::sql;
use catraca_domain::ids::{EventNumber, OrderId};
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

/// Longest reason kept, in characters.
const REASON_CHARS_MAX: usize = 300;

/// A message to be sent now, by whoever took it.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) order: OrderId,
    pub(super) kind: Kind,
    /// What the row is about: the order, or the refund.
    pub(super) about: Uuid,
    pub(super) recipient: String,
    pub(super) created_at: OffsetDateTime,
    /// This one counted.
    pub(super) tries: i32,
}

/// Takes up to `most` due rows; nobody else gets them for `lease` seconds.
pub(super) async fn take(app: &App, most: usize, lease: f64) -> Result<Vec<Due>, ApiError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let client = app.db.get().await?;
    let rows = sql::query(
        &client,
        "UPDATE mails SET tries = tries + 1, next_try_at = now() + make_interval(secs => $2)
         WHERE (event_id, order_id, kind, about) IN (
             SELECT event_id, order_id, kind, about FROM mails
             WHERE next_try_at <= now() ORDER BY next_try_at LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING order_id, kind, about, recipient, created_at, tries",
        &[&most, &lease],
    )
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Due, ApiError> {
    let kind: &str = row.get(1);
    let kind = Kind::read(kind);
    Ok(Due {
        order: OrderId(row.get(0)),
        kind: kind.ok_or_else(|| ApiError::internal("mail of a kind that is not known"))?,
        about: row.get(2),
        recipient: row.get(3),
        created_at: row.get(4),
        tries: row.get(5),
    })
}

/// The server has it.
pub(super) async fn sent(app: &App, mail: &Due) -> Result<(), ApiError> {
    // Whoever took it meanwhile, because this took too long, may have said so first.
    let set = "sent_at = coalesce(sent_at, now()), given_up = NULL, next_try_at = NULL";
    expect_rows(update(app, mail, set, &[]).await?, 1, "mail sent")
}

/// Later, or never once it is `days_max` old.
pub(super) async fn put_off(
    app: &App,
    mail: &Due,
    (first, longest): (f64, f64),
    days_max: f64,
    why: &str,
) -> Result<(), ApiError> {
    let pause = (first * 2_f64.powi(mail.tries.clamp(1, 30) - 1)).min(longest);
    let set = "next_try_at = CASE WHEN next_try_at IS NOT NULL
                       AND created_at > now() - make_interval(secs => $6)
                   THEN now() + make_interval(secs => $5 * (0.9 + 0.2 * random())) END,
               given_up = CASE WHEN sent_at IS NULL
                       AND created_at <= now() - make_interval(secs => $6) THEN $7 END";
    let why: String = why.chars().take(REASON_CHARS_MAX).collect();
    let touched = update(app, mail, set, &[&pause, &(days_max * 86_400.0), &why]).await?;
    expect_rows(touched, 1, "mail put off")
}

/// Never.
pub(super) async fn give_up(app: &App, mail: &Due, why: &str) -> Result<(), ApiError> {
    let why: String = why.chars().take(REASON_CHARS_MAX).collect();
    let set = "next_try_at = NULL, given_up = CASE WHEN sent_at IS NULL THEN $5 END";
    expect_rows(update(app, mail, set, &[&why]).await?, 1, "mail given up")
}

type Param<'a> = &'a (dyn tokio_postgres::types::ToSql + Sync);

/// Changes the one row; further parameters count from `$5`.
async fn update(app: &App, mail: &Due, set: &str, more: &[Param<'_>]) -> Result<u64, ApiError> {
    let client = app.db.get().await?;
    let (event, kind) = (EventNumber::of(mail.order.0).0, mail.kind.as_str());
    let mut params: Vec<Param<'_>> = vec![&event, &mail.order.0, &kind, &mail.about];
    params.extend(more);
    let statement = format!(
        "UPDATE mails SET {set}
         WHERE event_id = $1 AND order_id = $2 AND kind = $3 AND about = $4"
    );
    sql::execute(&client, &statement, &params).await
}
