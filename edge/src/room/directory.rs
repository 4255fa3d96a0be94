//! The directory's storage: the names of all rooms, so that a made-up name costs neither a Durable
//! Object nor a file.

use catraca_domain::ids::RoomName;
use serde::Deserialize;
use worker::{Result, SqlStorage};

#[derive(Deserialize)]
struct Name {
    name: RoomName,
}

fn create(sql: &SqlStorage) -> Result<()> {
    sql.exec(
        "CREATE TABLE IF NOT EXISTS rooms (name TEXT PRIMARY KEY) WITHOUT ROWID",
        None,
    )?;
    Ok(())
}

/// Adds a room; twice is once.
pub(super) fn register(sql: &SqlStorage, room: &RoomName) -> Result<bool> {
    create(sql)?;
    let insert = "INSERT OR IGNORE INTO rooms (name) VALUES (?)";
    sql.exec(insert, vec![room.as_str().into()])?;
    Ok(true)
}

/// All rooms.
pub(super) fn rooms(sql: &SqlStorage) -> Result<Vec<RoomName>> {
    create(sql)?;
    let rows: Vec<Name> = sql.exec("SELECT name FROM rooms", None)?.to_array()?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}
