//! The Room's storage: a few documents and one row an admission.
//!
//! A claim writes one row and the log's index: the admission's id contains its number, and the
//! row is its entry in the admission log too.

use crate::contract::Candidate;
use catraca_domain::admission_log::{Entry, jti_hash};
use catraca_domain::hex32::Hex32;
use catraca_domain::ids::{AccountId, Jti, Lane, VisitorId};
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
    /// A list of `LaneBook`.
    Lanes,
}

impl Document {
    fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Book => "book",
            Self::Release => "release",
            Self::Draw => "draw",
            Self::Lanes => "lanes",
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
    /// Its entry in the admission log, if it is one: the same row, so the same write.
    #[serde(skip)]
    pub(super) logged: Option<Logged>,
}

/// An entry of the admission log, and the chain's head with it.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) entry: Entry,
    pub(super) head: Hex32,
}

#[derive(Deserialize)]
struct LoggedRow {
    log_index: u64,
    number: u64,
    jti: Jti,
    lane: Lane,
    at_ms: u64,
    frontier: u64,
    head: Hex32,
}

impl From<LoggedRow> for Logged {
    fn from(row: LoggedRow) -> Self {
        Self {
            entry: Entry {
                index: row.log_index,
                number: row.number,
                lane: row.lane,
                at_ms: row.at_ms,
                jti_hash: jti_hash(row.jti),
                frontier: row.frontier,
            },
            head: row.head,
        }
    }
}

/// Columns that came later than their table.
const ADDED: &[(&str, &str, &str)] = &[
    ("admissions", "position", "INTEGER NOT NULL DEFAULT 0"),
    ("admissions", "log_index", "INTEGER"),
    ("admissions", "lane", "TEXT"),
    ("admissions", "at_ms", "INTEGER"),
    ("admissions", "frontier", "INTEGER"),
    ("admissions", "head", "TEXT"),
    ("accounts", "lane", "TEXT NOT NULL DEFAULT 'standard'"),
];

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
        self.upgrade()
    }

    /// Brings the tables up to date: a room may be older than this program.
    pub(super) fn upgrade(&self) -> Result<()> {
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS accounts (
                account TEXT PRIMARY KEY,
                number INTEGER NOT NULL,
                joined_at_ms INTEGER NOT NULL
             ) WITHOUT ROWID",
            None,
        )?;
        for (table, column, definition) in ADDED {
            let query = "SELECT count(*) AS n FROM pragma_table_info(?) WHERE name = ?";
            let names = vec![(*table).into(), (*column).into()];
            let count: Count = self.sql.exec(query, names)?.one()?;
            if count.n == 0 {
                let change = format!("ALTER TABLE {table} ADD COLUMN {column} {definition}");
                self.sql.exec(&change, None)?;
            }
        }
        self.sql.exec(
            "CREATE UNIQUE INDEX IF NOT EXISTS admission_log ON admissions (log_index)
             WHERE log_index IS NOT NULL",
            None,
        )?;
        Ok(())
    }

    /// The place that an account was given last.
    pub(super) fn held(&self, account: AccountId) -> Result<Option<Candidate>> {
        self.first(
            "SELECT number, joined_at_ms, lane FROM accounts WHERE account = ?",
            vec![account.to_string().into()],
        )
    }

    /// Gives an account its place, instead of any before.
    pub(super) fn hold(&self, account: AccountId, place: &Candidate) -> Result<()> {
        self.sql.exec(
            "INSERT INTO accounts (account, number, joined_at_ms, lane) VALUES (?, ?, ?, ?)
             ON CONFLICT (account) DO UPDATE SET number = excluded.number,
                joined_at_ms = excluded.joined_at_ms, lane = excluded.lane",
            vec![
                account.to_string().into(),
                integer(place.number)?,
                integer(place.joined_at_ms)?,
                place.lane.as_str().into(),
            ],
        )?;
        Ok(())
    }

    /// Entries of the log from `first` on, at most `limit`.
    pub(super) fn log(&self, first: u64, limit: usize) -> Result<Vec<Logged>> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        self.logged(
            "SELECT log_index, number, jti, lane, at_ms, frontier, head FROM admissions
             WHERE log_index >= ? ORDER BY log_index LIMIT ?",
            vec![integer(first)?, integer(limit)?],
        )
    }

    /// The newest entry.
    pub(super) fn last_logged(&self) -> Result<Option<Logged>> {
        let mut last = self.logged(
            "SELECT log_index, number, jti, lane, at_ms, frontier, head FROM admissions
             WHERE log_index IS NOT NULL ORDER BY log_index DESC LIMIT 1",
            Vec::new(),
        )?;
        Ok(last.pop())
    }

    fn logged(&self, query: &str, bindings: Vec<SqlStorageValue>) -> Result<Vec<Logged>> {
        let rows: Vec<LoggedRow> = self.sql.exec(query, bindings)?.to_array()?;
        Ok(rows.into_iter().map(Into::into).collect())
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
        let null = || SqlStorageValue::Null;
        let (index, lane, at_ms, frontier, head) = match &row.logged {
            Some(Logged { entry, head }) => (
                integer(entry.index)?,
                entry.lane.as_str().into(),
                integer(entry.at_ms)?,
                integer(entry.frontier)?,
                head.to_string().into(),
            ),
            None => (null(), null(), null(), null(), null()),
        };
        self.sql.exec(
            "INSERT INTO admissions (number, jti, visitor, iat, exp, departed, position,
                log_index, lane, at_ms, frontier, head)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            vec![
                integer(number)?,
                row.jti.to_string().into(),
                row.visitor.to_string().into(),
                integer(row.iat)?,
                integer(row.exp)?,
                integer(row.departed)?,
                integer(row.position)?,
                index,
                lane,
                at_ms,
                frontier,
                head,
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

    /// Numbers given up before they became admissions, the oldest first. Reads the whole table: at
    /// start.
    pub(super) fn given_up(&self) -> Result<Vec<u64>> {
        #[derive(Deserialize)]
        struct Number {
            number: u64,
        }
        let query = "SELECT number FROM admissions WHERE iat = 0 AND departed = 1";
        let rows: Vec<Number> = self.sql.exec(query, None)?.to_array()?;
        Ok(rows.into_iter().map(|row| row.number).collect())
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
