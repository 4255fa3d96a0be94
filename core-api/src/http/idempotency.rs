//! `Idempotency-Key`: the key and the reply commit in the transaction of the change itself, so a
//! POST that is repeated, at once or after a crash, repeats only the reply.
//!
//! Only success is kept. A refusal changed nothing, and asking again may well succeed.

use crate::error::ApiError;
use axum::extract::FromRequestParts;
use axum::http::{StatusCode, request::Parts};
use catraca_domain::ids::AccountId;
use catraca_domain::problem::Kind;
use deadpool_postgres::{GenericClient, Transaction};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use tokio_postgres::Row;
use uuid::Uuid;

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
#[derive(Clone)]
pub struct Once<'a> {
    account: AccountId,
    route: &'static str,
    key: Cow<'a, str>,
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
            key: Cow::Borrowed(&key.0),
            request_sha256,
        }
    }

    /// The same, with a key of its own.
    pub fn into_owned(self) -> Once<'static> {
        Once {
            key: Cow::Owned(self.key.into_owned()),
            account: self.account,
            route: self.route,
            request_sha256: self.request_sha256,
        }
    }

    /// What is locked while the key is in use.
    fn lock_name(&self) -> String {
        format!("{}/{}/{}", self.account, self.route, self.key)
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
        let lock = tx
            .prepare_cached("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .await?;
        tx.execute(&lock, &[&self.lock_name()]).await?;
        let query = tx
            .prepare_cached(
                "SELECT request_sha256, status, body FROM idempotency_keys
                 WHERE account_id = $1 AND route = $2 AND key = $3",
            )
            .await?;
        let row = tx
            .query_opt(&query, &[&self.account.0, &self.route, &&*self.key])
            .await?;
        row.map(|row| self.kept(&row)).transpose()
    }

    /// Whether a reply was given before.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_kept<C: GenericClient>(&self, client: &C) -> Result<bool, ApiError> {
        let query = client
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM idempotency_keys
                                WHERE account_id = $1 AND route = $2 AND key = $3)",
            )
            .await?;
        let row = client
            .query_one(&query, &[&self.account.0, &self.route, &&*self.key])
            .await?;
        Ok(row.get(0))
    }

    fn kept(&self, row: &Row) -> Result<Reply, ApiError> {
        if row.get::<_, Vec<u8>>(0) != self.request_sha256 {
            return Err(ApiError::new(
                Kind::IDEMPOTENCY_KEY_REUSED,
                "This Idempotency-Key came with another body before. Use a new key.",
            ));
        }
        let status = u16::try_from(row.get::<_, i16>(1)).ok();
        let status = status.and_then(|code| StatusCode::from_u16(code).ok());
        Ok((status.unwrap_or(StatusCode::OK), row.get(2)))
    }

    /// Keeps the reply; commit afterwards.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep(&self, tx: &Transaction<'_>, reply: &Reply) -> Result<(), ApiError> {
        let status = i16::try_from(reply.0.as_u16()).unwrap_or(200);
        let insert = tx
            .prepare_cached(
                "INSERT INTO idempotency_keys (account_id, route, key, request_sha256, status, body)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .await?;
        tx.execute(
            &insert,
            &[
                &self.account.0,
                &self.route,
                &&*self.key,
                &self.request_sha256,
                &status,
                &reply.1,
            ],
        )
        .await?;
        Ok(())
    }
}

const TRY_LOCK: &str = "
    SELECT n FROM (SELECT n, name FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n)
                   ORDER BY n OFFSET 0) AS named
    WHERE pg_try_advisory_xact_lock(hashtextextended(name, 0))";

const REPLIES: &str = "
    SELECT k.request_sha256, k.status, k.body, t.n
    FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS t (account, route, key, n)
    JOIN idempotency_keys k
      ON k.account_id = t.account AND k.route = t.route AND k.key = t.key";

const KEEP_ALL: &str = "
    INSERT INTO idempotency_keys (account_id, route, key, request_sha256, status, body)
    SELECT t.account, t.route, t.key, t.sha256, $1::smallint, t.body
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::jsonb[])
         AS t (account, route, key, sha256, body)";

/// The statements of [`try_lock`], [`replies`] and [`keep_all`], to be prepared beforehand.
pub(crate) const TOGETHER: [&str; 3] = [TRY_LOCK, REPLIES, KEEP_ALL];

/// Locks the keys of several requests, as far as nobody else uses them; which ones, by index. Of
/// two requests with one key only the first gets it.
///
/// # Errors
/// The database's.
pub(crate) async fn try_lock(
    tx: &Transaction<'_>,
    requests: &[&Once<'_>],
) -> Result<HashSet<usize>, ApiError> {
    let names: Vec<String> = requests.iter().map(|once| once.lock_name()).collect();
    let statement = tx.prepare_cached(TRY_LOCK).await?;
    let rows = tx.query(&statement, &[&names]).await?;
    let mut seen = HashSet::new();
    let mut locked: Vec<usize> = rows.iter().map(|row| index(row, 0)).collect();
    locked.sort_unstable();
    locked.retain(|index| seen.insert(names.get(*index)));
    Ok(locked.into_iter().collect())
}

/// The replies given before to any of these, by index. To be asked once the keys are locked.
///
/// # Errors
/// The database's.
pub(crate) async fn replies(
    tx: &Transaction<'_>,
    requests: &[&Once<'_>],
) -> Result<HashMap<usize, Result<Reply, ApiError>>, ApiError> {
    let accounts: Vec<Uuid> = requests.iter().map(|once| once.account.0).collect();
    let routes: Vec<&str> = requests.iter().map(|once| once.route).collect();
    let keys: Vec<&str> = requests.iter().map(|once| &*once.key).collect();
    let statement = tx.prepare_cached(REPLIES).await?;
    let rows = tx.query(&statement, &[&accounts, &routes, &keys]).await?;
    let kept = rows.iter().filter_map(|row| {
        let index = index(row, 3);
        requests.get(index).map(|once| (index, once.kept(row)))
    });
    Ok(kept.collect())
}

/// [`Once::keep`] for several; how many were kept.
///
/// # Errors
/// The database's.
pub(crate) async fn keep_all(
    tx: &Transaction<'_>,
    status: StatusCode,
    requests: &[(&Once<'_>, &Value)],
) -> Result<u64, ApiError> {
    let status = i16::try_from(status.as_u16()).unwrap_or(200);
    let accounts: Vec<Uuid> = requests.iter().map(|(once, _)| once.account.0).collect();
    let routes: Vec<&str> = requests.iter().map(|(once, _)| once.route).collect();
    let keys: Vec<&str> = requests.iter().map(|(once, _)| &*once.key).collect();
    let hashes: Vec<&[u8]> = requests
        .iter()
        .map(|(once, _)| &*once.request_sha256)
        .collect();
    let bodies: Vec<&Value> = requests.iter().map(|(_, body)| *body).collect();
    let statement = tx.prepare_cached(KEEP_ALL).await?;
    Ok(tx
        .execute(
            &statement,
            &[&status, &accounts, &routes, &keys, &hashes, &bodies],
        )
        .await?)
}

/// Where in the list a row's request is: PostgreSQL counts from one.
fn index(row: &Row, column: usize) -> usize {
    usize::try_from(row.get::<_, i64>(column) - 1).unwrap_or(usize::MAX)
}
