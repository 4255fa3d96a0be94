//! `Idempotency-Key`: the key and the reply commit in the transaction of the change itself, so a
//! POST that is repeated, at once or after a crash, repeats only the reply.
//!
//! Only success is kept. A refusal changed nothing, and asking again may well succeed.

use crate::error::ApiError;
use axum::extract::FromRequestParts;
use axum::http::{StatusCode, request::Parts};
use catraca_domain::ids::AccountId;
use catraca_domain::problem::Kind;
use deadpool_postgres::Transaction;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// The request's key.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(String);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("idempotency-key") else {
            return Err(ApiError::new(
                Kind::MISSING_IDEMPOTENCY_KEY,
                "Send an Idempotency-Key header: any text of your own, new for each intent.",
            ));
        };
        match value.to_str() {
            Ok(text) if (1..=KEY_BYTES_MAX).contains(&text.len()) => Ok(Self(text.to_owned())),
            _ => Err(ApiError::field(
                "Idempotency-Key",
                format!("must be 1 to {KEY_BYTES_MAX} printable ASCII characters"),
            )),
        }
    }
}

/// A changing request, identified.
pub struct Once<'a> {
    account: AccountId,
    route: &'static str,
    key: &'a str,
    request_sha256: Vec<u8>,
}

/// A reply kept from before.
pub type Reply = (StatusCode, Value);

impl<'a> Once<'a> {
    /// `route` names the call; `body` is the request as parsed JSON.
    pub fn new(
        account: AccountId,
        route: &'static str,
        key: &'a IdempotencyKey,
        body: &Value,
    ) -> Self {
        let request_sha256 = Sha256::digest(body.to_string()).to_vec();
        Self {
            account,
            route,
            key: &key.0,
            request_sha256,
        }
    }

    /// The same text for the same request, and for no other.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.account.0.as_bytes());
        hash.update(self.route.as_bytes());
        hash.update([0]);
        hash.update(self.key.as_bytes());
        hash.update(&self.request_sha256);
        hex::encode(hash.finalize())
    }

    /// The reply given before, if there is one. Takes a lock on the key until the transaction
    /// ends, so that two at once become one after the other.
    ///
    /// # Errors
    /// 422 when the key was used with another body.
    pub async fn replay(&self, tx: &Transaction<'_>) -> Result<Option<Reply>, ApiError> {
        let lock = format!("{}/{}/{}", self.account, self.route, self.key);
        tx.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
            &[&lock],
        )
        .await?;
        let row = tx
            .query_opt(
                "SELECT request_sha256, status, body FROM idempotency_keys
                 WHERE account_id = $1 AND route = $2 AND key = $3",
                &[&self.account.0, &self.route, &self.key],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        if row.get::<_, Vec<u8>>(0) != self.request_sha256 {
            return Err(ApiError::new(
                Kind::IDEMPOTENCY_KEY_REUSED,
                "This Idempotency-Key came with another body before. Use a new key.",
            ));
        }
        let status = u16::try_from(row.get::<_, i16>(1)).ok();
        let status = status.and_then(|code| StatusCode::from_u16(code).ok());
        Ok(Some((status.unwrap_or(StatusCode::OK), row.get(2))))
    }

    /// Keeps the reply; commit afterwards.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep(&self, tx: &Transaction<'_>, reply: &Reply) -> Result<(), ApiError> {
        let status = i16::try_from(reply.0.as_u16()).unwrap_or(200);
        tx.execute(
            "INSERT INTO idempotency_keys (account_id, route, key, request_sha256, status, body)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                &self.account.0,
                &self.route,
                &self.key,
                &self.request_sha256,
                &status,
                &reply.1,
            ],
        )
        .await?;
        Ok(())
    }
}
