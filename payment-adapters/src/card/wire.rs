//! Stripe's format: what we send as forms, what we read of the replies.

use catraca_domain::money::{Currency, Money};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use crate::transport::shorten;
use crate::{AdapterError, PaymentStatus, RefundState, StartPayment};

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

/// The form that asks for a refund.
pub(super) fn refund_form(intent: &str, minor: i64, refund_id: Uuid) -> Vec<(String, String)> {
    vec![
        ("payment_intent".to_owned(), intent.to_owned()),
        ("amount".to_owned(), minor.to_string()),
        ("metadata[refund]".to_owned(), refund_id.to_string()),
    ]
}

/// Stripe's minor units are ISO's, but for these two, which it counts in hundredths:
/// <https://docs.stripe.com/currencies#special-cases>.
fn stripe_factor(currency: Currency) -> i64 {
    if matches!(currency.code(), "ISK" | "UGX") {
        100
    } else {
        1
    }
}

/// An amount as Stripe counts it; refuses what can't be charged.
pub(super) fn minor(amount: Money) -> Result<i64, AdapterError> {
    if amount.amount_minor <= 0 {
        return Err(AdapterError::Rejected {
            code: "amount_not_positive".to_owned(),
            message: format!("{amount} can't be charged"),
        });
    }
    Ok(amount.amount_minor * stripe_factor(amount.currency))
}

/// Refuses to mix currencies before the provider gets to see it.
pub(super) fn same_currency(there: Money, ours: Money) -> Result<(), AdapterError> {
    if there.currency == ours.currency {
        return Ok(());
    }
    Err(AdapterError::Rejected {
        code: "currency_mismatch".to_owned(),
        message: format!(
            "the payment is in {}, not in {}",
            there.currency, ours.currency
        ),
    })
}

/// A Checkout Session: <https://docs.stripe.com/api/checkout/sessions/object>.
#[derive(Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) url: Option<Url>,
    status: Option<String>,
    pub(super) payment_intent: Option<PaymentIntent>,
}

/// The part of a `PaymentIntent` we act on.
#[derive(Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    status: String,
    currency: String,
    #[serde(default)]
    amount_capturable: i64,
    #[serde(default)]
    amount_received: i64,
    last_payment_error: Option<PaymentError>,
    latest_charge: Option<Charge>,
}

#[derive(Deserialize)]
struct PaymentError {
    code: Option<String>,
    decline_code: Option<String>,
}

/// A charge, or only its id where it wasn't expanded.
#[derive(Deserialize)]
#[serde(untagged)]
enum Charge {
    Whole { id: String, amount_refunded: i64 },
    Id(String),
}

impl Charge {
    fn id(&self) -> &str {
        match self {
            Self::Whole { id, .. } | Self::Id(id) => id,
        }
    }
}

impl Session {
    pub(super) fn is_open(&self) -> bool {
        self.status.as_deref() == Some("open")
    }

    /// The key for closing the page. Stripe would remember a refusal too (the buyer was just
    /// paying), so the key names the attempt that was seen: after another, the page can be closed.
    pub(super) fn expire_key(&self) -> String {
        let intent = self.payment_intent.as_ref();
        let attempt = intent
            .and_then(|i| i.latest_charge.as_ref())
            .map_or("none", Charge::id);
        let state = intent.map_or("none", |i| i.status.as_str());
        format!("expire-{}-{state}-{attempt}", self.id)
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
        match intent.status.as_str() {
            "requires_capture" => intent.authorised(),
            "succeeded" => intent.captured(),
            "canceled" if session == "expired" => PaymentStatus::Expired,
            "canceled" => PaymentStatus::Voided,
            // The intent waits for the buyer, so the session's word decides.
            "requires_payment_method" | "requires_confirmation" | "requires_action" => {
                match (session, &intent.last_payment_error) {
                    ("expired", _) => PaymentStatus::Expired,
                    (_, Some(error)) if intent.status == "requires_payment_method" => {
                        PaymentStatus::Failed {
                            reason: error.reason(),
                        }
                    }
                    ("open", _) => PaymentStatus::Open,
                    (other, _) => pending(other),
                }
            }
            other => pending(other),
        }
    }
}

fn pending(word: &str) -> PaymentStatus {
    PaymentStatus::Pending {
        provider_status: word.to_owned(),
    }
}

impl PaymentError {
    fn reason(&self) -> String {
        self.decline_code
            .clone()
            .or_else(|| self.code.clone())
            .unwrap_or("declined".to_owned())
    }
}

impl PaymentIntent {
    fn money(&self, stripe_minor: i64) -> Option<Money> {
        let currency: Currency = self.currency.to_ascii_uppercase().parse().ok()?;
        Money::new(stripe_minor / stripe_factor(currency), currency).ok()
    }

    /// An amount we can't read is not guessed: somebody has to look.
    fn authorised(&self) -> PaymentStatus {
        match self.money(self.amount_capturable) {
            Some(amount) => PaymentStatus::Authorised { amount },
            None => pending("requires_capture of an unreadable amount"),
        }
    }

    fn captured(&self) -> PaymentStatus {
        let Some(Charge::Whole {
            amount_refunded, ..
        }) = self.latest_charge
        else {
            return pending("succeeded without its charge");
        };
        match (
            self.money(self.amount_received),
            self.money(amount_refunded),
        ) {
            (Some(amount), Some(refunded)) => PaymentStatus::Captured { amount, refunded },
            _ => pending("succeeded with an unreadable amount"),
        }
    }
}

/// A refund: <https://docs.stripe.com/api/refunds/object>.
#[derive(Deserialize)]
pub(super) struct Refund {
    id: String,
    status: Option<String>,
    failure_reason: Option<String>,
}

impl From<Refund> for crate::Refund {
    fn from(refund: Refund) -> Self {
        let state = match refund.status.as_deref() {
            Some("succeeded") => RefundState::Completed,
            Some(status @ ("failed" | "canceled")) => RefundState::Failed {
                reason: refund.failure_reason.unwrap_or_else(|| status.to_owned()),
            },
            _ => RefundState::Pending,
        };
        Self {
            refund_ref: refund.id,
            state,
        }
    }
}
