//! Invariant 7: whoever holds or orders has been let in, is logged in, and is in time.

use tokio_postgres::Transaction;

use super::check::{count, offences};
use super::report::Finding;

/// What a hold or an order (`t`) needs of its session (`s`). A row's time is when its
/// transaction began: two that overlap may be written in the other order, hence the grace.
macro_rules! outside_session {
    ($table:literal, $id:literal) => {
        concat!(
            "SELECT format('",
            $table,
            " %s of account %s at %s: session %s of account %s, ",
            "open from %s to %s', t.",
            $id,
            ", t.account_id, t.created_at, ",
            "coalesce(s.jti::text, 'missing'), s.account_id, s.opened_at, ",
            "least(s.expires_at, s.ended_at)) FROM ",
            $table,
            " t ",
            "LEFT JOIN shopping_sessions s USING (event_id, jti) ",
            "LEFT JOIN accounts a ON a.account_id = t.account_id ",
            "WHERE s.jti IS NULL OR a.account_id IS NULL OR s.account_id <> t.account_id ",
            "OR t.created_at < s.opened_at - interval '1 s' ",
            "OR t.created_at > least(s.expires_at, s.ended_at) + interval '1 s'"
        )
    };
}

const CHECKS: [&str; 3] = [
    outside_session!("holds", "hold_id"),
    outside_session!("orders", "order_id"),
    "SELECT format('order %s of account %s and session %s: hold %s is of account %s and session %s',
            o.order_id, o.account_id, o.jti, o.hold_id, h.account_id, h.jti)
     FROM orders o LEFT JOIN holds h USING (event_id, hold_id)
     WHERE (h.account_id, h.jti) IS DISTINCT FROM (o.account_id, o.jti)",
];

/// Invariant 7.
///
/// # Errors
/// When the database can't answer.
pub(crate) async fn audit(snapshot: &Transaction<'_>) -> anyhow::Result<Finding> {
    let holds = count(snapshot, "SELECT count(*) FROM holds").await?;
    let orders = count(snapshot, "SELECT count(*) FROM orders").await?;
    let sessions = count(snapshot, "SELECT count(*) FROM shopping_sessions").await?;
    Ok(Finding {
        invariant: 7,
        name: "every hold and order has a live admission and an account",
        checked: format!("{holds} holds and {orders} orders against {sessions} sessions"),
        offences: offences(snapshot, &CHECKS).await?,
        not_judged: Vec::new(),
    })
}
