//! PostgreSQL: the pool, the migrations, and the check that a write touched what it meant to.

use crate::config::Config;
use crate::error::ApiError;
use anyhow::Context as _;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Transaction};
use std::time::Duration;
use tokio_postgres::NoTls;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// How long a request waits for a connection before it is told to come back.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);

/// Opens the pool. Connects lazily: a database that is away is not an error yet.
///
/// # Errors
/// When the address can't be read.
pub fn pool(config: &Config) -> anyhow::Result<Pool> {
    let mut postgres: tokio_postgres::Config = config
        .database_url
        .expose_str()?
        .parse()
        .context("CATRACA_DATABASE_URL is not a PostgreSQL address")?;
    postgres
        .application_name("catraca-core")
        .connect_timeout(Duration::from_secs(3))
        .keepalives_idle(Duration::from_secs(15))
        .options("-c statement_timeout=15s -c lock_timeout=10s -c idle_in_transaction_session_timeout=20s -c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3");
    let manager = Manager::from_config(
        postgres,
        NoTls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    Ok(Pool::builder(manager)
        .max_size(config.database_connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECTION_WAIT))
        .create_timeout(Some(CONNECTION_WAIT))
        .build()?)
}

/// Runs the migrations that have not run yet, each in a transaction of its own.
///
/// # Errors
/// When the database can't be reached or a migration fails.
pub async fn migrate(pool: &Pool) -> anyhow::Result<()> {
    let mut client = pool.get().await?;
    let report = embedded::migrations::runner()
        .run_async(&mut **client.as_mut())
        .await?;
    for migration in report.applied_migrations() {
        tracing::info!(migration = %migration, "applied");
    }
    Ok(())
}

/// For the rest of a transaction rows are looked up by their keys. A sale begins with empty tables,
/// for which PostgreSQL plans scans of all that the event has, and keeps those plans when it has grown.
///
/// # Errors
/// The database's.
pub async fn by_key(tx: &Transaction<'_>) -> Result<(), ApiError> {
    tx.batch_execute(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
         SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off",
    )
    .await?;
    Ok(())
}

/// Every write to seats or money says how many rows it must have touched.
///
/// # Errors
/// [`ApiError::Internal`] when it touched another number: the transaction is then dropped.
pub fn expect_rows(touched: u64, expected: u64, what: &'static str) -> Result<(), ApiError> {
    if touched == expected {
        return Ok(());
    }
    Err(ApiError::internal(format!(
        "{what}: touched {touched} rows, expected {expected}"
    )))
}
