//! What can't be worked off becomes a dead letter: seen, retried, dropped, and the lane goes on.

use super::support::{Buyer, Shop};
use catraca_domain::ids::OrderId;
use serde_json::{Value, json};

/// An order that fails whenever it is looked at: its provider is unknown here.
async fn broken(shop: &Shop, ana: &Buyer, seat: i32) -> OrderId {
    let hold = shop.hold(ana, &[seat]).await;
    let order = shop.order(ana, hold, "card").await;
    provider(shop, order, "barter").await;
    order
}

async fn provider(shop: &Shop, order: OrderId, provider: &str) {
    for table in ["orders", "payments"] {
        let sql = format!("UPDATE {table} SET provider = '{provider}' WHERE order_id = '{order}'");
        shop.db().await.batch_execute(&sql).await.unwrap();
    }
}

/// Waits for the letter, without the pauses between tries.
async fn letter(shop: &Shop, operator: &Buyer, order: OrderId) -> Value {
    for _ in 0..800 {
        let sooner = "UPDATE outbox SET not_before = NULL WHERE not_before IS NOT NULL";
        shop.db().await.execute(sooner, &[]).await.unwrap();
        let list = shop.get(operator, "/api/v1/admin/dead-letters").await;
        assert_eq!(list.status, 200, "{}", list.body);
        let letters = list.body["dead_letters"].as_array().unwrap();
        if let Some(letter) = letters.iter().find(|l| l["order"] == order.to_string()) {
            return letter.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("no dead letter after 20 s");
}

async fn shown(shop: &Shop) -> i64 {
    redis::cmd("XLEN")
        .arg(format!("purchase:{{{}}}:dead", shop.event.0))
        .query_async(&mut shop.app.redis.clone())
        .await
        .unwrap()
}

async fn until_shown(shop: &Shop, expected: i64) {
    for _ in 0..200 {
        if shown(shop).await == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!(
        "{} letters in the stream, not {expected}",
        shown(shop).await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_seen_and_retried_or_dropped() {
    let shop = Shop::open().await;
    let ana = shop.buyer("ana").await;
    let operator = shop.person("operator", &["operator"]).await;
    let (first, second) = (broken(&shop, &ana, 0).await, broken(&shop, &ana, 1).await);
    let hold = shop.hold(&ana, &[2]).await;
    let sound = shop.order(&ana, hold, "card").await;
    shop.work();
    shop.page(&ana, sound).await;
    let one = letter(&shop, &operator, first).await;
    let two = letter(&shop, &operator, second).await;
    assert_eq!(one["failures"], 5);
    assert_eq!(one["provider"], "barter");
    assert_eq!(one["order_status"], "queued");
    assert!(one["error"].as_str().unwrap().contains("not configured"));
    // In Redis too, and again after Redis has lost everything: the table is the truth.
    until_shown(&shop, 2).await;
    let _: () = redis::cmd("FLUSHDB")
        .query_async(&mut shop.app.redis.clone())
        .await
        .unwrap();
    until_shown(&shop, 2).await;

    let path = |letter: &Value, what: &str| {
        let number = &letter["letter"];
        format!("/api/v1/admin/dead-letters/hamlet/{number}/{what}")
    };
    let body = json!({ "reason": "provider is back" });
    let retry = path(&one, "retry");
    shop.post(&ana, &retry, "k", &body)
        .await
        .assert_problem(403, "forbidden");
    shop.post(&operator, &retry, "k", &json!({ "reason": " " }))
        .await
        .assert_problem(422, "invalid_field");
    provider(&shop, first, "card").await;
    let reply = shop.post(&operator, &retry, "k", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    shop.page(&ana, first).await;
    shop.post(&operator, &retry, "k", &body)
        .await
        .assert_problem(404, "not_found");
    let reply = shop
        .post(
            &operator,
            &path(&two, "drop"),
            "k",
            &json!({ "reason": "test order" }),
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    until_shown(&shop, 0).await;
    shop.until_count("SELECT count(*) FROM outbox WHERE done_at IS NULL", 0)
        .await;
    assert_eq!(shop.view(&ana, second).await["status"], "queued");
    let money = shop
        .get(&operator, &format!("/api/v1/admin/orders/{second}"))
        .await;
    assert_eq!(money.body["decisions"][0]["action"], "drop_dead_letter");
    assert_eq!(money.body["decisions"][0]["reason"], "test order");
    shop.close().await;
}
