//! `/v1/checkout/sessions`.

use super::error::Refusal;
use super::form::Form;
use super::{Outcome, view};
use crate::app::Txn;
use crate::payment::{Payment, Provider, Stage, new_id};
use crate::world::World;

/// Stripe closes a page after 24 hours unless told otherwise, 30 minutes at least.
const EXPIRES_MS_DEFAULT: i64 = 24 * 3_600_000;
const EXPIRES_MS_MIN: i64 = 30 * 60_000;
/// Line items looked at.
const LINES_MAX: usize = 100;

const KNOWN: &[&str] = &[
    "mode",
    "payment_method_types[0]",
    "client_reference_id",
    "customer_email",
    "success_url",
    "cancel_url",
    "expires_at",
    "locale",
    "line_items[0][quantity]",
    "line_items[0][price_data][currency]",
    "line_items[0][price_data][unit_amount]",
    "line_items[0][price_data][product_data][name]",
    "line_items[0][price_data][product_data][description]",
    "payment_intent_data[capture_method]",
    "payment_intent_data[description]",
    "payment_intent_data[metadata][*]",
    "metadata[*]",
];

pub(super) fn create(txn: &mut Txn<'_>, _: &str, form: &Form) -> Outcome {
    form.only(KNOWN)?;
    if form.require("mode")? != "payment" {
        return Err(Refusal::invalid(
            "mode",
            "This stand-in has mode payment only.",
        ));
    }
    let success_url = form
        .url("success_url")?
        .ok_or_else(|| Refusal::missing("success_url"))?;
    let (currency, amount_minor) = total(form)?;
    let capture_method = form
        .get("payment_intent_data[capture_method]")
        .unwrap_or("automatic");
    if !matches!(capture_method, "automatic" | "automatic_async" | "manual") {
        return Err(Refusal::invalid(
            "payment_intent_data[capture_method]",
            "Invalid value.",
        ));
    }
    let metadata = form.metadata("metadata")?;
    let payment = Payment {
        id: new_id("cs_test_"),
        provider: Provider::Card,
        intent_id: Some(new_id("pi_")),
        currency,
        amount_minor,
        description: form
            .get("line_items[0][price_data][product_data][name]")
            .map(str::to_owned),
        email: form.get("customer_email").map(str::to_owned),
        return_url: success_url,
        cancel_url: form.url("cancel_url")?,
        order: form.get("client_reference_id").map(str::to_owned),
        hold: metadata.get("hold").cloned(),
        invoice_id: None,
        intent_metadata: form.metadata("payment_intent_data[metadata]")?,
        metadata,
        manual_capture: capture_method == "manual",
        confirmed: true,
        created_ms: txn.now_ms,
        expires_ms: Some(expiry(txn.now_ms, form)?),
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
    Ok(view::session(&payment, txn.base(), form))
}

fn expiry(now_ms: i64, form: &Form) -> Result<i64, Refusal> {
    let Some(seconds) = form.integer("expires_at")? else {
        return Ok(now_ms + EXPIRES_MS_DEFAULT);
    };
    let at = seconds.saturating_mul(1_000);
    // A second of grace: the time is given in whole seconds.
    if !(now_ms + EXPIRES_MS_MIN - 1_000..=now_ms + EXPIRES_MS_DEFAULT + 1_000).contains(&at) {
        let message = "The `expires_at` timestamp must be at least 30 minutes and less than 24 \
                       hours from Checkout Session creation.";
        return Err(Refusal::invalid("expires_at", message));
    }
    Ok(at)
}

/// The currency and sum of all line items.
fn total(form: &Form) -> Result<(String, i64), Refusal> {
    let mut sum: i64 = 0;
    let currency = form.currency("line_items[0][price_data][currency]")?;
    for index in 0..LINES_MAX {
        let price = format!("line_items[{index}][price_data]");
        if form.get(&format!("{price}[currency]")).is_none() {
            break;
        }
        if form.currency(&format!("{price}[currency]"))? != currency {
            return Err(Refusal::invalid(
                &price,
                "All prices must be in one currency.",
            ));
        }
        form.require(&format!("{price}[product_data][name]"))?;
        let amount = format!("{price}[unit_amount]");
        let unit = form
            .amount(&amount)?
            .ok_or_else(|| Refusal::missing(&amount))?;
        let name = format!("line_items[{index}][quantity]");
        let quantity = form
            .integer(&name)?
            .ok_or_else(|| Refusal::missing(&name))?;
        if !(1..=1_000).contains(&quantity) {
            return Err(Refusal::invalid(&name, "Quantity is 1 to 1000."));
        }
        sum += unit * quantity;
    }
    Ok((currency, sum))
}

fn find<'a>(world: &'a World, id: &str) -> Result<&'a Payment, Refusal> {
    let found = world
        .payment(id)
        .filter(|payment| payment.has_session() && payment.id == id);
    found.ok_or_else(|| Refusal::not_found("checkout.session", id))
}

pub(super) fn retrieve(world: &World, base: &str, id: &str, form: &Form) -> Outcome {
    Ok(view::session(find(world, id)?, base, form))
}

pub(super) fn expire(txn: &mut Txn<'_>, id: &str, form: &Form) -> Outcome {
    let mut payment = find(txn.world, id)?.clone();
    if payment.attempt.is_some() {
        // Not Stripe's words: there, a card payment is never processing for long.
        return Err(Refusal::session_not_open(
            "open, with a payment being processed",
        ));
    }
    if payment.stage != Stage::Open {
        return Err(Refusal::session_not_open(view::session_status(&payment)));
    }
    payment.stage = Stage::Expired;
    txn.put_and_tell(&payment, &["checkout.session.expired"]);
    Ok(view::session(&payment, txn.base(), form))
}
