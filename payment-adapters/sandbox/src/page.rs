//! The pay pages: `GET /pay/{id}` shows what is to be paid, and a form posted to the same address
//! chooses how it goes.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use url::{Url, form_urlencoded};

use crate::app::{App, Txn};
use crate::background::come_due;
use crate::payment::{Outcome, Payment, Provider, Stage};

/// Longest time that processing may be held back.
const DELAY_SECONDS_MAX: i64 = 3_600;

/// What this program is, for whoever opens it in a browser.
pub(crate) async fn index() -> Html<String> {
    Html(frame(
        "Payment sandbox",
        "<p>This program answers like Stripe and like PayPal, so that Catraca can be tried out \
         without either. See its README.</p>",
    ))
}

/// The page as it is.
pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Response {
    match app.read(|world| world.payment(&id).cloned()) {
        Some(payment) => Html(payment_page(&payment)).into_response(),
        None => problem(StatusCode::NOT_FOUND, "There is no such payment."),
    }
}

/// What the buyer does.
#[derive(Clone, Copy)]
enum Choice {
    Pay(Outcome),
    Abandon,
}

/// A form was posted: 303 to the shop at once, whatever comes of it later.
pub(crate) async fn choose(
    State(app): State<App>,
    Path(id): Path<String>,
    body: axum::body::Bytes,
) -> Response {
    let (choice, delay_seconds) = match parse(&body) {
        Ok(parsed) => parsed,
        Err(reason) => return problem(StatusCode::UNPROCESSABLE_ENTITY, reason),
    };
    match app
        .transact(|txn| carry_out(txn, &id, choice, delay_seconds))
        .await
    {
        Ok(response) => response,
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn parse(body: &[u8]) -> Result<(Choice, i64), &'static str> {
    let mut choice = None;
    let mut delay_seconds = 0;
    for (name, value) in form_urlencoded::parse(body) {
        match (&*name, &*value) {
            ("outcome", "approve") => choice = Some(Choice::Pay(Outcome::Approve)),
            ("outcome", "decline") => choice = Some(Choice::Pay(Outcome::Decline)),
            ("outcome", "abandon") => choice = Some(Choice::Abandon),
            ("outcome", _) => return Err("outcome is approve, decline or abandon."),
            ("delay_seconds", "") => {}
            ("delay_seconds", text) => {
                let seconds = text
                    .parse()
                    .ok()
                    .filter(|s| (0..=DELAY_SECONDS_MAX).contains(s));
                delay_seconds = seconds.ok_or("delay_seconds is a whole number, 0 to 3600.")?;
            }
            _ => {}
        }
    }
    Ok((
        choice.ok_or("outcome is missing: approve, decline or abandon.")?,
        delay_seconds,
    ))
}

fn carry_out(txn: &mut Txn<'_>, id: &str, choice: Choice, delay_seconds: i64) -> Response {
    let Some(mut payment) = txn.world.payment(id).cloned() else {
        return problem(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    let Choice::Pay(outcome) = choice else {
        let back = payment
            .cancel_url
            .clone()
            .unwrap_or_else(|| payment.return_url.clone());
        return see_other(&payment, &back);
    };
    let paid = matches!(
        payment.stage,
        Stage::Approved | Stage::Authorised | Stage::Captured
    );
    if paid || payment.attempt.is_some() {
        // The form was sent twice. The first choice stands.
        return see_other(&payment, &payment.return_url);
    }
    if !payment.is_payable() {
        return problem(
            StatusCode::CONFLICT,
            "This payment is closed; nothing can be paid.",
        );
    }
    payment.begin(outcome, txn.now_ms + delay_seconds * 1_000);
    if delay_seconds == 0 {
        come_due(txn, payment.clone());
    } else {
        txn.put(&payment);
    }
    see_other(&payment, &payment.return_url)
}

/// Back to the shop, with what the provider adds to the address.
fn see_other(payment: &Payment, address: &str) -> Response {
    let address = address.replace("{CHECKOUT_SESSION_ID}", &payment.id);
    let Ok(mut url) = Url::parse(&address) else {
        return problem(
            StatusCode::CONFLICT,
            "The shop gave no address to go back to.",
        );
    };
    match payment.provider {
        Provider::PayPal => {
            url.query_pairs_mut().append_pair("token", &payment.id);
        }
        Provider::Card | Provider::Pix if !payment.has_session() => {
            url.query_pairs_mut()
                .append_pair("payment_intent", &payment.id);
        }
        Provider::Card | Provider::Pix => {}
    }
    (StatusCode::SEE_OTHER, [(header::LOCATION, url.to_string())]).into_response()
}

fn payment_page(payment: &Payment) -> String {
    let name = match payment.provider {
        Provider::Card => "card",
        Provider::PayPal => "PayPal",
        Provider::Pix => "Pix",
    };
    let amount = crate::paypal::view::money(payment.amount_minor, &payment.currency);
    let what = escape(payment.description.as_deref().unwrap_or("A payment"));
    let total = format!(
        "<p>{what}</p><p class=total>{} {amount}</p>",
        escape(&payment.currency)
    );
    let state = match (payment.attempt.is_some(), payment.stage) {
        (true, _) => "Being processed.",
        (false, Stage::Open) if !payment.confirmed => "Not confirmed yet.",
        (false, Stage::Open) if payment.lapsed => "The code has run out.",
        (false, Stage::Open) if payment.declined && !payment.is_payable() => "Declined.",
        (false, Stage::Open) if payment.declined => "Declined. You can try again.",
        (false, Stage::Open) => "",
        (false, Stage::Approved | Stage::Authorised | Stage::Captured) => "Paid.",
        (false, Stage::Voided) => "Called off by the shop.",
        (false, Stage::Expired) => "Expired.",
    };
    let form = if payment.is_payable() { FORM } else { "" };
    let code = if payment.provider == Provider::Pix && payment.is_payable() {
        code(payment)
    } else {
        String::new()
    };
    frame(
        &format!("Pay by {name}"),
        &format!("{total}<p role=status>{state}</p>{code}{form}"),
    )
}

/// What the code says: nothing that a bank's app would take for a payment.
pub(crate) fn pix_text(payment: &Payment) -> String {
    let amount = crate::paypal::view::money(payment.amount_minor, &payment.currency);
    format!("SANDBOX PIX, NO MONEY MOVES: {} BRL {amount}", payment.id)
}

fn code(payment: &Payment) -> String {
    let text = escape(&pix_text(payment));
    format!(
        "<p><img src=\"{0}/qr.svg\" width=240 height=240 alt=\"Pix QR code\"></p>\
         <p><label>Or copy the code: <input readonly value=\"{text}\" style=\"width:100%\"></label></p>",
        payment.id
    )
}

/// The code as an image.
pub(crate) async fn qr_code(State(app): State<App>, Path(id): Path<String>) -> Response {
    let payment = app.read(|world| world.payment(&id).cloned());
    let code = payment
        .filter(|payment| payment.provider == Provider::Pix)
        .and_then(|payment| qrcode::QrCode::new(pix_text(&payment)).ok());
    match code {
        Some(code) => {
            let image = code.render::<qrcode::render::svg::Color<'_>>().build();
            ([(header::CONTENT_TYPE, "image/svg+xml")], image).into_response()
        }
        None => problem(StatusCode::NOT_FOUND, "There is no such code."),
    }
}

/// Posts to its own address.
const FORM: &str = r#"<form method="post">
<p><label>Hold the outcome back for <input name="delay_seconds" type="number" min="0" max="3600"
 value="0" required> seconds</label></p>
<p><button name="outcome" value="approve">Approve</button>
<button name="outcome" value="decline">Decline</button>
<button name="outcome" value="abandon" formnovalidate>Abandon</button></p>
</form>"#;

fn problem(status: StatusCode, text: &str) -> Response {
    (
        status,
        Html(frame(
            "Payment sandbox",
            &format!("<p role=alert>{}</p>", escape(text)),
        )),
    )
        .into_response()
}

fn frame(title: &str, main: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} (sandbox)</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 2rem auto; padding: 0 1rem }}
.total {{ font-size: 1.8rem; font-weight: 600 }}
.note {{ background: #fde68a; color: #422006; padding: .5rem 1rem }}
button {{ font: inherit; padding: .5rem 1rem; margin-right: .5rem }} input {{ font: inherit; width: 5rem }}
</style></head><body><p class="note">A stand-in for a payment provider. No money moves here; don't
enter real card data.</p><main><h1>{title}</h1>{main}</main></body></html>
"#
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
