//! `POST /api/v1/orders`: from a live hold to an order, once.

use super::batch::{self, Asked};
use crate::admission::{Shopper, Unseen, lock_session};
use crate::app::App;
use crate::error::ApiError;
use crate::fail_point;
use crate::holds::line::{self, Verdict, Waiting};
use crate::http::body::JsonBody;
use crate::http::idempotency::{IdempotencyKey, Once, Reply};
use crate::purchase::{outbox, sql};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use catraca_domain::ids::{EventNumber, HoldId, OrderId};
use catraca_domain::money::Currency;
use catraca_domain::problem::Kind;
use catraca_domain::settlement::OrderStatus;
use deadpool_postgres::Transaction;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// What to pay, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateOrder {
    hold: HoldId,
    provider: String,
}

/// Orders a hold: together with others where that can be, else alone.
pub(super) async fn create(
    State(app): State<App>,
    unseen: Unseen,
    key: IdempotencyKey,
    body: JsonBody<CreateOrder>,
) -> Result<Response, ApiError> {
    let shopper = unseen.shopper();
    let once = Once::new(shopper.account.id, "POST /api/v1/orders", &key, &body.value);
    // Whether a choosy provider takes the event's currency is seen where the order is alone.
    let provider = app.providers.get(&body.parsed.provider);
    if let Some(adapter) = provider.filter(|adapter| !adapter.is_choosy()) {
        let asked = Asked {
            shopper: shopper.clone(),
            hold: body.parsed.hold,
            provider: adapter.provider().as_str(),
            once: once.clone().into_owned(),
        };
        let verdict = line::ask(&app, &app.order_line, &unseen, asked).await?;
        if let Verdict::Decided(outcome) = verdict {
            let (status, body) = outcome?;
            return Ok((status, Json(body)).into_response());
        }
    }
    unseen.enter(&app).await?;
    let reply = alone(&app, shopper, &body.parsed, &once).await?;
    Ok((reply.0, Json(reply.1)).into_response())
}

/// One transaction for each event.
pub(super) async fn serve_together(app: App, waiting: Vec<Waiting<Asked>>) {
    let mut events: BTreeMap<EventNumber, Vec<Waiting<Asked>>> = BTreeMap::new();
    for one in waiting {
        let event = one.asked.shopper.event;
        events.entry(event).or_default().push(one);
    }
    for group in events.into_values() {
        line::decide(&app, group, batch::order).await;
    }
}

async fn alone(
    app: &App,
    shopper: &Shopper,
    request: &CreateOrder,
    once: &Once<'_>,
) -> Result<Reply, ApiError> {
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    if let Some(reply) = once.replay(&tx).await? {
        return Ok(reply);
    }
    let Some(adapter) = app.providers.get(&request.provider) else {
        return Err(no_such_provider(app, None));
    };
    let currency = currency(&tx, shopper.event).await?;
    if !adapter.takes(currency) {
        return Err(no_such_provider(app, Some(currency)));
    }
    lock_session(&tx, shopper).await?;
    lock_hold(&tx, shopper, request.hold).await?;
    let provider = adapter.provider().as_str();
    let order = insert(&tx, shopper, request.hold, provider).await?;
    outbox::ask(&tx, shopper.event, order).await?;
    let status = OrderStatus::Queued.as_str();
    let reply: Reply = (
        StatusCode::ACCEPTED,
        json!({ "order": order, "status": status }),
    );
    once.keep(&tx, &reply).await?;
    fail_point::pass("order written, not committed");
    tx.commit().await?;
    fail_point::pass("order committed, not answered");
    metrics::counter!("catraca_orders_placed_total", "provider" => provider).increment(1);
    Ok(reply)
}

/// Says which there are, for that currency.
fn no_such_provider(app: &App, currency: Option<Currency>) -> ApiError {
    let names: Vec<_> = app.providers.taking(currency).collect();
    let mut reason = format!("must be one of {}", names.join(", "));
    if let Some(currency) = currency {
        reason = format!("{reason}: it does not take {currency}");
    }
    ApiError::field("provider", reason)
}

/// What the event is sold in.
async fn currency(tx: &Transaction<'_>, event: EventNumber) -> Result<Currency, ApiError> {
    let row = sql::query_opt(
        tx,
        "SELECT currency::text FROM events WHERE event_id = $1",
        &[&event.0],
    )
    .await?;
    let code = row.and_then(|row| row.get::<_, &str>(0).parse().ok());
    code.ok_or_else(|| ApiError::internal(format!("currency of event {}", event.0)))
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
        return Err(batch::has_order(OrderId(order.get(0))));
    }
    if row.get(0) {
        Ok(())
    } else {
        Err(batch::hold_expired())
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
