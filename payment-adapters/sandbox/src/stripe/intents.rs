//! `/v1/payment_intents`: those under Checkout Sessions, and those made by themselves.

use super::error::Refusal;
use super::form::Form;
use super::{Outcome, list as list_of, view};
use crate::app::Txn;
use crate::payment::{Payment, Provider, Stage, new_id};
use crate::world::World;

const CREATE: &[&str] = &[
    "amount",
    "currency",
    "capture_method",
    "confirm",
    "return_url",
    "description",
    "receipt_email",
    "payment_method",
    "payment_method_types[0]",
    "payment_method_data[type]",
    "payment_method_data[billing_details][email]",
    "payment_method_options[pix][expires_at]",
    "automatic_payment_methods[enabled]",
    "metadata[*]",
];
const CONFIRM: &[&str] = &[
    "return_url",
    "payment_method",
    "payment_method_data[type]",
    "capture_method",
];
const CAPTURE: &[&str] = &["amount_to_capture", "final_capture", "metadata[*]"];
/// A Pix code runs out after a day, unless told: 10 s to 14 days.
const PIX_MS_DEFAULT: i64 = 24 * 3_600_000;
const PIX_MS_MIN: i64 = 10_000;
const PIX_MS_MAX: i64 = 14 * 24 * 3_600_000;
const LIST_MAX: i64 = 100;

pub(super) fn create(txn: &mut Txn<'_>, _: &str, form: &Form) -> Outcome {
    form.only(CREATE)?;
    let amount_minor = form
        .amount("amount")?
        .ok_or_else(|| Refusal::missing("amount"))?;
    let metadata = form.metadata("metadata")?;
    let id = new_id("pi_");
    let is_pix = form.get("payment_method_types[0]") == Some("pix");
    let mut payment = Payment {
        id: id.clone(),
        provider: if is_pix {
            Provider::Pix
        } else {
            Provider::Card
        },
        intent_id: Some(id),
        currency: form.currency("currency")?,
        amount_minor,
        description: form.get("description").map(str::to_owned),
        email: form
            .get("payment_method_data[billing_details][email]")
            .or(form.get("receipt_email"))
            .map(str::to_owned),
        return_url: String::new(),
        cancel_url: None,
        order: metadata.get("order").cloned(),
        hold: metadata.get("hold").cloned(),
        invoice_id: None,
        metadata: metadata.clone(),
        intent_metadata: metadata,
        manual_capture: form.get("capture_method") == Some("manual"),
        confirmed: false,
        created_ms: txn.now_ms,
        expires_ms: None,
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
    if is_pix {
        only_pix(&mut payment, form)?;
    }
    if form.get("confirm") == Some("true") {
        do_confirm(&mut payment, form)?;
    }
    txn.put(&payment);
    Ok(view::intent(&payment, txn.base(), form, ""))
}

/// Pix is in reais, taken at once, and its code runs out.
fn only_pix(payment: &mut Payment, form: &Form) -> Result<(), Refusal> {
    if payment.currency != "BRL" {
        let message = "The payment method type \"pix\" only supports the currency brl.";
        return Err(Refusal::invalid("currency", message));
    }
    if payment.manual_capture {
        let message = "The payment method type \"pix\" does not support manual capture.";
        return Err(Refusal::invalid("capture_method", message));
    }
    if form
        .get("payment_method_data[type]")
        .is_some_and(|kind| kind != "pix")
    {
        return Err(Refusal::invalid(
            "payment_method_data[type]",
            "Not allowed on this intent.",
        ));
    }
    let name = "payment_method_options[pix][expires_at]";
    let at_ms = match form.integer(name)? {
        Some(seconds) => seconds.saturating_mul(1_000),
        None => payment.created_ms + PIX_MS_DEFAULT,
    };
    // A second of grace: the time is given in whole seconds.
    let allowed = payment.created_ms + PIX_MS_MIN - 1_000..=payment.created_ms + PIX_MS_MAX;
    if !allowed.contains(&at_ms) {
        let message = "The expiry must be between 10 and 1209600 seconds in the future.";
        return Err(Refusal::invalid(name, message));
    }
    payment.expires_ms = Some(at_ms);
    Ok(())
}

fn do_confirm(payment: &mut Payment, form: &Form) -> Result<(), Refusal> {
    payment.return_url = form
        .url("return_url")?
        .ok_or_else(|| Refusal::missing("return_url"))?;
    payment.confirmed = true;
    payment.declined = false;
    Ok(())
}

/// An intent exists once there was an attempt to pay, under a session as at Stripe.
fn find<'a>(world: &'a World, id: &str) -> Result<&'a Payment, Refusal> {
    let found = world
        .payment(id)
        .filter(|payment| payment.intent_id.as_deref() == Some(id));
    found
        .filter(|payment| !payment.has_session() || payment.attempts > 0)
        .ok_or_else(|| Refusal::not_found("payment_intent", id))
}

pub(super) fn retrieve(world: &World, base: &str, id: &str, form: &Form) -> Outcome {
    Ok(view::intent(find(world, id)?, base, form, ""))
}

/// The newest first; `limit` as at Stripe, no paging.
pub(super) fn list(world: &World, base: &str, _: &str, form: &Form) -> Outcome {
    let limit = form.integer("limit")?.unwrap_or(10);
    if !(1..=LIST_MAX).contains(&limit) {
        return Err(Refusal::invalid(
            "limit",
            "This value must be between 1 and 100.",
        ));
    }
    let limit = usize::try_from(limit).unwrap_or(10);
    let is_intent = |payment: &&Payment| {
        payment.provider.is_stripe() && (!payment.has_session() || payment.attempts > 0)
    };
    let mut found: Vec<&Payment> = world
        .payments()
        .rev()
        .filter(is_intent)
        .take(limit + 1)
        .collect();
    let has_more = found.len() > limit;
    found.truncate(limit);
    let data: Vec<_> = found
        .into_iter()
        .map(|p| view::intent(p, base, form, "data"))
        .collect();
    Ok(list_of("/v1/payment_intents", &data, has_more))
}

pub(super) fn confirm(txn: &mut Txn<'_>, id: &str, form: &Form) -> Outcome {
    form.only(CONFIRM)?;
    let mut payment = find(txn.world, id)?.clone();
    if payment.stage != Stage::Open || payment.attempt.is_some() || payment.has_session() {
        return Err(Refusal::intent_state(
            "confirmed",
            view::intent_status(&payment),
        ));
    }
    do_confirm(&mut payment, form)?;
    txn.put(&payment);
    Ok(view::intent(&payment, txn.base(), form, ""))
}

pub(super) fn capture(txn: &mut Txn<'_>, id: &str, form: &Form) -> Outcome {
    form.only(CAPTURE)?;
    let mut payment = find(txn.world, id)?.clone();
    if payment.stage != Stage::Authorised {
        return Err(Refusal::intent_state(
            "captured",
            view::intent_status(&payment),
        ));
    }
    let amount = form
        .amount("amount_to_capture")?
        .unwrap_or(payment.amount_minor);
    if amount > payment.amount_minor {
        let message = "The amount to capture is greater than the amount that can be captured.";
        return Err(Refusal::amount(
            "amount_to_capture",
            "amount_too_large",
            message,
        ));
    }
    payment.capture(amount);
    txn.put_and_tell(&payment, &["payment_intent.succeeded", "charge.captured"]);
    Ok(view::intent(&payment, txn.base(), form, ""))
}

pub(super) fn cancel(txn: &mut Txn<'_>, id: &str, form: &Form) -> Outcome {
    form.only(&["cancellation_reason"])?;
    let mut payment = find(txn.world, id)?.clone();
    let open = payment.stage == Stage::Open && !payment.has_session();
    if payment.attempt.is_some() || !(open || payment.stage == Stage::Authorised) {
        return Err(Refusal::intent_state(
            "canceled",
            view::intent_status(&payment),
        ));
    }
    payment.stage = Stage::Voided;
    txn.put_and_tell(&payment, &["payment_intent.canceled"]);
    Ok(view::intent(&payment, txn.base(), form, ""))
}
