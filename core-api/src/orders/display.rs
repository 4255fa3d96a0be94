//! What the shop shows to pay by, where a provider gives something: kept with the payment, shown to
//! the buyer as long as it can be paid.

use super::view;
use crate::app::App;
use crate::error::ApiError;
use crate::login::Account;
use crate::tickets::qr;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use catraca_domain::problem::Kind;
use catraca_payments::Display;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

/// As stored, and as the buyer gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Shown {
    /// A code for the buyer's banking app; drawn at `/api/v1/orders/{order}/pay.svg`.
    QrCode {
        /// To be copied where it can't be scanned.
        data: String,
        /// From when on it can't be paid.
        #[serde(with = "time::serde::rfc3339::option", default)]
        expires_at: Option<OffsetDateTime>,
    },
}

/// What is kept of what the provider gave. Its own picture is left out: pages show nothing from
/// other hosts.
pub(crate) fn stored(display: &Display) -> Value {
    let shown = match display {
        Display::QrCode {
            data, expires_at, ..
        } => Shown::QrCode {
            data: data.clone(),
            expires_at: *expires_at,
        },
    };
    // Text and a time: both can be written.
    serde_json::to_value(shown).unwrap_or(Value::Null)
}

/// What was kept; `None` where there is nothing, or nothing that this program knows.
pub(super) fn read(stored: Option<Value>) -> Option<Shown> {
    serde_json::from_value(stored?).ok()
}

/// `GET /api/v1/orders/{order}/pay.svg`: the code, drawn.
pub(super) async fn drawing(
    State(app): State<App>,
    account: Account,
    Path(order): Path<String>,
) -> Result<Response, ApiError> {
    let order = view::load(&app, account.id, view::parse(&order)?).await?;
    let Some(Shown::QrCode { data, .. }) = order.shown() else {
        let why = "There is no code to pay this order by, or no longer.";
        return Err(ApiError::new(Kind::NOT_FOUND, why));
    };
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, qr::svg(data)?).into_response())
}
