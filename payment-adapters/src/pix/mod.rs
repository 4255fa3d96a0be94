//! Pix, Brazil's instant transfers, through Stripe: a `PaymentIntent` confirmed as it is made, whose
//! QR code the buyer pays from their bank's app.
//!
//! What a payment goes through here:
//! - `start`: `POST /v1/payment_intents`; its id `pi_…` is our reference, Stripe's page with the code
//!   is where the buyer goes, and the code itself comes along to be shown in place;
//! - the buyer pays, minutes or a minute later; the money is taken at once: there is no authorised
//!   stage, so `authorise` and `capture` only report, and `void` comes too late after it;
//! - the code runs out shortly after the hold (Stripe allows that from 10 s on);
//! - `void`: cancels the intent, so that the code can't be paid any more;
//! - `refund`: `POST /v1/refunds`; Stripe may take its time, so `Pending` is to be expected.

mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use catraca_domain::money::{Currency, Money};
use http::HeaderMap;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::registry::Settings;
use crate::stripe::{self, Account, Names, StripeConfig};
use crate::transport::Outlet;
use crate::{
    AdapterError, ConfigError, PaymentAdapter, PaymentStatus, Provider, ProviderRef, Refund,
    StartPayment, Started, WebhookError, WebhookEvent,
};

/// The name in URLs and in the database.
pub const PROVIDER: Provider = Provider::new("pix");

/// The Pix provider.
#[derive(Clone, Debug)]
pub struct PixAdapter {
    account: Account,
}

/// Reads `CATRACA_PIX` (`on` or `off`, off if not given: not every account has Pix), the card
/// provider's settings, and `CATRACA_PIX_WEBHOOK_SECRETS` if Stripe's endpoint for Pix has secrets
/// of its own.
pub fn from_settings(
    settings: Settings<'_>,
    outlet: &Outlet,
) -> Result<Option<Arc<dyn PaymentAdapter>>, ConfigError> {
    const SWITCH: &str = "CATRACA_PIX";
    match settings(SWITCH).as_deref().map(str::trim) {
        None | Some("" | "off") => return Ok(None),
        Some("on") => {}
        Some(_) => {
            return Err(ConfigError::Invalid {
                name: SWITCH,
                reason: "neither on nor off".to_owned(),
            });
        }
    }
    let mut config = StripeConfig::from_settings(settings)?
        .ok_or(ConfigError::Missing("CATRACA_CARD_SECRET_KEY"))?;
    let own = settings("CATRACA_PIX_WEBHOOK_SECRETS").map(|list| stripe::secrets(&list));
    if let Some(secrets) = own.filter(|secrets| !secrets.is_empty()) {
        config.webhook_secrets = secrets;
    }
    Ok(Some(Arc::new(PixAdapter::new(config, outlet.clone()))))
}

impl PixAdapter {
    /// An adapter over the given client.
    pub fn new(config: StripeConfig, outlet: impl Into<Outlet>) -> Self {
        Self {
            account: Account::new(config, outlet.into().to(PROVIDER)),
        }
    }
}

#[async_trait]
impl PaymentAdapter for PixAdapter {
    fn provider(&self) -> Provider {
        PROVIDER
    }

    fn takes(&self, currency: Currency) -> bool {
        currency.code() == wire::CURRENCY
    }

    fn is_choosy(&self) -> bool {
        true
    }

    async fn start(&self, payment: &StartPayment) -> Result<Started, AdapterError> {
        if !self.takes(payment.amount.currency) {
            return Err(AdapterError::Rejected {
                code: "currency_not_taken".to_owned(),
                message: format!("Pix is {} only", wire::CURRENCY),
            });
        }
        let form = wire::intent_form(payment)?;
        // Keys are the account's, and the card provider uses the plain one.
        let key = format!("pix-{}", payment.idempotency_key);
        let reply = self.account.post("v1/payment_intents", &key, &form).await?;
        wire::started(reply.json()?)
    }

    async fn status(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        Ok(self.account.intent(reference.as_str()).await?.status())
    }

    async fn authorise(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        self.status(reference).await
    }

    async fn capture(
        &self,
        reference: &ProviderRef,
        _amount: Money,
    ) -> Result<PaymentStatus, AdapterError> {
        self.status(reference).await
    }

    async fn void(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        let intent = self.account.intent(reference.as_str()).await?;
        let status = intent.status();
        match status {
            PaymentStatus::Open | PaymentStatus::Failed { .. } => {}
            PaymentStatus::Approved
            | PaymentStatus::Authorised { .. }
            | PaymentStatus::Captured { .. }
            | PaymentStatus::Voided
            | PaymentStatus::Expired
            | PaymentStatus::Pending { .. } => return Ok(status),
        }
        match self.account.cancel(&intent).await {
            Err(error) if !stripe::is_state_conflict(&error) => Err(error),
            _ => self.status(reference).await,
        }
    }

    async fn refund(
        &self,
        reference: &ProviderRef,
        amount: Money,
        refund_id: Uuid,
    ) -> Result<Refund, AdapterError> {
        let intent = self.account.intent(reference.as_str()).await?;
        let status = intent.status();
        self.account
            .refund(status, Some(&intent), amount, refund_id)
            .await
    }

    async fn verify_webhook(
        &self,
        headers: &HeaderMap,
        raw_body: &[u8],
        now: OffsetDateTime,
    ) -> Result<WebhookEvent, WebhookError> {
        self.account
            .verify_webhook(Names::Intent, headers, raw_body, now)
    }
}
