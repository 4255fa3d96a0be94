//! `POST /api/v1/admin/orders/{order}/refund`: the whole order, once however often asked; or, with
//! `tickets` or `amount_minor` in the body, a part of it ([`super::part`]).

use super::part::{self, Part};
use super::view;
use crate::app::App;
use crate::error::ApiError;
use crate::fail_point;
use crate::http::body::bytes_rejected;
use crate::http::idempotency::{IdempotencyKey, Once, Reply};
use crate::login::Operator;
use crate::purchase::{outbox, sql};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use catraca_domain::ids::{EventNumber, OrderId, TicketId};
use catraca_domain::problem::Kind;
use catraca_domain::settlement::OrderStatus;
use deadpool_postgres::Transaction;
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 300;

/// What is to go back; without `tickets` and `amount_minor`: everything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundRequest {
    tickets: Option<Vec<TicketId>>,
    amount_minor: Option<i64>,
    reason: Option<String>,
}

impl RefundRequest {
    /// An empty body is as good as `{}`.
    fn read(body: &[u8]) -> Result<(Self, Value), ApiError> {
        if body.is_empty() {
            return Ok((Self::default(), json!({})));
        }
        let malformed = |why: String| ApiError::new(Kind::MALFORMED_BODY, why);
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| malformed(format!("Not JSON: {error}.")))?;
        if !value.is_object() {
            return Err(malformed("The body must be a JSON object.".to_owned()));
        }
        let parsed: Self = serde_path_to_error::deserialize(value.clone()).map_err(|error| {
            ApiError::field(error.path().to_string(), error.inner().to_string())
        })?;
        let too_long = |reason: &String| reason.chars().count() > REASON_CHARS_MAX;
        if parsed.reason.as_ref().is_some_and(too_long) {
            let why = format!("must have at most {REASON_CHARS_MAX} characters");
            return Err(ApiError::field("reason", why));
        }
        Ok((parsed, value))
    }

    fn part(&self) -> Result<Option<Part>, ApiError> {
        match (&self.tickets, self.amount_minor) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(ApiError::field(
                "amount_minor",
                "is not given together with tickets",
            )),
            (Some(tickets), None) if tickets.is_empty() => {
                Err(ApiError::field("tickets", "must name at least one ticket"))
            }
            (Some(tickets), None) => Ok(Some(Part::Tickets(tickets.clone()))),
            (None, Some(amount)) if amount > 0 => Ok(Some(Part::Amount(amount))),
            (None, Some(_)) => Err(ApiError::field("amount_minor", "must be more than 0")),
        }
    }
}

/// Asks for the refund; settlement carries it out. 202 while it is under way, 200 once done.
/// The whole needs no `Idempotency-Key`: asking again changes nothing. A part does.
pub(super) async fn refund(
    State(app): State<App>,
    Operator(operator): Operator,
    Path(order): Path<String>,
    key: Result<IdempotencyKey, ApiError>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let order = view::parse(&order)?;
    let body = body.map_err(|rejection| bytes_rejected(&rejection))?;
    let (request, mut value) = RefundRequest::read(&body)?;
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    let Some(part) = request.part()? else {
        let code = whole(&tx, order, request.reason.as_deref()).await?;
        tx.commit().await?;
        tracing::info!(%order, operator = %operator.id, "refund requested");
        return Ok((code.0, Json(json!({ "order": order, "status": code.1 }))));
    };
    let key = key?;
    value["order"] = json!(order);
    let route = "POST /api/v1/admin/orders/{order}/refund";
    let once = Once::new(operator.id, route, &key, &value);
    if let Some((status, body)) = once.replay(&tx).await? {
        return Ok((status, Json(body)));
    }
    let (status, whole_requested) = lock(&tx, order).await?;
    if status != OrderStatus::Paid || whole_requested {
        return Err(not_refundable());
    }
    let reason = request
        .reason
        .as_deref()
        .unwrap_or("asked for by an operator");
    let reply = part::promise(&tx, &operator, order, &part, reason).await?;
    // A row of its own: one under way may have been read without the part.
    outbox::ask_anew(&tx, EventNumber::of(order.0), order).await?;
    let reply: Reply = (StatusCode::ACCEPTED, reply);
    once.keep(&tx, &reply).await?;
    fail_point::pass("part written, not committed");
    tx.commit().await?;
    fail_point::pass("part committed, not answered");
    part::announce(&app, order);
    tracing::info!(%order, operator = %operator.id, "part of an order to be refunded");
    Ok((reply.0, Json(reply.1)))
}

fn not_refundable() -> ApiError {
    ApiError::new(Kind::NOT_REFUNDABLE, "Only a paid order can be refunded.")
}

/// Locks the order; its status, and whether all of it is to go back already.
async fn lock(tx: &Transaction<'_>, order: OrderId) -> Result<(OrderStatus, bool), ApiError> {
    let event = EventNumber::of(order.0);
    let row = sql::query_opt(
        tx,
        "SELECT status, refund_requested_at IS NOT NULL OR giving_back FROM orders
         WHERE event_id = $1 AND order_id = $2 FOR UPDATE",
        &[&event.0, &order.0],
    )
    .await?
    .ok_or_else(|| ApiError::new(Kind::ORDER_NOT_FOUND, "There is no such order."))?;
    let status = row.get::<_, &str>(0).parse();
    let status = status.map_err(|e| ApiError::internal(format!("{order}: {e}")))?;
    Ok((status, row.get(1)))
}

async fn whole(
    tx: &Transaction<'_>,
    order: OrderId,
    reason: Option<&str>,
) -> Result<(StatusCode, OrderStatus), ApiError> {
    let event = EventNumber::of(order.0);
    let (status, requested) = lock(tx, order).await?;
    match (status, requested) {
        (OrderStatus::Refunded, _) => Ok((StatusCode::OK, status)),
        (OrderStatus::Paid, true) => Ok((StatusCode::ACCEPTED, status)),
        (OrderStatus::Paid, false) => {
            let touched = sql::execute(
                tx,
                "UPDATE orders SET refund_requested_at = now(), updated_at = now(),
                        next_look_at = now() + interval '2 seconds'
                 WHERE event_id = $1 AND order_id = $2 AND refund_requested_at IS NULL",
                &[&event.0, &order.0],
            )
            .await?;
            crate::db::expect_rows(touched, 1, "refund requested")?;
            outbox::ask_anew(tx, event, order).await?;
            tracing::info!(%order, reason, "the whole order is to be refunded");
            Ok((StatusCode::ACCEPTED, status))
        }
        (
            OrderStatus::Queued
            | OrderStatus::AwaitingPayment
            | OrderStatus::Failed
            | OrderStatus::Expired,
            _,
        ) => Err(not_refundable()),
    }
}
