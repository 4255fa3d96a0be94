//! `POST /api/v1/admin/orders/{order}/refund`: the whole amount, once however often asked.

use super::view;
use crate::app::App;
use crate::error::ApiError;
use crate::login::Operator;
use crate::purchase::sql;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use catraca_domain::ids::EventNumber;
use catraca_domain::problem::Kind;
use catraca_domain::settlement::OrderStatus;
use serde_json::{Value, json};

/// Asks for the refund; settlement carries it out. 202 while it is under way, 200 once done.
/// Asking again changes nothing, with or without an `Idempotency-Key`.
pub(super) async fn refund(
    State(app): State<App>,
    Operator(operator): Operator,
    Path(order): Path<String>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let order = view::parse(&order)?;
    let event = EventNumber::of(order.0);
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    let row = sql::query_opt(
        &tx,
        "SELECT status, refund_requested_at IS NOT NULL FROM orders
         WHERE event_id = $1 AND order_id = $2 FOR UPDATE",
        &[&event.0, &order.0],
    )
    .await?
    .ok_or_else(|| ApiError::new(Kind::ORDER_NOT_FOUND, "There is no such order."))?;
    let status = row.get::<_, &str>(0).parse();
    let status: OrderStatus = status.map_err(|e| ApiError::internal(format!("{order}: {e}")))?;
    let code = match (status, row.get(1)) {
        (OrderStatus::Refunded, _) => StatusCode::OK,
        (OrderStatus::Paid, true) => StatusCode::ACCEPTED,
        (OrderStatus::Paid, false) => {
            let touched = sql::execute(
                &tx,
                "UPDATE orders SET refund_requested_at = now(), updated_at = now(),
                        next_look_at = now() + interval '2 seconds'
                 WHERE event_id = $1 AND order_id = $2 AND refund_requested_at IS NULL",
                &[&event.0, &order.0],
            )
            .await?;
            crate::db::expect_rows(touched, 1, "refund requested")?;
            // A row of its own: one under way may have been read without the request.
            sql::execute(
                &tx,
                "INSERT INTO outbox (event_id, order_id) VALUES ($1, $2)",
                &[&event.0, &order.0],
            )
            .await?;
            tracing::info!(%order, operator = %operator.id, "refund requested");
            StatusCode::ACCEPTED
        }
        (
            OrderStatus::Queued
            | OrderStatus::AwaitingPayment
            | OrderStatus::Failed
            | OrderStatus::Expired,
            _,
        ) => {
            return Err(ApiError::new(
                Kind::NOT_REFUNDABLE,
                "Only a paid order can be refunded.",
            ));
        }
    };
    tx.commit().await?;
    Ok((code, Json(json!({ "order": order, "status": status }))))
}
