//! `POST /webhooks/{provider}`: recorded first, answered second, believed never: a webhook only
//! makes the worker look at what the provider says when asked.

use super::{outbox, sql};
use crate::app::App;
use crate::error::ApiError;
use crate::fail_point;
use crate::http::body::bytes_rejected;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use catraca_domain::ids::{EventNumber, OrderId};
use catraca_domain::problem::Kind;
use catraca_payments::{WebhookError, WebhookEvent};
use deadpool_postgres::Transaction;
use time::OffsetDateTime;

/// Largest webhook, in bytes.
pub(super) const BYTES_MAX: usize = 256 * 1024;

/// 200 only once the event is durable; a redelivery is 200 and does nothing.
pub(super) async fn receive(
    State(app): State<App>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    let adapter = app.providers.get(&provider).ok_or_else(|| {
        ApiError::new(
            Kind::NOT_FOUND,
            "No provider of that name sends webhooks here.",
        )
    })?;
    let provider = adapter.provider().as_str();
    let body = body.map_err(|rejection| bytes_rejected(&rejection))?;
    let checked = adapter
        .verify_webhook(&headers, &body, OffsetDateTime::now_utc())
        .await;
    let event = checked.map_err(|error| refused(provider, &error))?;
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    let new = record(&tx, provider, &event).await?;
    fail_point::pass("webhook written, not committed");
    tx.commit().await?;
    fail_point::pass("webhook committed, not answered");
    count(provider, if new { "new" } else { "repeated" });
    Ok(StatusCode::OK)
}

fn refused(provider: &'static str, error: &WebhookError) -> ApiError {
    let (kind, outcome) = match error {
        WebhookError::BadSignature(_) | WebhookError::OutsideTolerance => {
            (Kind::BAD_SIGNATURE, "bad_signature")
        }
        WebhookError::Malformed(_) => (Kind::MALFORMED_BODY, "malformed"),
        WebhookError::Unavailable(error) => {
            count(provider, "unchecked");
            return ApiError::unavailable(format!("{provider} webhook unchecked: {error}"));
        }
    };
    count(provider, outcome);
    ApiError::new(kind, error.to_string())
}

fn count(provider: &'static str, outcome: &'static str) {
    metrics::counter!("catraca_webhooks_total", "provider" => provider, "outcome" => outcome)
        .increment(1);
}

/// Stores the event and asks for a look at its order; false when it was here before.
async fn record(
    tx: &Transaction<'_>,
    provider: &str,
    event: &WebhookEvent,
) -> Result<bool, ApiError> {
    let order = order_of(tx, provider, event).await?;
    let reference = event
        .provider_ref
        .as_ref()
        .map(catraca_payments::ProviderRef::as_str);
    let stored = sql::execute(
        tx,
        "INSERT INTO webhook_events (provider, provider_event_id, kind, provider_ref, order_id, body)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (provider, provider_event_id) DO NOTHING",
        &[
            &provider,
            &event.event_id,
            &event.kind,
            &reference,
            &order.map(|order| order.0),
            &event.raw,
        ],
    )
    .await?;
    if stored == 0 {
        return Ok(false);
    }
    if let Some(order) = order {
        outbox::ask(tx, EventNumber::of(order.0), order).await?;
    } else {
        tracing::info!(provider, kind = event.kind, "webhook of no order of ours");
    }
    Ok(true)
}

/// The order that the event names, by our id or by the provider's.
async fn order_of(
    tx: &Transaction<'_>,
    provider: &str,
    event: &WebhookEvent,
) -> Result<Option<OrderId>, ApiError> {
    if let Some(id) = event.order_id {
        let row = sql::query_opt(
            tx,
            "SELECT order_id FROM orders WHERE event_id = $1 AND order_id = $2 AND provider = $3",
            &[&EventNumber::of(id).0, &id, &provider],
        )
        .await?;
        if let Some(row) = row {
            return Ok(Some(OrderId(row.get(0))));
        }
    }
    let Some(reference) = &event.provider_ref else {
        return Ok(None);
    };
    let row = sql::query_opt(
        tx,
        "SELECT order_id FROM payments WHERE provider = $1 AND provider_ref = $2",
        &[&provider, &reference.as_str()],
    )
    .await?;
    Ok(row.map(|row| OrderId(row.get(0))))
}
