//! `POST /api/v1/orders`: from a live hold to an order, once.

use crate::admission::{Shopper, lock_session};
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::idempotency::{IdempotencyKey, Once, Reply};
use crate::purchase::{outbox, sql};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use catraca_domain::ids::{EventNumber, HoldId, OrderId};
use catraca_domain::problem::{Kind, Problem};
use catraca_domain::settlement::OrderStatus;
use deadpool_postgres::Transaction;
use serde::Deserialize;
use serde_json::json;

/// What to pay, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateOrder {
    hold: HoldId,
    provider: String,
}

pub(super) async fn create(
    State(app): State<App>,
    shopper: Shopper,
    key: IdempotencyKey,
    body: JsonBody<CreateOrder>,
) -> Result<Response, ApiError> {
    let once = Once::new(shopper.account.id, "POST /api/v1/orders", &key, &body.value);
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    if let Some((status, body)) = once.replay(&tx).await? {
        return Ok((status, Json(body)).into_response());
    }
    let Some(adapter) = app.providers.get(&body.parsed.provider) else {
        let names = app
            .providers
            .providers()
            .map(catraca_payments::Provider::as_str);
        let names: Vec<_> = names.collect();
        let reason = format!("must be one of {}", names.join(", "));
        return Err(ApiError::field("provider", reason));
    };
    lock_session(&tx, &shopper).await?;
    lock_hold(&tx, &shopper, body.parsed.hold).await?;
    let provider = adapter.provider().as_str();
    let order = insert(&tx, &shopper, body.parsed.hold, provider).await?;
    outbox::ask(&tx, shopper.event, order).await?;
    let status = OrderStatus::Queued.as_str();
    let reply: Reply = (
        StatusCode::ACCEPTED,
        json!({ "order": order, "status": status }),
    );
    once.keep(&tx, &reply).await?;
    tx.commit().await?;
    metrics::counter!("catraca_orders_placed_total", "provider" => provider).increment(1);
    Ok((reply.0, Json(reply.1)).into_response())
}

/// Sees that the hold is the shopper's, live and without an order, and keeps it so.
async fn lock_hold(tx: &Transaction<'_>, shopper: &Shopper, hold: HoldId) -> Result<(), ApiError> {
    let not_found = || ApiError::new(Kind::HOLD_NOT_FOUND, "No hold of yours has that id.");
    if EventNumber::of(hold.0) != shopper.event {
        return Err(not_found());
    }
    let row = sql::query_opt(
        tx,
        "SELECT state = 'active' AND expires_at > now() FROM holds
         WHERE event_id = $1 AND hold_id = $2 AND account_id = $3 FOR UPDATE",
        &[&shopper.event.0, &hold.0, &shopper.account.id.0],
    )
    .await?
    .ok_or_else(not_found)?;
    let order = sql::query_opt(
        tx,
        "SELECT order_id FROM orders WHERE event_id = $1 AND hold_id = $2",
        &[&shopper.event.0, &hold.0],
    )
    .await?;
    if let Some(order) = order {
        let order = OrderId(order.get(0)).to_string();
        let problem = Problem::new(Kind::HOLD_HAS_ORDER, "This hold is being paid for already.");
        return Err(problem.with("order", order).into());
    }
    if row.get(0) {
        Ok(())
    } else {
        Err(ApiError::new(
            Kind::HOLD_EXPIRED,
            "The hold is over. Choose seats again.",
        ))
    }
}

async fn insert(
    tx: &Transaction<'_>,
    shopper: &Shopper,
    hold: HoldId,
    provider: &str,
) -> Result<OrderId, ApiError> {
    let order = OrderId(shopper.event.scoped_id(rand::random()));
    let touched = sql::execute(
        tx,
        "INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider, amount_minor,
                             currency, next_look_at)
         SELECT h.event_id, $3, h.hold_id, h.jti, h.account_id, $4, h.amount_minor, e.currency,
                now() + interval '5 seconds'
         FROM holds h JOIN events e USING (event_id)
         WHERE h.event_id = $1 AND h.hold_id = $2",
        &[&shopper.event.0, &hold.0, &order.0, &provider],
    )
    .await?;
    crate::db::expect_rows(touched, 1, "order placed")?;
    let touched = sql::execute(
        tx,
        "INSERT INTO payments (event_id, order_id, provider) VALUES ($1, $2, $3)",
        &[&shopper.event.0, &order.0, &provider],
    )
    .await?;
    crate::db::expect_rows(touched, 1, "payment placed")?;
    Ok(order)
}
