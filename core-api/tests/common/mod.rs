//! A core on a database of its own, with a stand-in for the edge; people to use it.

pub(crate) mod edge;
pub(crate) mod people;
pub(crate) mod reply;

use catraca_core::app::App;
use catraca_core::config::Config;
use catraca_core::{catalogue, db, worker};
use catraca_domain::ids::EventNumber;
use catraca_payments::Registry;
use clap::Parser;
use deadpool_postgres::{Object, Pool};
use edge::Edge;
use people::Person;
use reply::Reply;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) const ADMISSION_KEYS: &str =
    r#"[{"kid":"t1","secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;
pub(crate) const EDGE_SECRET: &str = "edge";

pub(crate) fn required(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("set {name}: these tests need PostgreSQL and Redis"))
}

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    config: Config,
}

pub(crate) struct Shop {
    pub(crate) app: App,
    pub(crate) core: String,
    pub(crate) edge: Edge,
    pub(crate) http: reqwest::Client,
    database: String,
    admin: Pool,
    stop: CancellationToken,
    tasks: TaskTracker,
}

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

pub(crate) fn redis_url() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = 1 + NEXT.fetch_add(1, Ordering::Relaxed) % 15;
    let mut url = url::Url::parse(&required("CATRACA_TEST_REDIS_URL")).unwrap();
    url.set_path(&format!("/{number}"));
    url.to_string()
}

/// What a shop is opened with, beyond what every one is.
type Flags<'a> = &'a [(&'a str, &'a str)];

fn config(core: &str, database: &str, redis: &str, edge: &str, oidc: &str, more: Flags) -> Config {
    let mut url = url::Url::parse(&required("CATRACA_TEST_DATABASE_URL")).unwrap();
    url.set_path(database);
    let flags = [
        ("--public-url", core),
        ("--database-url", url.as_str()),
        ("--redis-url", redis),
        ("--edge-url", edge),
        ("--edge-secret", EDGE_SECRET),
        ("--admission-keys", ADMISSION_KEYS),
        (
            "--ticket-key",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        ),
        ("--oidc-providers", oidc),
        ("--database-connections", "12"),
    ];
    let args = flags
        .iter()
        .chain(more)
        .flat_map(|(flag, value)| [*flag, *value]);
    Args::try_parse_from(std::iter::once("test").chain(args))
        .unwrap()
        .config
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(redis_url(), "http://127.0.0.1:1").await
    }

    pub(crate) async fn open_without_redis() -> Self {
        Self::open_with("redis://127.0.0.1:1/".to_owned(), "http://127.0.0.1:1").await
    }

    /// With a Redis of its own.
    pub(crate) async fn open_with_redis(url: &str) -> Self {
        Self::open_with(url.to_owned(), "http://127.0.0.1:1").await
    }

    /// With this login provider, on an address that it knows.
    pub(crate) async fn open_at(core: TcpListener, issuer: &str) -> Self {
        Self::open_on(core, redis_url(), issuer, &[]).await
    }

    /// With this login provider.
    pub(crate) async fn open_with_issuer(issuer: &str) -> Self {
        Self::open_with(redis_url(), issuer).await
    }

    /// With settings of its own.
    pub(crate) async fn open_with_flags(flags: Flags<'_>) -> Self {
        let (core, _) = listen().await;
        Self::open_on(core, redis_url(), "http://127.0.0.1:1", flags).await
    }

    async fn open_with(redis_url: String, issuer: &str) -> Self {
        let (core, _) = listen().await;
        Self::open_on(core, redis_url, issuer, &[]).await
    }

    async fn open_on(
        core_listener: TcpListener,
        redis_url: String,
        issuer: &str,
        flags: Flags<'_>,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let core = format!("http://{}", core_listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let edge = Edge::start(&tasks, stop.clone()).await;
        let oidc = json!([{"name": "dev", "issuer": issuer, "client_id": "catraca",
            "client_secret": "secret", "roles_claim": "roles"}])
        .to_string();
        let database = format!("catraca_test_{}", Uuid::new_v4().simple());
        let admin = config(&core, "/postgres", &redis_url, &edge.url, &oidc, &[]);
        let admin = db::pool(&admin).unwrap();
        let create = format!("CREATE DATABASE {database}");
        let connection = admin.get().await.unwrap();
        connection.batch_execute(&create).await.unwrap();
        drop(connection);
        let database_path = format!("/{database}");
        let config = config(&core, &database_path, &redis_url, &edge.url, &oidc, flags);
        db::migrate(&db::pool(&config).unwrap()).await.unwrap();
        let registry = Registry::new(std::iter::empty());
        let app = App::with_providers(config, registry).await.unwrap();
        // Tests share a Redis: event numbers of their own keep their keys apart.
        let first = rand::random_range(1_000..1_000_000_000);
        let restart = format!("ALTER TABLE events ALTER COLUMN event_id RESTART WITH {first}");
        app.db
            .get()
            .await
            .unwrap()
            .batch_execute(&restart)
            .await
            .unwrap();
        tasks.spawn(
            app.clone()
                .serve(core_listener, stop.clone().cancelled_owned()),
        );
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            app,
            core,
            edge,
            http,
            database,
            admin,
            stop,
            tasks,
        }
    }

    /// The worker's tasks, until the shop closes.
    pub(crate) fn work(&self) {
        let (app, stop) = (self.app.clone(), self.stop.clone());
        self.tasks.spawn(worker::run(app, stop.cancelled_owned()));
    }

    /// A second server on the same database and Redis.
    pub(crate) async fn another(&self) -> (App, String) {
        let (listener, address) = listen().await;
        let registry = Registry::new(std::iter::empty());
        let app = App::with_providers(self.app.config.clone(), registry)
            .await
            .unwrap();
        let serving = app
            .clone()
            .serve(listener, self.stop.clone().cancelled_owned());
        self.tasks.spawn(serving);
        (app, address)
    }

    pub(crate) async fn db(&self) -> Object {
        self.app.db.get().await.unwrap()
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.db().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn event_number(&self, slug: &str) -> EventNumber {
        let catalogue: &catalogue::Catalogue = &self.app.catalogue;
        let number = catalogue.number_of(&self.app, &slug.parse().unwrap()).await;
        number.unwrap().unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.core))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn send(
        &self,
        person: &Person,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Reply {
        let mut request = self.request(method, path).header("cookie", &person.cookies);
        if let Some(body) = body {
            request = request.json(body);
        }
        Reply::of(request).await
    }

    pub(crate) async fn hold(&self, person: &Person, key: &str, body: &Value) -> Reply {
        let request = self.request(Method::POST, "/api/v1/holds");
        let request = request
            .header("cookie", &person.cookies)
            .header("idempotency-key", key);
        Reply::of(request.json(body)).await
    }

    /// An event with this plan, made by an operator.
    pub(crate) async fn event(&self, slug: &str, max: u32, hold_seconds: u32, csv: &str) {
        let operator = self.operator().await;
        let body = json!({"event": slug, "title": "Hamlet", "venue": "Teatro São João",
            "starts_at": "2040-01-01T20:00:00Z", "currency": "BRL",
            "max_seats_per_buyer": max, "hold_seconds": hold_seconds});
        let made = self
            .send(&operator, Method::POST, "/api/v1/admin/events", Some(&body))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        let imported = self.import(&operator, slug, csv.to_owned()).await;
        assert_eq!(imported.status, 200, "{}", imported.body);
    }

    pub(crate) async fn import(&self, operator: &Person, slug: &str, csv: String) -> Reply {
        let path = format!("/api/v1/admin/events/{slug}/seats:import");
        let request = self
            .request(Method::POST, &path)
            .header("cookie", &operator.cookies);
        Reply::of(request.header("content-type", "text/csv").body(csv)).await
    }

    /// Everything that a refused request must not change.
    pub(crate) async fn fingerprint(&self) -> String {
        let db = self.db().await;
        let mut parts = Vec::new();
        for table in [
            "seats",
            "holds",
            "orders",
            "sections",
            "events",
            "rooms",
            "idempotency_keys",
        ] {
            let sql = format!(
                "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
            );
            parts.push(db.query_one(&sql, &[]).await.unwrap().get::<_, String>(0));
        }
        parts.join(" ")
    }

    /// Checks that seats and holds agree, then takes the shop down.
    pub(crate) async fn close(self) {
        self.audit().await;
        self.stop.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.tasks.wait()).await;
        self.app.db.close();
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.database);
        self.admin
            .get()
            .await
            .unwrap()
            .batch_execute(&drop)
            .await
            .unwrap();
        assert!(ended.is_ok(), "the shop did not stop within 10 s");
    }

    async fn audit(&self) {
        let wrong_capacity = "SELECT count(*) FROM sections c WHERE capacity <>
            (SELECT count(*) FROM seats s WHERE (s.event_id, s.section) = (c.event_id, c.section))";
        assert_eq!(
            self.count(wrong_capacity).await,
            0,
            "free + held + sold = capacity"
        );
        let live_without_seats = "SELECT count(*) FROM holds h
            WHERE state = 'active' AND expires_at > now() AND quantity <> (
                SELECT count(*) FROM seats s
                WHERE s.event_id = h.event_id AND s.hold_id = h.hold_id AND s.state = 'held')";
        assert_eq!(
            self.count(live_without_seats).await,
            0,
            "a live hold lacks seats"
        );
        let seats_without_hold = "SELECT count(*) FROM seats s LEFT JOIN holds h
            ON h.event_id = s.event_id AND h.hold_id = s.hold_id
            WHERE s.state = 'held' AND s.held_until > now()
              AND (h.hold_id IS NULL OR h.state <> 'active')";
        assert_eq!(
            self.count(seats_without_hold).await,
            0,
            "a held seat lacks its hold"
        );
    }
}
