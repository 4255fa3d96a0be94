//! A check is a query that finds what must not be: every row it yields is one offence, in words.

use anyhow::Context as _;
use tokio_postgres::Transaction;

/// Most rows of one check that are fetched.
const OFFENCES_MAX: u32 = 1000;

/// Runs checks; the offences of all of them.
///
/// # Errors
/// When the database can't answer, for instance because its schema is another one.
pub(crate) async fn offences(
    snapshot: &Transaction<'_>,
    checks: &[&str],
) -> anyhow::Result<Vec<String>> {
    let mut offences = Vec::new();
    for check in checks {
        let sql = format!("SELECT offence FROM ({check}) AS c (offence) LIMIT {OFFENCES_MAX}");
        let rows = snapshot
            .query(&sql, &[])
            .await
            .with_context(|| check.trim().to_owned())?;
        for row in rows {
            offences.push(row.try_get(0)?);
        }
    }
    Ok(offences)
}

/// The one number that a query yields.
///
/// # Errors
/// As [`offences`].
pub(crate) async fn count(snapshot: &Transaction<'_>, sql: &str) -> anyhow::Result<i64> {
    let row = snapshot
        .query_one(sql, &[])
        .await
        .with_context(|| sql.to_owned())?;
    Ok(row.try_get(0)?)
}
