//! Databases to break: one with a clean sale as template, a copy of it for each break.

use std::path::Path;

use anyhow::Context as _;
use tokio_postgres::{Client, NoTls};

const URL: &str = "CATRACA_TEST_DATABASE_URL";
/// The sale, told in SQL; `@a1` stands for a UUID ending in `a1`.
const SALE: &str = include_str!("sale.sql");

/// `@a1` as the UUID that it stands for.
pub(crate) fn ids(text: &str) -> String {
    let mut parts = text.split('@');
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        expanded += "00000000-0000-4000-8000-0000000000";
        expanded += part;
    }
    expanded
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("connecting")?;
    tokio::spawn(connection);
    Ok(client)
}

/// The server's address with another database's name.
fn renamed(url: &str, name: &str) -> anyhow::Result<String> {
    let mut url: url::Url = url.parse().context(URL)?;
    url.set_path(name);
    Ok(url.into())
}

/// A PostgreSQL to create databases in.
pub(crate) struct Server {
    url: String,
    admin: Client,
    template: String,
}

impl Server {
    /// Connects and prepares the clean sale.
    pub(crate) async fn prepare() -> anyhow::Result<Self> {
        let url = std::env::var(URL).with_context(|| {
            format!(
                "{URL} is not set: give it a PostgreSQL where databases may be created, for \
                     instance `postgres` of .local/run.json while `make up` runs"
            )
        })?;
        let template = format!("audit_{}", uuid::Uuid::new_v4().simple());
        let admin = connect(&url).await?;
        admin
            .batch_execute(&format!("CREATE DATABASE {template}"))
            .await?;
        let server = Self {
            url,
            admin,
            template,
        };
        let sale = connect(&renamed(&server.url, &server.template)?).await?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let mut migrations: Vec<_> = std::fs::read_dir(folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
            .collect();
        migrations.sort_by_key(|path| version(path));
        for migration in migrations {
            let sql = std::fs::read_to_string(&migration)?;
            let context = || migration.display().to_string();
            sale.batch_execute(&sql).await.with_context(context)?;
        }
        sale.batch_execute(&ids(SALE))
            .await
            .context("the clean sale")?;
        Ok(server)
    }

    /// A copy of the clean sale after `change`; its address.
    pub(crate) async fn copy(&self, change: &str) -> anyhow::Result<String> {
        let name = format!("audit_{}", uuid::Uuid::new_v4().simple());
        let create = format!("CREATE DATABASE {name} TEMPLATE {}", self.template);
        self.admin.batch_execute(&create).await?;
        let url = renamed(&self.url, &name)?;
        let client = connect(&url).await?;
        let changed = client
            .batch_execute(&ids(change))
            .await
            .context(change.to_owned());
        if changed.is_err() {
            self.drop(&url).await?;
        }
        changed.map(|()| url)
    }

    /// Drops a copy.
    pub(crate) async fn drop(&self, url: &str) -> anyhow::Result<()> {
        let url: url::Url = url.parse()?;
        let name = url.path().trim_start_matches('/');
        self.admin
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await?;
        Ok(())
    }

    /// Drops the template. Copies are dropped by those who made them.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.template);
        Ok(self.admin.batch_execute(&drop).await?)
    }
}

/// The number in `V12__name.sql`.
fn version(path: &Path) -> u32 {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let digits = name
        .trim_start_matches('V')
        .split("__")
        .next()
        .unwrap_or_default();
    digits.parse().unwrap_or(u32::MAX)
}
