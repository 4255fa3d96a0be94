//! Dead letters, for operators: seen, retried, dropped.

use super::decision;
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::params::Path;
use crate::login::Operator;
use crate::purchase::dead::{self, Resolution};
use crate::purchase::sql;
use axum::Json;
use axum::extract::State;
use catraca_domain::ids::OrderId;
use catraca_domain::problem::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// Most letters in one answer.
const LETTERS_MAX: i64 = 500;

#[derive(Serialize)]
struct Letter {
    event: String,
    #[serde(rename = "letter")]
    number: i64,
    order: OrderId,
    provider: String,
    order_status: String,
    payment: String,
    starts: i32,
    failures: i32,
    error: String,
    #[serde(with = "time::serde::rfc3339")]
    died_at: OffsetDateTime,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    reason: String,
}

/// The open ones, oldest first.
pub(super) async fn list(
    State(app): State<App>,
    Operator(_): Operator,
) -> Result<Json<Value>, ApiError> {
    let rows = sql::query(
        &app.db.get().await?,
        "SELECT e.slug, d.outbox_id, d.order_id, d.provider, o.status, p.state, d.starts,
                d.failures, d.error, d.died_at
         FROM dead_letters d
         JOIN events e ON e.event_id = d.event_id
         JOIN orders o ON o.event_id = d.event_id AND o.order_id = d.order_id
         JOIN payments p ON p.event_id = d.event_id AND p.order_id = d.order_id
         WHERE d.resolution IS NULL ORDER BY d.died_at, d.outbox_id LIMIT $1",
        &[&LETTERS_MAX],
    )
    .await?;
    let letters: Vec<Letter> = rows
        .iter()
        .map(|row| Letter {
            event: row.get(0),
            number: row.get(1),
            order: OrderId(row.get(2)),
            provider: row.get(3),
            order_status: row.get(4),
            payment: row.get(5),
            starts: row.get(6),
            failures: row.get(7),
            error: row.get(8),
            died_at: row.get(9),
        })
        .collect();
    Ok(Json(json!({ "dead_letters": letters })))
}

/// The order is looked at again, with as many tries as at first.
pub(super) async fn retry(
    app: State<App>,
    operator: Operator,
    path: Path<(String, String)>,
    body: JsonBody<Decision>,
) -> Result<Json<Value>, ApiError> {
    resolve(app, operator, path, body, Resolution::Retried).await
}

/// The order is left as it is.
pub(super) async fn drop(
    app: State<App>,
    operator: Operator,
    path: Path<(String, String)>,
    body: JsonBody<Decision>,
) -> Result<Json<Value>, ApiError> {
    resolve(app, operator, path, body, Resolution::Dropped).await
}

async fn resolve(
    State(app): State<App>,
    Operator(operator): Operator,
    Path((event, letter)): Path<(String, String)>,
    body: JsonBody<Decision>,
    resolution: Resolution,
) -> Result<Json<Value>, ApiError> {
    let reason = decision::reason(&body.parsed.reason)?;
    let event = decision::event(&app, &event).await?;
    let unknown = || {
        let detail = "No open dead letter has that number.";
        ApiError::new(Kind::NOT_FOUND, detail)
    };
    let letter: i64 = letter.parse().map_err(|_| unknown())?;
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    let resolved = dead::resolve(&tx, event, letter, operator.id.0, resolution, reason).await?;
    let Some(resolved) = resolved else {
        return Err(unknown());
    };
    let action = match resolution {
        Resolution::Retried => "retry_dead_letter",
        Resolution::Dropped => "drop_dead_letter",
    };
    let subject = letter.to_string();
    decision::note(
        &tx,
        &operator,
        action,
        resolved.order,
        Some(&subject),
        reason,
    )
    .await?;
    tx.commit().await?;
    dead::unshow(&app, event, &resolved).await;
    Ok(Json(json!({ "order": resolved.order, "letter": letter,
                    "resolution": resolution.as_str() })))
}
