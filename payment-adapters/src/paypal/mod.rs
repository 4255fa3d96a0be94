//! `PayPal`: Orders v2 with intent `AUTHORIZE`.
//!
//! What a payment goes through here:
//! - `start`: `POST /v2/checkout/orders`; its id is our reference, its `payer-action` link the page;
//! - the buyer agrees on `PayPal`'s page: the order is `APPROVED`, nothing is set aside yet;
//! - `authorise`: `POST /v2/checkout/orders/{id}/authorize`;
//! - `capture`: `POST /v2/payments/authorizations/{id}/capture`, final;
//! - `void`: `POST /v2/payments/authorizations/{id}/void`. An order not yet authorised can't be
//!   called off at `PayPal`: it lapses there, and takes no money unless we authorise it;
//! - `refund`: `POST /v2/payments/captures/{id}/refund`.

mod errors;
mod token;
mod webhook;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use catraca_domain::money::Money;
use catraca_domain::secret::Secret;
use http::{HeaderMap, Method};
use serde::Serialize;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::registry::Settings;
use crate::transport::{self, Outlet, Reply};
use crate::{
    AdapterError, ConfigError, PaymentAdapter, PaymentStatus, Provider, ProviderRef, Refund,
    StartPayment, Started, WebhookError, WebhookEvent,
};

/// The name in URLs and in the database.
pub const PROVIDER: Provider = Provider::new("paypal");

/// Where and as whom to talk to `PayPal`.
#[derive(Clone, Debug)]
pub struct PayPalConfig {
    /// `https://api-m.paypal.com/`, or the sandbox.
    pub api_url: Url,
    /// The REST app's client id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// The id `PayPal` gave the webhook when it was set up; signatures are bound to it.
    pub webhook_id: String,
}

/// The `PayPal` provider.
#[derive(Debug)]
pub struct PayPalAdapter {
    config: PayPalConfig,
    client: transport::Client,
    token: token::TokenCache,
}

/// Reads `CATRACA_PAYPAL_API_URL`, `…_CLIENT_ID`, `…_CLIENT_SECRET` and `…_WEBHOOK_ID`. None of
/// them: not configured.
pub fn from_settings(
    settings: Settings<'_>,
    outlet: &Outlet,
) -> Result<Option<Arc<dyn PaymentAdapter>>, ConfigError> {
    const API_URL: &str = "CATRACA_PAYPAL_API_URL";
    const CLIENT_ID: &str = "CATRACA_PAYPAL_CLIENT_ID";
    const CLIENT_SECRET: &str = "CATRACA_PAYPAL_CLIENT_SECRET";
    const WEBHOOK_ID: &str = "CATRACA_PAYPAL_WEBHOOK_ID";
    let read = |name| {
        settings(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    let values = (
        read(API_URL),
        read(CLIENT_ID),
        read(CLIENT_SECRET),
        read(WEBHOOK_ID),
    );
    if matches!(values, (None, None, None, None)) {
        return Ok(None);
    }
    let config = PayPalConfig {
        api_url: transport::base_url(API_URL, values.0)?,
        client_id: values.1.ok_or(ConfigError::Missing(CLIENT_ID))?,
        client_secret: Secret::from(
            values
                .2
                .ok_or(ConfigError::Missing(CLIENT_SECRET))?
                .as_str(),
        ),
        webhook_id: values.3.ok_or(ConfigError::Missing(WEBHOOK_ID))?,
    };
    Ok(Some(Arc::new(PayPalAdapter::new(config, outlet.clone()))))
}

impl PayPalAdapter {
    /// An adapter over the given client.
    pub fn new(config: PayPalConfig, outlet: impl Into<Outlet>) -> Self {
        Self {
            config,
            client: outlet.into().to(PROVIDER),
            token: token::TokenCache::default(),
        }
    }

    async fn get(&self, path: &str) -> Result<Reply, AdapterError> {
        self.call(Method::GET, path, None, None).await
    }

    /// Posts JSON under an idempotency key (`PayPal` keeps it for hours at least) and asks for the
    /// whole object back.
    async fn post<T: Serialize + Sync>(
        &self,
        path: &str,
        request_id: &str,
        body: &T,
    ) -> Result<Reply, AdapterError> {
        self.call(
            Method::POST,
            path,
            Some(request_id),
            Some(wire::to_json(body)?),
        )
        .await
    }

    /// Sends with a token; once more with a fresh one if `PayPal` no longer takes the cached one.
    async fn call(
        &self,
        method: Method,
        path: &str,
        request_id: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Reply, AdapterError> {
        let url = transport::join(&self.config.api_url, path)?;
        let mut renewed = false;
        loop {
            let token = self.token.get(&self.config, &self.client).await?;
            let mut request = self
                .client
                .request(method.clone(), url.clone())
                .bearer_auth(transport::text(&token)?)
                .header("Prefer", "return=representation");
            if let Some(id) = request_id {
                request = request.header("PayPal-Request-Id", id);
            }
            if let Some(body) = &body {
                request = request
                    .header("Content-Type", "application/json")
                    .body(body.clone());
            }
            let reply = self.client.send(request).await?;
            if reply.status == http::StatusCode::UNAUTHORIZED && !renewed {
                renewed = true;
                self.token.forget(&token).await;
                continue;
            }
            return errors::checked(reply);
        }
    }

    async fn order(&self, reference: &ProviderRef) -> Result<wire::Order, AdapterError> {
        let id = transport::segment(reference.as_str())?;
        self.get(&format!("v2/checkout/orders/{id}")).await?.json()
    }

    /// As for cards: after a refusal that only says "not in this state", what is so counts.
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
impl PaymentAdapter for PayPalAdapter {
    fn provider(&self) -> Provider {
        PROVIDER
    }

    fn forgets_unpaid(&self) -> bool {
        true
    }

    async fn start(&self, payment: &StartPayment) -> Result<Started, AdapterError> {
        let body = wire::OrderRequest::new(payment)?;
        let reply = self
            .post("v2/checkout/orders", &payment.idempotency_key, &body)
            .await?;
        let order: wire::Order = reply.json()?;
        let redirect_url = order.payer_link().ok_or_else(|| AdapterError::Unknown {
            message: "the order has no page for the buyer".to_owned(),
        })?;
        Ok(Started {
            provider_ref: ProviderRef::new(order.id),
            redirect_url,
            display: None,
        })
    }

    async fn status(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        Ok(self.order(reference).await?.status())
    }

    async fn authorise(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        let order = self.order(reference).await?;
        let status = order.status();
        if status != PaymentStatus::Approved {
            return Ok(status);
        }
        let path = format!("v2/checkout/orders/{}/authorize", order.id);
        let key = format!("authorise-{}", order.id);
        match self.post(&path, &key, &wire::Empty {}).await {
            Err(AdapterError::Declined { reason }) => Ok(PaymentStatus::Failed { reason }),
            outcome => self.status_unless(reference, outcome).await,
        }
    }

    async fn capture(
        &self,
        reference: &ProviderRef,
        amount: Money,
    ) -> Result<PaymentStatus, AdapterError> {
        let order = self.order(reference).await?;
        let status = order.status();
        let (PaymentStatus::Authorised { amount: authorised }, Some(authorisation)) =
            (&status, order.authorisation_id())
        else {
            return Ok(status);
        };
        let body = wire::CaptureRequest::new(*authorised, amount)?;
        let id = transport::segment(authorisation)?;
        let path = format!("v2/payments/authorizations/{id}/capture");
        let outcome = self
            .post(
                &path,
                &format!("capture-{id}-{}", amount.amount_minor),
                &body,
            )
            .await;
        self.status_unless(reference, outcome).await
    }

    async fn void(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError> {
        let order = self.order(reference).await?;
        let status = order.status();
        match (&status, order.live_authorisation()) {
            (PaymentStatus::Open | PaymentStatus::Approved, _) => Ok(PaymentStatus::Voided),
            (_, Some(authorisation)) => {
                let id = transport::segment(authorisation)?;
                let path = format!("v2/payments/authorizations/{id}/void");
                let outcome = self
                    .call(Method::POST, &path, Some(&format!("void-{id}")), None)
                    .await;
                self.status_unless(reference, outcome).await
            }
            _ => Ok(status),
        }
    }

    async fn refund(
        &self,
        reference: &ProviderRef,
        amount: Money,
        refund_id: Uuid,
    ) -> Result<Refund, AdapterError> {
        let order = self.order(reference).await?;
        let status = order.status();
        let (
            PaymentStatus::Captured {
                amount: captured,
                refunded,
            },
            Some(capture),
        ) = (status, order.capture_id())
        else {
            return Err(AdapterError::not_captured());
        };
        let body = wire::RefundRequest::new(captured, amount, refund_id)?;
        // PayPal forgets keys after a while; the refund's own mark stays.
        if let Some(made) = order.refund_made(refund_id) {
            return Ok(made);
        }
        if amount.amount_minor > captured.amount_minor - refunded.amount_minor {
            return Err(AdapterError::more_than_left(captured, refunded, amount));
        }
        let path = format!(
            "v2/payments/captures/{}/refund",
            transport::segment(capture)?
        );
        let reply = self
            .post(&path, &format!("refund-{refund_id}"), &body)
            .await?;
        Ok(reply.json::<wire::Refund>()?.into())
    }

    async fn verify_webhook(
        &self,
        headers: &HeaderMap,
        raw_body: &[u8],
        now: OffsetDateTime,
    ) -> Result<WebhookEvent, WebhookError> {
        let question = webhook::question(&self.config.webhook_id, headers, raw_body, now)?;
        let reply = self
            .call(
                Method::POST,
                "v1/notifications/verify-webhook-signature",
                None,
                Some(question),
            )
            .await;
        webhook::believe(reply, raw_body)
    }
}
