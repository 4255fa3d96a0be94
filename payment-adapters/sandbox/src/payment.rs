//! One payment, whichever provider's clothes it wears, and what can happen to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whose API the payment was made through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Provider {
    Card,
    PayPal,
    /// Pix, through Stripe's API.
    Pix,
}

impl Provider {
    /// Whether it is reached through Stripe's API.
    pub(crate) fn is_stripe(self) -> bool {
        match self {
            Self::Card | Self::Pix => true,
            Self::PayPal => false,
        }
    }

    /// The name in URLs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::PayPal => "paypal",
            Self::Pix => "pix",
        }
    }
}

/// Where the payment stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// The buyer hasn't paid.
    Open,
    /// `PayPal` only: the buyer agreed, nothing is set aside yet.
    Approved,
    Authorised,
    Captured,
    Voided,
    Expired,
}

/// What whoever plays the buyer chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Approve,
    Decline,
}

/// A choice held back until its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) outcome: Outcome,
    /// Unix time in milliseconds.
    pub(crate) due_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) amount_minor: i64,
    pub(crate) created_ms: i64,
    /// Stripe's metadata, or `custom_id` for `PayPal`.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// The payment. Amounts in the provider's minor units.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, recorded as they are"
)]
pub(crate) struct Payment {
    /// What the API's user holds: `cs_…`, `pi_…` where there is no session, or `PayPal`'s order id.
    pub(crate) id: String,
    pub(crate) provider: Provider,
    /// Card: the `PaymentIntent`.
    pub(crate) intent_id: Option<String>,
    /// Capital letters.
    pub(crate) currency: String,
    pub(crate) amount_minor: i64,
    pub(crate) description: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) return_url: String,
    pub(crate) cancel_url: Option<String>,
    /// Stripe: `client_reference_id`; `PayPal`: `custom_id`.
    pub(crate) order: Option<String>,
    /// Stripe: `metadata[hold]`; `PayPal`: `reference_id`.
    pub(crate) hold: Option<String>,
    pub(crate) invoice_id: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) intent_metadata: BTreeMap<String, String>,
    /// Money is only set aside, to be captured later.
    pub(crate) manual_capture: bool,
    /// A `PaymentIntent` of its own shows its page only once confirmed.
    pub(crate) confirmed: bool,
    pub(crate) created_ms: i64,
    /// When the page closes by itself.
    pub(crate) expires_ms: Option<i64>,
    pub(crate) stage: Stage,
    pub(crate) attempt: Option<Attempt>,
    /// Attempts so far; each has its own charge.
    pub(crate) attempts: u32,
    /// The last attempt was declined, or (`PayPal`, approved) authorising it will be.
    pub(crate) declined: bool,
    /// Pix only: the code ran out unpaid.
    #[serde(default)]
    pub(crate) lapsed: bool,
    pub(crate) charge_id: Option<String>,
    pub(crate) authorisation_id: Option<String>,
    pub(crate) capture_id: Option<String>,
    pub(crate) captured_minor: i64,
    pub(crate) refunds: Vec<Refund>,
}

/// A new id: a prefix and 24 hexadecimal digits.
pub(crate) fn new_id(prefix: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}{}", &random[..24])
}

/// A new id as `PayPal` writes them: 17 capital letters and digits.
pub(crate) fn new_paypal_id() -> String {
    uuid::Uuid::new_v4().simple().to_string().to_uppercase()[..17].to_owned()
}

impl Payment {
    pub(crate) fn refunded_minor(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.amount_minor).sum()
    }

    /// When something happens to it by itself.
    pub(crate) fn deadline_ms(&self) -> Option<i64> {
        match (&self.attempt, self.stage) {
            (Some(attempt), _) => Some(attempt.due_ms),
            (None, Stage::Open) if self.provider == Provider::Pix && self.declined => None,
            (None, Stage::Open | Stage::Approved) => self.expires_ms,
            _ => None,
        }
    }

    /// Whether the pay page still takes a choice.
    pub(crate) fn is_payable(&self) -> bool {
        // A Pix code is for one attempt.
        let again = self.provider != Provider::Pix || !self.declined;
        self.stage == Stage::Open && self.attempt.is_none() && self.confirmed && again
    }

    /// Every other id by which the API's user may ask for this payment.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = &String> {
        let own = [
            &self.intent_id,
            &self.charge_id,
            &self.authorisation_id,
            &self.capture_id,
        ];
        own.into_iter()
            .flatten()
            .chain(self.refunds.iter().map(|refund| &refund.id))
    }

    /// Whether that is any of its ids, its order or its hold.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let own = [Some(&self.id), self.order.as_ref(), self.hold.as_ref()];
        let mut names = own.into_iter().flatten().chain(self.aliases());
        names.any(|own| own == name)
    }

    /// The buyer chose; the outcome comes at `due_ms`.
    pub(crate) fn begin(&mut self, outcome: Outcome, due_ms: i64) {
        self.attempts += 1;
        self.declined = false;
        if self.provider.is_stripe() {
            self.charge_id = Some(new_id("ch_"));
        }
        self.attempt = Some(Attempt { outcome, due_ms });
    }

    /// Carries out what [`Payment::begin`] held back; the events to send.
    pub(crate) fn resolve(&mut self) -> &'static [&'static str] {
        let Some(attempt) = self.attempt.take() else {
            return &[];
        };
        self.declined = attempt.outcome == Outcome::Decline;
        match (self.provider, attempt.outcome) {
            // The buyer agrees either way; the decline shows when the money is asked for.
            (Provider::PayPal, _) => {
                self.stage = Stage::Approved;
                &["CHECKOUT.ORDER.APPROVED"]
            }
            (Provider::Card | Provider::Pix, Outcome::Decline) => {
                &["payment_intent.payment_failed"]
            }
            (Provider::Card | Provider::Pix, Outcome::Approve) if self.manual_capture => {
                self.stage = Stage::Authorised;
                self.with_session(&[
                    "payment_intent.amount_capturable_updated",
                    "checkout.session.completed",
                ])
            }
            (Provider::Card | Provider::Pix, Outcome::Approve) => {
                self.stage = Stage::Captured;
                self.captured_minor = self.amount_minor;
                self.with_session(&["payment_intent.succeeded", "checkout.session.completed"])
            }
        }
    }

    pub(crate) fn has_session(&self) -> bool {
        self.id.starts_with("cs_")
    }

    /// Without a session, there is nothing for the last event to tell of.
    fn with_session(&self, events: &'static [&'static str]) -> &'static [&'static str] {
        if self.has_session() {
            events
        } else {
            &events[..events.len() - 1]
        }
    }

    /// Takes authorised money. The caller has checked stage and amount.
    pub(crate) fn capture(&mut self, amount_minor: i64) {
        self.stage = Stage::Captured;
        self.captured_minor = amount_minor;
    }

    /// Gives captured money back. The caller has checked stage and amount.
    pub(crate) fn refund(&mut self, refund: Refund) {
        self.refunds.push(refund);
    }
}
