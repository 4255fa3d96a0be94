//! `/v1/refunds` and `/v1/events`.

use super::error::Refusal;
use super::form::Form;
use super::{Outcome, list, view};
use crate::app::Txn;
use crate::payment::{Payment, Refund, Stage, new_id};
use crate::world::World;

const KNOWN: &[&str] = &[
    "payment_intent",
    "charge",
    "amount",
    "reason",
    "metadata[*]",
];

pub(super) fn create(txn: &mut Txn<'_>, _: &str, form: &Form) -> Outcome {
    form.only(KNOWN)?;
    let id = match form.get("charge") {
        Some(charge) => charge,
        None => form.require("payment_intent")?,
    };
    let found = txn
        .world
        .payment(id)
        .filter(|payment| payment.provider.is_stripe());
    let mut payment: Payment = found
        .cloned()
        .ok_or_else(|| Refusal::not_found("payment_intent", id))?;
    if payment.stage != Stage::Captured {
        return Err(Refusal::intent_state(
            "refunded",
            view::intent_status(&payment),
        ));
    }
    let left = payment.captured_minor - payment.refunded_minor();
    if left == 0 {
        let message = "The charge has already been refunded.";
        return Err(Refusal::amount(
            "charge",
            "charge_already_refunded",
            message,
        ));
    }
    let amount_minor = form.amount("amount")?.unwrap_or(left);
    if amount_minor > left {
        let message = format!(
            "Refund amount ({amount_minor}) is greater than unrefunded amount on charge ({left})"
        );
        return Err(Refusal::amount("amount", "amount_too_large", &message));
    }
    let refund = Refund {
        id: new_id("re_"),
        amount_minor,
        created_ms: txn.now_ms,
        metadata: form.metadata("metadata")?,
    };
    let reply = view::refund(&payment, &refund);
    payment.refund(refund);
    txn.put_and_tell(&payment, &["charge.refunded"]);
    Ok(reply)
}

pub(super) fn retrieve(world: &World, _: &str, id: &str, _: &Form) -> Outcome {
    let payment = world
        .payment(id)
        .filter(|payment| payment.provider.is_stripe());
    let refund = payment.and_then(|payment| {
        let refund = payment.refunds.iter().find(|refund| refund.id == id)?;
        Some(view::refund(payment, refund))
    });
    refund.ok_or_else(|| Refusal::not_found("refund", id))
}

/// A payment's refunds, newest first; `payment_intent` is required here, `limit` as at Stripe.
pub(super) fn list_all(world: &World, _: &str, _: &str, form: &Form) -> Outcome {
    form.only(&["payment_intent", "limit"])?;
    let id = form.require("payment_intent")?;
    let limit = form.integer("limit")?.unwrap_or(10).clamp(1, 100);
    let limit = usize::try_from(limit).unwrap_or(10);
    let payment = world
        .payment(id)
        .filter(|payment| payment.intent_id.as_deref() == Some(id))
        .ok_or_else(|| Refusal::not_found("payment_intent", id))?;
    let newest = payment.refunds.iter().rev().take(limit);
    let data: Vec<_> = newest.map(|refund| view::refund(payment, refund)).collect();
    let has_more = payment.refunds.len() > limit;
    Ok(list("/v1/refunds", &data, has_more))
}

/// The last events, newest first; `type` and `limit` as at Stripe.
pub(super) fn events(world: &World, _: &str, _: &str, form: &Form) -> Outcome {
    let limit = form.integer("limit")?.unwrap_or(10).clamp(1, 100);
    let limit = usize::try_from(limit).unwrap_or(10);
    let kind = form.get("type");
    let mut found: Vec<_> = world
        .events
        .iter()
        .rev()
        .filter(|event| event.provider.is_stripe())
        .filter(|event| kind.is_none_or(|kind| event.kind == kind))
        .take(limit + 1)
        .filter_map(|event| serde_json::from_str(event.body.get()).ok())
        .collect();
    let has_more = found.len() > limit;
    found.truncate(limit);
    Ok(list("/v1/events", &found, has_more))
}
