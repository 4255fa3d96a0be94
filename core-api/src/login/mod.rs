//! Login: `/auth/login` → the provider → `/auth/callback` → a cookie → [`Account`] on every request.

mod account;

pub use account::{Account, OPERATOR_ROLE, Operator};

use crate::app::App;
use crate::cache::TtlCache;
use crate::config::Config;
use account::LoginKey;
use axum::Router;
use std::time::Duration;

/// How long another process may go on accepting a login that was ended in this one.
const ACCOUNT_TTL: Duration = Duration::from_secs(5);
/// Most logins remembered.
const ACCOUNTS_MAX: usize = 20_000;

/// Logins: the providers, and who was seen lately.
pub struct Login {
    accounts: TtlCache<LoginKey, Account>,
}

impl Login {
    /// From settings. Asks no provider yet.
    pub fn new(_: &Config, _: reqwest::Client) -> Self {
        Self {
            accounts: TtlCache::new(ACCOUNT_TTL, ACCOUNTS_MAX),
        }
    }
}

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
}
