//! The ways a purchase goes while the hold is live, with a worker running.

use super::support::Shop;
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

async fn buy(provider: &str) {
    let shop = Shop::open().await;
    shop.work();
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[3, 4]).await;
    let order = shop.order(&ana, hold, provider).await;
    let page = shop.page(&ana, order).await;
    assert_eq!(shop.choose(&page, "approve", 0).await, 303);
    let paid = shop.until(&ana, order, "paid").await;
    assert_eq!(paid["event"], "hamlet");
    assert_eq!(
        paid["total"],
        json!({ "amount_minor": 25_000, "currency": "BRL" })
    );
    assert_eq!(paid["next_action"], Value::Null);
    assert_eq!(paid["failure"], Value::Null);
    let tickets = paid["tickets"].as_array().unwrap();
    let seats: Vec<_> = tickets
        .iter()
        .map(|t| t["seat"].as_str().unwrap())
        .collect();
    assert_eq!(seats, ["4", "5"]);
    assert_eq!(shop.seats("sold").await, 2);
    assert_eq!(shop.ledger(order).await["captured_minor"], 25_000);
    let ended = "SELECT count(*) FROM shopping_sessions WHERE end_reason = 'purchased'";
    assert_eq!(shop.count(ended).await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_buys_tickets() {
    buy("card").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paypal_buys_tickets() {
    buy("paypal").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_frees_the_seats() {
    let shop = Shop::open().await;
    shop.work();
    for (provider, seat) in [("card", 0), ("paypal", 1)] {
        let ana = shop.buyer(provider).await;
        let hold = shop.hold(&ana, &[seat]).await;
        let order = shop.order(&ana, hold, provider).await;
        let page = shop.page(&ana, order).await;
        shop.choose(&page, "decline", 0).await;
        let failed = shop.until(&ana, order, "failed").await;
        assert!(failed["failure"].as_str().unwrap().contains("declined"));
        assert_eq!(shop.seats("free").await, 12);
        // The page is closed: a second try there can't take money for seats that are gone.
        shop.choose(&page, "approve", 0).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(shop.ledger(order).await["captured_minor"], 0);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_payment_expires_with_its_hold() {
    let shop = Shop::open().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0, 1]).await;
    shop.hold_ends(hold, Duration::from_secs(3)).await;
    let order = shop.order(&ana, hold, "card").await;
    shop.work();
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "abandon", 0).await;
    let expired = shop.until(&ana, order, "expired").await;
    assert!(expired["failure"].as_str().unwrap().contains("in time"));
    assert_eq!(shop.seats("free").await, 12);
    assert_eq!(
        shop.choose(&page, "approve", 0).await,
        409,
        "the page is closed with the hold"
    );
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_takes_its_time_is_waited_for() {
    let shop = Shop::open_deaf().await;
    shop.work();
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "approve", 2).await;
    // No webhook comes: only asking finds out.
    shop.until(&ana, order, "paid").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_buy_at_once() {
    let shop = Shop::open().await;
    shop.work();
    let purchases = (0..12).map(|seat| {
        let shop = &shop;
        async move {
            let buyer = shop.buyer(&format!("fan{seat}")).await;
            let hold = shop.hold(&buyer, &[seat]).await;
            let provider = if seat % 2 == 0 { "card" } else { "paypal" };
            let order = shop.order(&buyer, hold, provider).await;
            let page = shop.page(&buyer, order).await;
            let outcome = if seat % 4 == 3 { "decline" } else { "approve" };
            shop.choose(&page, outcome, 0).await;
            let end = if outcome == "decline" {
                "failed"
            } else {
                "paid"
            };
            shop.until(&buyer, order, end).await;
        }
    });
    futures::future::join_all(purchases).await;
    assert_eq!(shop.seats("sold").await, 9);
    shop.until_idle().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_can_be_watched() {
    let shop = Shop::open().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await;
    let url = format!("{}/api/v1/orders/{order}/events", shop.core);
    let reply = shop
        .http
        .get(url)
        .header("cookie", &ana.cookies)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.headers()["content-type"], "text/event-stream");
    let mut stream = reply.bytes_stream();
    shop.until_heard().await;
    shop.work();
    let mut text = String::new();
    let mut paid = false;
    while let Some(chunk) = stream.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        if !paid && text.contains("\"redirect_url\"") {
            paid = true;
            let page = shop.page(&ana, order).await;
            shop.choose(&page, "approve", 0).await;
        }
    }
    // It ended by itself, after the last word.
    let statuses: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str::<Value>(data).unwrap()["status"].clone())
        .collect();
    assert_eq!(statuses.first().unwrap(), "queued");
    assert_eq!(statuses.last().unwrap(), "paid");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_orders_are_refused() {
    let shop = Shop::open().await;
    let (ana, bia) = (shop.buyer("ana").await, shop.buyer("bia").await);
    let hold = shop.hold(&ana, &[0]).await;
    let good = json!({ "hold": hold, "provider": "card" });
    let path = "/api/v1/orders";
    let ask = async |buyer, key, body: Value| shop.post(buyer, path, key, &body).await;
    ask(&bia, "k", good.clone())
        .await
        .assert_problem(404, "hold_not_found");
    let unknown = json!({ "hold": shop.event.scoped_id([7; 12]), "provider": "card" });
    ask(&ana, "k", unknown)
        .await
        .assert_problem(404, "hold_not_found");
    let foreign = json!({ "hold": Uuid::new_v4(), "provider": "card" });
    ask(&ana, "k", foreign)
        .await
        .assert_problem(404, "hold_not_found");
    let barter = json!({ "hold": hold, "provider": "barter" });
    let refused = ask(&ana, "k", barter).await;
    refused.assert_problem(422, "invalid_field");
    assert_eq!(refused.body["errors"][0]["field"], "provider");
    ask(&ana, "k", json!({ "hold": 7, "provider": "card" }))
        .await
        .assert_problem(422, "invalid_field");
    ask(&ana, "k", json!([]))
        .await
        .assert_problem(400, "malformed_body");

    let first = ask(&ana, "k", good.clone()).await;
    assert_eq!(first.status, 202);
    let again = ask(&ana, "k", good.clone()).await;
    assert_eq!(
        (again.status, &again.body),
        (202, &first.body),
        "the same key, the same answer"
    );
    ask(&ana, "k", json!({ "hold": hold, "provider": "paypal" }))
        .await
        .assert_problem(422, "idempotency_key_reused");
    let second = ask(&ana, "other", good.clone()).await;
    second.assert_problem(409, "hold_has_order");
    assert_eq!(second.body["order"], first.body["order"]);

    let late = shop.hold(&ana, &[1]).await;
    shop.hold_ends(late, Duration::ZERO).await;
    let late = json!({ "hold": late, "provider": "card" });
    ask(&ana, "late", late)
        .await
        .assert_problem(410, "hold_expired");

    let order = first.body["order"].as_str().unwrap();
    shop.get(&bia, &format!("{path}/{order}"))
        .await
        .assert_problem(404, "order_not_found");
    shop.get(&ana, &format!("{path}/7"))
        .await
        .assert_problem(404, "order_not_found");
    let providers = shop.get(&ana, "/api/v1/payment-providers").await;
    assert_eq!(
        providers.body,
        json!({ "providers": ["card", "paypal", "pix"] })
    );
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 1);
    shop.close().await;
}
