//! The form that opens a Checkout Session, and what we read of it.

use serde::Deserialize;
use url::Url;

use crate::stripe::{PaymentIntent, minor, pending};
use crate::transport::shorten;
use crate::{AdapterError, PaymentStatus, StartPayment};

/// How long after the hold Stripe closes the page by itself, should our `void` never come: its
/// minimum of 30 minutes and some slack, counted from the hold's end so that a repeated `start`
/// sends the same body.
const SESSION_BACKSTOP_SECONDS: i64 = 35 * 60;

/// The form that opens a Checkout Session.
pub(super) fn session_form(payment: &StartPayment) -> Result<Vec<(String, String)>, AdapterError> {
    let order = payment.order_id.to_string();
    let hold = payment.hold_id.to_string();
    let description = shorten(&payment.description);
    let expires_at = payment.expires_at.unix_timestamp() + SESSION_BACKSTOP_SECONDS;
    let mut form = vec![
        ("mode", "payment".to_owned()),
        ("payment_method_types[0]", "card".to_owned()),
        ("client_reference_id", order.clone()),
        ("success_url", payment.return_url.to_string()),
        ("cancel_url", payment.cancel_url.to_string()),
        ("expires_at", expires_at.to_string()),
        ("line_items[0][quantity]", "1".to_owned()),
        (
            "line_items[0][price_data][currency]",
            payment.amount.currency.code().to_lowercase(),
        ),
        (
            "line_items[0][price_data][unit_amount]",
            minor(payment.amount)?.to_string(),
        ),
        (
            "line_items[0][price_data][product_data][name]",
            description.clone(),
        ),
        ("payment_intent_data[capture_method]", "manual".to_owned()),
        ("payment_intent_data[description]", description),
        ("payment_intent_data[metadata][order]", order.clone()),
        ("payment_intent_data[metadata][hold]", hold.clone()),
        ("metadata[order]", order),
        ("metadata[hold]", hold),
        ("expand[]", "payment_intent".to_owned()),
    ];
    if let Some(email) = &payment.buyer_email {
        form.push(("customer_email", email.clone()));
    }
    Ok(form
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// A Checkout Session: <https://docs.stripe.com/api/checkout/sessions/object>.
#[derive(Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) url: Option<Url>,
    status: Option<String>,
    pub(super) payment_intent: Option<PaymentIntent>,
}

impl Session {
    pub(super) fn is_open(&self) -> bool {
        self.status.as_deref() == Some("open")
    }

    /// The key for closing the page. Stripe would remember a refusal too (the buyer was just
    /// paying), so the key names the attempt that was seen: after another, the page can be closed.
    pub(super) fn expire_key(&self) -> String {
        let intent = self.payment_intent.as_ref();
        let attempt = intent.map_or("none".to_owned(), PaymentIntent::attempt);
        format!("expire-{}-{attempt}", self.id)
    }

    /// What session and intent together mean.
    pub(super) fn status(&self) -> PaymentStatus {
        let session = self.status.as_deref().unwrap_or("unknown");
        let Some(intent) = &self.payment_intent else {
            return match session {
                "open" => PaymentStatus::Open,
                "expired" => PaymentStatus::Expired,
                other => pending(other),
            };
        };
        match session {
            "expired" if intent.waits() || intent.status == "canceled" => PaymentStatus::Expired,
            // The intent waits for the buyer, so the session's word decides.
            "open" if intent.waits() => intent.failure().unwrap_or(PaymentStatus::Open),
            other if intent.waits() => intent.failure().unwrap_or_else(|| pending(other)),
            _ => intent.status(),
        }
    }
}

/// What a reference names.
pub(super) enum Paid {
    /// `cs_…`, as `start` gives them.
    Session(Session),
    /// `pi_…`: a payment opened without Checkout.
    Intent(PaymentIntent),
}

impl Paid {
    pub(super) fn intent(&self) -> Option<&PaymentIntent> {
        match self {
            Self::Session(session) => session.payment_intent.as_ref(),
            Self::Intent(intent) => Some(intent),
        }
    }

    pub(super) fn status(&self) -> PaymentStatus {
        match self {
            Self::Session(session) => session.status(),
            Self::Intent(intent) => intent.status(),
        }
    }
}
