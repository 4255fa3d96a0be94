//! A payment that is not what was ordered waits for an operator, who gives it back or accepts it.

use super::support::{Buyer, Shop};
use catraca_core::purchase::settle::Outcome;
use catraca_domain::ids::OrderId;
use serde_json::json;

/// The order's price is another than what the buyer paid.
async fn quarantined(shop: &Shop, ana: &Buyer, provider: &str, seat: i32) -> OrderId {
    let hold = shop.hold(ana, &[seat]).await;
    let order = shop.order(ana, hold, provider).await;
    shop.settle(order).await;
    let page = shop.page(ana, order).await;
    let sql = format!("UPDATE orders SET amount_minor = 11000 WHERE order_id = '{order}'");
    shop.db().await.batch_execute(&sql).await.unwrap();
    shop.choose(&page, "approve", 0).await;
    assert_eq!(shop.settle(order).await, Outcome::Quarantined);
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_decides_about_a_wrong_amount() {
    let shop = Shop::open_deaf().await;
    let ana = shop.buyer("ana").await;
    let operator = shop.person("operator", &["operator"]).await;
    // Set aside, set aside, and taken at once.
    let (given_back, accepted) = (
        quarantined(&shop, &ana, "card", 0).await,
        quarantined(&shop, &ana, "paypal", 1).await,
    );
    let taken = quarantined(&shop, &ana, "pix", 2).await;
    let list = shop.get(&operator, "/api/v1/admin/quarantine").await;
    let orders = list.body["orders"].as_array().unwrap();
    assert_eq!(orders.len(), 3, "{}", list.body);
    assert!(
        orders[0]["why"].as_str().unwrap().contains("125.00"),
        "{}",
        orders[0]
    );
    shop.get(&ana, "/api/v1/admin/quarantine")
        .await
        .assert_problem(403, "forbidden");
    // Nothing happens by itself.
    assert_eq!(shop.settle(given_back).await, Outcome::Quarantined);

    let path = |order: OrderId| format!("/api/v1/admin/orders/{order}/resolve");
    for (body, field) in [
        (json!({ "action": "accept", "reason": "x" }), "amount_minor"),
        (json!({ "action": "retry", "reason": "" }), "reason"),
        (json!({ "action": "burn", "reason": "x" }), "action"),
    ] {
        let reply = shop.post(&operator, &path(given_back), "k", &body).await;
        reply.assert_problem(422, "invalid_field");
        assert_eq!(reply.body["errors"][0]["field"], field, "{}", reply.body);
    }
    // Going on without having changed anything stops at the same place.
    let body = json!({ "action": "retry", "reason": "look again" });
    assert_eq!(
        shop.post(&operator, &path(given_back), "k", &body)
            .await
            .status,
        202
    );
    assert_eq!(shop.settle(given_back).await, Outcome::Quarantined);
    let body = json!({ "action": "give_back", "reason": "wrong amount" });
    for order in [given_back, taken] {
        let reply = shop.post(&operator, &path(order), "k", &body).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        shop.settle(order).await;
    }
    assert_eq!(shop.view(&ana, given_back).await["status"], "failed");
    assert_eq!(shop.ledger(given_back).await["captured_minor"], 0);
    assert_eq!(shop.view(&ana, taken).await["status"], "refunded");
    assert_eq!(shop.ledger(taken).await["refunded_minor"], 12_500);
    // Accepted at an amount that isn't there: it waits again.
    let body = json!({ "action": "accept", "reason": "fine", "amount_minor": 12_400 });
    shop.post(&operator, &path(accepted), "k", &body).await;
    assert_eq!(shop.settle(accepted).await, Outcome::Quarantined);
    let body = json!({ "action": "accept", "reason": "fine", "amount_minor": 12_500 });
    shop.post(&operator, &path(accepted), "k", &body).await;
    shop.settle(accepted).await;
    assert_eq!(shop.view(&ana, accepted).await["status"], "paid");
    assert_eq!(shop.ledger(accepted).await["captured_minor"], 12_500);
    shop.post(&operator, &path(accepted), "k", &body)
        .await
        .assert_problem(409, "conflict");

    let money = shop
        .get(&operator, &format!("/api/v1/admin/orders/{accepted}"))
        .await;
    assert_eq!(money.body["accepted_minor"], 12_500);
    assert_eq!(money.body["decisions"].as_array().unwrap().len(), 2);
    assert_eq!(money.body["ledger"][1]["credit"], "sales");
    let ledger = shop.get(&operator, "/api/v1/admin/ledger").await;
    assert_eq!(ledger.body["imbalance_minor"], 0);
    assert_eq!(
        ledger.body["accounts"].as_array().unwrap().len(),
        5,
        "{}",
        ledger.body
    );
    shop.close().await;
}
