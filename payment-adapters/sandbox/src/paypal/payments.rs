//! `/v2/payments`: authorisations, captures, refunds.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::Value;

use super::error::Refusal;
use super::orders::amount;
use super::{Call, Outcome, view};
use crate::app::Txn;
use crate::payment::{Payment, Refund, Stage, new_paypal_id};
use crate::world::World;

fn find<'a>(
    world: &'a World,
    id: &str,
    own: fn(&Payment) -> Option<&String>,
) -> Result<&'a Payment, Refusal> {
    let found = world
        .payment(id)
        .filter(|payment| own(payment).is_some_and(|own| own == id));
    found.ok_or_else(Refusal::not_found)
}

fn by_authorisation<'a>(world: &'a World, id: &str) -> Result<&'a Payment, Refusal> {
    find(world, id, |payment| payment.authorisation_id.as_ref())
}

fn by_capture<'a>(world: &'a World, id: &str) -> Result<&'a Payment, Refusal> {
    find(world, id, |payment| payment.capture_id.as_ref())
}

pub(super) fn authorization(world: &World, base: &str, id: &str) -> Outcome {
    Ok((
        StatusCode::OK,
        view::authorisation(by_authorisation(world, id)?, base),
    ))
}

pub(super) fn captured(world: &World, base: &str, id: &str) -> Outcome {
    Ok((StatusCode::OK, view::capture(by_capture(world, id)?, base)))
}

pub(super) fn refunded(world: &World, base: &str, id: &str) -> Outcome {
    let payment = world.payment(id).ok_or_else(Refusal::not_found)?;
    let refund = payment.refunds.iter().find(|refund| refund.id == id);
    let refund = refund
        .filter(|_| payment.capture_id.is_some())
        .ok_or_else(Refusal::not_found)?;
    Ok((StatusCode::OK, view::refund(payment, refund, base)))
}

/// The amount asked for, or all there is.
fn asked(body: &Value, whole_minor: i64, payment: &Payment) -> Result<i64, Refusal> {
    if body["amount"].is_null() {
        return Ok(whole_minor);
    }
    let money = amount(&body["amount"], "/amount")?;
    if money.currency.code() != payment.currency {
        let text = "The currency must be that of the payment.";
        return Err(Refusal::unprocessable("CURRENCY_MISMATCH", text));
    }
    Ok(money.amount_minor)
}

/// One capture an authorisation: the stand-in treats each as final.
pub(super) fn capture(txn: &mut Txn<'_>, call: &Call<'_>) -> Outcome {
    let mut payment = by_authorisation(txn.world, call.id)?.clone();
    match payment.stage {
        Stage::Authorised => {}
        Stage::Voided => {
            let text = "A voided authorization cannot be captured or reauthorized. ";
            return Err(Refusal::unprocessable("AUTHORIZATION_VOIDED", text));
        }
        _ => {
            let text = "Authorization has previously been captured.";
            return Err(Refusal::unprocessable(
                "AUTHORIZATION_ALREADY_CAPTURED",
                text,
            ));
        }
    }
    let minor = asked(&call.body, payment.amount_minor, &payment)?;
    if minor > payment.amount_minor {
        let text = "Capture amount exceeds allowable limit. Please contact customer service or your \
                    account manager to request the change to your overage limit. The default \
                    overage limit is 115%, which allows the sum of all captures to be up to 115% \
                    of the order amount. The ability to over capture is subjected to regulatory \
                    approvals.";
        return Err(Refusal::unprocessable("MAX_CAPTURE_AMOUNT_EXCEEDED", text));
    }
    payment.capture(minor);
    payment.capture_id = Some(new_paypal_id());
    txn.put_and_tell(&payment, &["PAYMENT.CAPTURE.COMPLETED"]);
    Ok((StatusCode::CREATED, view::capture(&payment, txn.base())))
}

pub(super) fn void(txn: &mut Txn<'_>, call: &Call<'_>) -> Outcome {
    let mut payment = by_authorisation(txn.world, call.id)?.clone();
    match payment.stage {
        Stage::Authorised => {}
        Stage::Voided => {
            let text = "Authorization has been previously voided and hence cannot be voided again.";
            return Err(Refusal::unprocessable("PREVIOUSLY_VOIDED", text));
        }
        _ => {
            let text = "Authorization has been previously captured and hence cannot be voided.";
            return Err(Refusal::unprocessable("PREVIOUSLY_CAPTURED", text));
        }
    }
    payment.stage = Stage::Voided;
    txn.put_and_tell(&payment, &["PAYMENT.AUTHORIZATION.VOIDED"]);
    Ok((StatusCode::OK, view::authorisation(&payment, txn.base())))
}

pub(super) fn refund(txn: &mut Txn<'_>, call: &Call<'_>) -> Outcome {
    let mut payment = by_capture(txn.world, call.id)?.clone();
    let left = payment.captured_minor - payment.refunded_minor();
    if left == 0 {
        let text = "The capture has already been fully refunded";
        return Err(Refusal::unprocessable("CAPTURE_FULLY_REFUNDED", text));
    }
    let amount_minor = asked(&call.body, left, &payment)?;
    if amount_minor > left {
        let text = "The refund amount must be less than or equal to the capture amount that has \
                    not yet been refunded.";
        return Err(Refusal::unprocessable("REFUND_AMOUNT_EXCEEDED", text));
    }
    let custom = call.body["custom_id"].as_str();
    let refund = Refund {
        id: new_paypal_id(),
        amount_minor,
        created_ms: txn.now_ms,
        metadata: custom
            .map(|id| BTreeMap::from([("custom_id".to_owned(), id.to_owned())]))
            .unwrap_or_default(),
    };
    payment.refund(refund.clone());
    txn.put_and_tell(&payment, &["PAYMENT.CAPTURE.REFUNDED"]);
    Ok((
        StatusCode::CREATED,
        view::refund(&payment, &refund, txn.base()),
    ))
}
