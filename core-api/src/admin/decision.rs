//! What an operator decides about somebody's money is written down with the reason.

use crate::app::App;
use crate::error::ApiError;
use crate::login::Account;
use crate::purchase::sql;
use catraca_domain::ids::{EventNumber, OrderId};
use catraca_domain::problem::Kind;
use deadpool_postgres::Transaction;

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 300;

/// A reason must be given.
///
/// # Errors
/// 422 for one that is empty or too long.
pub(super) fn reason(text: &str) -> Result<&str, ApiError> {
    let text = text.trim();
    if (1..=REASON_CHARS_MAX).contains(&text.chars().count()) {
        return Ok(text);
    }
    let why = format!("must have 1 to {REASON_CHARS_MAX} characters");
    Err(ApiError::field("reason", why))
}

/// Writes a decision down, in the transaction that carries it out.
///
/// # Errors
/// The database's.
pub(super) async fn note(
    tx: &Transaction<'_>,
    operator: &Account,
    action: &str,
    order: OrderId,
    subject: Option<&str>,
    reason: &str,
) -> Result<(), ApiError> {
    tracing::info!(%order, action, subject, operator = %operator.id, "an operator has decided");
    let touched = sql::execute(
        tx,
        "INSERT INTO operator_actions (operator, action, event_id, order_id, subject, reason)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &operator.id.0,
            &action,
            &EventNumber::of(order.0).0,
            &order.0,
            &subject,
            &reason,
        ],
    )
    .await?;
    crate::db::expect_rows(touched, 1, "decision written down")
}

/// The number of the event with this slug.
///
/// # Errors
/// 404 when there is none.
pub(super) async fn event(app: &App, slug: &str) -> Result<EventNumber, ApiError> {
    let row = sql::query_opt(
        &app.db.get().await?,
        "SELECT event_id FROM events WHERE slug = $1",
        &[&slug],
    )
    .await?;
    row.map(|row| EventNumber(row.get(0)))
        .ok_or_else(|| ApiError::new(Kind::NOT_FOUND, "No event has that name."))
}
