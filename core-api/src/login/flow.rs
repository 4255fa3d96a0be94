//! The calls: `OpenID` Connect's authorisation code flow with PKCE, state and nonce.

use super::account::login_key;
use super::attempt::{ATTEMPT_SECONDS, Attempt, return_path};
use super::identity::{Identity, failed, redeem};
use super::provider::Provider;
use crate::app::App;
use crate::error::ApiError;
use crate::http::cookies;
use crate::http::params::Query;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catraca_domain::secret::Secret;
use openidconnect::core::CoreAuthenticationFlow;
use openidconnect::{CsrfToken, LoginHint, Nonce, PkceCodeChallenge, Scope};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// How long a login lasts, in seconds.
pub const LOGIN_SECONDS: i64 = 12 * 3600;
/// Longest `login_hint`, `code` and `state` passed on, in bytes.
const PARAMETER_BYTES_MAX: usize = 2048;

#[derive(Deserialize)]
pub(super) struct LoginQuery {
    provider: Option<String>,
    return_to: Option<String>,
    login_hint: Option<String>,
}

/// `GET /auth/login`: off to the provider.
pub(super) async fn login(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<LoginQuery>,
) -> Result<Response, ApiError> {
    let provider = app.login.provider(query.provider.as_deref())?;
    let return_to = return_path(query.return_to.as_deref(), &app.config.public_url)?;
    let hint = query.login_hint.filter(|hint| !hint.is_empty());
    if hint
        .as_ref()
        .is_some_and(|hint| hint.len() > PARAMETER_BYTES_MAX)
    {
        return Err(ApiError::field("login_hint", "is too long"));
    }
    let client = provider.client(false).await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let mut request = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scope(Scope::new("email".to_owned()))
        .add_scope(Scope::new("profile".to_owned()))
        .set_pkce_challenge(challenge);
    if let Some(hint) = hint {
        request = request.set_login_hint(LoginHint::new(hint));
    }
    let (address, state, nonce) = request.url();
    // One secret a browser, so that tabs don't undo each other's.
    let browser = cookies::get(&headers, cookies::LOGIN_ATTEMPT)
        .filter(|secret| secret.expose().len() == 43 && secret.expose().is_ascii())
        .unwrap_or_else(|| Secret::from(random_text().as_str()));
    let attempt = Attempt {
        provider: provider.settings.name.clone(),
        nonce: nonce.secret().clone(),
        pkce_verifier: verifier.secret().clone(),
        return_to,
    };
    attempt.keep(&app, state.secret(), &browser).await?;
    let cookie = browser
        .expose_str()
        .ok()
        .and_then(|text| cookies::set(cookies::LOGIN_ATTEMPT, text, ATTEMPT_SECONDS));
    see_other(address.as_str(), cookie)
}

#[derive(Deserialize)]
pub(super) struct CallbackQuery {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

/// `GET /auth/callback`: back from the provider.
pub(super) async fn callback(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<CallbackQuery>,
) -> Result<Response, ApiError> {
    let fits = |text: &String| text.len() <= PARAMETER_BYTES_MAX;
    let state = query.state.filter(fits);
    let state = state.ok_or_else(|| failed("The answer carries no state."))?;
    let browser = cookies::get(&headers, cookies::LOGIN_ATTEMPT);
    let browser = browser.ok_or_else(|| failed("This login was not begun in this browser."))?;
    let attempt = Attempt::take(&app, &state, &browser).await?;
    if let Some(error) = query.error {
        let known = error.len() <= 64 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let error = if known {
            error.as_str()
        } else {
            "an unknown error"
        };
        return Err(failed(format!("The login provider answered {error}.")));
    }
    let code = query.code.filter(fits);
    let code = code.ok_or_else(|| failed("The answer carries no code."))?;
    let provider = app.login.provider(Some(&attempt.provider))?;
    let nonce = Nonce::new(attempt.nonce);
    let identity = redeem(provider, code, attempt.pkce_verifier, &nonce).await?;
    let token = begin(&app, &headers, &identity).await?;
    metrics::counter!("catraca_logins_total", "provider" => attempt.provider).increment(1);
    see_other(
        &attempt.return_to,
        cookies::set(cookies::LOGIN, &token, LOGIN_SECONDS),
    )
}

/// The account, created or brought up to date, and a new login for it. The browser's login of
/// before is ended: nobody can plant a session and wait for it to be filled.
async fn begin(app: &App, headers: &HeaderMap, identity: &Identity) -> Result<String, ApiError> {
    let token = random_text();
    let key: [u8; 32] = Sha256::digest(&token).into();
    let mut db = app.db.get().await?;
    let tx = db.transaction().await?;
    let account: Uuid = tx
        .query_one(
            "INSERT INTO accounts (account_id, issuer, subject, email, name, roles)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT ON CONSTRAINT accounts_one_per_subject
             DO UPDATE SET email = excluded.email, name = excluded.name, roles = excluded.roles
             RETURNING account_id",
            &[
                &Uuid::new_v4(),
                &identity.issuer,
                &identity.subject,
                &identity.email,
                &identity.name,
                &identity.roles,
            ],
        )
        .await?
        .get(0);
    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    let seconds = LOGIN_SECONDS as f64;
    tx.execute(
        "INSERT INTO login_sessions (token_sha256, account_id, expires_at)
         VALUES ($1, $2, now() + make_interval(secs => $3))",
        &[&key.as_slice(), &account, &seconds],
    )
    .await?;
    let before = login_key(headers);
    if let Some(before) = &before {
        end(&tx, before).await?;
    }
    tx.commit().await?;
    if let Some(before) = &before {
        app.login.accounts.forget(before);
    }
    Ok(token)
}

async fn end(
    tx: &deadpool_postgres::Transaction<'_>,
    key: &super::LoginKey,
) -> Result<(), ApiError> {
    tx.execute(
        "DELETE FROM login_sessions WHERE token_sha256 = $1",
        &[&key.as_slice()],
    )
    .await?;
    Ok(())
}

/// `POST /auth/logout`: 204, logged in or not.
pub(super) async fn logout(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(key) = login_key(&headers) {
        let mut db = app.db.get().await?;
        let tx = db.transaction().await?;
        end(&tx, &key).await?;
        tx.commit().await?;
        app.login.accounts.forget(&key);
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = cookies::set(cookies::LOGIN, "", 0) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[derive(Serialize)]
struct ProviderName<'a> {
    name: &'a str,
}

/// `GET /auth/providers`.
pub(super) async fn providers(State(app): State<App>) -> Response {
    let names = app
        .login
        .providers
        .iter()
        .map(|provider: &Provider| ProviderName {
            name: &provider.settings.name,
        });
    Json(serde_json::json!({ "providers": names.collect::<Vec<_>>() })).into_response()
}

/// 256 random bits as text.
fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn see_other(address: &str, cookie: Option<HeaderValue>) -> Result<Response, ApiError> {
    let location = HeaderValue::from_str(address)
        .map_err(|_| ApiError::internal("an address that is no header value"))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = cookie {
        headers.append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
