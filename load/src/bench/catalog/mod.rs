//! Reading what is on sale, next to nginx serving the same bytes from files.
//!
//! Both servers run one worker thread or process on the first processor and are read over the same
//! number of kept connections from the second, in turns; a ratio is the median over the pairs, by
//! rate and by the server's processor time a read. Meanwhile seats are held and given back, and
//! nginx' file is replaced by what the core serves. Then a second core is watched while the first
//! holds seats: how long until it shows them. In the end every map is compared with the database.

mod nginx;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use url::Url;

use super::Measured;
use super::numbered::{hold, release, shows_the_truth, venue};
use super::reader::{Reader, get};
use super::reserve::cpu;
use super::reserve::median;
use super::reserve::programs::{Programs, Running};
use super::reserve::shop::{Event, Shop, Shoppers};
use super::token::Key;
use crate::audit;
use nginx::Nginx;

/// Seats a section, sections, and the names of the figures.
const SIZES: [(u32, u32, [&str; 8]); 3] = [
    (
        1,
        8,
        [
            "availability_to_nginx_1",
            "map_to_nginx_1",
            "availability_cpu_us_1",
            "map_cpu_us_1",
            "availability_nginx_cpu_us_1",
            "map_nginx_cpu_us_1",
            "availability_cpu_to_nginx_1",
            "map_cpu_to_nginx_1",
        ],
    ),
    (
        100,
        8,
        [
            "availability_to_nginx_100",
            "map_to_nginx_100",
            "availability_cpu_us_100",
            "map_cpu_us_100",
            "availability_nginx_cpu_us_100",
            "map_nginx_cpu_us_100",
            "availability_cpu_to_nginx_100",
            "map_cpu_to_nginx_100",
        ],
    ),
    (
        10_000,
        2,
        [
            "availability_to_nginx_10000",
            "map_to_nginx_10000",
            "availability_cpu_us_10000",
            "map_cpu_us_10000",
            "availability_nginx_cpu_us_10000",
            "map_nginx_cpu_us_10000",
            "availability_cpu_to_nginx_10000",
            "map_cpu_to_nginx_10000",
        ],
    ),
];
/// Shoppers who hold and give back.
const SHOPPERS: u32 = 64;

/// Where, and how much.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The server on which the benchmark makes a database of its own, and drops it.
    #[arg(long, env = "CATRACA_TEST_DATABASE_URL", hide_env_values = true)]
    postgres: Url,
    /// Redis.
    #[arg(long, env = "CATRACA_TEST_REDIS_URL", hide_env_values = true)]
    redis: String,
    /// The core; else the one beside this program.
    #[arg(long)]
    core: Option<PathBuf>,
    /// The peer.
    #[arg(long, default_value = "/usr/sbin/nginx")]
    nginx: PathBuf,
    /// Pairs of each comparison.
    #[arg(long, default_value_t = 5)]
    pairs: u32,
    /// Length of each half of a pair.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Readers at once.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Holds and returns a second while it is read.
    #[arg(long, default_value_t = 20.0)]
    changes: f64,
    /// Holds whose showing is timed.
    #[arg(long, default_value_t = 200)]
    looks: u32,
}

struct Bench {
    options: Options,
    shop: Shop,
    key: Key,
    core: Running,
    second: Running,
    nginx: Nginx,
    ratios: BTreeMap<&'static str, f64>,
    figures: BTreeMap<&'static str, f64>,
}

/// Runs it; false when a map or the audit is wrong.
pub(crate) async fn run(options: Options) -> anyhow::Result<(Measured, bool)> {
    let shop = Shop::make(&options.postgres).await?;
    let programs = Programs::prepare(options.core.as_deref(), &shop.url, &options.redis).await?;
    shop.accounts(SHOPPERS).await?;
    let mut bench = Bench {
        key: Key::parse(&programs.admission_key)?,
        core: programs.serve().await?,
        second: programs.serve().await?,
        nginx: Nginx::start(&options.nginx).await?,
        options,
        shop,
        ratios: BTreeMap::new(),
        figures: BTreeMap::new(),
    };
    bench.split_processors();
    let mut right = true;
    for (seats, sections, names) in SIZES {
        let event = venue(&mut bench.shop, seats, sections, SHOPPERS).await?;
        let path = format!("/api/v1/events/{}", event.slug);
        let changer = bench.change(&event, seats, sections)?;
        let availability = format!("{path}/availability");
        bench.against_nginx(&availability, &names, 0).await?;
        let map = format!("{path}/sections/S0/seats");
        bench.against_nginx(&map, &names, 1).await?;
        changer.end().await?;
        if seats == 100 {
            bench.staleness(&event).await?;
        }
        // No reading is used for longer.
        tokio::time::sleep(Duration::from_secs(1)).await;
        for core in [bench.core.address, bench.second.address] {
            right &= shows_the_truth(core, &bench.shop, &event, sections).await?;
        }
    }
    right &= audit::seats_are_right(bench.shop.url.as_str()).await?;
    drop((bench.core, bench.second, bench.nginx));
    bench.shop.drop().await?;
    let measured = Measured {
        bench: "catalog",
        ratios: bench.ratios,
        figures: bench.figures,
    };
    Ok((measured, right))
}

/// What one half of a pair took.
struct Half {
    per_second: f64,
    cpu_us: f64,
}

/// Holds and gives back until told to end.
struct Changer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<anyhow::Result<u32>>,
}

impl Changer {
    async fn end(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let changes = self.task.await??;
        println!("  {changes} changes meanwhile");
        Ok(())
    }
}

impl Bench {
    /// Servers on the first processor, this program on the second, where there are two.
    fn split_processors(&self) {
        let two = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
        let servers = [self.core.pid(), self.nginx.pid()].into_iter().flatten();
        let children = servers.clone().flat_map(cpu::children);
        let here = [(std::process::id(), 1)];
        let there = servers
            .chain(children.collect::<Vec<_>>())
            .map(|pid| (pid, 0));
        for (pid, processor) in there.chain(here).filter(|_| two) {
            let pinned = std::process::Command::new("taskset")
                .args(["-a", "-p", "-c", &processor.to_string(), &pid.to_string()])
                .stdout(std::process::Stdio::null())
                .status();
            if !pinned.is_ok_and(|status| status.success()) {
                println!("  process {pid} runs where it likes");
            }
        }
    }

    fn change(&self, event: &Arc<Event>, seats: u32, sections: u32) -> anyhow::Result<Changer> {
        let shoppers = Shoppers::of(event, &self.key)?;
        let address = self.core.address;
        let pause = Duration::from_secs_f64(2.0 / self.options.changes);
        let stop = Arc::new(AtomicBool::new(false));
        let (told, event) = (Arc::clone(&stop), Arc::clone(event));
        let task = tokio::spawn(async move {
            let mut reader = Reader::connect(address).await?;
            let mut changes = 0;
            while !told.load(Ordering::Relaxed) {
                let at = (
                    rand::random_range(0..sections),
                    rand::random_range(0..seats),
                );
                let shopper = changes % SHOPPERS;
                let cookies = shoppers.cookies(shopper);
                let held = hold(&mut reader, &event, &cookies, at).await?;
                tokio::time::sleep(pause).await;
                release(&mut reader, &cookies, &held).await?;
                changes += 2;
            }
            Ok(changes)
        });
        Ok(Changer { stop, task })
    }

    /// `which`: 0 for availability, 1 for a seat map.
    async fn against_nginx(
        &mut self,
        path: &str,
        names: &[&'static str; 8],
        which: usize,
    ) -> anyhow::Result<()> {
        let (core, peer) = (self.core.address, self.nginx.address);
        let mut bytes = 0;
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for pair in 0..=self.options.pairs {
            let answer = Reader::connect(core).await?.get(path).await?;
            anyhow::ensure!(answer.status == 200, "{path} answered {}", answer.status);
            bytes = answer.body.len();
            self.nginx.put(path, &answer.body)?;
            let served = Reader::connect(peer).await?.get(path).await?;
            anyhow::ensure!(served.status == 200, "nginx answered {}", served.status);
            let our = self.half(core, self.core.pid(), path).await?;
            let their = self.half(peer, self.nginx.pid(), path).await?;
            // The first warms up.
            if pair > 0 {
                ours.push(our);
                peers.push(their);
            }
        }
        let pairs = || ours.iter().zip(&peers);
        let rates: Vec<f64> = pairs().map(|(a, b)| a.per_second / b.per_second).collect();
        let costs: Vec<f64> = pairs().map(|(a, b)| b.cpu_us / a.cpu_us).collect();
        let (rate, cost) = (|half: &Half| half.per_second, |half: &Half| half.cpu_us);
        let each = |halves: &[Half], of: fn(&Half) -> f64| {
            median(&halves.iter().map(of).collect::<Vec<_>>())
        };
        println!(
            "{}: {rates:.2?}, by processor time {costs:.2?}; {bytes} bytes; {:.0} and {:.0} a second, \
             {:.1} and {:.1} µs",
            names[which],
            each(&ours, rate),
            each(&peers, rate),
            each(&ours, cost),
            each(&peers, cost),
        );
        self.ratios.insert(names[which], median(&rates));
        self.ratios.insert(names[6 + which], median(&costs));
        self.figures.insert(names[2 + which], each(&ours, cost));
        self.figures.insert(names[4 + which], each(&peers, cost));
        Ok(())
    }

    async fn half(
        &self,
        address: SocketAddr,
        pid: Option<u32>,
        path: &str,
    ) -> anyhow::Result<Half> {
        let pid = pid.context("the server has ended")?;
        let request = Arc::new(get(path));
        let reads = Arc::new(AtomicU32::new(0));
        let mut readers = Vec::new();
        for _ in 0..self.options.connections {
            readers.push(Reader::connect(address).await?);
        }
        let before = cpu::with_children(pid);
        let began = Instant::now();
        let until = began + Duration::from_secs_f64(self.options.seconds);
        let tasks = readers.into_iter().map(|mut reader| {
            let (request, reads) = (Arc::clone(&request), Arc::clone(&reads));
            tokio::spawn(async move {
                while Instant::now() < until {
                    let answer = reader.skim(&request).await?;
                    anyhow::ensure!(answer.status == 200, "answered {}", answer.status);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await??;
        }
        let took = began.elapsed().as_secs_f64();
        let used = cpu::with_children(pid) - before;
        let reads = f64::from(reads.load(Ordering::Relaxed).max(1));
        Ok(Half {
            per_second: reads / took,
            cpu_us: used / reads,
        })
    }

    /// From before a hold is asked of one core until the other shows it, milliseconds.
    async fn staleness(&mut self, event: &Arc<Event>) -> anyhow::Result<()> {
        let shoppers = Shoppers::of(event, &self.key)?;
        let mut buyer = Reader::connect(self.core.address).await?;
        let mut watcher = Reader::connect(self.second.address).await?;
        let path = format!("/api/v1/events/{}/sections/S1/seats", event.slug);
        watcher.get(&path).await?;
        let mut delays = Vec::new();
        for look in 0..self.options.looks {
            let (seat, cookies) = (look % 100, shoppers.cookies(look % SHOPPERS));
            let held = hold(&mut buyer, event, &cookies, (1, seat)).await?;
            // After the answer, and so after the commit.
            let since = Instant::now();
            loop {
                let body: Value = serde_json::from_slice(&watcher.get(&path).await?.body)?;
                if body["seats"][seat as usize]["state"] == "held" {
                    break;
                }
                let stale = since.elapsed();
                anyhow::ensure!(stale < Duration::from_secs(5), "never shown");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            delays.push(since.elapsed().as_secs_f64() * 1e3);
            release(&mut buyer, &cookies, &held).await?;
        }
        delays.sort_by(f64::total_cmp);
        let at = |hundredth: usize| delays[(delays.len() * hundredth / 100).min(delays.len() - 1)];
        println!("staleness: median {:.1} ms, p99 {:.1} ms", at(50), at(99));
        self.figures.insert("stale_ms_p50", at(50));
        self.figures.insert("stale_ms_p99", at(99));
        self.figures.insert("stale_ms_max", at(100));
        Ok(())
    }
}
