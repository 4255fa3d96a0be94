//! Orders placed together, and those that cost nothing.

use super::support::Shop;
use catraca_domain::ids::HoldId;
use futures::future::join_all;
use serde_json::json;
use std::time::Duration;

impl Shop {
    async fn make_free(&self, hold: HoldId) {
        let sql = "UPDATE holds SET amount_minor = 0 WHERE hold_id = $1";
        self.db().await.execute(sql, &[&hold.0]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_nothing_is_paid_as_it_is_placed() {
    let shop = Shop::open().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[3, 4]).await;
    shop.make_free(hold).await;
    let body = json!({ "hold": hold, "provider": "card" });
    let first = shop.post(&ana, "/api/v1/orders", "k", &body).await;
    assert_eq!((first.status, &first.body["status"]), (202, &json!("paid")));
    // No worker has run.
    let order = first.body["order"].as_str().unwrap().parse().unwrap();
    let view = shop.view(&ana, order).await;
    assert_eq!(view["status"], "paid");
    assert_eq!(view["tickets"].as_array().unwrap().len(), 2);
    assert_eq!(shop.seats("sold").await, 2);
    let ended = "SELECT count(*) FROM shopping_sessions WHERE end_reason = 'purchased'";
    assert_eq!(shop.count(ended).await, 1);
    assert_eq!(shop.count("SELECT count(*) FROM outbox").await, 0);
    let again = shop.post(&ana, "/api/v1/orders", "k", &body).await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert_eq!(shop.count("SELECT count(*) FROM tickets").await, 2);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_has_an_answer_of_its_own() {
    let shop = Shop::open().await;
    let mut orders = Vec::new();
    for seat in 0..10 {
        let buyer = shop.buyer("ana").await;
        let hold = shop.hold(&buyer, &[seat]).await;
        match seat % 5 {
            0 | 1 => shop.make_free(hold).await,
            3 => shop.hold_ends(hold, Duration::ZERO).await,
            _ => {}
        }
        orders.push((buyer, hold));
    }
    // Somebody's who orders nothing: a hold that is asked for twice at once may be locked, and an order
    // that finds it so goes alone, and is left to the worker even if it costs nothing.
    let foreign = shop.hold(&shop.buyer("bia").await, &[10]).await;
    let asked = orders.iter().enumerate().map(|(index, (buyer, hold))| {
        let hold = if index % 5 == 4 { &foreign } else { hold };
        let body = json!({ "hold": hold, "provider": "card" });
        let shop = &shop;
        async move { shop.post(buyer, "/api/v1/orders", "k", &body).await }
    });
    for (index, reply) in join_all(asked).await.iter().enumerate() {
        match index % 5 {
            0 | 1 => assert_eq!(reply.body["status"], "paid", "{}", reply.body),
            2 => assert_eq!(reply.body["status"], "queued", "{}", reply.body),
            3 => reply.assert_problem(410, "hold_expired"),
            _ => reply.assert_problem(404, "hold_not_found"),
        }
    }
    assert_eq!(shop.count("SELECT count(*) FROM tickets").await, 4);
    assert_eq!(shop.count("SELECT count(*) FROM outbox").await, 2);
    shop.close().await;
}

/// A hold that has lost a seat, against all rules, sells nothing and spoils nobody's order.
#[tokio::test(flavor = "multi_thread")]
async fn a_seat_that_is_not_there_is_not_sold() {
    let shop = Shop::open().await;
    let mut orders = Vec::new();
    for seat in 0..6 {
        let buyer = shop.buyer("ana").await;
        let hold = shop.hold(&buyer, &[seat]).await;
        shop.make_free(hold).await;
        orders.push((buyer, hold));
    }
    let lost = "UPDATE seats SET state = 'free', hold_id = NULL, held_until = NULL
                WHERE hold_id = $1";
    let db = shop.db().await;
    db.execute(lost, &[&orders[0].1.0]).await.unwrap();
    drop(db);
    let asked = orders.iter().map(|(buyer, hold)| {
        let body = json!({ "hold": hold, "provider": "card" });
        let shop = &shop;
        async move { shop.post(buyer, "/api/v1/orders", "k", &body).await }
    });
    let replies = join_all(asked).await;
    assert!(replies.iter().all(|reply| reply.status == 202));
    let of_lost = format!(
        "SELECT count(*) FROM orders WHERE hold_id = '{}' AND status = 'paid'",
        orders[0].1
    );
    assert_eq!(shop.count(&of_lost).await, 0);
    let sold = shop
        .count("SELECT count(*) FROM seats WHERE state = 'sold'")
        .await;
    assert_eq!(shop.count("SELECT count(*) FROM tickets").await, sold);
    // The others' orders are paid, together or, queued, by the worker.
    shop.work();
    for (reply, (buyer, _)) in replies.iter().zip(&orders).skip(1) {
        let order = reply.body["order"].as_str().unwrap().parse().unwrap();
        shop.until(buyer, order, "paid").await;
    }
    let order = replies[0].body["order"].as_str().unwrap().parse().unwrap();
    shop.until(&orders[0].0, order, "expired").await;
    shop.close().await;
}
