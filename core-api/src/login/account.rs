//! Who is asking: the login cookie, looked up.

use crate::app::App;
use crate::error::ApiError;
use crate::http::cookies;
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use catraca_domain::ids::AccountId;
use catraca_domain::problem::Kind;
use sha2::{Digest as _, Sha256};
use std::time::Instant;

/// The role that may use the operators' calls.
pub const OPERATOR_ROLE: &str = "operator";

/// A logged-in account. As an extractor: 401 `not_logged_in` without a live login.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id here.
    pub id: AccountId,
    /// As the provider told at the last login.
    pub email: String,
    /// As the provider told at the last login.
    pub name: Option<String>,
    /// Roles, from the provider's claim.
    pub roles: Vec<String>,
}

/// An account that may run events and rooms. As an extractor: 403 `forbidden` for any other.
#[derive(Debug, Clone)]
pub struct Operator(pub Account);

/// The role that may use a door's calls, which an operator may too.
pub const DOOR_ROLE: &str = "door";

/// An account that may guard a door. As an extractor: 403 `forbidden` for any other.
#[derive(Debug, Clone)]
pub struct DoorStaff(pub Account);

/// The key of a login in the database: the cookie's value is not kept.
pub(super) type LoginKey = [u8; 32];

/// The key of the request's login cookie, if it carries one.
pub(super) fn login_key(headers: &HeaderMap) -> Option<LoginKey> {
    cookies::get(headers, cookies::LOGIN).map(|secret| Sha256::digest(secret.expose()).into())
}

impl FromRequestParts<App> for Account {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let unknown = || ApiError::new(Kind::NOT_LOGGED_IN, "Log in at /auth/login.");
        let key = login_key(&parts.headers).ok_or_else(unknown)?;
        if let Some(account) = app.login.accounts.get(&key) {
            return Ok(account);
        }
        let asked_at = Instant::now();
        let account = find(app, &key).await?.ok_or_else(unknown)?;
        app.login.accounts.put(key, account.clone(), asked_at);
        Ok(account)
    }
}

async fn find(app: &App, key: &LoginKey) -> Result<Option<Account>, ApiError> {
    let db = app.db.get().await?;
    let query = db
        .prepare_cached(
            "SELECT a.account_id, a.email, a.name, a.roles
             FROM login_sessions s JOIN accounts a USING (account_id)
             WHERE s.token_sha256 = $1 AND s.expires_at > now()",
        )
        .await?;
    let row = db.query_opt(&query, &[&key.as_slice()]).await?;
    Ok(row.map(|row| Account {
        id: AccountId(row.get(0)),
        email: row.get(1),
        name: row.get(2),
        roles: row.get(3),
    }))
}

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let account = Account::from_request_parts(parts, app).await?;
        if account.roles.iter().any(|role| role == OPERATOR_ROLE) {
            Ok(Self(account))
        } else {
            Err(ApiError::new(
                Kind::FORBIDDEN,
                "This takes the role operator.",
            ))
        }
    }
}

impl FromRequestParts<App> for DoorStaff {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let account = Account::from_request_parts(parts, app).await?;
        let may = |role: &String| role == DOOR_ROLE || role == OPERATOR_ROLE;
        if account.roles.iter().any(may) {
            Ok(Self(account))
        } else {
            Err(ApiError::new(
                Kind::FORBIDDEN,
                "This takes the role door or operator.",
            ))
        }
    }
}
