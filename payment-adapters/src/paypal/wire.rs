//! `PayPal`'s JSON: what we send, and what we read of the replies.

use catraca_domain::money::Money;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::transport::shorten;
use crate::{AdapterError, PaymentStatus, RefundState, StartPayment};

/// `{}`.
#[derive(Serialize)]
pub(super) struct Empty {}

/// A body as bytes.
pub(super) fn to_json<T: Serialize>(body: &T) -> Result<Vec<u8>, AdapterError> {
    serde_json::to_vec(body).map_err(|error| AdapterError::Rejected {
        code: "unsendable".to_owned(),
        message: error.to_string(),
    })
}

/// An amount: a decimal text with the currency's digits.
#[derive(Serialize, Deserialize)]
pub(super) struct Amount {
    currency_code: String,
    value: String,
}

impl Amount {
    /// `PayPal` takes no decimals in these two, though ISO 4217 has them.
    /// <https://developer.paypal.com/reference/currency-codes/>
    const WHOLE_ONLY: &[&str] = &["HUF", "TWD"];

    fn new(money: Money) -> Result<Self, AdapterError> {
        let refuse = |code: &str| AdapterError::Rejected {
            code: code.to_owned(),
            message: format!("{money} can't be charged"),
        };
        if money.amount_minor <= 0 {
            return Err(refuse("amount_not_positive"));
        }
        let mut value = money.to_decimal();
        if Self::WHOLE_ONLY.contains(&money.currency.code()) {
            value = value
                .strip_suffix(".00")
                .ok_or_else(|| refuse("decimals"))?
                .to_owned();
        }
        Ok(Self {
            currency_code: money.currency.code().to_owned(),
            value,
        })
    }

    /// `None` for what isn't money as we know it.
    fn money(&self) -> Option<Money> {
        Money::from_decimal(&self.value, self.currency_code.parse().ok()?).ok()
    }

    fn of(whole: Money, part: Money) -> Result<Self, AdapterError> {
        if whole.currency != part.currency {
            return Err(AdapterError::Rejected {
                code: "currency_mismatch".to_owned(),
                message: format!(
                    "the payment is in {}, not in {}",
                    whole.currency, part.currency
                ),
            });
        }
        Self::new(part)
    }
}

/// Body of `POST /v2/checkout/orders`.
#[derive(Serialize)]
pub(super) struct OrderRequest {
    intent: &'static str,
    purchase_units: [PurchaseUnitRequest; 1],
    payment_source: PaymentSource,
}

#[derive(Serialize)]
struct PurchaseUnitRequest {
    /// The hold.
    reference_id: String,
    /// The order; comes back in every webhook of authorisation, capture and refund.
    custom_id: String,
    /// The order again: `PayPal` takes money once per invoice id, a last guard against paying twice.
    invoice_id: String,
    description: String,
    amount: Amount,
}

#[derive(Serialize)]
struct PaymentSource {
    paypal: Wallet,
}

#[derive(Serialize)]
struct Wallet {
    #[serde(skip_serializing_if = "Option::is_none")]
    email_address: Option<String>,
    experience_context: ExperienceContext,
}

#[derive(Serialize)]
struct ExperienceContext {
    return_url: String,
    cancel_url: String,
    user_action: &'static str,
    shipping_preference: &'static str,
    /// No eChecks: they take days, a hold takes minutes.
    payment_method_preference: &'static str,
}

impl OrderRequest {
    pub(super) fn new(payment: &StartPayment) -> Result<Self, AdapterError> {
        let experience_context = ExperienceContext {
            return_url: payment.return_url.to_string(),
            cancel_url: payment.cancel_url.to_string(),
            user_action: "PAY_NOW",
            shipping_preference: "NO_SHIPPING",
            payment_method_preference: "IMMEDIATE_PAYMENT_REQUIRED",
        };
        let unit = PurchaseUnitRequest {
            reference_id: payment.hold_id.to_string(),
            custom_id: payment.order_id.to_string(),
            invoice_id: payment.order_id.to_string(),
            description: shorten(&payment.description),
            amount: Amount::new(payment.amount)?,
        };
        let wallet = Wallet {
            email_address: payment.buyer_email.clone(),
            experience_context,
        };
        let payment_source = PaymentSource { paypal: wallet };
        Ok(Self {
            intent: "AUTHORIZE",
            purchase_units: [unit],
            payment_source,
        })
    }
}

/// Body of `POST /v2/payments/authorizations/{id}/capture`.
#[derive(Serialize)]
pub(super) struct CaptureRequest {
    amount: Amount,
    final_capture: bool,
}

impl CaptureRequest {
    pub(super) fn new(authorised: Money, amount: Money) -> Result<Self, AdapterError> {
        let body = Self {
            amount: Amount::of(authorised, amount)?,
            final_capture: true,
        };
        // PayPal would take up to 115 % of what was authorised.
        if amount.amount_minor > authorised.amount_minor {
            return Err(AdapterError::Rejected {
                code: "amount_too_large".to_owned(),
                message: format!("{amount} is more than the {authorised} authorised"),
            });
        }
        Ok(body)
    }
}

/// Body of `POST /v2/payments/captures/{id}/refund`.
#[derive(Serialize)]
pub(super) struct RefundRequest {
    amount: Amount,
    custom_id: String,
}

impl RefundRequest {
    pub(super) fn new(
        captured: Money,
        amount: Money,
        refund_id: Uuid,
    ) -> Result<Self, AdapterError> {
        Ok(Self {
            amount: Amount::of(captured, amount)?,
            custom_id: refund_id.to_string(),
        })
    }
}

/// An order, as far as we act on it.
#[derive(Deserialize)]
pub(super) struct Order {
    pub(super) id: String,
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
    pub(super) fn payer_link(&self) -> Option<Url> {
        let link = |rel| self.links.iter().find(|link| link.rel == rel);
        link("payer-action")
            .or_else(|| link("approve"))
            .map(|link| link.href.clone())
    }

    fn payments(&self) -> Option<&Payments> {
        self.purchase_units.first().map(|unit| &unit.payments)
    }

    pub(super) fn authorisation_id(&self) -> Option<&str> {
        self.payments()?
            .authorizations
            .last()
            .map(|movement| movement.id.as_str())
    }

    /// An authorisation that still sets money aside: also after a capture of it was declined.
    pub(super) fn live_authorisation(&self) -> Option<&str> {
        let taken = |c: &Movement| !matches!(&*c.status, "DECLINED" | "FAILED");
        let payments = self.payments()?;
        let last = payments.authorizations.last()?;
        let live = matches!(&*last.status, "CREATED" | "PENDING");
        (live && !payments.captures.iter().any(taken)).then_some(last.id.as_str())
    }

    pub(super) fn capture_id(&self) -> Option<&str> {
        self.payments()?
            .captures
            .last()
            .map(|movement| movement.id.as_str())
    }

    /// What the order and its movements together mean. We ask for one authorisation and one final
    /// capture, so the last of each tells.
    pub(super) fn status(&self) -> PaymentStatus {
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
pub(super) struct Refund {
    id: String,
    #[serde(default)]
    status: String,
}

impl From<Refund> for crate::Refund {
    fn from(refund: Refund) -> Self {
        let state = match refund.status.as_str() {
            "COMPLETED" => RefundState::Completed,
            status @ ("FAILED" | "CANCELLED") => RefundState::Failed {
                reason: status.to_owned(),
            },
            _ => RefundState::Pending,
        };
        Self {
            refund_ref: refund.id,
            state,
        }
    }
}
