//! A payment as `PayPal` shows it: order, authorisation, capture, refund, event.

use catraca_domain::money::Money;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::payment::{Payment, Refund, Stage, new_id};
use crate::world::Event;

/// The authorisation is honoured so long.
const AUTHORISATION_MS: i64 = 29 * 24 * 3_600_000;

/// An amount as text, in the digits `PayPal` uses for that currency.
pub(crate) fn money(minor: i64, currency: &str) -> String {
    let text = currency
        .parse()
        .ok()
        .and_then(|currency| Money::new(minor, currency).ok())
        .map_or_else(|| minor.to_string(), Money::to_decimal);
    match currency {
        "HUF" | "TWD" => text.trim_end_matches(".00").to_owned(),
        _ => text,
    }
}

fn amount(payment: &Payment, minor: i64) -> Value {
    json!({ "currency_code": payment.currency, "value": money(minor, &payment.currency) })
}

fn time(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(ms / 1_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

fn link(href: &str, rel: &str, method: &str) -> Value {
    json!({ "href": href, "rel": rel, "method": method })
}

/// `PayPal` leaves out what isn't there instead of sending `null`.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn order_status(payment: &Payment) -> &'static str {
    match payment.stage {
        Stage::Open | Stage::Expired => "PAYER_ACTION_REQUIRED",
        Stage::Approved => "APPROVED",
        Stage::Authorised | Stage::Captured | Stage::Voided => "COMPLETED",
    }
}

/// The order, with what has been done under it.
pub(super) fn order(payment: &Payment, base: &str) -> Value {
    let mut payments = Map::new();
    if payment.authorisation_id.is_some() {
        payments.insert(
            "authorizations".to_owned(),
            json!([authorisation(payment, base)]),
        );
    }
    if payment.capture_id.is_some() {
        payments.insert("captures".to_owned(), json!([capture(payment, base)]));
    }
    if !payment.refunds.is_empty() {
        let refunds = payment
            .refunds
            .iter()
            .map(|r| refund(payment, r, base))
            .collect();
        payments.insert("refunds".to_owned(), Value::Array(refunds));
    }
    let unit = without_nulls(json!({
        "reference_id": payment.hold,
        "amount": amount(payment, payment.amount_minor),
        "custom_id": payment.order,
        "invoice_id": payment.invoice_id,
        "description": payment.description,
        "payments": if payments.is_empty() { Value::Null } else { Value::Object(payments) },
    }));
    let own = format!("{base}/v2/checkout/orders/{}", payment.id);
    let mut links = vec![link(&own, "self", "GET")];
    match payment.stage {
        Stage::Open => {
            links.push(link(
                &format!("{base}/pay/{}", payment.id),
                "payer-action",
                "GET",
            ));
        }
        Stage::Approved => links.push(link(&format!("{own}/authorize"), "authorize", "POST")),
        Stage::Authorised | Stage::Captured | Stage::Voided | Stage::Expired => {}
    }
    let wallet = without_nulls(json!({ "email_address": payment.email }));
    json!({
        "id": payment.id,
        "intent": "AUTHORIZE",
        "status": order_status(payment),
        "payment_source": { "paypal": wallet },
        "purchase_units": [unit],
        "create_time": time(payment.created_ms),
        "links": links,
    })
}

/// The money set aside.
pub(super) fn authorisation(payment: &Payment, base: &str) -> Value {
    let status = match payment.stage {
        Stage::Captured if payment.captured_minor < payment.amount_minor => "PARTIALLY_CAPTURED",
        Stage::Captured => "CAPTURED",
        Stage::Voided => "VOIDED",
        Stage::Open | Stage::Approved | Stage::Authorised | Stage::Expired => "CREATED",
    };
    let id = payment.authorisation_id.as_deref().unwrap_or_default();
    let own = format!("{base}/v2/payments/authorizations/{id}");
    without_nulls(json!({
        "id": id,
        "status": status,
        "amount": amount(payment, payment.amount_minor),
        "custom_id": payment.order,
        "invoice_id": payment.invoice_id,
        "create_time": time(payment.created_ms),
        "update_time": time(payment.created_ms),
        "expiration_time": time(payment.created_ms + AUTHORISATION_MS),
        "links": [
            link(&own, "self", "GET"),
            link(&format!("{own}/capture"), "capture", "POST"),
            link(&format!("{own}/void"), "void", "POST"),
        ],
    }))
}

/// The money taken.
pub(super) fn capture(payment: &Payment, base: &str) -> Value {
    let status = match payment.refunded_minor() {
        0 => "COMPLETED",
        all if all == payment.captured_minor => "REFUNDED",
        _ => "PARTIALLY_REFUNDED",
    };
    let id = payment.capture_id.as_deref().unwrap_or_default();
    let own = format!("{base}/v2/payments/captures/{id}");
    without_nulls(json!({
        "id": id,
        "status": status,
        "amount": amount(payment, payment.captured_minor),
        "final_capture": true,
        "custom_id": payment.order,
        "invoice_id": payment.invoice_id,
        "create_time": time(payment.created_ms),
        "update_time": time(payment.created_ms),
        "links": [link(&own, "self", "GET"), link(&format!("{own}/refund"), "refund", "POST")],
    }))
}

/// Money given back.
pub(super) fn refund(payment: &Payment, refund: &Refund, base: &str) -> Value {
    without_nulls(json!({
        "id": refund.id,
        "status": "COMPLETED",
        "amount": amount(payment, refund.amount_minor),
        "custom_id": refund.metadata.get("custom_id"),
        "invoice_id": payment.invoice_id,
        "create_time": time(refund.created_ms),
        "update_time": time(refund.created_ms),
        "links": [link(&format!("{base}/v2/payments/refunds/{}", refund.id), "self", "GET")],
    }))
}

/// The event of that kind about the payment as it is now.
pub(crate) fn event(payment: &Payment, kind: &str, now_ms: i64, base: &str) -> Event {
    let (resource_type, mut resource) = match kind {
        "CHECKOUT.ORDER.APPROVED" => ("checkout-order", order(payment, base)),
        "PAYMENT.CAPTURE.COMPLETED" => ("capture", capture(payment, base)),
        "PAYMENT.CAPTURE.REFUNDED" => match payment.refunds.last() {
            Some(last) => ("refund", refund(payment, last, base)),
            None => ("capture", capture(payment, base)),
        },
        _ => ("authorization", authorisation(payment, base)),
    };
    if matches!(resource_type, "authorization" | "capture") {
        resource["supplementary_data"] = json!({ "related_ids": { "order_id": payment.id } });
    }
    let id = new_id("WH-").to_uppercase();
    let body = json!({
        "id": id,
        "event_version": "1.0",
        "create_time": time(now_ms),
        "resource_type": resource_type,
        "resource_version": "2.0",
        "event_type": kind,
        "summary": format!("{kind} (sandbox)"),
        "resource": resource,
        "links": [link(&format!("{base}/v1/notifications/webhooks-events/{id}"), "self", "GET")],
    });
    Event {
        id,
        provider: payment.provider,
        kind: kind.to_owned(),
        created_ms: now_ms,
        body: crate::app::raw(&body),
    }
}
