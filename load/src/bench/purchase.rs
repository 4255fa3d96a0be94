//! Ten thousand orders queued at once, providers that take fifty requests a second.
//!
//! The orders are written by SQL with their outbox rows, in one transaction, as `POST
//! /api/v1/orders` writes each: so all are there at once. Two workers carry them to the sandbox,
//! half by card, half by PayPal. What is counted: the most requests in any second at each
//! provider, by the sandbox (the window slides, the burst is the limit itself); jobs begun before
//! one that came before them in the same lane (event and provider); how far the providers saw
//! orders overtake each other; the wait from being queued to being begun; the backlog that the
//! workers' metrics showed. Some are then paid for, and the auditor judges everything.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio_postgres::{Client, NoTls};
use url::Url;
use uuid::Uuid;

use super::Measured;
use crate::audit;

/// How often the workers' metrics are read.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a program may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Both providers' secrets, of this run only.
const CARD_SECRET: &str = "sk_test_bench";
const WEBHOOK_SECRET: &str = "whsec_bench";

/// Where, and how much.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The server on which the benchmark makes a database of its own, and drops it.
    #[arg(long, env = "CATRACA_TEST_DATABASE_URL", hide_env_values = true)]
    postgres: Url,
    /// Redis.
    #[arg(long, env = "CATRACA_TEST_REDIS_URL", hide_env_values = true)]
    redis: String,
    /// The folder of the programs; else this one's.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Orders queued at once.
    #[arg(long, default_value_t = 10_000)]
    orders: i32,
    /// Requests each provider takes in any second.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Orders that are paid for afterwards.
    #[arg(long, default_value_t = 100)]
    paid: i64,
    /// Workers.
    #[arg(long, default_value_t = 2)]
    workers: u32,
}

/// Everything of one run; programs are killed when dropped.
struct Bench {
    options: Options,
    programs: PathBuf,
    postgres: Url,
    database: String,
    admin: Client,
    client: Client,
    core: u16,
    sandbox: u16,
    metrics: Vec<u16>,
    running: Vec<Child>,
}

/// Runs it; false when the limit or the order was not kept, or the audit finds something.
pub(super) async fn run(options: Options) -> anyhow::Result<(Measured, bool)> {
    let mut bench = Bench::prepare(options).await?;
    let measured = bench.measure().await;
    bench.running.clear();
    let drop = format!("DROP DATABASE {} WITH (FORCE)", bench.database);
    bench.admin.batch_execute(&drop).await?;
    measured
}

async fn connect(url: &Url) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls)
        .await
        .context("connecting")?;
    tokio::spawn(connection);
    Ok(client)
}

fn free_port() -> anyhow::Result<u16> {
    let free = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(free.local_addr()?.port())
}

impl Bench {
    async fn prepare(options: Options) -> anyhow::Result<Self> {
        let database = format!("bench_{}", Uuid::new_v4().simple());
        let admin = connect(&options.postgres).await?;
        admin
            .batch_execute(&format!("CREATE DATABASE {database}"))
            .await?;
        let mut postgres = options.postgres.clone();
        postgres.set_path(&database);
        let beside = std::env::current_exe()?;
        let beside = beside.parent().context("this program's folder")?;
        let bench = Self {
            programs: options.programs.clone().unwrap_or(beside.to_owned()),
            client: connect(&postgres).await?,
            postgres,
            database,
            admin,
            core: free_port()?,
            sandbox: free_port()?,
            metrics: (0..options.workers)
                .map(|_| free_port())
                .collect::<Result<_, _>>()?,
            running: Vec::new(),
            options,
        };
        let migrated = bench.role("migrate").status().await?;
        anyhow::ensure!(migrated.success(), "the migrations: {migrated}");
        let mut redis = Command::new("redis-cli");
        redis.args(["-u", &bench.options.redis, "FLUSHALL"]);
        let flushed = redis
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        anyhow::ensure!(
            flushed.is_ok_and(|status| status.success()),
            "emptying Redis"
        );
        Ok(bench)
    }

    fn quiet(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .env("RUST_LOG", "error")
            .env("CATRACA_CARD_SECRET_KEY", CARD_SECRET)
            .env("CATRACA_CARD_WEBHOOK_SECRETS", WEBHOOK_SECRET)
            .env("CATRACA_PAYPAL_CLIENT_ID", "bench")
            .env("CATRACA_PAYPAL_CLIENT_SECRET", "bench")
            .env("CATRACA_PAYPAL_WEBHOOK_ID", "WH-BENCH");
        command
    }

    fn role(&self, role: &str) -> Command {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let nowhere = "http://127.0.0.1:9";
        let sandbox = format!("http://127.0.0.1:{}", self.sandbox);
        let oidc = json!([{ "name": "dev", "issuer": nowhere, "client_id": "c",
                            "client_secret": "s" }]);
        let rate = self.options.rate;
        let mut command = self.quiet("catraca-core");
        command
            .arg(role)
            .env("CATRACA_DATABASE_URL", self.postgres.as_str())
            .env("CATRACA_REDIS_URL", &self.options.redis)
            .env(
                "CATRACA_ADMISSION_KEYS",
                json!([{ "kid": "b", "secret": key }]).to_string(),
            )
            .env("CATRACA_OIDC_PROVIDERS", oidc.to_string())
            .env("CATRACA_TICKET_KEY", key)
            .env("CATRACA_EDGE_SECRET", key)
            .env("CATRACA_PUBLIC_URL", nowhere)
            .env("CATRACA_EDGE_URL", nowhere)
            .env("CATRACA_CARD_API_URL", &sandbox)
            .env("CATRACA_PAYPAL_API_URL", &sandbox)
            .env(
                "CATRACA_PROVIDER_RATES",
                format!("card={rate},paypal={rate}"),
            );
        command
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        let data = std::env::temp_dir().join(&self.database);
        let mut sandbox = self.quiet("catraca-sandbox");
        sandbox
            .env("CATRACA_LISTEN", format!("127.0.0.1:{}", self.sandbox))
            .env(
                "CATRACA_SANDBOX_WEBHOOK_BASE",
                format!("http://127.0.0.1:{}", self.core),
            )
            .env("CATRACA_SANDBOX_DATA", data);
        self.running.push(sandbox.spawn()?);
        let mut core = self.role("serve");
        core.env("CATRACA_LISTEN", format!("127.0.0.1:{}", self.core));
        self.running.push(core.spawn()?);
        answers(&format!("http://127.0.0.1:{}/healthz", self.sandbox)).await?;
        answers(&format!("http://127.0.0.1:{}/readyz", self.core)).await
    }

    async fn start_workers(&mut self) -> anyhow::Result<()> {
        for port in self.metrics.clone() {
            let mut worker = self.role("worker");
            worker.env("CATRACA_WORKER_LISTEN", format!("127.0.0.1:{port}"));
            self.running.push(worker.spawn()?);
        }
        for port in &self.metrics {
            answers(&format!("http://127.0.0.1:{port}/readyz")).await?;
        }
        Ok(())
    }

    async fn measure(&mut self) -> anyhow::Result<(Measured, bool)> {
        self.start().await?;
        self.client
            .batch_execute(&queue_sql(self.options.orders))
            .await
            .context("queueing the orders")?;
        println!(
            "{} orders queued at once, half by card, half by PayPal; each takes {} requests a second",
            self.options.orders, self.options.rate
        );
        let begun = Instant::now();
        self.start_workers().await?;
        let shown = self.watch().await?;
        let seconds = begun.elapsed().as_secs_f64();
        let waits = "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY w), \
                percentile_cont(0.95) WITHIN GROUP (ORDER BY w) \
             FROM (SELECT extract(epoch FROM min(begun_at) - min(created_at))::float8 AS w \
                   FROM outbox GROUP BY order_id) q";
        let row = self.client.query_one(waits, &[]).await?;
        let (p50, p95): (f64, f64) = (row.get(0), row.get(1));
        let overtaken = self.number(OVERTAKEN).await?;
        let furthest = self.furthest().await?;
        let stats = self.sandbox("stats").await?;
        let (peak, requests) = peaks(&stats);
        println!("all begun and started in {seconds:.0} s");
        println!(
            "requests in any one second at a provider: at most {peak} of {}",
            self.options.rate
        );
        println!(
            "begun out of order in their lane: {overtaken}; a provider saw an order overtake at most {furthest} others"
        );
        println!("wait in the queue: p50 {p50:.1} s, p95 {p95:.1} s");
        println!(
            "backlog in the workers' metrics: {} at most, seen {} times",
            shown.0, shown.1
        );
        self.pay().await?;
        let stats = self.sandbox("stats").await?;
        let peak = peak.max(peaks(&stats).0);
        let report = audit::audit(&self.audit_options()?).await?;
        print!("{report}");
        let rate = f64::from(self.options.rate);
        let kept = peak <= u64::from(self.options.rate);
        let ok = kept && overtaken == 0 && shown.1 > 0 && report.passes(self.options.paid > 0);
        Ok((
            Measured {
                bench: "purchase",
                ratios: BTreeMap::from([
                    ("peak_to_limit", float(peak) / rate),
                    (
                        "throughput_to_limit",
                        float(requests) / seconds / rate / 2.0,
                    ),
                ]),
                figures: BTreeMap::from([
                    ("orders", f64::from(self.options.orders)),
                    ("limit_per_second", rate),
                    ("peak_per_second", float(peak)),
                    ("order_violations", float(u64::try_from(overtaken)?)),
                    ("overtaken_at_provider_max", float(u64::try_from(furthest)?)),
                    ("queue_wait_p50_seconds", p50),
                    ("queue_wait_p95_seconds", p95),
                    ("backlog_shown_max", shown.0),
                    ("seconds", seconds),
                ]),
            },
            ok,
        ))
    }

    /// Waits until every order was started; the largest backlog that the metrics showed, and how
    /// often they showed one.
    async fn watch(&self) -> anyhow::Result<(f64, u32)> {
        let (mut largest, mut times) = (0.0_f64, 0);
        let mut told = Instant::now();
        loop {
            let shown = self.backlog().await;
            if shown > 0.0 {
                times += 1;
                largest = largest.max(shown);
            }
            let waiting = "SELECT count(*) FROM orders WHERE status = 'queued'";
            let waiting = self.number(waiting).await?;
            if waiting == 0 {
                return Ok((largest, times));
            }
            if told.elapsed() > Duration::from_secs(20) {
                told = Instant::now();
                println!("  {waiting} waiting; the metrics show a backlog of {shown}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The backlog of all lanes, as the first worker that answers shows it.
    async fn backlog(&self) -> f64 {
        for port in &self.metrics {
            let Ok(reply) = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await else {
                continue;
            };
            let text = reply.text().await.unwrap_or_default();
            return text
                .lines()
                .filter(|line| line.starts_with("catraca_purchase_backlog{"))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum();
        }
        0.0
    }

    async fn number(&self, sql: &str) -> anyhow::Result<i64> {
        Ok(self.client.query_one(sql, &[]).await?.get(0))
    }

    async fn sandbox(&self, what: &str) -> anyhow::Result<Value> {
        let url = format!("http://127.0.0.1:{}/sandbox/{what}", self.sandbox);
        Ok(reqwest::get(url).await?.json().await?)
    }

    /// How many orders that were queued later a provider saw before one, at most. The providers'
    /// books list payments as they came.
    async fn furthest(&self) -> anyhow::Result<i64> {
        let rows = self
            .client
            .query(
                "SELECT order_id::text, o.provider, row_number() OVER (PARTITION BY o.provider
                     ORDER BY min(x.outbox_id)) FROM outbox x JOIN orders o USING (event_id, order_id)
                 GROUP BY order_id, o.provider",
                &[],
            )
            .await?;
        let places: BTreeMap<String, i64> =
            rows.iter().map(|row| (row.get(0), row.get(2))).collect();
        let book = self.sandbox("ledger").await?;
        let payments = book["payments"].as_array().cloned().unwrap_or_default();
        let mut seen: BTreeMap<String, i64> = BTreeMap::new();
        let mut furthest = 0;
        for payment in &payments {
            let (Some(order), Some(provider)) =
                (payment["order"].as_str(), payment["provider"].as_str())
            else {
                continue;
            };
            let Some(place) = places.get(order) else {
                continue;
            };
            let came = seen.entry(provider.to_owned()).or_default();
            *came += 1;
            // Whoever comes sooner than its place has overtaken so many.
            furthest = furthest.max(place - *came);
        }
        Ok(furthest)
    }

    /// Some buyers pay, and get their tickets.
    async fn pay(&self) -> anyhow::Result<()> {
        let rows = self
            .client
            .query(
                "SELECT redirect_url FROM payments WHERE state = 'open' ORDER BY order_id LIMIT $1",
                &[&self.options.paid],
            )
            .await?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        for row in &rows {
            let form = [("outcome", "approve"), ("delay_seconds", "0")];
            client
                .post(row.get::<_, &str>(0))
                .form(&form)
                .send()
                .await?;
        }
        let by = Instant::now() + Duration::from_mins(5);
        let paid = "SELECT count(*) FROM orders WHERE status = 'paid'";
        while self.number(paid).await? < i64::try_from(rows.len())? {
            anyhow::ensure!(Instant::now() < by, "not every buyer got tickets");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        println!("{} paid for, with their tickets", rows.len());
        Ok(())
    }

    fn audit_options(&self) -> anyhow::Result<audit::Options> {
        Ok(audit::Options {
            postgres: self.postgres.to_string(),
            sandbox: Some(format!("http://127.0.0.1:{}", self.sandbox).parse()?),
            journal: None,
            settle_seconds: 60,
            changed_rooms: vec!["rush".to_owned()],
            require_sales: self.options.paid > 0,
            json: false,
        })
    }
}

const OVERTAKEN: &str = "SELECT count(*) FROM (
    SELECT begun, max(begun) OVER (PARTITION BY x.event_id, o.provider
        ORDER BY x.outbox_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS latest_before
    FROM outbox x JOIN orders o USING (event_id, order_id)
    WHERE begun IS NOT NULL) b
    WHERE begun < latest_before";

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The most requests in any second at any provider, and all of them.
fn peaks(stats: &Value) -> (u64, u64) {
    let providers = stats["providers"].as_array().cloned().unwrap_or_default();
    let of = |provider: &Value, what: &str| provider[what].as_u64().unwrap_or(0);
    let peak = providers
        .iter()
        .map(|one| of(one, "peak_requests_per_second"))
        .max();
    let all = providers.iter().map(|one| of(one, "requests")).sum();
    (peak.unwrap_or(0), all)
}

async fn answers(url: &str) -> anyhow::Result<()> {
    let by = Instant::now() + READY_WITHIN;
    loop {
        if let Ok(answer) = reqwest::get(url).await
            && answer.status().is_success()
        {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < by, "{url} does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One event, one buyer a seat, one order each.
fn queue_sql(orders: i32) -> String {
    format!(
        "BEGIN;
         INSERT INTO events (slug, title, venue, starts_at, currency, max_seats_per_buyer,
             hold_seconds)
         VALUES ('rush', 'Rush', 'Hall', now() + interval '30 days', 'BRL', 4, 3600);
         INSERT INTO rooms (event_id, config, pushed_version)
         SELECT event_id, '{{\"method\": \"fifo\", \"max_active\": 100000, \"rate_per_minute\": 6000}}', 1
         FROM events;
         INSERT INTO sections SELECT event_id, 'P', 'general', {orders}, 5000, 0 FROM events;
         INSERT INTO accounts (account_id, issuer, subject, email)
         SELECT gen_random_uuid(), 'bench', n::text, n || '@example.com'
         FROM generate_series(1, {orders}) n;
         CREATE TEMP TABLE plan ON COMMIT DROP AS
         SELECT e.event_id, n - 1 AS ordinal, a.account_id,
             encode(int4send(e.event_id) || substr(uuid_send(gen_random_uuid()), 5), 'hex')::uuid AS hold,
             encode(int4send(e.event_id) || substr(uuid_send(gen_random_uuid()), 5), 'hex')::uuid AS ord,
             gen_random_uuid() AS jti, CASE n % 2 WHEN 0 THEN 'card' ELSE 'paypal' END AS provider
         FROM events e, generate_series(1, {orders}) n JOIN accounts a ON a.subject = n::text;
         INSERT INTO shopping_sessions (event_id, jti, account_id, visitor, epoch, number, lane,
             admitted_at, expires_at)
         SELECT event_id, jti, account_id, gen_random_uuid(), 1, ordinal + 1, 'standard',
             now(), now() + interval '2 hours' FROM plan;
         INSERT INTO holds (event_id, hold_id, jti, account_id, quantity, amount_minor, seats,
             expires_at)
         SELECT event_id, hold, jti, account_id, 1, 5000, jsonb_build_array(jsonb_build_object(
             'section', 'P', 'row', NULL, 'seat', NULL, 'ordinal', ordinal, 'price_minor', 5000)),
             now() + interval '1 hour' FROM plan;
         INSERT INTO seats (event_id, section, ordinal, price_minor, state, hold_id, held_until)
         SELECT event_id, 'P', ordinal, 5000, 'held', hold, now() + interval '1 hour' FROM plan;
         INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider, amount_minor,
             currency, next_look_at)
         SELECT event_id, ord, hold, jti, account_id, provider, 5000, 'BRL',
             now() + interval '5 seconds' FROM plan;
         INSERT INTO payments (event_id, order_id, provider) SELECT event_id, ord, provider FROM plan;
         INSERT INTO outbox (event_id, order_id) SELECT event_id, ord FROM plan ORDER BY ordinal;
         COMMIT;"
    )
}
