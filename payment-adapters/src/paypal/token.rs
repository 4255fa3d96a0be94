//! `PayPal`'s access token: fetched once, shared, renewed a minute before it runs out.

use std::time::Duration;

use catraca_domain::secret::Secret;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::PayPalConfig;
use crate::AdapterError;
use crate::transport;

/// How long before its end a token is no longer used.
const RENEW_BEFORE: Duration = Duration::from_mins(1);

/// Holds the token. Whoever finds none fetches one while the others wait for it.
#[derive(Debug, Default)]
pub(super) struct TokenCache(Mutex<Option<Token>>);

#[derive(Debug)]
struct Token {
    secret: Secret,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
    expires_in: u64,
}

impl TokenCache {
    /// The token. Failing to get one means that the call it is for has not happened.
    pub(super) async fn get(
        &self,
        config: &PayPalConfig,
        client: &transport::Client,
    ) -> Result<Secret, AdapterError> {
        let mut slot = self.0.lock().await;
        if let Some(token) = slot
            .as_ref()
            .filter(|token| Instant::now() < token.renew_at)
        {
            return Ok(token.secret.clone());
        }
        let token = fetch(config, client).await.map_err(nothing_happened)?;
        let secret = token.secret.clone();
        *slot = Some(token);
        Ok(secret)
    }

    /// Drops a token that `PayPal` refused, unless another was fetched since.
    pub(super) async fn forget(&self, refused: &Secret) {
        let mut slot = self.0.lock().await;
        if slot.as_ref().is_some_and(|token| token.secret == *refused) {
            *slot = None;
        }
    }
}

async fn fetch(config: &PayPalConfig, client: &transport::Client) -> Result<Token, AdapterError> {
    let url = transport::join(&config.api_url, "v1/oauth2/token")?;
    let asked_at = Instant::now();
    let request = client
        .post(url)
        .basic_auth(
            &config.client_id,
            Some(transport::text(&config.client_secret)?),
        )
        .form(&[("grant_type", "client_credentials")]);
    let reply = client.send(request).await?;
    if !reply.status.is_success() {
        return Err(reply
            .common_error()
            .unwrap_or_else(|| AdapterError::Rejected {
                code: "oauth".to_owned(),
                message: format!("no access token: {}", reply.status),
            }));
    }
    let reply: TokenReply = reply.json()?;
    let lifetime = Duration::from_secs(reply.expires_in.min(86_400));
    Ok(Token {
        secret: Secret::from(reply.access_token.as_str()),
        renew_at: asked_at + lifetime.saturating_sub(RENEW_BEFORE),
    })
}

fn nothing_happened(error: AdapterError) -> AdapterError {
    match error {
        AdapterError::Unknown { message } => AdapterError::Unavailable { message },
        AdapterError::NotFound => AdapterError::Rejected {
            code: "oauth".to_owned(),
            message: "no token endpoint at this address".to_owned(),
        },
        other => other,
    }
}
