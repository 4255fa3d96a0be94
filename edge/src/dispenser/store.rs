//! The Dispenser's storage: its last lease, and the lane passes that have been used.

use crate::contract::UsedPass;
use catraca_domain::lease::Lease;
use serde::Deserialize;
use worker::{Result, SqlStorage, SqlStorageValue};

/// One row, and one a pass.
#[derive(Debug)]
pub(super) struct Store {
    sql: SqlStorage,
}

#[derive(Deserialize)]
struct Seq {
    seq: u64,
}

impl Store {
    pub(super) fn new(sql: SqlStorage) -> Self {
        Self { sql }
    }

    /// The sequence number of the last lease that was stored, 0 if none. Its numbers are lost.
    pub(super) fn last_seq(&self) -> Result<u64> {
        let query = "SELECT count(*) AS seq FROM sqlite_master WHERE name = 'lease'";
        let exists: Seq = self.sql.exec(query, None)?.one()?;
        if exists.seq == 0 {
            return Ok(0);
        }
        let rows: Vec<Seq> = self.sql.exec("SELECT seq FROM lease", None)?.to_array()?;
        Ok(rows.first().map_or(0, |row| row.seq))
    }

    /// Writes a lease over the one before.
    pub(super) fn keep(&self, lease: &Lease) -> Result<()> {
        if lease.seq == 1 || lease.range.is_empty() {
            self.sql.exec(
                "CREATE TABLE IF NOT EXISTS lease (
                    id INTEGER PRIMARY KEY CHECK (id = 1),
                    seq INTEGER NOT NULL,
                    epoch INTEGER NOT NULL,
                    lo INTEGER NOT NULL,
                    hi INTEGER NOT NULL
                )",
                None,
            )?;
        }
        self.sql.exec(
            "INSERT INTO lease (id, seq, epoch, lo, hi) VALUES (1, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET
                seq = excluded.seq, epoch = excluded.epoch, lo = excluded.lo, hi = excluded.hi",
            vec![
                integer(lease.seq)?,
                integer(u64::from(lease.epoch))?,
                integer(lease.range.lo)?,
                integer(lease.range.hi)?,
            ],
        )?;
        Ok(())
    }

    /// Whether a pass has been used. Forgets, now and then, those that have expired.
    pub(super) fn is_used(&self, pass: &UsedPass, now_seconds: u64) -> Result<bool> {
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS passes (
                id TEXT PRIMARY KEY, expires_at INTEGER NOT NULL
             ) WITHOUT ROWID",
            None,
        )?;
        // It reads the whole table: seldom.
        if pass.id[0] == 0 {
            let expired = "DELETE FROM passes WHERE expires_at <= ?";
            self.sql.exec(expired, vec![integer(now_seconds)?])?;
        }
        let query = "SELECT count(*) AS seq FROM passes WHERE id = ?";
        let used: Seq = self.sql.exec(query, vec![name(pass).into()])?.one()?;
        Ok(used.seq > 0)
    }

    /// Notes a pass as used; false when it was before.
    pub(super) fn take(&self, pass: &UsedPass) -> Result<bool> {
        let insert =
            "INSERT OR IGNORE INTO passes (id, expires_at) VALUES (?, ?) RETURNING 1 AS seq";
        let bindings = vec![name(pass).into(), integer(pass.expires_at)?];
        let rows: Vec<Seq> = self.sql.exec(insert, bindings)?.to_array()?;
        Ok(!rows.is_empty())
    }
}

fn name(pass: &UsedPass) -> String {
    format!("{:032x}", u128::from_be_bytes(pass.id))
}

fn integer(value: u64) -> Result<SqlStorageValue> {
    let value = i64::try_from(value).map_err(|_| worker::Error::from("number beyond 2^63"))?;
    SqlStorageValue::try_from_i64(value)
}
