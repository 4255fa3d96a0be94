//! `PayPal`'s webhooks: their signature is checked by asking `PayPal` itself.

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::transport::Reply;
use crate::{AdapterError, ProviderRef, WebhookError, WebhookEvent};

/// `PayPal` redelivers for three days and does not promise to sign each delivery anew, so nothing
/// younger than this is a replay to be refused. Events are hints and recorded once by id: a replay
/// within these days changes nothing.
const TOLERANCE_PAST: Duration = Duration::days(4);
/// Our clock may be behind by this much.
const TOLERANCE_FUTURE: Duration = Duration::minutes(5);

/// The body of `POST /v1/notifications/verify-webhook-signature`. The event goes back byte by byte
/// as it came: the signature covers a checksum of the raw text.
#[derive(Serialize)]
struct Question<'a> {
    auth_algo: &'a str,
    cert_url: &'a str,
    transmission_id: &'a str,
    transmission_sig: &'a str,
    transmission_time: &'a str,
    webhook_id: &'a str,
    webhook_event: &'a RawValue,
}

/// Refusals that are about our credentials and not about the event.
const OURS: &[&str] = &[
    "unauthorised",
    "oauth",
    "NOT_AUTHORIZED",
    "PERMISSION_DENIED",
];

#[derive(Deserialize)]
struct Answer {
    verification_status: String,
}

/// What to ask `PayPal` about this delivery.
pub(super) fn question(
    webhook_id: &str,
    headers: &HeaderMap,
    raw_body: &[u8],
    now: OffsetDateTime,
) -> Result<Vec<u8>, WebhookError> {
    let header = |name: &str, missing: &'static str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .filter(|value| !value.is_empty() && value.len() <= 500)
            .ok_or(WebhookError::BadSignature(missing))
    };
    let transmission_time = header("paypal-transmission-time", "no PayPal-Transmission-Time")?;
    let sent_at = OffsetDateTime::parse(transmission_time, &Rfc3339)
        .map_err(|_| WebhookError::BadSignature("PayPal-Transmission-Time is no time"))?;
    if sent_at < now - TOLERANCE_PAST || sent_at > now + TOLERANCE_FUTURE {
        return Err(WebhookError::OutsideTolerance);
    }
    let malformed = |error: serde_json::Error| WebhookError::Malformed(error.to_string());
    let question = Question {
        auth_algo: header("paypal-auth-algo", "no PayPal-Auth-Algo")?,
        cert_url: header("paypal-cert-url", "no PayPal-Cert-Url")?,
        transmission_id: header("paypal-transmission-id", "no PayPal-Transmission-Id")?,
        transmission_sig: header("paypal-transmission-sig", "no PayPal-Transmission-Sig")?,
        transmission_time,
        webhook_id,
        webhook_event: serde_json::from_slice(raw_body).map_err(malformed)?,
    };
    serde_json::to_vec(&question).map_err(malformed)
}

/// Believes an event only if `PayPal` said `SUCCESS` in so many letters.
pub(super) fn believe(
    reply: Result<Reply, AdapterError>,
    raw_body: &[u8],
) -> Result<WebhookEvent, WebhookError> {
    let reply = match reply {
        Ok(reply) => reply,
        // Ours to repair, and no word on the event: it is delivered again.
        Err(AdapterError::NotFound) => {
            return Err(WebhookError::Unavailable(AdapterError::Rejected {
                code: "webhook_unknown".to_owned(),
                message: "PayPal knows no webhook of the configured id, or isn't at the \
                          configured address"
                    .to_owned(),
            }));
        }
        // PayPal could not make sense of what claims to be its own: it isn't.
        Err(AdapterError::Rejected { code, .. }) if !OURS.contains(&code.as_str()) => {
            return Err(WebhookError::BadSignature("PayPal refused to check it"));
        }
        Err(error) => return Err(WebhookError::Unavailable(error)),
    };
    let answer: Answer = reply.json().map_err(WebhookError::Unavailable)?;
    if answer.verification_status != "SUCCESS" {
        return Err(WebhookError::BadSignature("PayPal does not know it"));
    }
    parse(raw_body)
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "event_type")]
    kind: String,
    #[serde(default)]
    resource_type: String,
    #[serde(default)]
    resource: Resource,
}

#[derive(Deserialize, Default)]
struct Resource {
    id: Option<String>,
    custom_id: Option<String>,
    invoice_id: Option<String>,
    #[serde(default)]
    purchase_units: Vec<Unit>,
    supplementary_data: Option<Supplementary>,
}

#[derive(Deserialize)]
struct Unit {
    custom_id: Option<String>,
}

#[derive(Deserialize)]
struct Supplementary {
    related_ids: Option<RelatedIds>,
}

#[derive(Deserialize)]
struct RelatedIds {
    order_id: Option<String>,
}

fn parse(raw_body: &[u8]) -> Result<WebhookEvent, WebhookError> {
    let malformed = |error: serde_json::Error| WebhookError::Malformed(error.to_string());
    let event: Event = serde_json::from_slice(raw_body).map_err(malformed)?;
    let raw = serde_json::from_slice(raw_body).map_err(malformed)?;
    let resource = event.resource;
    let related = resource
        .supplementary_data
        .and_then(|data| data.related_ids?.order_id);
    let own = resource
        .id
        .filter(|_| event.resource_type == "checkout-order");
    let unit = resource
        .purchase_units
        .into_iter()
        .find_map(|unit| unit.custom_id);
    // A refund's `custom_id` is the refund's; the order is its invoice.
    let order = match event.resource_type.as_str() {
        "refund" => resource.invoice_id,
        _ => resource.custom_id.or(unit),
    };
    Ok(WebhookEvent {
        event_id: event.id,
        kind: event.kind,
        provider_ref: related.or(own).map(ProviderRef::new),
        order_id: order.and_then(|order| Uuid::parse_str(&order).ok()),
        raw,
    })
}
