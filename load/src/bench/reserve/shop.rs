//! A database of the benchmark's own, with as many events and shoppers as it wants.
//!
//! Ids are made from numbers, so that SQL, this program and `pgbench` agree on them without
//! telling each other: account and login `n`, and for each event the session of account `n`.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use tokio_postgres::{Client, NoTls};
use url::Url;

use crate::bench::token::Key;

/// Of the key that the benchmark's tokens are signed with.
pub(in crate::bench) const KID: &str = "bench";
/// Seconds that holds and sessions last: longer than any run.
const LASTS_SECONDS: u64 = 14_400;

/// The database.
pub(in crate::bench) struct Shop {
    pub(in crate::bench) url: Url,
    pub(in crate::bench) db: Client,
    server: Client,
    name: String,
    next_event: i32,
}

/// An event on sale: one section without numbered seats, price nothing.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Event {
    pub(in crate::bench) number: i32,
    pub(in crate::bench) slug: String,
    pub(in crate::bench) capacity: u32,
    pub(in crate::bench) buyers: u32,
}

/// Who is sending: everything before the request's own lines.
pub(in crate::bench) struct Shoppers {
    key: Key,
    event: Arc<Event>,
    now: u64,
}

impl Shop {
    /// Makes the database, empty.
    pub(in crate::bench) async fn make(server_url: &Url) -> anyhow::Result<Self> {
        let seed: u32 = rand::random();
        let name = format!("bench_{seed:08x}");
        let server = connect(server_url).await?;
        server
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await?;
        let mut url = server_url.clone();
        url.set_path(&name);
        let db = connect(&url).await?;
        // Redis may remember numbers of earlier runs.
        let next_event = rand::random_range(1_000..1_000_000_000);
        Ok(Self {
            url,
            db,
            server,
            name,
            next_event,
        })
    }

    /// Accounts 0 to `count`, logged in; once the schema is there.
    pub(in crate::bench) async fn accounts(&self, count: u32) -> anyhow::Result<()> {
        let sql = format!(
            "INSERT INTO accounts (account_id, issuer, subject, email)
             SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'bench',
                    n::text, n || '@example.com' FROM generate_series(0, {count} - 1) n;
             INSERT INTO login_sessions (token_sha256, account_id, expires_at)
             SELECT sha256(convert_to('login-' || n, 'UTF8')),
                    ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                    now() + interval '1 day' FROM generate_series(0, {count} - 1) n;
             CREATE TABLE peer_counter (event text PRIMARY KEY, remaining integer NOT NULL);
             CREATE TABLE peer_holds (hold uuid PRIMARY KEY, event text NOT NULL,
                 login text NOT NULL, quantity integer NOT NULL);
             ANALYZE"
        );
        Ok(self.db.batch_execute(&sql).await?)
    }

    /// An event, with a shopping session for each of its first accounts, and a counter.
    pub(in crate::bench) async fn event(
        &mut self,
        capacity: u32,
        buyers: u32,
    ) -> anyhow::Result<Arc<Event>> {
        let number = self.next_event;
        self.next_event += 1;
        let slug = format!("bench-{number}");
        let sql = format!(
            "INSERT INTO events (event_id, slug, title, venue, starts_at, currency,
                                 max_seats_per_buyer, hold_seconds)
             OVERRIDING SYSTEM VALUE
             VALUES ({number}, '{slug}', 'Benchmark', 'Bench', now() + interval '30 days', 'BRL',
                     8, {LASTS_SECONDS});
             INSERT INTO sections (event_id, section, kind, capacity, price_minor, position)
             VALUES ({number}, 'A', 'general', {capacity}, 0, 0);
             INSERT INTO seats (event_id, section, ordinal, price_minor)
             SELECT {number}, 'A', n, 0 FROM generate_series(0, {capacity} - 1) n;
             INSERT INTO shopping_sessions (event_id, jti, account_id, visitor, epoch, number,
                                            lane, admitted_at, expires_at)
             SELECT {number}, ('{number:08x}-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                    ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                    gen_random_uuid(), 1, n, 'standard', now(),
                    now() + make_interval(secs => {LASTS_SECONDS})
             FROM generate_series(0, {buyers} - 1) n;
             INSERT INTO peer_counter VALUES ('{slug}', {capacity});"
        );
        self.db.batch_execute(&sql).await?;
        for tidy in ["VACUUM ANALYZE", "CHECKPOINT"] {
            self.db.batch_execute(tidy).await?;
        }
        Ok(Arc::new(Event {
            number,
            slug,
            capacity,
            buyers,
        }))
    }

    /// Connects again, after the server was away.
    pub(in crate::bench) async fn reconnect(&mut self, server_url: &Url) -> anyhow::Result<()> {
        self.db = connect(&self.url).await?;
        self.server = connect(server_url).await?;
        Ok(())
    }

    /// One number out of the database.
    pub(in crate::bench) async fn count(&self, sql: &str) -> anyhow::Result<u32> {
        let count: i64 = self.db.query_one(sql, &[]).await?.get(0);
        Ok(u32::try_from(count)?)
    }

    /// The server's first process, of which the others are children.
    pub(in crate::bench) async fn postmaster(&self) -> anyhow::Result<u32> {
        let backend: i32 = self
            .db
            .query_one("SELECT pg_backend_pid()", &[])
            .await?
            .get(0);
        let stat = std::fs::read_to_string(format!("/proc/{backend}/stat"))?;
        super::cpu::field(&stat, 1).context("parent of a server process")
    }

    /// Drops the database.
    pub(in crate::bench) async fn drop(self) -> anyhow::Result<()> {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        Ok(self.server.batch_execute(&sql).await?)
    }
}

async fn connect(url: &Url) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Shoppers {
    /// Those of an event, from now on.
    pub(in crate::bench) fn of(event: &Arc<Event>, key: &Key) -> anyhow::Result<Self> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        Ok(Self {
            key: key.clone(),
            event: Arc::clone(event),
            now: now.as_secs(),
        })
    }

    /// The cookies of shopper `n`: a login, and an admission to the event.
    pub(in crate::bench) fn cookies(&self, n: u32) -> String {
        let Event { number, slug, .. } = &*self.event;
        let claims = json!({
            "iss": "catraca", "aud": slug, "sub": format!("00000000-0000-4000-9000-{n:012x}"),
            "jti": format!("{number:08x}-0000-4000-8000-{n:012x}"), "iat": self.now,
            "nbf": self.now, "exp": self.now + LASTS_SECONDS, "num": n, "lane": "standard",
            "epoch": 1,
        });
        let admission = self.key.mint(KID, &claims);
        format!("__Host-login=login-{n}; __Host-admission={admission}")
    }

    /// The idempotency key of a visit's call: accounts come back to every event.
    pub(in crate::bench) fn key(&self, call: &str, visit: u32) -> String {
        format!("{}-{call}{visit}", self.event.number)
    }

    /// A hold of one place.
    pub(in crate::bench) fn wish(&self) -> String {
        format!(
            r#"{{"event":"{}","section":"A","quantity":1}}"#,
            self.event.slug
        )
    }
}
