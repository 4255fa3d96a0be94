//! Many orders at once: within the provider's limit, in order, and no provider waits for another.

use super::support::{Options, Shop};
use serde_json::{Value, json};
use std::time::Duration;

const STARTED: &str = "SELECT count(*) FROM orders WHERE status = 'awaiting_payment'";
/// Jobs begun before one that was queued before them in the same lane.
const OVERTAKEN: &str = "
    SELECT count(*) FROM (
        SELECT begun, max(begun) OVER (PARTITION BY x.event_id, o.provider
            ORDER BY x.outbox_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS latest_before
        FROM outbox x JOIN orders o USING (event_id, order_id)
        WHERE begun IS NOT NULL) b
    WHERE begun < latest_before";

async fn stats(shop: &Shop) -> Value {
    let url = format!("{}/sandbox/stats", shop.sandbox);
    let reply = shop.http.get(url).send().await.unwrap();
    reply.json().await.unwrap()
}

async fn metrics(shop: &Shop) -> String {
    let url = format!("{}/metrics", shop.core);
    let reply = shop.http.get(url).send().await.unwrap();
    reply.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_keeps_to_the_limit_and_to_the_order() {
    const RATE: u64 = 60;
    let shop = Shop::open_with(Options {
        rates: format!("card={RATE},paypal={RATE}"),
        seats: 300,
        ..Options::default()
    })
    .await;
    shop.queue(0, 300, &["card", "paypal"]).await;
    // Two workers in one process; a lane is one's at a time.
    shop.work();
    shop.work();
    let backlog = format!(
        "catraca_purchase_backlog{{event=\"{}\",provider=\"paypal\"}}",
        shop.event.0
    );
    let mut seen = 0.0_f64;
    while shop.count(STARTED).await < 300 {
        let text = metrics(&shop).await;
        let line = text.lines().find(|line| line.starts_with(&backlog));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        seen = seen.max(value.unwrap_or(0.0));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(seen > 20.0, "the backlog was not to be seen: {seen}");
    assert_eq!(shop.count(OVERTAKEN).await, 0, "begun out of order");
    for provider in stats(&shop).await["providers"].as_array().unwrap() {
        let peak = provider["peak_requests_per_second"].as_u64().unwrap();
        assert!(peak <= RATE, "{provider}");
        println!(
            "{}: at most {peak} requests in a second",
            provider["provider"]
        );
    }
    let text = metrics(&shop).await;
    for name in [
        "catraca_ledger_imbalance 0",
        "catraca_provider_calls_total{provider=\"card\",call=\"start\",outcome=\"ok\"}",
        "catraca_provider_call_seconds",
        "catraca_purchase_oldest_seconds",
    ] {
        assert!(text.contains(name), "{name} is not among the metrics");
    }
    shop.close().await;
}

/// One provider hangs with its lane full; the other's orders of the same event go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_holds_up_no_other() {
    let shop = Shop::open_with(Options {
        seats: 420,
        ..Options::default()
    })
    .await;
    shop.fault(
        &json!({ "provider": "card", "call": "start", "fault": "timeout_before",
                        "times": 64, "seconds": 60 }),
    )
    .await;
    shop.queue(0, 400, &["card"]).await;
    shop.queue(400, 20, &["paypal"]).await;
    shop.work();
    let paypal = "SELECT count(*) FROM orders
        WHERE status = 'awaiting_payment' AND provider = 'paypal'";
    let begun = std::time::Instant::now();
    shop.until_count(paypal, 20).await;
    assert!(
        begun.elapsed() < Duration::from_secs(28),
        "waited for the other"
    );
    assert_eq!(shop.count(STARTED).await, 20, "the other does not hang");
    let hanging = "SELECT count(*) FROM outbox x JOIN orders o USING (event_id, order_id)
        WHERE o.provider = 'card' AND x.begun IS NOT NULL";
    // Bounded calls under way.
    shop.until_count(hanging, 32).await;
    shop.abandon().await;
}
