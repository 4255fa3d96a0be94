//! A room's configuration in the database, and its way to the edge.

use super::edge;
use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use catraca_domain::ids::{EventNumber, RoomName};
use catraca_domain::problem::Kind;
use catraca_domain::room::{Challenge, Control, FailMode, Identity, Method, RoomConfig};
use deadpool_postgres::Transaction;
use serde::Deserialize;
use serde_json::{Value, json};

/// A new event's room: closed until its operator says otherwise.
pub(super) fn first_config(room: &RoomName) -> RoomConfig {
    RoomConfig {
        room: room.clone(),
        version: 1,
        method: Method::Fifo,
        identity: Identity::Anonymous,
        challenge: Challenge::None,
        control: Control::Scheduled,
        opens_at: None,
        rate_per_minute: 600,
        max_active: 500,
        session_seconds: 900,
        claim_window_seconds: 120,
        lanes: Vec::new(),
        fail_mode: FailMode::Closed,
        message: None,
        sold_out: false,
        selling_out: false,
        dispensers: 1,
        beacon: None,
        stock_max: None,
    }
}

/// The room of an event that is being created.
///
/// # Errors
/// The database's.
pub(crate) async fn create(
    tx: &Transaction<'_>,
    event: EventNumber,
    room: &RoomName,
) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO rooms (event_id, config, version) VALUES ($1, $2, 1)",
        &[&event.0, &json!(first_config(room))],
    )
    .await?;
    Ok(())
}

pub(super) fn no_room() -> ApiError {
    ApiError::new(Kind::NOT_FOUND, "No such room.")
}

fn parse(config: Value) -> Result<RoomConfig, ApiError> {
    serde_json::from_value(config)
        .map_err(|error| ApiError::internal(format!("a stored room: {error}")))
}

/// The configuration, and whether the edge has it.
pub(super) async fn read(app: &App, event: EventNumber) -> Result<(RoomConfig, bool), ApiError> {
    let db = app.db.get().await?;
    let row = db
        .query_opt(
            "SELECT config, pushed_version >= version FROM rooms WHERE event_id = $1",
            &[&event.0],
        )
        .await?
        .ok_or_else(no_room)?;
    Ok((parse(row.get(0))?, row.get(1)))
}

/// Changes a room under its lock. The version grows when anything is different afterwards.
///
/// # Errors
/// What `change` refuses with; the database's.
pub(super) async fn change(
    app: &App,
    event: EventNumber,
    change: impl FnOnce(&mut RoomConfig) -> Result<(), ApiError> + Send,
) -> Result<RoomConfig, ApiError> {
    let mut db = app.db.get().await?;
    let tx = db.transaction().await?;
    let row = tx
        .query_opt(
            "SELECT config, version FROM rooms WHERE event_id = $1 FOR UPDATE",
            &[&event.0],
        )
        .await?
        .ok_or_else(no_room)?;
    let before = parse(row.get(0))?;
    let mut after = before.clone();
    change(&mut after)?;
    if after == before {
        return Ok(before);
    }
    let version: i64 = row.get::<_, i64>(1) + 1;
    after.version = u64::try_from(version).unwrap_or(u64::MAX);
    let touched = tx
        .execute(
            "UPDATE rooms SET config = $2, version = $3 WHERE event_id = $1",
            &[&event.0, &json!(after), &version],
        )
        .await?;
    expect_rows(touched, 1, "a room")?;
    tx.commit().await?;
    Ok(after)
}

#[derive(Deserialize)]
struct InForce {
    version: u64,
    #[serde(default)]
    faults: Vec<String>,
}

/// Sends a configuration to the edge and notes that it arrived.
///
/// # Errors
/// When the edge did not acknowledge it, or has a newer one.
pub(super) async fn push(
    app: &App,
    event: EventNumber,
    config: &RoomConfig,
) -> Result<(), ApiError> {
    put_in_force(app, event, config).await.map(drop)
}

/// [`push`], answered with what the edge is not set up for, in words: the configuration is in force,
/// and some of it can't work.
///
/// # Errors
/// As there.
pub(super) async fn put_in_force(
    app: &App,
    event: EventNumber,
    config: &RoomConfig,
) -> Result<Vec<String>, ApiError> {
    let body = edge::json(config)?;
    let answer = edge::call(app, reqwest::Method::POST, &config.room, "config", body).await?;
    let in_force: InForce = answer
        .json()
        .await
        .map_err(|error| ApiError::unavailable(format!("edge, config: {error}")))?;
    let db = app.db.get().await?;
    let ours = i64::try_from(config.version).unwrap_or(i64::MAX);
    if in_force.version > config.version {
        overtake(app, event, in_force.version).await?;
        return Err(ApiError::unavailable(format!(
            "room {}: the edge has version {}, we {ours}",
            config.room, in_force.version
        )));
    }
    db.execute(
        "UPDATE rooms SET pushed_version = greatest(pushed_version, $2) WHERE event_id = $1",
        &[&event.0, &ours],
    )
    .await?;
    for fault in &in_force.faults {
        tracing::error!(room = %config.room, fault, "the edge is not set up for a room");
    }
    Ok(in_force.faults)
}

/// The edge remembers a version that this database has not reached: it was restored from a backup,
/// or begun anew. What the operator says here counts, so it gets a number beyond.
async fn overtake(app: &App, event: EventNumber, version: u64) -> Result<(), ApiError> {
    let beyond = i64::try_from(version).unwrap_or(i64::MAX - 1) + 1;
    let db = app.db.get().await?;
    let touched = db
        .execute(
            "UPDATE rooms
             SET version = $2, config = jsonb_set(config, '{version}', to_jsonb($2::bigint))
             WHERE event_id = $1 AND version < $2",
            &[&event.0, &beyond],
        )
        .await?;
    if touched > 0 {
        tracing::warn!(
            event = event.0,
            beyond,
            "the edge had a newer room; overtaking it"
        );
    }
    Ok(())
}
