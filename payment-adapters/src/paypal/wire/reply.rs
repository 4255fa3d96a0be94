//! What we read of the replies, and what it means.

use catraca_domain::money::Money;
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use super::Amount;
use crate::{PaymentStatus, RefundState};

/// An order, as far as we act on it.
#[derive(Deserialize)]
pub(in crate::paypal) struct Order {
    pub(in crate::paypal) id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    purchase_units: Vec<PurchaseUnit>,
    #[serde(default)]
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct PurchaseUnit {
    #[serde(default)]
    payments: Payments,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Payments {
    authorizations: Vec<Movement>,
    captures: Vec<Movement>,
    refunds: Vec<Movement>,
}

/// An authorisation, a capture or a refund.
#[derive(Deserialize)]
struct Movement {
    id: String,
    #[serde(default)]
    status: String,
    amount: Option<Amount>,
    /// A refund's is our id of it.
    custom_id: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    href: Url,
    rel: String,
}

fn pending(word: &str) -> PaymentStatus {
    PaymentStatus::Pending {
        provider_status: word.to_owned(),
    }
}

impl Order {
    /// Where the buyer agrees.
    pub(in crate::paypal) fn payer_link(&self) -> Option<Url> {
        let link = |rel| self.links.iter().find(|link| link.rel == rel);
        link("payer-action")
            .or_else(|| link("approve"))
            .map(|link| link.href.clone())
    }

    fn payments(&self) -> Option<&Payments> {
        self.purchase_units.first().map(|unit| &unit.payments)
    }

    pub(in crate::paypal) fn authorisation_id(&self) -> Option<&str> {
        self.payments()?
            .authorizations
            .last()
            .map(|movement| movement.id.as_str())
    }

    /// An authorisation that still sets money aside: also after a capture of it was declined.
    pub(in crate::paypal) fn live_authorisation(&self) -> Option<&str> {
        let taken = |c: &Movement| !matches!(&*c.status, "DECLINED" | "FAILED");
        let payments = self.payments()?;
        let last = payments.authorizations.last()?;
        let live = matches!(&*last.status, "CREATED" | "PENDING");
        (live && !payments.captures.iter().any(taken)).then_some(last.id.as_str())
    }

    pub(in crate::paypal) fn capture_id(&self) -> Option<&str> {
        self.payments()?
            .captures
            .last()
            .map(|movement| movement.id.as_str())
    }

    /// The refund made for this id, if any.
    pub(in crate::paypal) fn refund_made(&self, id: Uuid) -> Option<crate::Refund> {
        let id = id.to_string();
        let mut refunds = self.payments()?.refunds.iter();
        let made = refunds.find(|refund| refund.custom_id.as_deref() == Some(id.as_str()))?;
        Some(refund(&made.id, &made.status))
    }

    /// What the order and its movements together mean. We ask for one authorisation and one final
    /// capture, so the last of each tells.
    pub(in crate::paypal) fn status(&self) -> PaymentStatus {
        let payments = self.payments();
        if let Some(capture) = payments.and_then(|payments| payments.captures.last()) {
            return self.captured(capture);
        }
        if let Some(authorisation) = payments.and_then(|payments| payments.authorizations.last()) {
            return authorised(authorisation);
        }
        match self.status.as_str() {
            "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED" => PaymentStatus::Open,
            "APPROVED" => PaymentStatus::Approved,
            "VOIDED" => PaymentStatus::Voided,
            other => pending(other),
        }
    }

    fn captured(&self, capture: &Movement) -> PaymentStatus {
        match capture.status.as_str() {
            "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED" => {}
            status @ ("DECLINED" | "FAILED") => {
                return PaymentStatus::Failed {
                    reason: format!("capture {status}"),
                };
            }
            other => return pending(other),
        }
        let refunds = self
            .payments()
            .map_or(&[][..], |payments| &payments.refunds);
        let unreadable = || pending("capture of an unreadable amount");
        let Some(amount) = capture.money() else {
            return unreadable();
        };
        let mut refunded = Money {
            amount_minor: 0,
            currency: amount.currency,
        };
        for refund in refunds
            .iter()
            .filter(|r| !matches!(&*r.status, "FAILED" | "CANCELLED"))
        {
            let sum = refund.money().and_then(|part| refunded.plus(part).ok());
            let Some(sum) = sum else { return unreadable() };
            refunded = sum;
        }
        PaymentStatus::Captured { amount, refunded }
    }
}

fn authorised(authorisation: &Movement) -> PaymentStatus {
    match (authorisation.status.as_str(), authorisation.money()) {
        ("CREATED", Some(amount)) => PaymentStatus::Authorised { amount },
        ("VOIDED", _) => PaymentStatus::Voided,
        ("DENIED", _) => PaymentStatus::Failed {
            reason: "authorisation DENIED".to_owned(),
        },
        (other, _) => pending(other),
    }
}

impl Movement {
    fn money(&self) -> Option<Money> {
        self.amount.as_ref().and_then(Amount::money)
    }
}

/// A refund's reply.
#[derive(Deserialize)]
pub(in crate::paypal) struct Refund {
    id: String,
    #[serde(default)]
    status: String,
}

impl From<Refund> for crate::Refund {
    fn from(reply: Refund) -> Self {
        refund(&reply.id, &reply.status)
    }
}

fn refund(id: &str, status: &str) -> crate::Refund {
    let state = match status {
        "COMPLETED" => RefundState::Completed,
        "FAILED" | "CANCELLED" => RefundState::Failed {
            reason: status.to_owned(),
        },
        _ => RefundState::Pending,
    };
    crate::Refund {
        refund_ref: id.to_owned(),
        state,
    }
}
