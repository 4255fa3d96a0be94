//! A payment as Stripe shows it: session, intent, charge, refund, event.

use serde_json::{Value, json};

use super::form::Form;
use crate::payment::{Payment, Provider, Refund, Stage, new_id};
use crate::world::Event;

const API_VERSION: &str = "2026-08-26.dahlia";

fn currency(payment: &Payment) -> String {
    payment.currency.to_lowercase()
}

pub(super) fn session_status(payment: &Payment) -> &'static str {
    match payment.stage {
        Stage::Open => "open",
        Stage::Expired => "expired",
        Stage::Approved | Stage::Authorised | Stage::Captured | Stage::Voided => "complete",
    }
}

pub(super) fn intent_status(payment: &Payment) -> &'static str {
    match payment.stage {
        _ if payment.attempt.is_some() => "processing",
        Stage::Open if payment.declined => "requires_payment_method",
        Stage::Open if payment.confirmed && !payment.has_session() => "requires_action",
        Stage::Open | Stage::Approved => "requires_payment_method",
        Stage::Authorised => "requires_capture",
        Stage::Captured => "succeeded",
        Stage::Voided | Stage::Expired => "canceled",
    }
}

/// The Checkout Session; `expand` may ask for `payment_intent` and `payment_intent.latest_charge`.
pub(super) fn session(payment: &Payment, base: &str, form: &Form) -> Value {
    let open = payment.stage == Stage::Open;
    let intent = match &payment.intent_id {
        // As at Stripe, there is none before the first attempt.
        Some(_) if payment.attempts == 0 => Value::Null,
        Some(_) if form.expands("payment_intent") => intent(payment, base, form, "payment_intent"),
        id => json!(id),
    };
    let paid = payment.stage == Stage::Captured;
    json!({
        "id": payment.id,
        "object": "checkout.session",
        "amount_subtotal": payment.amount_minor,
        "amount_total": payment.amount_minor,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "cancel_url": payment.cancel_url,
        "client_reference_id": payment.order,
        "created": payment.created_ms / 1_000,
        "currency": currency(payment),
        "custom_fields": [],
        "custom_text": {
            "after_submit": null,
            "shipping_address": null,
            "submit": null,
            "terms_of_service_acceptance": null,
        },
        "customer_email": payment.email,
        "expires_at": payment.expires_ms.map(|at| at / 1_000),
        "livemode": false,
        "metadata": payment.metadata,
        "mode": "payment",
        "payment_intent": intent,
        "payment_method_types": ["card"],
        "payment_status": if paid { "paid" } else { "unpaid" },
        "shipping_options": [],
        "status": session_status(payment),
        "success_url": payment.return_url,
        "url": open.then(|| format!("{base}/pay/{}", payment.id)),
    })
}

/// The `PaymentIntent`; `at` is its path in the reply, for `expand`.
pub(super) fn intent(payment: &Payment, base: &str, form: &Form, at: &str) -> Value {
    let status = intent_status(payment);
    let path = if at.is_empty() {
        "latest_charge".to_owned()
    } else {
        format!("{at}.latest_charge")
    };
    let charge = match &payment.charge_id {
        Some(_) if form.expands(&path) => charge(payment),
        id => json!(id),
    };
    let capturable = if payment.stage == Stage::Authorised {
        payment.amount_minor
    } else {
        0
    };
    let error = payment.declined.then(|| error(payment));
    let next_action = (status == "requires_action").then(|| match payment.provider {
        Provider::Pix => pix_code(payment, base),
        Provider::Card | Provider::PayPal => json!({
            "type": "redirect_to_url",
            "redirect_to_url": {
                "url": format!("{base}/pay/{}", payment.id),
                "return_url": payment.return_url,
            },
        }),
    });
    let id = payment.intent_id.as_deref().unwrap_or_default();
    json!({
        "id": id,
        "object": "payment_intent",
        "amount": payment.amount_minor,
        "amount_capturable": capturable,
        "amount_received": payment.captured_minor,
        "capture_method": if payment.manual_capture { "manual" } else { "automatic" },
        "client_secret": format!("{id}_secret_sandbox"),
        "created": payment.created_ms / 1_000,
        "currency": currency(payment),
        "description": payment.description,
        "last_payment_error": error,
        "latest_charge": charge,
        "livemode": false,
        "metadata": payment.intent_metadata,
        "next_action": next_action,
        "payment_method_types": [payment.provider.name()],
        "status": status,
    })
}

fn error(payment: &Payment) -> Value {
    let (kind, code, decline_code, message) = match payment.provider {
        Provider::Pix if payment.lapsed => (
            "invalid_request_error",
            "payment_intent_payment_attempt_expired",
            None,
            "The payment attempt expired before it was paid.",
        ),
        Provider::Pix => (
            "invalid_request_error",
            "payment_intent_payment_attempt_failed",
            None,
            "The payment attempt failed.",
        ),
        Provider::Card | Provider::PayPal => (
            "card_error",
            "card_declined",
            Some("generic_decline"),
            "Your card was declined.",
        ),
    };
    let mut error = json!({ "type": kind, "code": code, "message": message });
    if let Some(decline_code) = decline_code {
        error["decline_code"] = decline_code.into();
    }
    if let Some(charge) = &payment.charge_id {
        error["charge"] = charge.as_str().into();
    }
    error
}

fn pix_code(payment: &Payment, base: &str) -> Value {
    let page = format!("{base}/pay/{}", payment.id);
    json!({
        "type": "pix_display_qr_code",
        "pix_display_qr_code": {
            "data": crate::page::pix_text(payment),
            "expires_at": payment.expires_ms.map(|at| at / 1_000),
            "hosted_instructions_url": page,
            "image_url_svg": format!("{page}/qr.svg"),
        },
    })
}

fn charge(payment: &Payment) -> Value {
    let captured = payment.stage == Stage::Captured;
    let refunded = payment.refunded_minor();
    let status = match payment.stage {
        _ if payment.attempt.is_some() => "pending",
        _ if payment.declined => "failed",
        _ => "succeeded",
    };
    json!({
        "id": payment.charge_id,
        "object": "charge",
        "amount": payment.amount_minor,
        "amount_captured": payment.captured_minor,
        "amount_refunded": refunded,
        "billing_details": {
            "address": null,
            "email": payment.email,
            "name": null,
            "phone": null,
            "tax_id": null,
        },
        "captured": captured,
        "created": payment.created_ms / 1_000,
        "currency": currency(payment),
        "disputed": false,
        "livemode": false,
        "metadata": payment.intent_metadata,
        "paid": status == "succeeded",
        "payment_intent": payment.intent_id,
        "refunded": captured && refunded == payment.captured_minor,
        "status": status,
    })
}

pub(super) fn refund(payment: &Payment, refund: &Refund) -> Value {
    json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount_minor,
        "charge": payment.charge_id,
        "created": refund.created_ms / 1_000,
        "currency": currency(payment),
        "metadata": refund.metadata,
        "payment_intent": payment.intent_id,
        "reason": null,
        "status": "succeeded",
    })
}

/// The event of that kind about the payment as it is now.
pub(crate) fn event(payment: &Payment, kind: &str, now_ms: i64, base: &str) -> Event {
    let plain = Form::parse(b"");
    let object = match kind.split('.').next() {
        Some("checkout") => session(payment, base, &plain),
        Some("charge") => charge(payment),
        _ => intent(payment, base, &plain, ""),
    };
    let id = new_id("evt_");
    let body = json!({
        "id": id,
        "object": "event",
        "api_version": API_VERSION,
        "created": now_ms / 1_000,
        "data": { "object": object },
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": kind,
    });
    Event {
        id,
        provider: payment.provider,
        kind: kind.to_owned(),
        created_ms: now_ms,
        body: crate::app::raw(&body),
    }
}
