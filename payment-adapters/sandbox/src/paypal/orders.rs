//! `/v2/checkout/orders`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use catraca_domain::money::{Currency, Money};
use serde_json::Value;

use super::error::Refusal;
use super::{Call, Outcome, view};
use crate::app::Txn;
use crate::payment::{Payment, Provider, Stage, new_paypal_id};
use crate::world::World;

/// An order can be approved and authorised for so long.
const EXPIRES_MS: i64 = 3 * 3_600_000;
/// Currencies `PayPal` takes whole units of only, whatever ISO 4217 says.
const WHOLE_ONLY: &[&str] = &["HUF", "JPY", "TWD"];

/// Reads `amount` from a body.
pub(super) fn amount(body: &Value, at: &str) -> Result<Money, Refusal> {
    let text = |name: &str| {
        body[name]
            .as_str()
            .ok_or_else(|| Refusal::malformed(&format!("{at}/{name}"), "MISSING"))
    };
    let (code, value) = (text("currency_code")?, text("value")?);
    let currency: Currency = code.parse().map_err(|_| {
        Refusal::malformed(&format!("{at}/currency_code"), "INVALID_PARAMETER_SYNTAX")
    })?;
    if WHOLE_ONLY.contains(&code) && value.contains('.') {
        let text = "Currency does not support decimals.";
        return Err(Refusal::unprocessable("DECIMALS_NOT_SUPPORTED", text));
    }
    let money = Money::from_decimal(value, currency).map_err(|_| {
        Refusal::unprocessable(
            "DECIMAL_PRECISION",
            "The value has too many decimals or digits.",
        )
    })?;
    if money.amount_minor <= 0 {
        let text = "The value must be greater than zero.";
        return Err(Refusal::unprocessable("CANNOT_BE_ZERO_OR_NEGATIVE", text));
    }
    Ok(money)
}

fn text_of(value: &Value, at: &str, max: usize) -> Result<Option<String>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() <= max => Ok(Some(text.clone())),
        _ => Err(Refusal::malformed(at, "INVALID_STRING_LENGTH")),
    }
}

fn url_of(context: &Value, name: &'static str) -> Result<String, Refusal> {
    let text = context[name].as_str().unwrap_or_default();
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(text.to_owned()),
        _ => Err(Refusal::malformed(
            &format!("/payment_source/paypal/experience_context/{name}"),
            "INVALID_PARAMETER_SYNTAX",
        )),
    }
}

pub(super) fn create(txn: &mut Txn<'_>, call: &Call<'_>) -> Outcome {
    let body = &call.body;
    match body["intent"].as_str() {
        Some("AUTHORIZE") => {}
        Some("CAPTURE") => {
            let text = "This stand-in takes intent AUTHORIZE only.";
            return Err(Refusal::unprocessable("UNSUPPORTED_INTENT", text));
        }
        _ => return Err(Refusal::malformed("/intent", "INVALID_PARAMETER_VALUE")),
    }
    let Some([unit]) = body["purchase_units"].as_array().map(Vec::as_slice) else {
        return Err(Refusal::malformed(
            "/purchase_units",
            "INVALID_ARRAY_LENGTH",
        ));
    };
    let wallet = &body["payment_source"]["paypal"];
    if !wallet.is_object() {
        return Err(Refusal::malformed(
            "/payment_source/paypal",
            "MISSING_REQUIRED_PARAMETER",
        ));
    }
    if !call.has_request_id {
        let text = "A PayPal-Request-Id is required if you are trying to process payment for an \
                    Order.";
        return Err(Refusal::unprocessable("PAYPAL_REQUEST_ID_REQUIRED", text));
    }
    let context = &wallet["experience_context"];
    let money = amount(&unit["amount"], "/purchase_units/@0/amount")?;
    let at = |name: &str| format!("/purchase_units/@0/{name}");
    let payment = Payment {
        id: new_paypal_id(),
        provider: Provider::PayPal,
        intent_id: None,
        currency: money.currency.code().to_owned(),
        amount_minor: money.amount_minor,
        description: text_of(&unit["description"], &at("description"), 127)?,
        email: text_of(
            &wallet["email_address"],
            "/payment_source/paypal/email_address",
            254,
        )?,
        return_url: url_of(context, "return_url")?,
        cancel_url: Some(url_of(context, "cancel_url")?),
        order: text_of(&unit["custom_id"], &at("custom_id"), 127)?,
        hold: text_of(&unit["reference_id"], &at("reference_id"), 256)?,
        invoice_id: text_of(&unit["invoice_id"], &at("invoice_id"), 127)?,
        metadata: BTreeMap::new(),
        intent_metadata: BTreeMap::new(),
        manual_capture: true,
        confirmed: true,
        created_ms: txn.now_ms,
        expires_ms: Some(txn.now_ms + EXPIRES_MS),
        stage: Stage::Open,
        attempt: None,
        attempts: 0,
        declined: false,
        lapsed: false,
        charge_id: None,
        authorisation_id: None,
        capture_id: None,
        captured_minor: 0,
        refunds: Vec::new(),
    };
    txn.put(&payment);
    Ok((StatusCode::OK, view::order(&payment, txn.base())))
}

/// An expired order is gone, as at `PayPal`.
fn find<'a>(world: &'a World, id: &str) -> Result<&'a Payment, Refusal> {
    let found = world
        .payment(id)
        .filter(|p| p.provider == Provider::PayPal && p.id == id);
    found
        .filter(|payment| payment.stage != Stage::Expired)
        .ok_or_else(Refusal::not_found)
}

pub(super) fn retrieve(world: &World, base: &str, id: &str) -> Outcome {
    Ok((StatusCode::OK, view::order(find(world, id)?, base)))
}

/// Sets the money aside. A buyer whose page said "decline" agreed with a means of payment that is
/// refused here: the order stays approved, as at `PayPal`.
pub(super) fn authorize(txn: &mut Txn<'_>, call: &Call<'_>) -> Outcome {
    let mut payment = find(txn.world, call.id)?.clone();
    match payment.stage {
        Stage::Approved if payment.declined => {
            // Of the refusals that PayPal documents for this call, the nearest to a declined card.
            let text = "Payer cannot pay for this transaction. Please contact the payer to find \
                        other ways to pay for this transaction.";
            return Err(Refusal::unprocessable("PAYER_CANNOT_PAY", text));
        }
        Stage::Approved => {}
        Stage::Open | Stage::Expired => {
            let text = "Payer has not yet approved the Order for payment. Please redirect the payer \
                        to the 'rel':'approve' url returned as part of the HATEOAS links within \
                        the Create Order call.";
            return Err(Refusal::unprocessable("ORDER_NOT_APPROVED", text));
        }
        Stage::Authorised | Stage::Captured | Stage::Voided => {
            let text = "Order already authorized.If 'intent=AUTHORIZE' only one authorization per \
                        order is allowed.";
            return Err(Refusal::unprocessable("ORDER_ALREADY_AUTHORIZED", text));
        }
    }
    payment.stage = Stage::Authorised;
    payment.authorisation_id = Some(new_paypal_id());
    txn.put_and_tell(&payment, &["PAYMENT.AUTHORIZATION.CREATED"]);
    Ok((StatusCode::CREATED, view::order(&payment, txn.base())))
}
