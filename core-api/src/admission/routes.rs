//! `GET /api/v1/me`, `GET` and `DELETE /api/v1/session`.

use super::session::{End, Shopper, end_session, lock_session};
use crate::app::App;
use crate::error::ApiError;
use crate::holds::{being_paid, free_seats, seats_of};
use crate::login::Account;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use catraca_domain::ids::{AccountId, HoldId, Jti, RoomName};
use serde::Serialize;
use time::OffsetDateTime;

#[derive(Serialize)]
pub(super) struct AccountView {
    account: AccountId,
    email: String,
    name: Option<String>,
    roles: Vec<String>,
}

/// `GET /api/v1/me`: who is logged in.
pub(super) async fn me(account: Account) -> Json<AccountView> {
    Json(AccountView {
        account: account.id,
        email: account.email,
        name: account.name,
        roles: account.roles,
    })
}

#[derive(Serialize)]
pub(super) struct SessionView {
    event: RoomName,
    jti: Jti,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    max_seats_per_buyer: i32,
    seats_taken: i64,
}

/// `GET /api/v1/session`: the countdown and the limit.
pub(super) async fn show(
    State(app): State<App>,
    shopper: Shopper,
) -> Result<Json<SessionView>, ApiError> {
    let mut db = app.db.get().await?;
    let tx = db.transaction().await?;
    lock_session(&tx, &shopper).await?;
    let row = tx
        .query_one(
            "SELECT max_seats_per_buyer FROM events WHERE event_id = $1",
            &[&shopper.event.0],
        )
        .await?;
    Ok(Json(SessionView {
        event: shopper.slug,
        jti: shopper.jti,
        expires_at: shopper.expires_at,
        max_seats_per_buyer: row.get(0),
        seats_taken: seats_of(&tx, shopper.event.0, shopper.account.id.0).await?,
    }))
}

/// `DELETE /api/v1/session`: the shopper leaves. Holds that are not being paid for go free; the
/// slot goes to the next in line once the edge has been told.
pub(super) async fn leave(
    State(app): State<App>,
    shopper: Shopper,
) -> Result<StatusCode, ApiError> {
    let (event, jti) = (shopper.event.0, shopper.jti.0);
    let mut db = app.db.get().await?;
    let tx = db.transaction().await?;
    if !end_session(&tx, shopper.event, shopper.jti, End::Left).await? {
        return Err(super::token::ended());
    }
    let holds = tx
        .query(
            "SELECT hold_id FROM holds
             WHERE event_id = $1 AND account_id = $2 AND jti = $3 AND state = 'active'
             ORDER BY hold_id FOR UPDATE",
            &[&event, &shopper.account.id.0, &jti],
        )
        .await?;
    for row in &holds {
        let hold = HoldId(row.get(0));
        if being_paid(&tx, event, hold).await? {
            continue;
        }
        free_seats(&tx, event, hold).await?;
        // One whose deadline is past is expired, not released: its seats went by themselves.
        tx.execute(
            "UPDATE holds SET state = CASE WHEN expires_at < now() THEN 'expired'
                                           ELSE 'released' END
             WHERE event_id = $1 AND hold_id = $2 AND state = 'active'",
            &[&event, &hold.0],
        )
        .await?;
    }
    tx.commit().await?;
    app.sessions.ended(shopper.jti);
    for row in &holds {
        let hold = HoldId(row.get(0));
        app.catalogue.hold_changed(&app, shopper.event, hold);
    }
    Ok(StatusCode::NO_CONTENT)
}
