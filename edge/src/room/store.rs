//! The Room's storage: three documents and one row an admission.
//!
//! A claim writes one row and no index: the admission's id contains its number.

use catraca_domain::ids::{Jti, VisitorId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use worker::{Error, Result, SqlStorage, SqlStorageValue};

/// The documents kept under their names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Document {
    /// `RoomConfig`.
    Config,
    /// `LeaseBook`.
    Book,
    /// `Release`.
    Release,
    /// `Lottery`.
    Draw,
}

impl Document {
    fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Book => "book",
            Self::Release => "release",
            Self::Draw => "draw",
        }
    }
}

/// An admission, or a place given up before it became one (`iat` 0, `departed`).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Row {
    pub(super) jti: Jti,
    pub(super) visitor: VisitorId,
    pub(super) iat: u64,
    pub(super) exp: u64,
    pub(super) departed: u64,
    /// Where it stood in the line: the number, unless that was drawn.
    pub(super) position: u64,
}

/// Tables and statements.
#[derive(Debug)]
pub(super) struct Store {
    sql: SqlStorage,
}

#[derive(Deserialize)]
struct Value {
    value: String,
}

#[derive(Deserialize)]
struct Expiry {
    exp: u64,
    n: u64,
}

#[derive(Deserialize)]
struct Count {
    n: u64,
}

impl Store {
    pub(super) fn new(sql: SqlStorage) -> Self {
        Self { sql }
    }

    /// Whether the room was ever opened. Writes nothing: a made-up name leaves no trace.
    pub(super) fn exists(&self) -> Result<bool> {
        let query = "SELECT count(*) AS n FROM sqlite_master WHERE name = 'documents'";
        let count: Count = self.sql.exec(query, None)?.one()?;
        Ok(count.n == 1)
    }

    pub(super) fn create(&self) -> Result<()> {
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS documents (
                name TEXT PRIMARY KEY, value TEXT NOT NULL
            ) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS admissions (
                number INTEGER PRIMARY KEY,
                jti TEXT NOT NULL,
                visitor TEXT NOT NULL,
                iat INTEGER NOT NULL,
                exp INTEGER NOT NULL,
                departed INTEGER NOT NULL DEFAULT 0,
                position INTEGER NOT NULL DEFAULT 0
            );",
            None,
        )?;
        Ok(())
    }

    /// Brings the tables of a room from before up to date.
    pub(super) fn upgrade(&self) -> Result<()> {
        let query = "SELECT count(*) AS n FROM pragma_table_info('admissions')
                     WHERE name = 'position'";
        let count: Count = self.sql.exec(query, None)?.one()?;
        if count.n == 0 {
            let change = "ALTER TABLE admissions ADD COLUMN position INTEGER NOT NULL DEFAULT 0";
            self.sql.exec(change, None)?;
        }
        Ok(())
    }

    pub(super) fn load<T: DeserializeOwned>(&self, document: Document) -> Result<T> {
        let found = self.find(document)?;
        found.ok_or_else(|| Error::from(format!("no {document:?} in storage")))
    }

    pub(super) fn find<T: DeserializeOwned>(&self, document: Document) -> Result<Option<T>> {
        let query = "SELECT value FROM documents WHERE name = ?";
        let row: Option<Value> = self.first(query, vec![document.name().into()])?;
        Ok(row
            .map(|row| serde_json::from_str(&row.value))
            .transpose()?)
    }

    pub(super) fn save<T: Serialize>(&self, document: Document, value: &T) -> Result<()> {
        self.sql.exec(
            "INSERT INTO documents (name, value) VALUES (?, ?)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            vec![document.name().into(), serde_json::to_string(value)?.into()],
        )?;
        Ok(())
    }

    pub(super) fn admission(&self, number: u64) -> Result<Option<Row>> {
        self.first(
            "SELECT jti, visitor, iat, exp, departed, position FROM admissions WHERE number = ?",
            vec![integer(number)?],
        )
    }

    pub(super) fn admit(&self, number: u64, row: &Row) -> Result<()> {
        self.sql.exec(
            "INSERT INTO admissions (number, jti, visitor, iat, exp, departed, position)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            vec![
                integer(number)?,
                row.jti.to_string().into(),
                row.visitor.to_string().into(),
                integer(row.iat)?,
                integer(row.exp)?,
                integer(row.departed)?,
                integer(row.position)?,
            ],
        )?;
        Ok(())
    }

    /// Marks an admission as over; its expiry if it wasn't yet, `None` if it was or never was.
    pub(super) fn depart(&self, number: u64, jti: Jti) -> Result<Option<u64>> {
        #[derive(Deserialize)]
        struct Departed {
            exp: u64,
        }
        let departed: Option<Departed> = self.first(
            "UPDATE admissions SET departed = 1
             WHERE number = ? AND jti = ? AND departed = 0 RETURNING exp",
            vec![integer(number)?, jti.to_string().into()],
        )?;
        Ok(departed.map(|row| row.exp))
    }

    /// Live admissions by expiry. Reads the whole table: at start, or after the clock went back.
    pub(super) fn live(&self, now_seconds: u64) -> Result<Vec<(u64, u64)>> {
        let rows: Vec<Expiry> = self
            .sql
            .exec(
                "SELECT exp, count(*) AS n FROM admissions
                 WHERE departed = 0 AND exp > ? GROUP BY exp",
                vec![integer(now_seconds)?],
            )?
            .to_array()?;
        Ok(rows.into_iter().map(|row| (row.exp, row.n)).collect())
    }

    /// Admissions with numbers in `first..=last`, or with positions, which have no index: for
    /// the start of a room whose places were drawn.
    pub(super) fn admitted_between(&self, first: u64, last: u64, drawn: bool) -> Result<u64> {
        let query = if drawn {
            "SELECT count(*) AS n FROM admissions WHERE position BETWEEN ? AND ? AND iat > 0"
        } else {
            "SELECT count(*) AS n FROM admissions WHERE number BETWEEN ? AND ? AND iat > 0"
        };
        let bounds = vec![integer(first)?, integer(last)?];
        let count: Count = self.sql.exec(query, bounds)?.one()?;
        Ok(count.n)
    }

    fn first<T: DeserializeOwned>(
        &self,
        query: &str,
        bindings: Vec<SqlStorageValue>,
    ) -> Result<Option<T>> {
        let mut rows: Vec<T> = self.sql.exec(query, bindings)?.to_array()?;
        Ok(rows.pop())
    }
}

/// A number for the database, by way of JavaScript: exact up to 2^53.
fn integer(value: u64) -> Result<SqlStorageValue> {
    let value = i64::try_from(value).map_err(|_| Error::from("number beyond 2^63"))?;
    SqlStorageValue::try_from_i64(value)
}
