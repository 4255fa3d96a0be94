//! Reserving places: the whole core over HTTP against a bare SQL client, a counter over HTTP, and
//! itself near the end of a sale.
//!
//! What is counted. A reservation of ours is `POST /api/v1/holds` of one place, with admission
//! token, login, session, buyer's limit and idempotency key, until its answer has arrived. The
//! peer's is `load/peers/reserve.sql`: the same seat and hold rows, and none of the rest. Reserve
//! and confirm is a hold and an order, until the last seat is sold and its ticket written; places
//! cost nothing, so no provider is called, and the order is paid as it is placed. The peer's is
//! `load/peers/reserve_confirm.sql`. All run on one PostgreSQL with its durability on, taking
//! turns; a ratio is the median over the pairs. Afterwards the auditor counts every seat.

pub(super) mod cpu;
mod crowd;
pub(super) mod programs;
pub(super) mod shop;
pub(super) mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use url::Url;

use super::Measured;
use super::token::Key;
use crate::audit;
use cpu::{Cpu, Watched};
use crowd::{Crowd, Visit, Visits};
use programs::Programs;
use shop::{Event, Shop, Shoppers};

const RESERVE: &str = include_str!("../../../peers/reserve.sql");
const RESERVE_CONFIRM: &str = include_str!("../../../peers/reserve_confirm.sql");
/// Longest wait for the last order to be settled.
const SETTLED_WITHIN: Duration = Duration::from_mins(3);
/// Holds of one shopper, one after the other.
const HOLDS_EACH: u32 = 4;

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
    /// Pairs of each comparison.
    #[arg(long, default_value_t = 5)]
    pairs: u32,
    /// Reservations in each half of a pair.
    #[arg(long, default_value_t = 10_000)]
    reservations: u32,
    /// Purchases in each half of a pair.
    #[arg(long, default_value_t = 1_600)]
    purchases: u32,
    /// Places of the sale whose end is compared with its beginning.
    #[arg(long, default_value_t = 100_000)]
    sale: u32,
    /// How many such sales.
    #[arg(long, default_value_t = 3)]
    sales: u32,
    /// Shoppers at once.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Connections of `pgbench`.
    #[arg(long, default_value_t = 16)]
    peer_clients: u32,
}

/// The parts of a run.
struct Bench {
    options: Options,
    shop: Shop,
    programs: Programs,
    key: Key,
    watched: Watched,
    core: SocketAddr,
    counter: SocketAddr,
    figures: BTreeMap<&'static str, f64>,
    ratios: BTreeMap<&'static str, f64>,
}

/// Runs it; false when the audit finds a seat wrong.
pub(super) async fn run(options: Options) -> anyhow::Result<(Measured, bool)> {
    let shop = Shop::make(&options.postgres).await?;
    let programs = Programs::prepare(options.core.as_deref(), &shop.url, &options.redis).await?;
    let most = [
        options.sale / HOLDS_EACH,
        options.reservations,
        options.purchases,
    ];
    shop.accounts(most.into_iter().max().unwrap_or(0)).await?;
    let (serving, counter) = (programs.serve().await?, programs.counter().await?);
    let worker = programs.work()?;
    let pids = [serving.pid(), worker.id()].into_iter().flatten().collect();
    let watched = Watched {
        core: pids,
        postmaster: shop.postmaster().await?,
    };
    let mut bench = Bench {
        key: Key::parse(&programs.admission_key)?,
        core: serving.address,
        counter: counter.address,
        options,
        shop,
        programs,
        watched,
        figures: BTreeMap::new(),
        ratios: BTreeMap::new(),
    };
    bench.against_pgbench().await?;
    bench.whole_sale().await?;
    bench.against_counter().await?;
    bench.at_half_rate().await?;
    bench.purchases_against_pgbench().await?;
    let ok = audit::seats_are_right(bench.shop.url.as_str()).await?;
    drop((serving, counter, worker));
    bench.shop.drop().await?;
    let measured = Measured {
        bench: "reserve",
        ratios: bench.ratios,
        figures: bench.figures,
    };
    Ok((measured, ok))
}

impl Bench {
    /// (a) and (e): reservations, with what they cost in processor time.
    async fn against_pgbench(&mut self) -> anyhow::Result<()> {
        let count = self.options.reservations;
        self.holds(count).await?; // to warm up
        let (mut ours, mut peers, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.options.pairs {
            let (visits, cost) = self.holds(count).await?;
            ours.push(visits.per_second());
            costs.push(cost);
            let event = self.shop.event(count * 2, count / HOLDS_EACH).await?;
            let clients = self.options.peer_clients;
            peers.push(
                self.programs
                    .pgbench(RESERVE, &event, count, clients)
                    .await?,
            );
        }
        self.pair("reserve_to_pgbench", &ours, &peers);
        self.figure("reserve_per_second", median(&ours));
        self.figure("pgbench_reserve_per_second", median(&peers));
        let cost = |of: fn(&Cpu) -> f64| median(&costs.iter().map(of).collect::<Vec<_>>());
        self.figure("cpu_us_core", cost(|cpu| cpu.core));
        self.figure("cpu_us_postgres", cost(|cpu| cpu.postgres));
        self.figure("cpu_us_generator", cost(|cpu| cpu.generator));
        Ok(())
    }

    /// (b): to the last place, several times over.
    async fn whole_sale(&mut self) -> anyhow::Result<()> {
        let sale = self.options.sale;
        let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
        for _ in 0..self.options.sales {
            let event = self.shop.event(sale, sale / HOLDS_EACH).await?;
            let crowd = self.crowd(&event, self.core, sale, Visit::Hold)?;
            let visits = crowd.send().await?;
            let tenths = (0..10).map(|tenth| f64::from(tenth) / 10.0);
            let tenths: Vec<f64> = tenths.map(|at| visits.between(at, at + 0.1)).collect();
            println!("  each tenth of a sale, a second: {tenths:.0?}");
            firsts.extend(tenths.first());
            lasts.extend(tenths.last());
        }
        self.pair("last_tenth_to_first_tenth", &lasts, &firsts);
        self.figure("first_tenth_per_second", median(&firsts));
        self.figure("last_tenth_per_second", median(&lasts));
        self.figure("sale_places", f64::from(sale));
        Ok(())
    }

    /// (c): against the counter.
    async fn against_counter(&mut self) -> anyhow::Result<()> {
        let count = self.options.reservations / 2;
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..self.options.pairs {
            ours.push(self.holds(count).await?.0.per_second());
            let event = self.shop.event(count * 2, count / HOLDS_EACH).await?;
            let crowd = self.crowd(&event, self.counter, count, Visit::Hold)?;
            peers.push(crowd.send().await?.per_second());
        }
        self.pair("reserve_to_counter_over_http", &ours, &peers);
        self.figure("counter_over_http_per_second", median(&peers));
        Ok(())
    }

    /// (d): how long a reservation takes while there is room.
    async fn at_half_rate(&mut self) -> anyhow::Result<()> {
        let count = self.options.reservations;
        let fastest = self
            .figures
            .get("reserve_per_second")
            .copied()
            .unwrap_or(1.0);
        let event = self.shop.event(count * 2, count).await?;
        let mut crowd = self.crowd(&event, self.core, count, Visit::Hold)?;
        crowd.visits_each = 1;
        crowd.pace = Some(fastest / 2.0);
        let visits = crowd.send().await?;
        self.figure("half_rate_per_second", fastest / 2.0);
        self.figure("half_rate_ms_p50", visits.took_ms(0.5));
        self.figure("half_rate_ms_p99", visits.took_ms(0.99));
        Ok(())
    }

    /// (a) again, through to the ticket.
    async fn purchases_against_pgbench(&mut self) -> anyhow::Result<()> {
        let count = self.options.purchases;
        // Until there are orders, and PostgreSQL has counted them, its plans are poor on both sides.
        self.purchases(count / 4).await?;
        let (mut ours, mut peers, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.options.pairs {
            let before = self.watched.sample()?;
            ours.push(self.purchases(count).await?);
            costs.push(self.watched.sample()?.each_since(before, count));
            let event = self.shop.event(count * 2, count).await?;
            let clients = self.options.peer_clients;
            peers.push(
                self.programs
                    .pgbench(RESERVE_CONFIRM, &event, count, clients)
                    .await?,
            );
        }
        self.pair("reserve_confirm_to_pgbench", &ours, &peers);
        self.figure("reserve_confirm_per_second", median(&ours));
        self.figure("pgbench_reserve_confirm_per_second", median(&peers));
        let cost = |of: fn(&Cpu) -> f64| median(&costs.iter().map(of).collect::<Vec<_>>());
        self.figure("confirm_cpu_us_core", cost(|cpu| cpu.core));
        self.figure("confirm_cpu_us_postgres", cost(|cpu| cpu.postgres));
        self.figure("confirm_cpu_us_generator", cost(|cpu| cpu.generator));
        Ok(())
    }

    /// Reserves half of a new event's places.
    async fn holds(&mut self, count: u32) -> anyhow::Result<(Visits, Cpu)> {
        let event = self.shop.event(count * 2, count / HOLDS_EACH).await?;
        let crowd = self.crowd(&event, self.core, count, Visit::Hold)?;
        let before = self.watched.sample()?;
        let visits = crowd.send().await?;
        Ok((visits, self.watched.sample()?.each_since(before, count)))
    }

    /// Buys half of a new event's places; tickets a second.
    async fn purchases(&mut self, count: u32) -> anyhow::Result<f64> {
        let event = self.shop.event(count * 2, count).await?;
        let mut crowd = self.crowd(&event, self.core, count, Visit::Buy)?;
        crowd.visits_each = 1;
        let began = Instant::now();
        crowd.send().await?;
        let tickets = format!(
            "SELECT count(*) FROM tickets WHERE event_id = {}",
            event.number
        );
        while self.shop.count(&tickets).await? < count {
            anyhow::ensure!(began.elapsed() < SETTLED_WITHIN, "orders are not settled");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(f64::from(count) / began.elapsed().as_secs_f64())
    }

    fn crowd(
        &self,
        event: &Arc<Event>,
        address: SocketAddr,
        visits: u32,
        visit: Visit,
    ) -> anyhow::Result<Crowd> {
        Ok(Crowd {
            address,
            shoppers: Arc::new(Shoppers::of(event, &self.key).context("the clock")?),
            visits,
            visits_each: HOLDS_EACH,
            visit,
            connections: self.options.connections,
            pace: None,
        })
    }

    fn pair(&mut self, name: &'static str, ours: &[f64], peers: &[f64]) {
        let pairs: Vec<f64> = ours
            .iter()
            .zip(peers)
            .map(|(our, peer)| our / peer)
            .collect();
        println!("{name}: {pairs:.2?}, ours {ours:.0?}, peer {peers:.0?} a second");
        self.ratios.insert(name, median(&pairs));
    }

    fn figure(&mut self, name: &'static str, value: f64) {
        println!("  {name}: {value:.2}");
        self.figures.insert(name, value);
    }
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
