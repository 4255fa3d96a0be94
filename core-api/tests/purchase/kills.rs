//! Worker and core die at the points between every two steps of settlement, again and again, while
//! people buy: `KILLS` times (200 if not given), at points drawn from `SEED`.

use super::support::{Options, Shop, Webhooks, listen};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// People who buy at once: enough that no order sees so many deaths that it is given up as a dead
/// letter, mostly.
const BUYERS: u64 = 8;

#[derive(Default)]
struct Tally {
    kills: AtomicU64,
    points: Mutex<BTreeMap<String, u32>>,
    enough: AtomicBool,
    orders: AtomicU64,
    retried: AtomicUsize,
}

/// Keeps a role running, and has it die at a point not far off, until there were enough kills.
async fn keep_dying(
    shop: &Shop,
    role: &str,
    address: Option<&str>,
    far: i64,
    seed: u64,
    t: &Tally,
) {
    let mut rng = StdRng::seed_from_u64(seed);
    while !t.enough.load(Ordering::Relaxed) {
        let mut command = shop.process(role);
        command
            .env(
                "CATRACA_DIE_AT_POINT",
                rng.random_range(1..=far).to_string(),
            )
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped());
        if let Some(address) = address {
            command.env("CATRACA_LISTEN", address);
        }
        let mut child = command.spawn().unwrap();
        let died = loop {
            if child.try_wait().unwrap().is_some() {
                break true;
            }
            if t.enough.load(Ordering::Relaxed) {
                break false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        if !died {
            child.kill().await.unwrap();
            return;
        }
        let said = child.wait_with_output().await.unwrap().stderr;
        let said = String::from_utf8_lossy(&said);
        let point = said
            .lines()
            .filter(|line| line.contains("died as told"))
            .find_map(|line| Some(line.split_once("point=")?.1.trim_matches('"').to_owned()));
        let point = point.unwrap_or_else(|| panic!("{role} died by itself: {said}"));
        *t.points
            .lock()
            .unwrap()
            .entry(format!("{role}: {point}"))
            .or_default() += 1;
        t.kills.fetch_add(1, Ordering::Relaxed);
    }
}

/// Asks a server that may be dying until it answers; the same key each time.
async fn insist(shop: &Shop, cookies: &str, url: &str, key: &str, body: &Value) -> (u16, Value) {
    for _ in 0..3000 {
        let request = shop.http.post(url).header("cookie", cookies);
        let request = request.header("idempotency-key", key).json(body);
        if let Ok(reply) = request.send().await
            && reply.status().as_u16() < 500
        {
            let status = reply.status().as_u16();
            return (status, reply.json().await.unwrap_or(Value::Null));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{url} never answered");
}

async fn until(
    shop: &Shop,
    buyer: &super::support::Buyer,
    order: catraca_domain::ids::OrderId,
    statuses: &[&str],
) -> Value {
    for _ in 0..900 {
        let view = shop.view(buyer, order).await;
        if statuses.contains(&view["status"].as_str().unwrap()) {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let story = "SELECT coalesce(string_agg(line, '; '), 'nothing') FROM (
        SELECT format('%s %s payment %s looks %s next %s quarantined %s', order_id, o.status,
            p.state, looks, next_look_at - now(), quarantined) AS line
        FROM orders o JOIN payments p USING (event_id, order_id)
        WHERE o.status IN ('queued', 'awaiting_payment')
        UNION ALL SELECT format('outbox %s of %s starts %s failures %s relayed %s', outbox_id,
            order_id, starts, failures, now() - relayed_at) FROM outbox WHERE done_at IS NULL
        UNION ALL SELECT format('dead %s: %s', order_id, error) FROM dead_letters
        UNION ALL SELECT format('lock of %s: %s', pid, objid) FROM pg_locks
            WHERE locktype = 'advisory') s";
    let story: String = shop.db().await.query_one(story, &[]).await.unwrap().get(0);
    panic!("{order} is not {statuses:?} in time: {story}");
}

async fn buy_on(shop: &Shop, dying: &str, seats: &AtomicI32, seed: u64, wanted: u64, t: &Tally) {
    let mut rng = StdRng::seed_from_u64(seed);
    let operator = shop.person("operator", &["operator"]).await;
    while t.kills.load(Ordering::Relaxed) < wanted {
        let seat = seats.fetch_add(2, Ordering::Relaxed);
        let buyer = shop.buyer(&format!("fan{seat}")).await;
        let hold = shop.hold(&buyer, &[seat, seat + 1]).await;
        let provider = ["card", "paypal", "pix"][rng.random_range(0..3)];
        let body = json!({ "hold": hold, "provider": provider });
        let url = format!("{dying}/api/v1/orders");
        let (status, reply) = insist(shop, &buyer.cookies, &url, "k", &body).await;
        assert_eq!(status, 202, "{reply}");
        t.orders.fetch_add(1, Ordering::Relaxed);
        let order = reply["order"].as_str().unwrap().parse().unwrap();
        let view = until(shop, &buyer, order, &["awaiting_payment"]).await;
        let page = view["next_action"]["redirect_url"]
            .as_str()
            .unwrap()
            .to_owned();
        let outcome = if rng.random_bool(0.8) {
            "approve"
        } else {
            "decline"
        };
        shop.choose(&page, outcome, 0).await;
        let view = until(shop, &buyer, order, &["paid", "failed"]).await;
        if view["status"] == "paid" && rng.random_bool(0.4) {
            let url = format!("{dying}/api/v1/admin/orders/{order}/refund");
            let body = match rng.random_range(0..3) {
                0 => json!({}),
                1 => json!({ "amount_minor": 300 }),
                _ => json!({ "tickets": [view["tickets"][0]["ticket"]] }),
            };
            let (status, reply) =
                insist(shop, &operator.cookies, &url, &format!("r{seat}"), &body).await;
            assert!([200, 202].contains(&status), "{reply}");
        }
    }
}

/// What an operator does about jobs that were given up, as a death counts for all under way.
async fn retry_dead_letters(shop: &Shop) -> usize {
    let operator = shop.person("operator", &["operator"]).await;
    let list = shop.get(&operator, "/api/v1/admin/dead-letters").await;
    let letters = list.body["dead_letters"].as_array().unwrap().clone();
    for letter in &letters {
        let (event, number) = (letter["event"].as_str().unwrap(), &letter["letter"]);
        let path = format!("/api/v1/admin/dead-letters/{event}/{number}/retry");
        let reason = json!({ "reason": "the workers have stopped dying" });
        let reply = shop
            .post(&operator, &path, &number.to_string(), &reason)
            .await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
    }
    letters.len()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make soak-kills"]
async fn nobody_pays_twice_or_for_nothing_however_often_they_die() {
    let (wanted, seed) = (setting("KILLS", 200), setting("SEED", rand::random()));
    println!("KILLS={wanted} SEED={seed}");
    let (listener, dying) = listen().await;
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let shop = Shop::open_with(Options {
        webhooks: Webhooks::To(dying.clone()),
        seats: 4000,
        ..Options::default()
    })
    .await;
    let (t, seats) = (Tally::default(), AtomicI32::new(0));
    tokio::join!(
        keep_dying(&shop, "worker", None, 24, seed, &t),
        keep_dying(&shop, "worker", None, 24, seed.wrapping_add(1), &t),
        keep_dying(&shop, "serve", Some(&address), 6, seed.wrapping_add(2), &t),
        async {
            while !t.enough.load(Ordering::Relaxed) {
                let again = retry_dead_letters(&shop).await;
                t.retried.fetch_add(again, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        },
        async {
            let buyers = (3..3 + BUYERS)
                .map(|n| buy_on(&shop, &dying, &seats, seed.wrapping_add(n), wanted, &t));
            futures::future::join_all(buyers).await;
            // Only now: whoever still waits for an order needs workers, however short-lived.
            t.enough.store(true, Ordering::Relaxed);
        },
    );
    // Somebody who doesn't die comes and finishes; the operator has a last look.
    shop.work();
    let retried = t.retried.load(Ordering::Relaxed) + retry_dead_letters(&shop).await;
    let unsettled = "SELECT (SELECT count(*) FROM orders
            WHERE status NOT IN ('paid', 'failed', 'expired', 'refunded')
                OR (refund_requested_at IS NOT NULL AND status <> 'refunded'))
        + (SELECT count(*) FROM partial_refunds WHERE state <> 'completed')
        + (SELECT count(*) FROM outbox WHERE done_at IS NULL)";
    shop.until_count(unsettled, 0).await;
    let (kills, orders) = (&t.kills, &t.orders);
    let points = t.points.lock().unwrap().clone();
    println!(
        "{kills:?} kills at {} points, {orders:?} orders, {retried} dead letters retried",
        points.len()
    );
    for (point, times) in &points {
        println!("  {times:>3} {point}");
    }
    assert!(kills.load(Ordering::Relaxed) >= wanted);
    let acknowledged = i64::try_from(orders.load(Ordering::Relaxed)).unwrap();
    assert_eq!(
        shop.count("SELECT count(*) FROM orders").await,
        acknowledged
    );
    for never in [
        "SELECT count(*) FROM orders WHERE quarantined IS NOT NULL",
        "SELECT count(*) FROM dead_letters WHERE resolution IS NULL",
    ] {
        assert_eq!(shop.count(never).await, 0, "{never}");
    }
    // Nobody charged twice, nor without ticket or refund; the ledger balances and agrees.
    shop.close().await;
}
