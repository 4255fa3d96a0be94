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
const LIST_MAX: i64 = 100;

pub(super) fn create(txn: &mut Txn<'_>, _: &str, form: &Form) -> Outcome {
    form.only(CREATE)?;
    let amount_minor = form
        .amount("amount")?
        .ok_or_else(|| Refusal::missing("amount"))?;
    let metadata = form.metadata("metadata")?;
    let id = new_id("pi_");
    let mut payment = Payment {
        id: id.clone(),
        provider: Provider::Card,
        intent_id: Some(id),
        currency: form.currency("currency")?,
        amount_minor,
        description: form.get("description").map(str::to_owned),
        email: form.get("receipt_email").map(str::to_owned),
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
        charge_id: None,
        authorisation_id: None,
        capture_id: None,
        captured_minor: 0,
        refunds: Vec::new(),
    };
    if form.get("confirm") == Some("true") {
        do_confirm(&mut payment, form)?;
    }
    txn.put(&payment);
    Ok(view::intent(&payment, txn.base(), form, ""))
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
        payment.provider == Provider::Card && (!payment.has_session() || payment.attempts > 0)
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
