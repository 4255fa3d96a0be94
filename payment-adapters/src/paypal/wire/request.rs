//! What we send.

use catraca_domain::money::Money;
use serde::Serialize;
use uuid::Uuid;

use super::Amount;
use crate::transport::shorten;
use crate::{AdapterError, StartPayment};

/// `{}`.
#[derive(Serialize)]
pub(in crate::paypal) struct Empty {}

/// A body as bytes.
pub(in crate::paypal) fn to_json<T: Serialize>(body: &T) -> Result<Vec<u8>, AdapterError> {
    serde_json::to_vec(body).map_err(|error| AdapterError::Rejected {
        code: "unsendable".to_owned(),
        message: error.to_string(),
    })
}

/// Body of `POST /v2/checkout/orders`.
#[derive(Serialize)]
pub(in crate::paypal) struct OrderRequest {
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
    pub(in crate::paypal) fn new(payment: &StartPayment) -> Result<Self, AdapterError> {
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
pub(in crate::paypal) struct CaptureRequest {
    amount: Amount,
    final_capture: bool,
}

impl CaptureRequest {
    pub(in crate::paypal) fn new(authorised: Money, amount: Money) -> Result<Self, AdapterError> {
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
pub(in crate::paypal) struct RefundRequest {
    amount: Amount,
    custom_id: String,
}

impl RefundRequest {
    pub(in crate::paypal) fn new(
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
