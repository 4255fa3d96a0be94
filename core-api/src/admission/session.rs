//! The shopping session: one an admission, one account's, ended once.

use super::token;
use crate::app::App;
use crate::cache::TtlCache;
use crate::error::ApiError;
use crate::login::Account;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use catraca_domain::admission::Admission;
use catraca_domain::ids::{AccountId, EventNumber, Jti, RoomName};
use catraca_domain::problem::Kind;
use deadpool_postgres::Transaction;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// How long another process may go on *showing* a session that was ended in this one. Nothing
/// changes on the word of this memory: a change asks [`lock_session`].
const SEEN_TTL: Duration = Duration::from_secs(2);
/// Most sessions remembered.
const SEEN_MAX: usize = 50_000;

/// Somebody admitted and logged in, with a shopping session that was open a moment ago.
#[derive(Debug, Clone)]
pub struct Shopper {
    /// Who.
    pub account: Account,
    /// What the admission is for.
    pub event: EventNumber,
    /// The event's slug, and its room's name.
    pub slug: RoomName,
    /// The admission, and the session that it opened.
    pub jti: Jti,
    /// The number of the place that was admitted.
    pub number: u64,
    /// When the session ends by itself.
    pub expires_at: OffsetDateTime,
}

/// A [`Shopper`] whose session nobody has looked at yet: for calls whose own transaction does so
/// anyway. Whoever goes another way calls [`Unseen::enter`] first.
#[derive(Debug, Clone)]
pub struct Unseen {
    shopper: Shopper,
    admission: Admission,
}

impl Unseen {
    /// Who it would be.
    pub fn shopper(&self) -> &Shopper {
        &self.shopper
    }

    /// Sees that the session is open, or opens it; false when it was seen a moment ago.
    ///
    /// # Errors
    /// 401 when it is over, or another account's.
    pub async fn enter(&self, app: &App) -> Result<bool, ApiError> {
        let (jti, account) = (self.shopper.jti, self.shopper.account.id);
        if app.sessions.0.get(&jti) == Some(account) {
            return Ok(false);
        }
        let asked_at = Instant::now();
        enter(app, self.shopper.event, &self.admission, account).await?;
        app.sessions.0.put(jti, account, asked_at);
        Ok(true)
    }
}

/// Sessions seen lately.
pub struct ShoppingSessions(TtlCache<Jti, AccountId>);

impl Default for ShoppingSessions {
    fn default() -> Self {
        Self(TtlCache::new(SEEN_TTL, SEEN_MAX))
    }
}

impl ShoppingSessions {
    /// To be called once a session's end is committed.
    pub fn ended(&self, jti: Jti) {
        self.0.forget(&jti);
    }
}

impl FromRequestParts<App> for Shopper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let unseen = Unseen::from_request_parts(parts, app).await?;
        unseen.enter(app).await?;
        Ok(unseen.shopper)
    }
}

impl FromRequestParts<App> for Unseen {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let now = OffsetDateTime::now_utc();
        let admission = token::read(&parts.headers, &app.config.admission_keys, now)?;
        let account = Account::from_request_parts(parts, app).await?;
        let event = app.catalogue.number_of(app, &admission.aud).await?;
        let event = event.ok_or_else(token::invalid)?;
        let shopper = Shopper {
            account,
            event,
            jti: admission.jti,
            number: admission.num,
            expires_at: moment(admission.exp)?,
            slug: admission.aud.clone(),
        };
        Ok(Self { shopper, admission })
    }
}

/// Finds the admission's session, or opens it at its first use.
async fn enter(
    app: &App,
    event: EventNumber,
    admission: &Admission,
    account: AccountId,
) -> Result<(), ApiError> {
    if let Some(row) = find(app, event, admission.jti).await? {
        return check(&row, account);
    }
    let opened = open(app, event, admission, account).await;
    // Two first uses at once: one opens, both find. PostgreSQL may report the loser as a breach
    // of the number's constraint instead of the key's, so look before believing it.
    match find(app, event, admission.jti).await? {
        Some(row) => check(&row, account),
        None => Err(match opened {
            Ok(()) => ApiError::internal("a shopping session vanished while it was opened"),
            Err(error) => error,
        }),
    }
}

fn check(row: &Row, account: AccountId) -> Result<(), ApiError> {
    if AccountId(row.get(0)) != account {
        return Err(ApiError::new(
            Kind::ADMISSION_SPENT,
            "This admission is in use by another account.",
        ));
    }
    if row.get::<_, bool>(1) {
        Ok(())
    } else {
        Err(token::ended())
    }
}

async fn find(app: &App, event: EventNumber, jti: Jti) -> Result<Option<Row>, ApiError> {
    let db = app.db.get().await?;
    let query = db
        .prepare_cached(
            "SELECT account_id, ended_at IS NULL AND expires_at > now()
             FROM shopping_sessions WHERE event_id = $1 AND jti = $2",
        )
        .await?;
    Ok(db.query_opt(&query, &[&event.0, &jti.0]).await?)
}

async fn open(
    app: &App,
    event: EventNumber,
    admission: &Admission,
    account: AccountId,
) -> Result<(), ApiError> {
    let epoch = i32::try_from(admission.epoch).map_err(|_| token::invalid())?;
    let number = i64::try_from(admission.num).map_err(|_| token::invalid())?;
    let (admitted_at, expires_at) = (moment(admission.iat)?, moment(admission.exp)?);
    let db = app.db.get().await?;
    let statement = db
        .prepare_cached(
            "INSERT INTO shopping_sessions (event_id, jti, account_id, visitor, epoch, number,
                                            lane, admitted_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (event_id, jti) DO NOTHING",
        )
        .await?;
    let lane = admission.lane.as_str();
    let opened = db
        .execute(
            &statement,
            &[
                &event.0,
                &admission.jti.0,
                &account.0,
                &admission.sub.0,
                &epoch,
                &number,
                &lane,
                &admitted_at,
                &expires_at,
            ],
        )
        .await;
    match opened {
        Ok(_) => Ok(()),
        Err(error) if breaks(&error, "shopping_sessions_number_once") => {
            // A number admitted twice within an epoch: the edge must never let that happen.
            metrics::counter!("catraca_invariant_violations_total", "invariant" => "5")
                .increment(1);
            tracing::error!(room = %admission.aud, epoch, number, "a number was admitted twice");
            Err(token::invalid())
        }
        Err(error) => Err(error.into()),
    }
}

fn breaks(error: &tokio_postgres::Error, constraint: &str) -> bool {
    error.as_db_error().and_then(|db| db.constraint()) == Some(constraint)
}

fn moment(unix_seconds: u64) -> Result<OffsetDateTime, ApiError> {
    i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(token::invalid)
}

/// Every change asks this first, in its own transaction: the session is open by the database's
/// clock, and can't end before the transaction does.
///
/// # Errors
/// 401 `session_ended`.
pub async fn lock_session(tx: &Transaction<'_>, shopper: &Shopper) -> Result<(), ApiError> {
    let query = tx
        .prepare_cached(
            "SELECT account_id = $3 AND ended_at IS NULL AND expires_at > now()
             FROM shopping_sessions WHERE event_id = $1 AND jti = $2 FOR SHARE",
        )
        .await?;
    let (event, jti, account) = (shopper.event.0, shopper.jti.0, shopper.account.id.0);
    match tx.query_opt(&query, &[&event, &jti, &account]).await? {
        Some(row) if row.get(0) => Ok(()),
        _ => Err(token::ended()),
    }
}

/// Why a shopper's session ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By the shopper's own wish.
    Left,
    /// With a purchase. Whatever the time: the payment may have outlasted the session.
    Purchased,
}

/// Ends an open session; false when it was over. Looked up by its whole key and changed by its place,
/// as the batches do (`migrations/V5__plans.sql`).
///
/// # Errors
/// The database doesn't answer.
pub async fn end_session(
    tx: &Transaction<'_>,
    event: EventNumber,
    jti: Jti,
    end: End,
) -> Result<bool, ApiError> {
    let (reason, lapsed_too) = match end {
        End::Left => ("left", false),
        End::Purchased => ("purchased", true),
    };
    let query = tx
        .prepare_cached(
            "WITH ours AS MATERIALIZED (
                SELECT ctid AS at, ended_at, expires_at FROM shopping_sessions
                WHERE event_id = $1 AND jti = $2 OFFSET 0 FOR UPDATE)
             UPDATE shopping_sessions s SET ended_at = now(), end_reason = $3
             FROM ours WHERE s.ctid = ours.at
               AND ours.ended_at IS NULL AND (ours.expires_at > now() OR $4)",
        )
        .await?;
    let params: [&(dyn ToSql + Sync); 4] = [&event.0, &jti.0, &reason, &lapsed_too];
    Ok(tx.execute(&query, &params).await? == 1)
}
