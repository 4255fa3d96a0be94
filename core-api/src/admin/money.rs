//! The ledger, for operators: one order's entries with what was decided about it, and the accounts
//! of every event.

use crate::app::App;
use crate::error::ApiError;
use crate::http::params::Path;
use crate::login::Operator;
use crate::purchase::sql;
use axum::Json;
use axum::extract::State;
use catraca_domain::ids::{EventNumber, OrderId};
use catraca_domain::problem::Kind;
use serde_json::{Value, json};

/// `GET /api/v1/admin/ledger`: what each account has, and how far it is from balance (nothing).
pub(super) async fn ledger(
    State(app): State<App>,
    Operator(_): Operator,
) -> Result<Json<Value>, ApiError> {
    let row = sql::query_opt(
        &app.db.get().await?,
        "SELECT coalesce(jsonb_agg(a ORDER BY event, provider, currency, account), '[]'),
                coalesce(sum(balance_minor), 0)::bigint
         FROM (SELECT e.slug AS event, l.provider, l.currency::text, l.account,
                   sum(l.amount_minor)::bigint AS balance_minor, count(*) AS entries
               FROM ledger_legs l JOIN events e USING (event_id)
               GROUP BY e.slug, l.provider, l.currency, l.account) a",
        &[],
    )
    .await?
    .ok_or_else(|| ApiError::internal("an aggregate without a row"))?;
    let (accounts, off): (Value, i64) = (row.get(0), row.get(1));
    Ok(Json(
        json!({ "accounts": accounts, "imbalance_minor": off }),
    ))
}

/// `GET /api/v1/admin/orders/{order}`: an order and its money.
pub(super) async fn order(
    State(app): State<App>,
    Operator(_): Operator,
    Path(order): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let unknown = || ApiError::new(Kind::ORDER_NOT_FOUND, "There is no such order.");
    let order: OrderId = order.parse().map_err(|_| unknown())?;
    let row = sql::query_opt(
        &app.db.get().await?,
        "SELECT jsonb_build_object(
             'order', o.order_id, 'event', e.slug, 'status', o.status, 'provider', o.provider,
             'provider_ref', p.provider_ref, 'payment', p.state, 'currency', o.currency,
             'amount_minor', o.amount_minor, 'accepted_minor', o.accepted_minor,
             'captured_minor', p.captured_minor, 'refunded_minor', p.refunded_minor,
             'promised_minor', p.promised_minor, 'quarantined', o.quarantined,
             'ledger', (SELECT coalesce(jsonb_agg(jsonb_build_object('entry', l.entry,
                     'kind', l.kind, 'debit', l.debit, 'credit', l.credit,
                     'amount_minor', l.amount_minor, 'posted_at', l.posted_at)
                     ORDER BY l.entry), '[]')
                 FROM ledger l WHERE l.event_id = o.event_id AND l.order_id = o.order_id),
             'refunds', (SELECT coalesce(jsonb_agg(r ORDER BY r.created_at), '[]') FROM (
                     SELECT refund_id AS refund, amount_minor, state, reason, failure, seats,
                         created_at, completed_at FROM partial_refunds
                     WHERE event_id = o.event_id AND order_id = o.order_id
                     UNION ALL SELECT refund_id, amount_minor, state, reason, NULL, '[]',
                         created_at, completed_at FROM refunds
                     WHERE event_id = o.event_id AND order_id = o.order_id) r),
             'decisions', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', d.at,
                     'operator', a.email, 'action', d.action, 'subject', d.subject,
                     'reason', d.reason) ORDER BY d.action_id), '[]')
                 FROM operator_actions d JOIN accounts a ON a.account_id = d.operator
                 WHERE d.event_id = o.event_id AND d.order_id = o.order_id))
         FROM orders o JOIN payments p USING (event_id, order_id) JOIN events e USING (event_id)
         WHERE o.event_id = $1 AND o.order_id = $2",
        &[&EventNumber::of(order.0).0, &order.0],
    )
    .await?
    .ok_or_else(unknown)?;
    Ok(Json(row.get(0)))
}
