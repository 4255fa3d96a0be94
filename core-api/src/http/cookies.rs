//! Cookies of ours: `__Host-` (RFC 6265bis), so neither a subdomain nor plain HTTP can set them.

use axum::http::{HeaderMap, HeaderValue, header};
use catraca_domain::secret::Secret;

/// The login session.
pub const LOGIN: &str = "__Host-login";
/// Binds a login on its way to the browser that began it.
pub const LOGIN_ATTEMPT: &str = "__Host-login-attempt";
/// The admission, set by the edge.
pub const ADMISSION: &str = "__Host-admission";

/// The cookie of that name, if the request carries it.
pub fn get(headers: &HeaderMap, name: &str) -> Option<Secret> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| Secret::from(value))
}

/// A `Set-Cookie` value. `max_age_seconds` 0 deletes it.
pub fn set(name: &str, value: &str, max_age_seconds: i64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!(
        "{name}={value}; Path=/; Max-Age={max_age_seconds}; Secure; HttpOnly; SameSite=Lax"
    ))
    .ok()
}
