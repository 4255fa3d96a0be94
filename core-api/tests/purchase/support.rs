//! A shop of one event on its own database, with its own sandbox; and buyers for it.

use catraca_core::app::App;
use catraca_core::config::Config;
use catraca_core::purchase::pace::{Pace, Rates};
use catraca_core::{db, purchase};
use catraca_domain::admission::Admission;
use catraca_domain::ids::{EventNumber, HoldId, Jti, Lane, OrderId, VisitorId};
use catraca_domain::keyring::Keyring;
use catraca_payments::Registry;
use clap::Parser;
use deadpool_postgres::{Object, Pool};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) const CARD_WEBHOOK_SECRET: &str = "whsec_test";
const ADMISSION_KEYS: &str =
    r#"[{"kid":"t1","secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;
/// Who mail is from.
const MAIL_FROM: &str = "Catraca <tickets@shop.example>";
pub(crate) const SLUG: &str = "hamlet";
pub(crate) const SEATS: i32 = 12;
pub(crate) const PRICE_MINOR: i64 = 12_500;

fn required(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}: these tests need real parts"))
}

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    config: Config,
}

pub(crate) struct Shop {
    pub(crate) app: App,
    pub(crate) event: EventNumber,
    pub(crate) core: String,
    pub(crate) sandbox: String,
    pub(crate) http: reqwest::Client,
    redis_url: String,
    mail: Option<String>,
    database: String,
    admin: Pool,
    stop: CancellationToken,
    tasks: TaskTracker,
}

pub(crate) struct Buyer {
    pub(crate) account: Uuid,
    pub(crate) jti: Jti,
    pub(crate) cookies: String,
}

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

fn redis_url() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = 1 + NEXT.fetch_add(1, Ordering::Relaxed) % 15;
    let mut url = url::Url::parse(&required("CATRACA_TEST_REDIS_URL")).unwrap();
    url.set_path(&format!("/{number}"));
    url.to_string()
}

fn flags(core: &str, database: &str, redis: &str, mail: Option<&str>) -> Vec<String> {
    let mut url = url::Url::parse(&required("CATRACA_TEST_DATABASE_URL")).unwrap();
    url.set_path(database);
    let oidc =
        r#"[{"name":"dev","issuer":"http://127.0.0.1:1","client_id":"c","client_secret":"s"}]"#;
    let flags = [
        ("--public-url", core),
        ("--database-url", url.as_str()),
        ("--redis-url", redis),
        ("--edge-url", "http://127.0.0.1:1"),
        ("--edge-secret", "edge"),
        ("--admission-keys", ADMISSION_KEYS),
        (
            "--ticket-key",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        ),
        ("--oidc-providers", oidc),
        ("--database-connections", "12"),
    ];
    let smtp = mail.map(|smtp| [("--smtp-url", smtp), ("--mail-from", MAIL_FROM)]);
    flags
        .iter()
        .chain(smtp.iter().flatten())
        .map(|(flag, value)| format!("{flag}={value}"))
        .collect()
}

fn config(core: &str, database: &str, redis: &str, mail: Option<&str>) -> Config {
    let flags = flags(core, database, redis, mail).into_iter();
    Args::try_parse_from(std::iter::once("test".to_owned()).chain(flags))
        .unwrap()
        .config
}

/// What the payment providers' adapters are told.
pub(crate) fn provider_settings(sandbox: &str) -> [(&'static str, &str); 8] {
    [
        ("CATRACA_CARD_API_URL", sandbox),
        ("CATRACA_CARD_SECRET_KEY", "sk_test_1"),
        // Two, as while one is replaced.
        ("CATRACA_CARD_WEBHOOK_SECRETS", "whsec_next,whsec_test"),
        ("CATRACA_PIX", "on"),
        ("CATRACA_PAYPAL_API_URL", sandbox),
        ("CATRACA_PAYPAL_CLIENT_ID", "client"),
        ("CATRACA_PAYPAL_CLIENT_SECRET", "secret"),
        ("CATRACA_PAYPAL_WEBHOOK_ID", "WH-1"),
    ]
}

fn providers(sandbox: &str, pace: Pace) -> Registry {
    let settings = provider_settings(sandbox);
    let find = |name: &str| settings.iter().find(|(known, _)| *known == name);
    let settings = |name: &str| find(name).map(|(_, value)| (*value).to_owned());
    Registry::through(&settings, std::sync::Arc::new(pace)).unwrap()
}

/// What may differ between shops.
pub(crate) struct Options {
    /// Else one of the test server's databases.
    pub(crate) redis_url: Option<String>,
    /// Where webhooks go; else to the shop.
    pub(crate) webhooks: Webhooks,
    /// Requests a second, by provider: `card=50`.
    pub(crate) rates: String,
    pub(crate) seats: i32,
    /// The mail server, if there is one.
    pub(crate) mail: Option<String>,
}

pub(crate) enum Webhooks {
    ToShop,
    To(String),
    Nowhere,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            redis_url: None,
            webhooks: Webhooks::ToShop,
            rates: String::new(),
            seats: SEATS,
            mail: None,
        }
    }
}

impl Shop {
    /// A shop that takes orders; nobody works on them yet.
    pub(crate) async fn open() -> Self {
        Self::open_with(Options::default()).await
    }

    /// The same without webhooks: only asking tells what became of a payment.
    pub(crate) async fn open_deaf() -> Self {
        let webhooks = Webhooks::Nowhere;
        Self::open_with(Options {
            webhooks,
            ..Options::default()
        })
        .await
    }

    /// The same without Redis.
    pub(crate) async fn open_without_redis() -> Self {
        let redis_url = Some("redis://127.0.0.1:1/".to_owned());
        Self::open_with(Options {
            redis_url,
            ..Options::default()
        })
        .await
    }

    /// A shop that sends mail by this server.
    pub(crate) async fn open_with_mail(smtp: String) -> Self {
        let mail = Some(smtp);
        Self::open_with(Options {
            mail,
            ..Options::default()
        })
        .await
    }

    pub(crate) async fn open_with(options: Options) -> Self {
        let redis_url = options.redis_url.unwrap_or_else(redis_url);
        let mail = options.mail;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (core_listener, core) = listen().await;
        let (sandbox_listener, sandbox) = listen().await;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let mut flags = vec![
            "sandbox".to_owned(),
            "--card-secret-key=sk_test_1".to_owned(),
            format!("--card-webhook-secrets={CARD_WEBHOOK_SECRET}"),
            "--paypal-client-id=client".to_owned(),
            "--paypal-client-secret=secret".to_owned(),
            "--paypal-webhook-id=WH-1".to_owned(),
            format!(
                "--data={}/catraca-test-{}",
                std::env::temp_dir().display(),
                Uuid::new_v4()
            ),
        ];
        match &options.webhooks {
            Webhooks::ToShop => flags.push(format!("--webhook-base={core}")),
            Webhooks::To(address) => flags.push(format!("--webhook-base={address}")),
            Webhooks::Nowhere => {}
        }
        let sandbox_config = catraca_sandbox::Config::try_parse_from(flags).unwrap();
        let shutdown = stop.clone().cancelled_owned();
        tasks.spawn(catraca_sandbox::serve(
            sandbox_listener,
            sandbox_config,
            shutdown,
        ));

        let database = format!("catraca_test_{}", Uuid::new_v4().simple());
        let admin = db::pool(&config(&core, "/postgres", &redis_url, None)).unwrap();
        let create = format!("CREATE DATABASE {database}");
        admin
            .get()
            .await
            .unwrap()
            .batch_execute(&create)
            .await
            .unwrap();
        let config = config(&core, &format!("/{database}"), &redis_url, mail.as_deref());
        db::migrate(&db::pool(&config).unwrap()).await.unwrap();
        let client = redis::Client::open(redis_url.as_str()).unwrap();
        let manager = redis::aio::ConnectionManager::new_lazy_with_config(
            client,
            redis::aio::ConnectionManagerConfig::new(),
        );
        let rates: Rates = options
            .rates
            .split(',')
            .filter_map(|rate| rate.split_once('='))
            .map(|(provider, rate)| (provider.to_owned(), rate.parse().unwrap()))
            .collect();
        let pace = Pace::new(&manager.unwrap(), &rates, 2);
        let app = App::with_providers(config, providers(&sandbox, pace))
            .await
            .unwrap();
        let mut redis = app.redis.clone();
        let _: redis::RedisResult<()> = redis::cmd("FLUSHDB").query_async(&mut redis).await;
        let serving = app
            .clone()
            .serve(core_listener, stop.clone().cancelled_owned());
        tasks.spawn(serving);
        let event = furnish(&app, options.seats).await;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            app,
            event,
            core,
            sandbox,
            http,
            redis_url,
            mail,
            database,
            admin,
            stop,
            tasks,
        }
    }

    /// A worker, until its token is cancelled.
    pub(crate) fn work(&self) -> CancellationToken {
        let stop = self.stop.child_token();
        self.tasks
            .spawn(purchase::run(self.app.clone(), stop.clone()));
        stop
    }

    /// The postman, until the shop closes.
    pub(crate) fn mail(&self) {
        let stop = self.stop.child_token();
        self.tasks
            .spawn(catraca_core::mail::run(self.app.clone(), stop));
    }

    /// A worker in a process of its own, killed when dropped.
    pub(crate) fn worker_process(&self) -> tokio::process::Child {
        self.process("worker").spawn().unwrap()
    }

    /// The program in a role of its own, killed when dropped.
    pub(crate) fn process(&self, role: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_catraca-core"));
        command
            .arg(role)
            .args(flags(
                &self.core,
                &format!("/{}", self.database),
                &self.redis_url,
                self.mail.as_deref(),
            ))
            .envs(provider_settings(&self.sandbox))
            .env("RUST_LOG", "warn")
            .kill_on_drop(true);
        command
    }

    /// So many orders of one seat each, from seat `first` on, queued in one transaction, with the
    /// providers taking turns. Nobody looks after them.
    pub(crate) async fn queue(&self, first: i32, count: i32, providers: &[&str]) -> Vec<OrderId> {
        let ana = self.buyer("crowd").await;
        let mut db = self.db().await;
        let tx = db.transaction().await.unwrap();
        let mut orders = Vec::new();
        for (place, &provider) in (first..first + count).zip(providers.iter().cycle()) {
            let (hold, order) = (
                self.event.scoped_id(rand::random()),
                self.event.scoped_id(rand::random()),
            );
            let seats = json!([{ "section": "A", "row": "1", "seat": (place + 1).to_string(),
                                 "ordinal": place, "price_minor": PRICE_MINOR }]);
            tx.execute(
                "INSERT INTO holds (event_id, hold_id, jti, account_id, quantity, amount_minor,
                                    seats, expires_at)
                 VALUES ($1, $2, $3, $4, 1, $5, $6, now() + interval '20 minutes')",
                &[
                    &self.event.0,
                    &hold,
                    &ana.jti.0,
                    &ana.account,
                    &PRICE_MINOR,
                    &seats,
                ],
            )
            .await
            .unwrap();
            tx.execute(
                "UPDATE seats SET state = 'held', hold_id = $3,
                        held_until = now() + interval '20 minutes'
                 WHERE event_id = $1 AND ordinal = $2",
                &[&self.event.0, &place, &hold],
            )
            .await
            .unwrap();
            tx.execute(
                "INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider,
                                     amount_minor, currency, next_look_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 'BRL', now() + interval '5 seconds')",
                &[
                    &self.event.0,
                    &order,
                    &hold,
                    &ana.jti.0,
                    &ana.account,
                    &provider,
                    &PRICE_MINOR,
                ],
            )
            .await
            .unwrap();
            tx.execute(
                "INSERT INTO payments (event_id, order_id, provider) VALUES ($1, $2, $3)",
                &[&self.event.0, &order, &provider],
            )
            .await
            .unwrap();
            purchase::outbox::ask(&tx, self.event, OrderId(order))
                .await
                .unwrap();
            orders.push(OrderId(order));
        }
        tx.commit().await.unwrap();
        orders
    }

    /// Waits until a query counts so many.
    pub(crate) async fn until_count(&self, sql: &str, expected: i64) {
        let mut found = -1;
        for _ in 0..1200 {
            found = self.count(sql).await;
            if found == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{found} instead of {expected} after 60 s: {sql}");
    }

    /// Makes the sandbox misbehave.
    pub(crate) async fn fault(&self, fault: &Value) {
        let url = format!("{}/sandbox/faults", self.sandbox);
        let reply = self.http.post(url).json(fault).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 201);
    }

    /// Ends the time of a payment at its provider.
    pub(crate) async fn expire(&self, order: OrderId) {
        let url = format!("{}/sandbox/expire", self.sandbox);
        let body = json!({ "payment": order.to_string() });
        let reply = self.http.post(url).json(&body).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 204);
    }

    /// The Redis of this shop.
    pub(crate) fn redis_url(&self) -> &str {
        &self.redis_url
    }

    pub(crate) async fn db(&self) -> Object {
        self.app.db.get().await.unwrap()
    }

    /// Somebody admitted and logged in.
    pub(crate) async fn buyer(&self, name: &str) -> Buyer {
        self.person(name, &[]).await
    }

    pub(crate) async fn person(&self, name: &str, roles: &[&str]) -> Buyer {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let (account, jti, login) = (Uuid::new_v4(), Jti(Uuid::new_v4()), Uuid::new_v4());
        let db = self.db().await;
        let email = format!("{name}@example.com");
        db.execute(
            "INSERT INTO accounts (account_id, issuer, subject, email, roles)
             VALUES ($1, 'test', $2, $3, $4)",
            &[&account, &account.to_string(), &email, &roles],
        )
        .await
        .unwrap();
        let token_sha256 = Sha256::digest(login.to_string()).to_vec();
        db.execute(
            "INSERT INTO login_sessions (token_sha256, account_id, expires_at)
             VALUES ($1, $2, now() + interval '1 hour')",
            &[&token_sha256, &account],
        )
        .await
        .unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap();
        let admission = Admission {
            iss: "catraca".to_owned(),
            aud: SLUG.parse().unwrap(),
            sub: VisitorId(Uuid::new_v4()),
            jti,
            iat: now,
            nbf: now,
            exp: now + 600,
            num: u64::from(number),
            lane: Lane::standard(),
            epoch: 1,
        };
        db.execute(
            "INSERT INTO shopping_sessions (event_id, jti, account_id, visitor, epoch, number,
                                            lane, admitted_at, expires_at)
             VALUES ($1, $2, $3, $4, 1, $5, 'standard', now(), now() + interval '10 minutes')",
            &[
                &self.event.0,
                &jti.0,
                &account,
                &admission.sub.0,
                &i64::from(number),
            ],
        )
        .await
        .unwrap();
        let token = admission.mint(&Keyring::from_json(ADMISSION_KEYS).unwrap());
        let cookies = format!("__Host-login={login}; __Host-admission={token}");
        Buyer {
            account,
            jti,
            cookies,
        }
    }

    /// A hold on these seats, for five minutes.
    pub(crate) async fn hold(&self, buyer: &Buyer, ordinals: &[i32]) -> HoldId {
        let hold = HoldId(self.event.scoped_id(rand::random()));
        let seats: Vec<Value> = ordinals
            .iter()
            .map(|ordinal| {
                json!({ "section": "A", "row": "1", "seat": (ordinal + 1).to_string(),
                        "ordinal": ordinal, "price_minor": PRICE_MINOR })
            })
            .collect();
        let quantity = i32::try_from(ordinals.len()).unwrap();
        let mut db = self.db().await;
        let tx = db.transaction().await.unwrap();
        tx.execute(
            "INSERT INTO holds (event_id, hold_id, jti, account_id, quantity, amount_minor, seats,
                                expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, now() + interval '5 minutes')",
            &[
                &self.event.0,
                &hold.0,
                &buyer.jti.0,
                &buyer.account,
                &quantity,
                &(PRICE_MINOR * i64::from(quantity)),
                &Value::from(seats),
            ],
        )
        .await
        .unwrap();
        let touched = tx
            .execute(
                "UPDATE seats SET state = 'held', hold_id = $3, order_id = NULL,
                        held_until = now() + interval '5 minutes'
                 WHERE event_id = $1 AND ordinal = ANY($2)
                   AND (state = 'free' OR (state = 'held' AND held_until < now()))",
                &[&self.event.0, &ordinals, &hold.0],
            )
            .await
            .unwrap();
        assert_eq!(touched, ordinals.len() as u64, "seats were not free");
        tx.commit().await.unwrap();
        hold
    }

    /// The hold's deadline passes, in `after`.
    pub(crate) async fn hold_ends(&self, hold: HoldId, after: Duration) {
        let db = self.db().await;
        let seconds = after.as_secs_f64() - 0.001;
        for sql in [
            "UPDATE holds SET expires_at = now() + make_interval(secs => $2) WHERE hold_id = $1",
            "UPDATE seats SET held_until = now() + make_interval(secs => $2)
             WHERE hold_id = $1 AND state = 'held'",
        ] {
            db.execute(sql, &[&hold.0, &seconds]).await.unwrap();
        }
    }

    pub(crate) async fn post(&self, buyer: &Buyer, path: &str, key: &str, body: &Value) -> Reply {
        let request = self.http.post(format!("{}{path}", self.core));
        let request = request
            .header("cookie", &buyer.cookies)
            .header("idempotency-key", key);
        Reply::of(request.json(body)).await
    }

    pub(crate) async fn get(&self, buyer: &Buyer, path: &str) -> Reply {
        let request = self.http.get(format!("{}{path}", self.core));
        Reply::of(request.header("cookie", &buyer.cookies)).await
    }

    pub(crate) async fn delete(&self, buyer: &Buyer, path: &str) -> Reply {
        let request = self.http.delete(format!("{}{path}", self.core));
        Reply::of(request.header("cookie", &buyer.cookies)).await
    }

    /// An order, placed over HTTP.
    pub(crate) async fn order(&self, buyer: &Buyer, hold: HoldId, provider: &str) -> OrderId {
        let body = json!({ "hold": hold, "provider": provider });
        let reply = self
            .post(buyer, "/api/v1/orders", &hold.to_string(), &body)
            .await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        assert_eq!(reply.body["status"], "queued");
        reply.body["order"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn view(&self, buyer: &Buyer, order: OrderId) -> Value {
        let reply = self.get(buyer, &format!("/api/v1/orders/{order}")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    /// Waits until the order has this status.
    pub(crate) async fn until(&self, buyer: &Buyer, order: OrderId, status: &str) -> Value {
        for _ in 0..800 {
            let view = self.view(buyer, order).await;
            if view["status"] == status {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not {status} after 40 s: {}", self.view(buyer, order).await);
    }

    /// Waits until this process hears what others publish.
    pub(crate) async fn until_heard(&self) {
        for _ in 0..100 {
            let heard: (String, i64) = redis::cmd("PUBSUB")
                .arg(&["NUMSUB", "orders:changed"])
                .query_async(&mut self.app.redis.clone())
                .await
                .unwrap();
            if heard.1 > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody listens");
    }

    /// Waits until nothing is left to look at.
    pub(crate) async fn until_idle(&self) {
        for _ in 0..100 {
            if self
                .count("SELECT count(*) FROM outbox WHERE done_at IS NULL")
                .await
                == 0
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the outbox is not empty after 5 s");
    }

    /// One step after another, as the worker would, until there is nothing to do now.
    pub(crate) async fn settle(&self, order: OrderId) -> purchase::settle::Outcome {
        purchase::settle::settle(&self.app, self.event, order)
            .await
            .unwrap()
    }

    /// The payment page of the order.
    pub(crate) async fn page(&self, buyer: &Buyer, order: OrderId) -> String {
        let view = self.until(buyer, order, "awaiting_payment").await;
        view["next_action"]["redirect_url"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// What the buyer does on the payment page.
    pub(crate) async fn choose(&self, page: &str, outcome: &str, delay_seconds: u32) -> u16 {
        let form = [
            ("outcome", outcome),
            ("delay_seconds", &delay_seconds.to_string()),
        ];
        let reply = self.http.post(page).form(&form).send().await.unwrap();
        reply.status().as_u16()
    }

    /// What the sandbox believes of the order's payment.
    pub(crate) async fn ledger(&self, order: OrderId) -> Value {
        let url = format!("{}/sandbox/ledger", self.sandbox);
        let ledger: Value = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let payments = ledger["payments"].as_array().unwrap();
        let mine: Vec<_> = payments
            .iter()
            .filter(|p| p["order"] == order.to_string())
            .collect();
        assert_eq!(mine.len(), 1, "not one payment: {mine:?}");
        mine[0].clone()
    }

    pub(crate) async fn seats(&self, state: &str) -> i64 {
        let sql = "SELECT count(*) FROM seats WHERE event_id = $1 AND state = $2";
        let row = self
            .db()
            .await
            .query_one(sql, &[&self.event.0, &state])
            .await
            .unwrap();
        row.get(0)
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.db().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Compares the database with the sandbox, invariants 1 to 3, and takes the shop down.
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

    /// Takes the shop down as it is, with work under way.
    pub(crate) async fn abandon(self) {
        self.stop.cancel();
        self.app.db.close();
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.database);
        let admin = self.admin.get().await.unwrap();
        admin.batch_execute(&drop).await.unwrap();
    }

    async fn audit(&self) {
        assert_eq!(
            self.count("SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_legs")
                .await,
            0,
            "the ledger does not balance"
        );
        let all = self.seats("free").await + self.seats("held").await + self.seats("sold").await;
        let capacity = self
            .count("SELECT sum(capacity)::bigint FROM sections")
            .await;
        assert_eq!(all, capacity, "free + held + sold = capacity");
        let url = format!("{}/sandbox/ledger", self.sandbox);
        let ledger: Value = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        for payment in ledger["payments"].as_array().unwrap() {
            self.audit_payment(payment).await;
        }
        let sold_unpaid =
            "SELECT count(*) FROM seats s LEFT JOIN orders o USING (event_id, order_id)
             WHERE s.state = 'sold' AND o.status IS DISTINCT FROM 'paid'";
        assert_eq!(
            self.count(sold_unpaid).await,
            0,
            "a seat is sold to an order not paid"
        );
    }

    async fn audit_payment(&self, payment: &Value) {
        let order: Uuid = payment["order"].as_str().unwrap().parse().unwrap();
        let row = self
            .db()
            .await
            .query_one(
                "SELECT o.status, o.quarantined, h.quantity,
                    (SELECT count(*) FROM tickets t WHERE t.order_id = o.order_id
                        AND t.voided_at IS NULL),
                    (SELECT count(*) FROM refunds r WHERE r.order_id = o.order_id
                        AND r.state = 'completed'),
                    ((SELECT coalesce(sum(amount_minor), 0) FROM refunds r
                        WHERE r.order_id = o.order_id AND r.state = 'completed')
                    + (SELECT coalesce(sum(amount_minor), 0) FROM partial_refunds r
                        WHERE r.order_id = o.order_id AND r.state = 'completed'))::bigint,
                    (SELECT coalesce(sum(amount_minor), 0) FROM ledger_legs l
                        WHERE l.order_id = o.order_id AND account = 'provider')::bigint,
                    (SELECT coalesce(sum(amount_minor), 0) FROM ledger_legs l
                        WHERE l.order_id = o.order_id AND account = 'owed')::bigint,
                    EXISTS (SELECT FROM partial_refunds r
                        WHERE r.order_id = o.order_id AND r.state <> 'completed')
                 FROM orders o JOIN holds h USING (event_id, hold_id) WHERE o.order_id = $1",
                &[&order],
            )
            .await
            .unwrap();
        let (status, quantity): (String, i32) = (row.get(0), row.get(2));
        let (tickets, refunds): (i64, i64) = (row.get(3), row.get(4));
        let captured = payment["captured_minor"].as_i64().unwrap();
        let refunded = payment["refunded_minor"].as_i64().unwrap();
        assert!(refunded <= captured, "{payment}");
        if captured > refunded {
            assert_eq!(
                (status.as_str(), tickets),
                ("paid", i64::from(quantity)),
                "{payment}"
            );
        } else {
            assert_eq!(tickets, 0, "tickets without money: {payment}");
        }
        let (given_back, held, owed): (i64, i64, i64) = (row.get(5), row.get(6), row.get(7));
        assert!(refunds <= 1, "{payment}");
        if !row.get::<_, bool>(8) && row.get::<_, Option<String>>(1).is_none() {
            assert_eq!(given_back, refunded, "refunds by our books: {payment}");
            if !["queued", "awaiting_payment"].contains(&status.as_str()) {
                assert_eq!(held, captured - refunded, "our ledger: {payment}");
                assert_eq!(owed, 0, "owed to somebody at rest: {payment}");
            }
        }
    }
}

/// One event, one section of a single row.
async fn furnish(app: &App, seats: i32) -> EventNumber {
    let db = app.db.get().await.unwrap();
    let row = db
        .query_one(
            "INSERT INTO events (slug, title, venue, starts_at, currency, max_seats_per_buyer,
                                 hold_seconds)
             VALUES ($1, 'Hamlet, o príncipe', 'Teatro São João', now() + interval '30 days',
                     'BRL', 6, 300) RETURNING event_id",
            &[&SLUG],
        )
        .await
        .unwrap();
    let event: i32 = row.get(0);
    db.execute(
        "INSERT INTO sections (event_id, section, kind, capacity, price_minor, position)
         VALUES ($1, 'A', 'seated', $2, $3, 0)",
        &[&event, &seats, &PRICE_MINOR],
    )
    .await
    .unwrap();
    db.execute(
        "INSERT INTO seats (event_id, section, ordinal, row_label, seat_label, price_minor)
         SELECT $1, 'A', n, '1', (n + 1)::text, $3 FROM generate_series(0, $2 - 1) n",
        &[&event, &seats, &PRICE_MINOR],
    )
    .await
    .unwrap();
    EventNumber(event)
}

/// A reply read to its end.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) content_type: String,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let reply = request.send().await.unwrap();
        let status = reply.status().as_u16();
        let content_type = reply
            .headers()
            .get("content-type")
            .map_or("", |v| v.to_str().unwrap());
        let content_type = content_type.to_owned();
        let bytes = reply.bytes().await.unwrap().to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self {
            status,
            body,
            content_type,
            bytes,
        }
    }

    pub(crate) fn assert_problem(&self, status: u16, name: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.content_type, "application/problem+json");
        assert_eq!(
            self.body["type"],
            format!("https://catraca.dev/problems/{name}")
        );
    }
}
