//! Login: `/auth/login` → the provider → `/auth/callback` → a cookie → [`Account`] on every request.
//!
//! [`flow`] has the calls, [`attempt`] what is remembered on the way, [`provider`] the provider's
//! addresses and keys, [`identity`] what its tokens say, [`account`] the look-up afterwards.

mod account;
mod attempt;
mod flow;
mod identity;
mod provider;

pub use account::{Account, DOOR_ROLE, DoorStaff, OPERATOR_ROLE, Operator};
pub use flow::LOGIN_SECONDS;

use crate::app::App;
use crate::cache::TtlCache;
use crate::config::Config;
use crate::error::ApiError;
use account::LoginKey;
use axum::Router;
use axum::routing::{get, post};
use openidconnect::RedirectUrl;
use provider::{Http, Provider};
use std::time::Duration;

/// How long another process may go on accepting a login that was ended in this one.
const ACCOUNT_TTL: Duration = Duration::from_secs(5);
/// Most logins remembered.
const ACCOUNTS_MAX: usize = 20_000;

/// Logins: the providers, and who was seen lately.
pub struct Login {
    accounts: TtlCache<LoginKey, Account>,
    providers: Vec<Provider>,
}

impl Login {
    /// From settings. Asks no provider yet: one may be down just now.
    ///
    /// # Errors
    /// When the public address can't be the base of another.
    pub fn new(config: &Config, http: reqwest::Client) -> anyhow::Result<Self> {
        let redirect = RedirectUrl::from_url(config.public_url.join("/auth/callback")?);
        let http = Http(http);
        let providers = config.oidc_providers.0.iter();
        Ok(Self {
            accounts: TtlCache::new(ACCOUNT_TTL, ACCOUNTS_MAX),
            providers: providers
                .map(|settings| Provider::new(settings.clone(), redirect.clone(), http.clone()))
                .collect(),
        })
    }

    /// The provider of that name; the first one without a name.
    fn provider(&self, name: Option<&str>) -> Result<&Provider, ApiError> {
        let mut providers = self.providers.iter();
        let found = match name {
            Some(name) => providers.find(|provider| provider.settings.name == name),
            None => providers.next(),
        };
        found.ok_or_else(|| ApiError::field("provider", "is none of /auth/providers"))
    }
}

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/auth/login", get(flow::login))
        .route("/auth/callback", get(flow::callback))
        .route("/auth/logout", post(flow::logout))
        .route("/auth/providers", get(flow::providers))
}
