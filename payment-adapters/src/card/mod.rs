//! Cards, in Stripe's wire format: a hosted Checkout Session (so that card data and 3-D Secure never
//! come near us) over a `PaymentIntent` that is captured by hand.
//!
//! What a payment goes through here:
//! - `start`: `POST /v1/checkout/sessions`; its id `cs_…` is our reference (a `pi_…` of a payment
//!   opened otherwise is taken as well);
//! - the buyer pays on Stripe's page; the session gets its `PaymentIntent`, `requires_capture`;
//! - `authorise`: nothing to ask for; reports the status;
//! - `capture`: `POST /v1/payment_intents/{pi}/capture`;
//! - `void`: cancels the `PaymentIntent`, or expires the session if nobody paid. Stripe's own expiry
//!   is 30 minutes at least, longer than a hold;
//! - `refund`: `POST /v1/refunds`.

mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use catraca_domain::money::Money;
use http::HeaderMap;
use time::OffsetDateTime;
use uuid::Uuid;

use self::wire::Paid;
use crate::registry::Settings;
use crate::stripe::{self, Account, Names, StripeConfig};
use crate::transport::{self, Outlet, Reply};
use crate::{
    AdapterError, ConfigError, PaymentAdapter, PaymentStatus, Provider, ProviderRef, Refund,
    StartPayment, Started, WebhookError, WebhookEvent,
};

/// The name in URLs and in the database.
pub const PROVIDER: Provider = Provider::new("card");

/// The card provider.
#[derive(Clone, Debug)]
pub struct CardAdapter {
    account: Account,
}

/// Reads `CATRACA_CARD_API_URL`, `CATRACA_CARD_SECRET_KEY` and `CATRACA_CARD_WEBHOOK_SECRETS`
/// (comma-separated). None of them: not configured.
pub fn from_settings(
    settings: Settings<'_>,
    outlet: &Outlet,
) -> Result<Option<Arc<dyn PaymentAdapter>>, ConfigError> {
    let Some(config) = StripeConfig::from_settings(settings)? else {
        return Ok(None);
    };
    Ok(Some(Arc::new(CardAdapter::new(config, outlet.clone()))))
}

impl CardAdapter {
    /// An adapter over the given client.
    pub fn new(config: StripeConfig, outlet: impl Into<Outlet>) -> Self {
        Self {
            account: Account::new(config, outlet.into().to(PROVIDER)),
        }
    }

    async fn paid(&self, reference: &ProviderRef) -> Result<Paid, AdapterError> {
        let id = transport::segment(reference.as_str())?;
        if id.starts_with("pi_") {
            return Ok(Paid::Intent(self.account.intent(id).await?));
        }
        let path = format!("v1/checkout/sessions/{id}");
        let expand = [("expand[]", "payment_intent.latest_charge")];
        let session = self.account.get(&path, &expand).await?.json()?;
        Ok(Paid::Session(session))
    }

    async fn cancel(&self, paid: &Paid) -> Result<Reply, AdapterError> {
        match paid.intent() {
            Some(intent) => self.account.cancel(intent).await,
            None => Err(AdapterError::NotFound),
        }
    }

    /// The status after a call that Stripe may have refused only because it had already happened
    /// (or something else had): what is so counts, not the refusal.
    async fn status_unless(
        &self,
        reference: &ProviderRef,
        outcome: Result<Reply, AdapterError>,
    ) -> Result<PaymentStatus, AdapterError> {
        match outcome {
            Ok(_) => self.status(reference).await,
            Err(error) if stripe::is_state_conflict(&error) => self.status(reference).await,
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl PaymentAdapter for CardAdapter {
    fn provider(&self) -> Provider {
        PROVIDER
    }

    async fn start(&self, payment: &StartPayment) -> Result<Started, AdapterError> {
        let form = wire::session_form(payment)?;
        let reply = self
            .account
            .post("v1/checkout/sessions", &payment.idempotency_key, &form)
            .await?;
        let session: wire::Session = reply.json()?;
        let redirect_url = session.url.ok_or_else(|| AdapterError::Unknown {
            message: "the session has no page any more".to_owned(),
        })?;
        Ok(Started {
            provider_ref: ProviderRef::new(session.id),
            redirect_url,
            display: None,
        })
    }

    async fn status(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        Ok(self.paid(reference).await?.status())
    }

    async fn authorise(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        self.status(reference).await
    }

    async fn capture(
        &self,
        reference: &ProviderRef,
        amount: Money,
    ) -> Result<PaymentStatus, AdapterError> {
        let paid = self.paid(reference).await?;
        let status = paid.status();
        let (PaymentStatus::Authorised { amount: authorised }, Some(intent)) =
            (&status, paid.intent())
        else {
            return Ok(status);
        };
        let outcome = self.account.capture(intent, *authorised, amount).await;
        self.status_unless(reference, outcome).await
    }

    async fn void(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        let paid = self.paid(reference).await?;
        let outcome = match (&paid, paid.status()) {
            (_, PaymentStatus::Authorised { .. })
            | (Paid::Intent(_), PaymentStatus::Open | PaymentStatus::Failed { .. }) => {
                self.cancel(&paid).await
            }
            (Paid::Session(session), _) if session.is_open() => {
                let path = format!("v1/checkout/sessions/{}/expire", session.id);
                self.account.post(&path, &session.expire_key(), &[]).await
            }
            (_, status) => return Ok(status),
        };
        self.status_unless(reference, outcome).await
    }

    async fn refund(
        &self,
        reference: &ProviderRef,
        amount: Money,
        refund_id: Uuid,
    ) -> Result<Refund, AdapterError> {
        let paid = self.paid(reference).await?;
        self.account
            .refund(paid.status(), paid.intent(), amount, refund_id)
            .await
    }

    async fn verify_webhook(
        &self,
        headers: &HeaderMap,
        raw_body: &[u8],
        now: OffsetDateTime,
    ) -> Result<WebhookEvent, WebhookError> {
        self.account
            .verify_webhook(Names::Session, headers, raw_body, now)
    }
}
