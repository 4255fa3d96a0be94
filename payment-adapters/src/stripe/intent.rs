//! Stripe's `PaymentIntent`, its charge and its refunds: what we read of them, and what they mean.

use catraca_domain::money::{Currency, Money};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use crate::{AdapterError, PaymentStatus, RefundState};

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
pub(crate) fn minor(amount: Money) -> Result<i64, AdapterError> {
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
    Err(AdapterError::currency_mismatch(there, ours))
}

pub(crate) fn pending(word: &str) -> PaymentStatus {
    PaymentStatus::Pending {
        provider_status: word.to_owned(),
    }
}

/// The part of a `PaymentIntent` we act on: <https://docs.stripe.com/api/payment_intents/object>.
#[derive(Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) status: String,
    currency: String,
    amount_capturable: Option<i64>,
    amount_received: Option<i64>,
    last_payment_error: Option<PaymentError>,
    latest_charge: Option<Charge>,
    next_action: Option<NextAction>,
}

#[derive(Deserialize)]
struct PaymentError {
    code: Option<String>,
    decline_code: Option<String>,
}

#[derive(Deserialize)]
struct NextAction {
    pix_display_qr_code: Option<PixQrCode>,
}

/// The code that the buyer's bank reads.
#[derive(Clone, Deserialize)]
pub(crate) struct PixQrCode {
    pub(crate) data: Option<String>,
    pub(crate) image_url_svg: Option<Url>,
    pub(crate) image_url_png: Option<Url>,
    pub(crate) hosted_instructions_url: Option<Url>,
    pub(crate) expires_at: Option<i64>,
}

/// A charge, or only its id where it wasn't expanded.
#[derive(Deserialize)]
#[serde(untagged)]
enum Charge {
    Whole {
        id: String,
        amount: i64,
        captured: bool,
        amount_refunded: i64,
    },
    Id(String),
}

impl Charge {
    fn id(&self) -> &str {
        match self {
            Self::Whole { id, .. } | Self::Id(id) => id,
        }
    }
}

impl PaymentIntent {
    /// What the intent by itself means.
    pub(crate) fn status(&self) -> PaymentStatus {
        match self.status.as_str() {
            "requires_capture" => self.authorised(),
            "succeeded" => self.captured(),
            "canceled" => PaymentStatus::Voided,
            "requires_payment_method" => self.failure().unwrap_or(PaymentStatus::Open),
            "requires_confirmation" | "requires_action" => PaymentStatus::Open,
            other => pending(other),
        }
    }

    /// Whether it waits for the buyer.
    pub(crate) fn waits(&self) -> bool {
        matches!(
            self.status.as_str(),
            "requires_payment_method" | "requires_confirmation" | "requires_action"
        )
    }

    /// How the last attempt ended, if it did and was no success. An attempt that ran out of time
    /// (a Pix code) can't be paid any more, and we make no second one on the same intent.
    pub(crate) fn failure(&self) -> Option<PaymentStatus> {
        let error = self.last_payment_error.as_ref()?;
        if self.status != "requires_payment_method" {
            return None;
        }
        let code = error.decline_code.as_ref().or(error.code.as_ref());
        let reason = code.map_or("declined", String::as_str);
        Some(match reason {
            "payment_intent_payment_attempt_expired" => PaymentStatus::Expired,
            _ => PaymentStatus::Failed {
                reason: reason.to_owned(),
            },
        })
    }

    /// Names the attempt that was seen. Stripe would remember a refusal under its key too, so
    /// keys of calls that the buyer can cross are made with this: after another attempt, a new key.
    pub(crate) fn attempt(&self) -> String {
        let charge = self.latest_charge.as_ref().map_or("none", Charge::id);
        format!("{}-{charge}", self.status)
    }

    pub(crate) fn pix(&self) -> Option<&PixQrCode> {
        self.next_action.as_ref()?.pix_display_qr_code.as_ref()
    }

    fn money(&self, stripe_minor: i64) -> Option<Money> {
        let currency: Currency = self.currency.to_ascii_uppercase().parse().ok()?;
        Money::new(stripe_minor / stripe_factor(currency), currency).ok()
    }

    /// An amount we can't read is not guessed: somebody has to look.
    fn authorised(&self) -> PaymentStatus {
        let of_charge = || match self.latest_charge {
            Some(Charge::Whole { amount, .. }) => Some(amount),
            _ => None,
        };
        let amount = self.amount_capturable.or_else(of_charge);
        match amount.and_then(|amount| self.money(amount)) {
            Some(amount) => PaymentStatus::Authorised { amount },
            None => pending("requires_capture of an unreadable amount"),
        }
    }

    fn captured(&self) -> PaymentStatus {
        let Some(Charge::Whole {
            amount,
            captured,
            amount_refunded,
            ..
        }) = self.latest_charge
        else {
            return pending("succeeded without its charge");
        };
        let received = self.amount_received.or(captured.then_some(amount));
        match (
            received.and_then(|received| self.money(received)),
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
    #[serde(default)]
    metadata: Option<RefundMetadata>,
}

#[derive(Deserialize)]
struct RefundMetadata {
    refund: Option<String>,
}

/// Some of a payment's refunds.
#[derive(Deserialize)]
pub(super) struct RefundList {
    data: Vec<Refund>,
    #[serde(default)]
    has_more: bool,
}

impl RefundList {
    /// The refund made for this id, if any.
    pub(super) fn made(self, id: Uuid) -> Result<Option<crate::Refund>, AdapterError> {
        let id = id.to_string();
        let own = |refund: &Refund| {
            let metadata = refund.metadata.as_ref();
            metadata.and_then(|metadata| metadata.refund.as_deref()) == Some(id.as_str())
        };
        match self.data.into_iter().find(own) {
            Some(refund) => Ok(Some(refund.into())),
            None if self.has_more => Err(AdapterError::Rejected {
                code: "too_many_refunds".to_owned(),
                message: "more refunds than can be looked through".to_owned(),
            }),
            None => Ok(None),
        }
    }
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
