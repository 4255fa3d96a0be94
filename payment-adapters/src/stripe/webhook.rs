//! Stripe's webhooks: <https://docs.stripe.com/webhooks#verify-manually>.

use catraca_domain::secret::Secret;
use catraca_domain::signature::{self, SignatureError};
use http::HeaderMap;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ProviderRef, WebhookError, WebhookEvent};

/// Which object of an event is a provider's reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Names {
    /// The Checkout Session, in its own events only.
    Session,
    /// The `PaymentIntent`, in its own events and in those of its charges and refunds.
    Intent,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default, rename = "object")]
    kind: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    payment_intent: Option<serde_json::Value>,
}

impl Object {
    fn reference(&self, names: Names) -> Option<&str> {
        match (names, self.kind.as_str()) {
            (Names::Session, "checkout.session") | (Names::Intent, "payment_intent") => {
                self.id.as_deref()
            }
            (Names::Session, _) => None,
            (Names::Intent, _) => self.payment_intent.as_ref()?.as_str(),
        }
    }
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    order: Option<String>,
}

/// Checks `Stripe-Signature` over the body as received, within 300 s either way.
pub(super) fn verify(
    secrets: &[Secret],
    names: Names,
    headers: &HeaderMap,
    raw_body: &[u8],
    now: OffsetDateTime,
) -> Result<WebhookEvent, WebhookError> {
    let header = headers
        .get("stripe-signature")
        .ok_or(WebhookError::BadSignature("no Stripe-Signature"))?
        .to_str()
        .map_err(|_| WebhookError::BadSignature("Stripe-Signature is not text"))?;
    signature::verify(secrets, header, raw_body, now.unix_timestamp()).map_err(|e| match e {
        SignatureError::Malformed => WebhookError::BadSignature("Stripe-Signature is malformed"),
        SignatureError::Mismatch => WebhookError::BadSignature("no secret matches"),
        SignatureError::Stale => WebhookError::OutsideTolerance,
    })?;
    parse(names, raw_body)
}

fn parse(names: Names, raw_body: &[u8]) -> Result<WebhookEvent, WebhookError> {
    let malformed = |error: serde_json::Error| WebhookError::Malformed(error.to_string());
    let event: Event = serde_json::from_slice(raw_body).map_err(malformed)?;
    let raw = serde_json::from_slice(raw_body).map_err(malformed)?;
    let object = event.data.object;
    let provider_ref = object.reference(names).map(ProviderRef::new);
    let order = object.metadata.and_then(|metadata| metadata.order);
    Ok(WebhookEvent {
        event_id: event.id,
        kind: event.kind,
        provider_ref,
        order_id: order.and_then(|order| Uuid::parse_str(&order).ok()),
        raw,
    })
}
