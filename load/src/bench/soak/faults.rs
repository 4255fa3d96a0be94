//! Random schedules: shoppers hold, release, let expire and confirm, while cores, worker, PostgreSQL
//! and Redis are killed, Redis is emptied, and a core is stopped for longer than its locks live.
//! Afterwards the auditor counts the seats and looks for everything that was acknowledged, and the
//! cores must show what is so. The schedule follows from its seed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use url::Url;

use crate::audit;
use crate::bench::Measured;
use crate::bench::numbered::{hold_request, post, release_request, shows_the_truth, venue};
use crate::bench::reader::{Answer, Reader, get};
use crate::bench::reserve::programs::{Programs, Running};
use crate::bench::reserve::shop::{Event, Shop, Shoppers};
use crate::bench::token::Key;

/// Longest a call is repeated before its caller gives up: the caller then knows nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than a seat's lock in Redis lives.
const ASLEEP: Duration = Duration::from_millis(3_500);
/// Longest until every order has ended.
const SETTLED_WITHIN: Duration = Duration::from_mins(2);
/// Sections and seats in each: enough for the whole schedule.
const VENUE: (u32, u32) = (2, 300);
/// Neighbours that are wished for at a time, so that shoppers meet; they move on with the schedule.
const WISHED_FOR: u32 = 20;
/// Longest that a shopper thinks after a refusal, in milliseconds.
const THINKS_MS_MAX: u64 = 100;
/// Shopping sessions of one schedule.
const SESSIONS: u32 = 12_000;

/// Where, and how much.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The server on which a database is made, and dropped again. It is killed, too.
    #[arg(long, env = "CATRACA_TEST_DATABASE_URL", hide_env_values = true)]
    postgres: Url,
    /// Redis. It is killed and emptied.
    #[arg(long, env = "CATRACA_TEST_REDIS_URL", hide_env_values = true)]
    redis: Url,
    /// Where the stack writes the servers' processes, which it starts again.
    #[arg(long, env = "CATRACA_RUN_JSON")]
    run_json: PathBuf,
    /// The core; else the one beside this program.
    #[arg(long)]
    core: Option<PathBuf>,
    /// Schedules, one after the other.
    #[arg(long, default_value_t = 20)]
    schedules: u32,
    /// Length of each, before everything is let settle.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Shoppers at once.
    #[arg(long, default_value_t = 16)]
    shoppers: u32,
    /// Of the first schedule; else a random one. Printed.
    #[arg(long)]
    seed: Option<u64>,
}

/// What the shoppers share.
struct Sale {
    cores: RwLock<Vec<SocketAddr>>,
    event: Arc<Event>,
    shoppers: Shoppers,
    next: AtomicU32,
    /// The first of the seats that are wished for.
    front: AtomicU32,
    over: AtomicBool,
    journal: Mutex<File>,
    told: [AtomicU32; 4],
}

/// What is counted in [`Sale::told`].
const COUNTED: [&str; 4] = ["held", "released", "bought", "gave_up"];

/// Runs it; false when an invariant broke or something wrong is shown.
pub(in crate::bench) async fn run(options: Options) -> anyhow::Result<(Measured, bool)> {
    let mut shop = Shop::make(&options.postgres).await?;
    let programs =
        Programs::prepare(options.core.as_deref(), &shop.url, options.redis.as_str()).await?;
    shop.accounts(SESSIONS).await?;
    let first = options
        .seed
        .unwrap_or_else(|| rand::random_range(0..1 << 32));
    let (mut right, mut totals) = (true, [0; 4]);
    let mut faults = 0;
    for schedule in 0..options.schedules {
        let seed = first + u64::from(schedule);
        println!(
            "schedule {} of {}, seed {seed}",
            schedule + 1,
            options.schedules
        );
        let (held, told, done) = one(&options, &mut shop, &programs, seed).await?;
        right &= held;
        faults += done;
        for (total, told) in totals.iter_mut().zip(told) {
            *total += told;
        }
    }
    shop.drop().await?;
    let mut figures = BTreeMap::from([
        ("schedules", f64::from(options.schedules)),
        ("faults", f64::from(faults)),
    ]);
    figures.extend(COUNTED.into_iter().zip(totals.map(f64::from)));
    let measured = Measured {
        bench: "soak-faults",
        ratios: BTreeMap::new(),
        figures,
    };
    Ok((measured, right))
}

async fn one(
    options: &Options,
    shop: &mut Shop,
    programs: &Programs,
    seed: u64,
) -> anyhow::Result<(bool, [u32; 4], u32)> {
    let event = venue(shop, VENUE.1, VENUE.0, SESSIONS).await?;
    let short = format!(
        "UPDATE events SET hold_seconds = 3 WHERE event_id = {}",
        event.number
    );
    shop.db.batch_execute(&short).await?;
    let file = std::env::temp_dir().join(format!("catraca-soak-{}.jsonl", event.number));
    let mut parts = Parts {
        cores: vec![programs.serve().await?, programs.serve().await?],
        worker: programs.work()?,
    };
    let sale = Arc::new(Sale {
        cores: RwLock::new(parts.addresses()),
        shoppers: Shoppers::of(&event, &Key::parse(&programs.admission_key)?)?,
        event: Arc::clone(&event),
        next: AtomicU32::new(0),
        front: AtomicU32::new(0),
        over: AtomicBool::new(false),
        journal: Mutex::new(File::create(&file)?),
        told: Default::default(),
    });
    let lanes = (0..options.shoppers).map(|lane| {
        let rng = StdRng::seed_from_u64(seed ^ u64::from(lane + 1) << 32);
        tokio::spawn(Arc::clone(&sale).lane(rng))
    });
    let lanes: Vec<_> = lanes.collect();
    let faults = parts.suffer(options, programs, &sale, seed).await?;
    sale.over.store(true, Ordering::Relaxed);
    for lane in lanes {
        lane.await.context("a lane of this program")??;
    }
    shop.reconnect(&options.postgres).await?;
    settle(shop).await?;
    let mut right = audit::seats_and_kept(shop.url.as_str(), &file).await?;
    for core in parts.addresses() {
        // No reading is used for a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        right &= shows_the_truth(core, shop, &event, VENUE.0).await?;
    }
    if right {
        std::fs::remove_file(&file)?;
    } else {
        println!("  seed {seed}, journal {}", file.display());
    }
    let told = sale
        .told
        .each_ref()
        .map(|count| count.load(Ordering::Relaxed));
    println!("  {COUNTED:?}: {told:?}");
    Ok((right, told, faults))
}

/// Until every order has come to its end and every hold is over.
async fn settle(shop: &Shop) -> anyhow::Result<()> {
    let open = "SELECT (SELECT count(*) FROM orders WHERE status IN ('queued', 'awaiting_payment'))
                + (SELECT count(*) FROM seats WHERE state = 'held' AND held_until > now())";
    let by = Instant::now() + SETTLED_WITHIN;
    while shop.count(open).await? > 0 {
        anyhow::ensure!(Instant::now() < by, "orders do not come to their end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

impl Sale {
    /// Visits, one after the other, each by somebody new.
    async fn lane(self: Arc<Self>, mut rng: StdRng) -> anyhow::Result<()> {
        while !self.over.load(Ordering::Relaxed) {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(n < SESSIONS, "more visits than sessions");
            if !self.visit(n, &mut rng).await? {
                self.count(3);
            }
        }
        Ok(())
    }

    /// False when a call was never answered.
    async fn visit(&self, n: u32, rng: &mut StdRng) -> anyhow::Result<bool> {
        let cookies = self.shoppers.cookies(n);
        let key = self.shoppers.key("v", n);
        let section = rng.random_range(0..VENUE.0);
        let request = if rng.random_bool(0.7) {
            let seat = self.front.load(Ordering::Relaxed) + rng.random_range(0..WISHED_FOR);
            hold_request(&self.event, &cookies, &key, (section, seat))
        } else {
            let quantity = rng.random_range(1..=3);
            let body = json!({"event": self.event.slug, "section": format!("S{section}"),
                "quantity": quantity});
            post("/api/v1/holds", &cookies, &key, &body.to_string())
        };
        let (what, idle_ms) = (rng.random_range(0..10), rng.random_range(0..300));
        let Some(answer) = self.call(&request).await else {
            return Ok(false);
        };
        if answer.status != 201 {
            anyhow::ensure!(answer.status == 409, "a hold: {}", text(&answer));
            let thinks_ms = rng.random_range(0..THINKS_MS_MAX);
            tokio::time::sleep(Duration::from_millis(thinks_ms)).await;
            return Ok(true);
        }
        let granted: Value = serde_json::from_slice(&answer.body)?;
        let hold = granted["hold"].as_str().context("a hold's id")?;
        let jti = format!("{:08x}-0000-4000-8000-{n:012x}", self.event.number);
        self.write(
            &json!({"kind": "hold", "hold": hold, "jti": jti, "seats": granted["seats"],
            "amount": granted["total"]["amount_minor"]}),
        )?;
        self.count(0);
        tokio::time::sleep(Duration::from_millis(idle_ms)).await;
        match what {
            // Lets it expire.
            0..3 => Ok(true),
            3..6 => {
                let Some(answer) = self.call(&release_request(&cookies, hold)).await else {
                    return Ok(false);
                };
                anyhow::ensure!(matches!(answer.status, 204 | 410), "{}", text(&answer));
                self.count(1);
                Ok(true)
            }
            _ => self.buy(&cookies, hold, n).await,
        }
    }

    async fn buy(&self, cookies: &str, hold: &str, n: u32) -> anyhow::Result<bool> {
        let body = json!({"hold": hold, "provider": "card"}).to_string();
        let request = post("/api/v1/orders", cookies, &self.shoppers.key("o", n), &body);
        let Some(answer) = self.call(&request).await else {
            return Ok(false);
        };
        if answer.status != 202 {
            anyhow::ensure!(matches!(answer.status, 409 | 410), "{}", text(&answer));
            return Ok(true);
        }
        let ordered: Value = serde_json::from_slice(&answer.body)?;
        let order = ordered["order"].as_str().context("an order's id")?;
        self.write(&json!({"kind": "order", "order": order, "hold": hold, "amount": 0}))?;
        let path = format!("/api/v1/orders/{order}");
        let look = String::from_utf8(get(&path))?;
        let look = look.replacen("\r\n", &format!("\r\ncookie: {cookies}\r\n"), 1);
        let by = Instant::now() + PATIENCE;
        while Instant::now() < by {
            let Some(answer) = self.call(look.as_bytes()).await else {
                return Ok(false);
            };
            anyhow::ensure!(answer.status == 200, "{}", text(&answer));
            let shown: Value = serde_json::from_slice(&answer.body)?;
            match shown["status"].as_str() {
                Some("queued" | "awaiting_payment") => {}
                Some("paid") => {
                    let tickets = shown["tickets"].as_array().into_iter().flatten();
                    let tickets: Vec<&Value> = tickets
                        .map(|ticket| {
                            if ticket.is_string() {
                                ticket
                            } else {
                                &ticket["ticket"]
                            }
                        })
                        .collect();
                    self.write(&json!({"kind": "paid", "order": order, "tickets": tickets}))?;
                    self.count(2);
                    return Ok(true);
                }
                _ => return Ok(true),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(false)
    }

    /// The same call until there is an answer that is no failure; nothing when that takes too long.
    async fn call(&self, request: &[u8]) -> Option<Answer> {
        let by = Instant::now() + PATIENCE;
        let mut turn = rand::random_range(0..2);
        while Instant::now() < by {
            let core = {
                let cores = self.cores.read().unwrap_or_else(PoisonError::into_inner);
                cores[turn % cores.len()]
            };
            turn += 1;
            let asked = async {
                let mut reader = Reader::with_buffer(core, 16 * 1024).await?;
                reader.send(request, true).await
            };
            match tokio::time::timeout(Duration::from_secs(6), asked).await {
                Ok(Ok(answer)) if answer.status < 500 => return Some(answer),
                _ => tokio::time::sleep(Duration::from_millis(40)).await,
            }
        }
        None
    }

    /// What was acknowledged, at once: this process outlives the others.
    fn write(&self, line: &Value) -> anyhow::Result<()> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(writeln!(journal, "{line}")?)
    }

    /// To so much of the schedule.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of some seats"
    )]
    fn move_on(&self, part: f64) {
        let front = f64::from(VENUE.1 - WISHED_FOR) * part.clamp(0.0, 1.0);
        self.front.store(front as u32, Ordering::Relaxed);
    }

    fn count(&self, which: usize) {
        self.told[which].fetch_add(1, Ordering::Relaxed);
    }
}

fn text(answer: &Answer) -> String {
    format!(
        "{} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    )
}

/// The processes of ours.
struct Parts {
    cores: Vec<Running>,
    worker: Child,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    KillCore(usize),
    KillWorker,
    KillPostgres,
    KillRedis,
    EmptyRedis,
    StopCore(usize),
}

impl Parts {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.cores.iter().map(|core| core.address).collect()
    }

    /// Every fault once, in random order, and then any but the death of a server.
    async fn suffer(
        &mut self,
        options: &Options,
        programs: &Programs,
        sale: &Sale,
        seed: u64,
    ) -> anyhow::Result<u32> {
        let mut rng = StdRng::seed_from_u64(seed);
        let every = [
            Fault::KillCore(rng.random_range(0..2)),
            Fault::KillWorker,
            Fault::KillPostgres,
            Fault::KillRedis,
            Fault::EmptyRedis,
            Fault::StopCore(rng.random_range(0..2)),
        ];
        // The stack gives up a server that dies five times a minute.
        let again = every.map(|fault| match fault {
            Fault::KillPostgres | Fault::KillRedis => Fault::EmptyRedis,
            fault => fault,
        });
        let mut order = every.to_vec();
        order.shuffle(&mut rng);
        let length = Duration::from_secs(options.seconds);
        let began = Instant::now();
        let mut done = 0;
        while began.elapsed() < length {
            sale.move_on(began.elapsed().div_duration_f64(length));
            let fault = order
                .pop()
                .unwrap_or(again[rng.random_range(0..again.len())]);
            tokio::time::sleep(Duration::from_millis(rng.random_range(300..1_200))).await;
            self.bring(fault, options, programs, sale)
                .await
                .with_context(|| format!("{fault:?}"))?;
            print!("  {fault:?}");
            done += 1;
        }
        println!();
        Ok(done)
    }

    async fn bring(
        &mut self,
        fault: Fault,
        options: &Options,
        programs: &Programs,
        sale: &Sale,
    ) -> anyhow::Result<()> {
        match fault {
            Fault::KillCore(which) => {
                if let Some(pid) = self.cores[which].pid() {
                    signal("KILL", pid)?;
                }
                // The other one goes on alone.
                self.cores[which] = programs.serve().await?;
                let mut cores = sale.cores.write().unwrap_or_else(PoisonError::into_inner);
                *cores = self.addresses();
            }
            Fault::KillWorker => {
                self.worker.kill().await?;
                self.worker = programs.work()?;
            }
            Fault::KillPostgres => {
                kill_server(&options.run_json, "postgres", || async {
                    let url = options.postgres.as_str();
                    let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
                    connected.is_ok()
                })
                .await?;
            }
            Fault::KillRedis => {
                kill_server(&options.run_json, "redis", || async {
                    redis(&options.redis, "PING").await.is_ok()
                })
                .await?;
            }
            Fault::EmptyRedis => redis(&options.redis, "FLUSHALL").await?,
            Fault::StopCore(which) => {
                let pid = self.cores[which].pid().context("the core has ended")?;
                signal("STOP", pid)?;
                tokio::time::sleep(ASLEEP).await;
                signal("CONT", pid)?;
            }
        }
        Ok(())
    }
}

fn signal(name: &str, pid: u32) -> anyhow::Result<()> {
    let sent = std::process::Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status()?;
    anyhow::ensure!(sent.success(), "signal {name} to {pid}");
    Ok(())
}

/// Kills a server of the stack's and waits until the stack has started it again.
async fn kill_server<W: Future<Output = bool>>(
    run_json: &Path,
    name: &str,
    is_back: impl Fn() -> W,
) -> anyhow::Result<()> {
    let pid = || -> anyhow::Result<u64> {
        let run: Value = serde_json::from_slice(&std::fs::read(run_json)?)?;
        run["pids"][name].as_u64().context("its process")
    };
    let before = pid()?;
    signal("KILL", u32::try_from(before)?)?;
    let by = Instant::now() + Duration::from_mins(1);
    // The file is replaced while we read.
    while pid().is_ok_and(|now| now == before) || !is_back().await {
        anyhow::ensure!(Instant::now() < by, "{name} does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// One command without arguments.
async fn redis(url: &Url, command: &str) -> anyhow::Result<()> {
    let host = url.host_str().context("Redis' host")?;
    let mut stream = tokio::net::TcpStream::connect((host, url.port().unwrap_or(6379))).await?;
    let login = match url.password() {
        Some(password) => format!("AUTH {password}\r\n"),
        None => "PING\r\n".to_owned(),
    };
    stream
        .write_all(format!("{login}{command}\r\nQUIT\r\n").as_bytes())
        .await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    anyhow::ensure!(!said.contains('-'), "Redis: {said}");
    Ok(())
}
