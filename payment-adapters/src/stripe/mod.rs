//! What the providers over Stripe's API share: the account, its calls, what happens to a
//! `PaymentIntent` whoever opened it, refunds and webhooks. Not a provider itself.

mod errors;
mod intent;
mod webhook;

use catraca_domain::money::Money;
use catraca_domain::secret::Secret;
use http::HeaderMap;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

pub(crate) use self::errors::is_state_conflict;
pub(crate) use self::intent::{PaymentIntent, minor, pending};
pub(crate) use self::webhook::Names;
use crate::registry::Settings;
use crate::transport::{self, Reply};
use crate::{AdapterError, ConfigError, PaymentStatus, Refund, WebhookError, WebhookEvent};

/// The version of Stripe's API that the wire formats were checked against: `scripts/verify-peers`
/// holds them against Stripe's own description of exactly this one.
pub const STRIPE_VERSION: &str = "2026-08-26.dahlia";
/// Stripe remembers a 5xx under its key like any outcome. So many further keys are tried.
const FURTHER_KEYS_MAX: u32 = 4;
/// Refunds looked through for one already made; an order has far fewer.
const REFUNDS_MAX: &str = "100";

/// Where and as whom to talk to Stripe.
#[derive(Clone, Debug)]
pub struct StripeConfig {
    /// `https://api.stripe.com/`, or the sandbox.
    pub api_url: Url,
    /// `sk_…`.
    pub secret_key: Secret,
    /// `whsec_…`; any of them verifies, so that one can be rotated.
    pub webhook_secrets: Vec<Secret>,
}

impl StripeConfig {
    /// Reads `CATRACA_CARD_API_URL`, `CATRACA_CARD_SECRET_KEY` and `CATRACA_CARD_WEBHOOK_SECRETS`
    /// (comma-separated): the account is the card provider's. `None` when none of them is set.
    pub(crate) fn from_settings(settings: Settings<'_>) -> Result<Option<Self>, ConfigError> {
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
        let webhook_secrets = secrets(&values.2.ok_or(ConfigError::Missing(WEBHOOK_SECRETS))?);
        if webhook_secrets.is_empty() {
            return Err(ConfigError::Missing(WEBHOOK_SECRETS));
        }
        Ok(Some(Self {
            api_url,
            secret_key: Secret::from(secret_key.trim()),
            webhook_secrets,
        }))
    }
}

/// The secrets in a comma-separated list.
pub(crate) fn secrets(list: &str) -> Vec<Secret> {
    list.split(',')
        .map(str::trim)
        .filter(|secret| !secret.is_empty())
        .map(Secret::from)
        .collect()
}

/// An account at Stripe.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    config: StripeConfig,
    client: transport::Client,
}

impl Account {
    pub(crate) fn new(config: StripeConfig, client: transport::Client) -> Self {
        Self { config, client }
    }

    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Reply, AdapterError> {
        let url = transport::join(&self.config.api_url, path)?;
        errors::checked(self.send(self.client.get(url).query(query)).await?)
    }

    /// Posts a form. Stripe remembers a key's outcome for 24 hours, refusals and its own 5xx
    /// included: a 5xx played back will never become anything else, so the next key is tried.
    /// That is safe for what we post: captures and cancellations depend on the intent's state,
    /// refunds were looked for just before, and of two pages the buyer is sent to one.
    pub(crate) async fn post(
        &self,
        path: &str,
        idempotency_key: &str,
        form: &[(String, String)],
    ) -> Result<Reply, AdapterError> {
        let url = transport::join(&self.config.api_url, path)?;
        let mut further = 0;
        loop {
            let key = match further {
                0 => idempotency_key.to_owned(),
                _ => format!("{idempotency_key}-{further}"),
            };
            let request = self
                .client
                .post(url.clone())
                .header("Idempotency-Key", key)
                .form(form);
            let reply = self.send(request).await?;
            let dead = reply.status.is_server_error() && reply.replayed;
            if !dead || further == FURTHER_KEYS_MAX {
                return errors::checked(reply);
            }
            further += 1;
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, AdapterError> {
        let key = transport::text(&self.config.secret_key)?;
        let request = request
            .bearer_auth(key)
            .header("Stripe-Version", STRIPE_VERSION);
        self.client.send(request).await
    }

    /// Reads an intent with its last charge.
    pub(crate) async fn intent(&self, id: &str) -> Result<PaymentIntent, AdapterError> {
        let path = format!("v1/payment_intents/{}", transport::segment(id)?);
        self.get(&path, &[("expand[]", "latest_charge")])
            .await?
            .json()
    }

    /// Takes what an intent has set aside.
    pub(crate) async fn capture(
        &self,
        intent: &PaymentIntent,
        authorised: Money,
        amount: Money,
    ) -> Result<Reply, AdapterError> {
        intent::same_currency(authorised, amount)?;
        let minor = minor(amount)?;
        let id = transport::segment(&intent.id)?;
        let form = [("amount_to_capture".to_owned(), minor.to_string())];
        self.post(
            &format!("v1/payment_intents/{id}/capture"),
            &format!("capture-{id}-{minor}"),
            &form,
        )
        .await
    }

    /// Lets go of what an intent has set aside, or closes it unpaid.
    pub(crate) async fn cancel(&self, intent: &PaymentIntent) -> Result<Reply, AdapterError> {
        let id = transport::segment(&intent.id)?;
        let key = format!("void-{id}-{}", intent.attempt());
        self.post(&format!("v1/payment_intents/{id}/cancel"), &key, &[])
            .await
    }

    /// Gives captured money back, once for each `refund_id`: also after the 24 hours for which
    /// Stripe remembers the key, and where a peer ignores keys.
    pub(crate) async fn refund(
        &self,
        status: PaymentStatus,
        intent: Option<&PaymentIntent>,
        amount: Money,
        refund_id: Uuid,
    ) -> Result<Refund, AdapterError> {
        let (
            PaymentStatus::Captured {
                amount: captured,
                refunded,
            },
            Some(intent),
        ) = (status, intent)
        else {
            return Err(AdapterError::not_captured());
        };
        intent::same_currency(captured, amount)?;
        let minor = minor(amount)?;
        if let Some(made) = self.refund_made(intent, refund_id).await? {
            return Ok(made);
        }
        if amount.amount_minor > captured.amount_minor - refunded.amount_minor {
            return Err(AdapterError::more_than_left(captured, refunded, amount));
        }
        let form = intent::refund_form(&intent.id, minor, refund_id);
        let reply = self
            .post("v1/refunds", &format!("refund-{refund_id}"), &form)
            .await?;
        Ok(reply.json::<intent::Refund>()?.into())
    }

    /// Asked even where the charge says that nothing was refunded: a failed refund counts for
    /// nothing there, and is still this refund's outcome.
    async fn refund_made(
        &self,
        intent: &PaymentIntent,
        refund_id: Uuid,
    ) -> Result<Option<Refund>, AdapterError> {
        let query = [
            ("payment_intent", intent.id.as_str()),
            ("limit", REFUNDS_MAX),
        ];
        let list: intent::RefundList = self.get("v1/refunds", &query).await?.json()?;
        list.made(refund_id)
    }

    /// Checks a webhook; `names` says which of its objects is the provider's reference.
    pub(crate) fn verify_webhook(
        &self,
        names: Names,
        headers: &HeaderMap,
        raw_body: &[u8],
        now: OffsetDateTime,
    ) -> Result<WebhookEvent, WebhookError> {
        webhook::verify(&self.config.webhook_secrets, names, headers, raw_body, now)
    }
}
