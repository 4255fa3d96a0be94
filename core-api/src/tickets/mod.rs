//! Tickets: shown to their owner as JSON, as a QR code (`.svg`) and on paper (`.pdf`).
//!
//! They are issued where the money is certain, in [`crate::purchase`]. Here each gets its signed
//! code ([`catraca_domain::ticket_code`]), which is made from what was sold and so is never stored;
//! [`keys`] are published, and `door` tells the door which tickets are void.

mod door;
pub mod keys;
pub mod pdf;
pub(crate) mod qr;
pub(crate) mod ticket;

use crate::app::App;
use crate::error::ApiError;
use crate::login::Account;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/tickets/{ticket}", get(show))
        .route("/api/v1/ticket-keys", get(publish))
        .route("/api/v1/door/{event}", get(door::show))
}

async fn publish(State(app): State<App>) -> Result<Response, ApiError> {
    keys::answer(&app.config)
}

/// How the ticket is wanted, by the address's ending.
#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Svg,
    Pdf,
}

fn form(path: &str) -> (&str, Form) {
    if let Some(id) = path.strip_suffix(".svg") {
        (id, Form::Svg)
    } else if let Some(id) = path.strip_suffix(".pdf") {
        (id, Form::Pdf)
    } else {
        (path, Form::Json)
    }
}

async fn show(
    State(app): State<App>,
    account: Account,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    let (id, form) = form(&path);
    let id = id.parse().map_err(|_| ticket::not_found())?;
    let ticket = ticket::load(&app, account.id, id).await?;
    let mut response = match form {
        Form::Json => Json(&ticket).into_response(),
        Form::Svg => (
            [(header::CONTENT_TYPE, "image/svg+xml")],
            qr::svg(ticket.code()?)?,
        )
            .into_response(),
        Form::Pdf => {
            let name = format!("inline; filename=\"ticket-{id}.pdf\"");
            let headers = [
                (header::CONTENT_TYPE, "application/pdf".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (headers, pdf::pages(std::slice::from_ref(&ticket))?).into_response()
        }
    };
    let private = header::HeaderValue::from_static("private, no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, private);
    Ok(response)
}
