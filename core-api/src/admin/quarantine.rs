//! Orders that wait for a person: the payment is not what was ordered, or the provider refused
//! what had to be done. Nothing happens to them until an operator has decided.

use super::decision;
use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::params::Path;
use crate::login::Operator;
use crate::purchase::{outbox, sql};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catraca_domain::ids::{EventNumber, OrderId};
use catraca_domain::problem::Kind;
use deadpool_postgres::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// Most orders in one answer.
const ORDERS_MAX: i64 = 500;

#[derive(Serialize)]
struct Quarantined {
    order: OrderId,
    event: String,
    provider: String,
    provider_ref: Option<String>,
    status: String,
    payment: String,
    amount_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
    currency: String,
    why: String,
    #[serde(with = "time::serde::rfc3339::option")]
    since: Option<OffsetDateTime>,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// What made it stop has been seen to: go on.
    Retry,
    /// The order ends; whatever was set aside is let go, whatever was taken goes back.
    GiveBack,
    /// The amount found at the provider is the price: go on with that.
    Accept,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolve {
    action: Action,
    reason: String,
    amount_minor: Option<i64>,
}

/// All of them, oldest first.
pub(super) async fn list(
    State(app): State<App>,
    Operator(_): Operator,
) -> Result<Json<Value>, ApiError> {
    let rows = sql::query(
        &app.db.get().await?,
        "SELECT o.order_id, e.slug, o.provider, p.provider_ref, o.status, p.state,
                coalesce(o.accepted_minor, o.amount_minor), p.captured_minor, p.refunded_minor,
                o.currency::text, o.quarantined, o.quarantined_at
         FROM orders o JOIN payments p USING (event_id, order_id) JOIN events e USING (event_id)
         WHERE o.quarantined IS NOT NULL ORDER BY o.quarantined_at, o.order_id LIMIT $1",
        &[&ORDERS_MAX],
    )
    .await?;
    let orders: Vec<Quarantined> = rows
        .iter()
        .map(|row| Quarantined {
            order: OrderId(row.get(0)),
            event: row.get(1),
            provider: row.get(2),
            provider_ref: row.get(3),
            status: row.get(4),
            payment: row.get(5),
            amount_minor: row.get(6),
            captured_minor: row.get(7),
            refunded_minor: row.get(8),
            currency: row.get(9),
            why: row.get(10),
            since: row.get(11),
        })
        .collect();
    Ok(Json(json!({ "orders": orders })))
}

/// Ends the quarantine; settlement goes on by what was decided, and may well stop again.
pub(super) async fn resolve(
    State(app): State<App>,
    Operator(operator): Operator,
    Path(order): Path<String>,
    body: JsonBody<Resolve>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let unknown = || ApiError::new(Kind::ORDER_NOT_FOUND, "There is no such order.");
    let order: OrderId = order.parse().map_err(|_| unknown())?;
    let event = EventNumber::of(order.0);
    let Resolve {
        action,
        reason,
        amount_minor,
    } = &body.parsed;
    let reason = decision::reason(reason)?;
    let accepted = match (action, amount_minor) {
        (Action::Accept, Some(amount)) if *amount > 0 => Some(*amount),
        (Action::Accept, _) => {
            let why = "must be the amount that is found at the provider";
            return Err(ApiError::field("amount_minor", why));
        }
        (Action::Retry | Action::GiveBack, None) => None,
        (Action::Retry | Action::GiveBack, Some(_)) => {
            return Err(ApiError::field("amount_minor", "goes with accept only"));
        }
    };
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    let row = sql::query_opt(
        &tx,
        "SELECT quarantined IS NOT NULL, status IN ('queued', 'awaiting_payment') FROM orders
         WHERE event_id = $1 AND order_id = $2 FOR UPDATE",
        &[&event.0, &order.0],
    )
    .await?
    .ok_or_else(unknown)?;
    if !row.get::<_, bool>(0) {
        let detail = "This order does not wait for anybody.";
        return Err(ApiError::new(Kind::CONFLICT, detail));
    }
    if accepted.is_some() && !row.get::<_, bool>(1) {
        let detail = "Only an order that is still open can have another price.";
        return Err(ApiError::new(Kind::CONFLICT, detail));
    }
    let giving_back = *action == Action::GiveBack;
    release(&tx, order, giving_back, accepted).await?;
    let name = match action {
        Action::Retry => "retry",
        Action::GiveBack => "give_back",
        Action::Accept => "accept",
    };
    let subject = accepted.map(|amount| amount.to_string());
    decision::note(&tx, &operator, name, order, subject.as_deref(), reason).await?;
    tx.commit().await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(json!({ "order": order, "action": action })),
    ))
}

async fn release(
    tx: &Transaction<'_>,
    order: OrderId,
    giving_back: bool,
    accepted: Option<i64>,
) -> Result<(), ApiError> {
    let event = EventNumber::of(order.0);
    let touched = sql::execute(
        tx,
        "UPDATE orders SET quarantined = NULL, quarantined_at = NULL,
                giving_back = giving_back OR $3, accepted_minor = coalesce($4, accepted_minor),
                looks = 0, next_look_at = now() + interval '2 seconds', updated_at = now()
         WHERE event_id = $1 AND order_id = $2 AND quarantined IS NOT NULL",
        &[&event.0, &order.0, &giving_back, &accepted],
    )
    .await?;
    expect_rows(touched, 1, "order out of quarantine")?;
    // A refund that had failed is tried again; its id makes it happen once.
    sql::execute(
        tx,
        "UPDATE partial_refunds SET state = 'requested'
         WHERE event_id = $1 AND order_id = $2 AND state = 'failed'",
        &[&event.0, &order.0],
    )
    .await?;
    sql::execute(
        tx,
        "UPDATE refunds SET state = 'requested'
         WHERE event_id = $1 AND order_id = $2 AND state = 'failed'",
        &[&event.0, &order.0],
    )
    .await?;
    outbox::ask_anew(tx, event, order).await
}
