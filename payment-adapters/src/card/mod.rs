//! Cards, in Stripe's wire format: a hosted Checkout Session (so that card data and 3-D Secure never
//! come near us) over a `PaymentIntent` that is captured by hand.
//!
//! What a payment goes through here:
//! - `start`: `POST /v1/checkout/sessions`; its id `cs_…` is our reference;
//! - the buyer pays on Stripe's page; the session gets its `PaymentIntent`, `requires_capture`;
//! - `authorise`: nothing to ask for; reports the status;
//! - `capture`: `POST /v1/payment_intents/{pi}/capture`;
//! - `void`: cancels the `PaymentIntent`, or expires the session if nobody paid. Stripe's own expiry
//!   is 30 minutes at least, longer than a hold;
//! - `refund`: `POST /v1/refunds`.

mod errors;
mod webhook;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use catraca_domain::money::Money;
use catraca_domain::secret::Secret;
use http::HeaderMap;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::registry::Settings;
use crate::transport::{self, Reply};
use crate::{
    AdapterError, ConfigError, PaymentAdapter, PaymentStatus, Provider, ProviderRef, Refund,
    StartPayment, Started, WebhookError, WebhookEvent,
};

/// The name in URLs and in the database.
pub const PROVIDER: Provider = Provider::new("card");

/// The version of Stripe's API that `wire` was written against.
const STRIPE_VERSION: &str = "2024-06-20";

/// Where and as whom to talk to Stripe.
#[derive(Clone, Debug)]
pub struct CardConfig {
    /// `https://api.stripe.com/`, or the sandbox.
    pub api_url: Url,
    /// `sk_…`.
    pub secret_key: Secret,
    /// `whsec_…`; any of them verifies, so that one can be rotated.
    pub webhook_secrets: Vec<Secret>,
}

/// The card provider.
#[derive(Clone, Debug)]
pub struct CardAdapter {
    config: CardConfig,
    client: reqwest::Client,
}

/// Reads `CATRACA_CARD_API_URL`, `CATRACA_CARD_SECRET_KEY` and `CATRACA_CARD_WEBHOOK_SECRETS`
/// (comma-separated). None of them: not configured.
pub fn from_settings(
    settings: Settings<'_>,
    client: &reqwest::Client,
) -> Result<Option<Arc<dyn PaymentAdapter>>, ConfigError> {
    const API_URL: &str = "CATRACA_CARD_API_URL";
    const SECRET_KEY: &str = "CATRACA_CARD_SECRET_KEY";
    const WEBHOOK_SECRETS: &str = "CATRACA_CARD_WEBHOOK_SECRETS";
    let read = |name| settings(name).filter(|value| !value.trim().is_empty());
    let values = (read(API_URL), read(SECRET_KEY), read(WEBHOOK_SECRETS));
    if matches!(values, (None, None, None)) {
        return Ok(None);
    }
    let api_url = transport::base_url(API_URL, values.0)?;
    let secret_key = values.1.ok_or(ConfigError::Missing(SECRET_KEY))?;
    let webhook_secrets: Vec<Secret> = values
        .2
        .ok_or(ConfigError::Missing(WEBHOOK_SECRETS))?
        .split(',')
        .map(str::trim)
        .filter(|secret| !secret.is_empty())
        .map(Secret::from)
        .collect();
    if webhook_secrets.is_empty() {
        return Err(ConfigError::Missing(WEBHOOK_SECRETS));
    }
    let secret_key = Secret::from(secret_key.trim());
    let config = CardConfig {
        api_url,
        secret_key,
        webhook_secrets,
    };
    Ok(Some(Arc::new(CardAdapter::new(config, client.clone()))))
}

impl CardAdapter {
    /// An adapter over the given client.
    pub fn new(config: CardConfig, client: reqwest::Client) -> Self {
        Self { config, client }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Reply, AdapterError> {
        let url = transport::join(&self.config.api_url, path)?;
        self.send(self.client.get(url).query(query)).await
    }

    /// Posts a form. Stripe remembers a key's outcome for 24 hours, refusals included.
    async fn post(
        &self,
        path: &str,
        idempotency_key: &str,
        form: &[(String, String)],
    ) -> Result<Reply, AdapterError> {
        let url = transport::join(&self.config.api_url, path)?;
        self.send(
            self.client
                .post(url)
                .header("Idempotency-Key", idempotency_key)
                .form(form),
        )
        .await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, AdapterError> {
        let key = transport::text(&self.config.secret_key)?;
        let request = request
            .bearer_auth(key)
            .header("Stripe-Version", STRIPE_VERSION);
        errors::checked(transport::send(request).await?)
    }

    async fn session(&self, reference: &ProviderRef) -> Result<wire::Session, AdapterError> {
        let path = format!(
            "v1/checkout/sessions/{}",
            transport::segment(reference.as_str())?
        );
        self.get(&path, &[("expand[]", "payment_intent.latest_charge")])
            .await?
            .json()
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
            Err(error) if errors::is_state_conflict(&error) => self.status(reference).await,
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
            .post("v1/checkout/sessions", &payment.idempotency_key, &form)
            .await?;
        let session: wire::Session = reply.json()?;
        let redirect_url = session.url.ok_or_else(|| AdapterError::Unknown {
            message: "the session has no page any more".to_owned(),
        })?;
        Ok(Started {
            provider_ref: ProviderRef::new(session.id),
            redirect_url,
        })
    }

    async fn status(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        Ok(self.session(reference).await?.status())
    }

    async fn authorise(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        self.status(reference).await
    }

    async fn capture(
        &self,
        reference: &ProviderRef,
        amount: Money,
    ) -> Result<PaymentStatus, AdapterError> {
        let session = self.session(reference).await?;
        let status = session.status();
        let (PaymentStatus::Authorised { amount: authorised }, Some(intent)) =
            (&status, &session.payment_intent)
        else {
            return Ok(status);
        };
        wire::same_currency(*authorised, amount)?;
        let minor = wire::minor(amount)?;
        let path = format!(
            "v1/payment_intents/{}/capture",
            transport::segment(&intent.id)?
        );
        let key = format!("capture-{}-{minor}", intent.id);
        let form = [("amount_to_capture".to_owned(), minor.to_string())];
        let outcome = self.post(&path, &key, &form).await;
        self.status_unless(reference, outcome).await
    }

    async fn void(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        let session = self.session(reference).await?;
        let outcome = match (session.status(), &session.payment_intent) {
            (PaymentStatus::Authorised { .. }, Some(intent)) => {
                let id = transport::segment(&intent.id)?;
                let path = format!("v1/payment_intents/{id}/cancel");
                self.post(&path, &format!("void-{id}"), &[]).await
            }
            _ if session.is_open() => {
                let path = format!("v1/checkout/sessions/{}/expire", session.id);
                self.post(&path, &session.expire_key(), &[]).await
            }
            (status, _) => return Ok(status),
        };
        self.status_unless(reference, outcome).await
    }

    async fn refund(
        &self,
        reference: &ProviderRef,
        amount: Money,
        refund_id: Uuid,
    ) -> Result<Refund, AdapterError> {
        let session = self.session(reference).await?;
        let (
            PaymentStatus::Captured {
                amount: captured, ..
            },
            Some(intent),
        ) = (session.status(), &session.payment_intent)
        else {
            return Err(AdapterError::Rejected {
                code: "not_captured".to_owned(),
                message: "nothing was captured, so nothing can be refunded".to_owned(),
            });
        };
        wire::same_currency(captured, amount)?;
        let form = wire::refund_form(&intent.id, wire::minor(amount)?, refund_id);
        let reply = self
            .post("v1/refunds", &format!("refund-{refund_id}"), &form)
            .await?;
        Ok(reply.json::<wire::Refund>()?.into())
    }

    async fn verify_webhook(
        &self,
        headers: &HeaderMap,
        raw_body: &[u8],
        now: OffsetDateTime,
    ) -> Result<WebhookEvent, WebhookError> {
        webhook::verify(&self.config.webhook_secrets, headers, raw_body, now)
    }
}
