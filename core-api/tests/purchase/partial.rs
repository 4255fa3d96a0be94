//! Refunds in part: never more than was captured, each once, tickets void and seats on sale at
//! once; and the ledger that says so.

use super::support::{Buyer, Reply, Shop};
use catraca_core::error::ApiError;
use catraca_core::purchase::settle::settle_until;
use catraca_domain::ids::OrderId;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

async fn paid(shop: &Shop, ana: &Buyer, provider: &str, seats: &[i32]) -> (OrderId, Value) {
    let hold = shop.hold(ana, seats).await;
    let order = shop.order(ana, hold, provider).await;
    let page = shop.page(ana, order).await;
    shop.choose(&page, "approve", 0).await;
    let view = shop.until(ana, order, "paid").await;
    (order, view)
}

async fn refund(shop: &Shop, operator: &Buyer, order: OrderId, key: &str, body: &Value) -> Reply {
    let path = format!("/api/v1/admin/orders/{order}/refund");
    shop.post(operator, &path, key, body).await
}

async fn until_refunded(shop: &Shop, ana: &Buyer, order: OrderId, minor: i64) -> Value {
    for _ in 0..800 {
        let view = shop.view(ana, order).await;
        if view["refunded"]["amount_minor"] == minor {
            return view;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not given back: {}", shop.view(ana, order).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn some_tickets_go_back_and_their_seats_are_sold_again() {
    for provider in ["card", "paypal"] {
        let shop = Shop::open().await;
        shop.work();
        let (ana, bia) = (shop.buyer("ana").await, shop.buyer("bia").await);
        let operator = shop.person("operator", &["operator"]).await;
        let (order, view) = paid(&shop, &ana, provider, &[0, 1, 2]).await;
        let ticket = view["tickets"][1]["ticket"].clone();
        let body = json!({ "tickets": [ticket], "reason": "asked nicely" });
        refund(&shop, &ana, order, "k", &body)
            .await
            .assert_problem(403, "forbidden");
        let reply = refund(&shop, &operator, order, "k", &body).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        assert_eq!(reply.body["amount"]["amount_minor"], 12_500);
        // At once, whatever the provider is doing.
        let view = shop.view(&ana, order).await;
        assert_eq!(view["status"], "paid");
        assert_eq!(view["tickets"].as_array().unwrap().len(), 2);
        assert_eq!(view["refunds"][0]["seats"][0]["seat"], "2");
        assert_eq!(shop.seats("free").await, 10);
        paid(&shop, &bia, provider, &[1]).await;
        // The same key is the same refund; another for the same ticket is refused.
        let again = refund(&shop, &operator, order, "k", &body).await;
        assert_eq!((again.status, &again.body), (202, &reply.body));
        refund(&shop, &operator, order, "k2", &body)
            .await
            .assert_problem(422, "invalid_field");
        until_refunded(&shop, &ana, order, 12_500).await;
        assert_eq!(shop.ledger(order).await["refunded_minor"], 12_500);
        // An amount, then all that is left.
        let body = json!({ "amount_minor": 500 });
        assert_eq!(
            refund(&shop, &operator, order, "k3", &body).await.status,
            202
        );
        until_refunded(&shop, &ana, order, 13_000).await;
        assert_eq!(
            refund(&shop, &operator, order, "k4", &json!({}))
                .await
                .status,
            202
        );
        let view = shop.until(&ana, order, "refunded").await;
        assert_eq!(view["refunded"]["amount_minor"], 37_500);
        assert_eq!(shop.ledger(order).await["refunded_minor"], 37_500);
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_at_once_never_more_than_was_captured() {
    let shop = Shop::open().await;
    shop.work();
    let ana = shop.buyer("ana").await;
    let operator = shop.person("operator", &["operator"]).await;
    let (order, _) = paid(&shop, &ana, "paypal", &[0, 1]).await;
    let body = json!({ "amount_minor": 4_000 });
    let asked = (0..12).map(|n| {
        let (shop, operator, body) = (&shop, &operator, &body);
        // Each twice, by the same key.
        async move { refund(shop, operator, order, &format!("k{}", n / 2), body).await }
    });
    let replies = futures::future::join_all(asked).await;
    let granted: std::collections::HashSet<String> = replies
        .iter()
        .filter(|reply| reply.status == 202)
        .map(|reply| reply.body["refund"].to_string())
        .collect();
    assert_eq!(granted.len(), 6, "6 times 40 is less than 250");
    let seventh = refund(&shop, &operator, order, "more", &body).await;
    seventh.assert_problem(409, "not_refundable");
    assert_eq!(seventh.body["left_minor"], 1_000);
    until_refunded(&shop, &ana, order, 24_000).await;
    assert_eq!(shop.ledger(order).await["refunded_minor"], 24_000);
    // PostgreSQL itself refuses to promise more.
    let more = "UPDATE payments SET promised_minor = captured_minor + 1";
    assert!(shop.db().await.execute(more, &[]).await.is_err());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_parts_are_refused() {
    let shop = Shop::open().await;
    shop.work();
    let (ana, bia) = (shop.buyer("ana").await, shop.buyer("bia").await);
    let operator = shop.person("operator", &["operator"]).await;
    let (order, view) = paid(&shop, &ana, "card", &[0, 1]).await;
    let (_, others) = paid(&shop, &bia, "card", &[2]).await;
    let mine = view["tickets"][0]["ticket"].clone();
    let theirs = others["tickets"][0]["ticket"].clone();
    for (field, body) in [
        ("amount_minor", json!({ "amount_minor": 0 })),
        ("amount_minor", json!({ "amount_minor": -1 })),
        (
            "amount_minor",
            json!({ "amount_minor": 1, "tickets": [mine] }),
        ),
        ("tickets", json!({ "tickets": [] })),
        ("tickets", json!({ "tickets": [theirs] })),
        ("tickets", json!({ "tickets": [mine, mine] })),
        ("tickets[0]", json!({ "tickets": [7] })),
        ("ticket", json!({ "ticket": mine })),
        (
            "reason",
            json!({ "amount_minor": 1, "reason": "x".repeat(301) }),
        ),
    ] {
        let reply = refund(&shop, &operator, order, "k", &body).await;
        reply.assert_problem(422, "invalid_field");
        assert_eq!(reply.body["errors"][0]["field"], field, "{}", reply.body);
    }
    for body in [
        json!({ "amount_minor": 25_000 }),
        json!({ "amount_minor": i64::MAX }),
        json!({ "tickets": [mine, view["tickets"][1]["ticket"]] }),
    ] {
        let reply = refund(&shop, &operator, order, "k", &body).await;
        reply.assert_problem(409, "not_refundable");
    }
    let path = format!("{}/api/v1/admin/orders/{order}/refund", shop.core);
    let keyless = shop.http.post(&path).header("cookie", &operator.cookies);
    Reply::of(keyless.json(&json!({ "amount_minor": 1 })))
        .await
        .assert_problem(400, "missing_idempotency_key");
    let cut = shop.http.post(&path).header("cookie", &operator.cookies);
    Reply::of(cut.body("{"))
        .await
        .assert_problem(400, "malformed_body");
    assert_eq!(shop.view(&ana, order).await["tickets"], view["tickets"]);
    assert_eq!(shop.count("SELECT count(*) FROM partial_refunds").await, 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_survives_a_death_at_every_point() {
    for provider in ["card", "paypal"] {
        let shop = Shop::open_deaf().await;
        let ana = shop.buyer("ana").await;
        let operator = shop.person("operator", &["operator"]).await;
        let hold = shop.hold(&ana, &[0, 1]).await;
        let order = shop.order(&ana, hold, provider).await;
        shop.settle(order).await;
        let page = shop.page(&ana, order).await;
        shop.choose(&page, "approve", 0).await;
        shop.settle(order).await;
        let ticket = shop.view(&ana, order).await["tickets"][0]["ticket"].clone();
        for body in [
            json!({ "tickets": [ticket] }),
            json!({ "amount_minor": 700 }),
        ] {
            let key = body.to_string();
            assert_eq!(
                refund(&shop, &operator, order, &key, &body).await.status,
                202
            );
        }
        let mut deaths = 0;
        loop {
            let passed = AtomicUsize::new(0);
            let fuse = |point: &'static str| {
                if passed.fetch_add(1, Ordering::Relaxed) == deaths {
                    return Err(ApiError::internal(point));
                }
                Ok(())
            };
            if settle_until(&shop.app, shop.event, order, &fuse)
                .await
                .is_ok()
            {
                break;
            }
            deaths += 1;
        }
        assert!(deaths >= 4, "only {deaths} points");
        assert_eq!(shop.ledger(order).await["refunded_minor"], 13_200);
        let done = "SELECT count(*) FROM partial_refunds WHERE state = 'completed'";
        assert_eq!(shop.count(done).await, 2);
        shop.close().await;
    }
}

/// Somebody at the provider's desk gives a part back: the tickets stay, and the books know.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_given_back_at_the_desk_is_entered() {
    let shop = Shop::open_deaf().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0, 1]).await;
    let order = shop.order(&ana, hold, "card").await;
    shop.settle(order).await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "approve", 0).await;
    shop.settle(order).await;
    let sql = format!("SELECT provider_ref FROM payments WHERE order_id = '{order}'");
    let reference: String = shop.db().await.query_one(&sql, &[]).await.unwrap().get(0);
    let reference = catraca_payments::ProviderRef::new(reference);
    let amount = catraca_domain::money::Money::new(900, "BRL".parse().unwrap()).unwrap();
    let adapter = shop.app.providers.get("card").unwrap();
    adapter
        .refund(&reference, amount, uuid::Uuid::new_v4())
        .await
        .unwrap();
    shop.settle(order).await;
    let view = shop.view(&ana, order).await;
    assert_eq!(view["status"], "paid");
    assert_eq!(view["refunded"]["amount_minor"], 900);
    assert_eq!(view["tickets"].as_array().unwrap().len(), 2);
    shop.close().await;
}

/// What PostgreSQL refuses, whoever asks.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_can_only_be_added_to_and_only_in_balance() {
    let shop = Shop::open_deaf().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await;
    shop.settle(order).await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "approve", 0).await;
    shop.settle(order).await;
    let db = shop.db().await;
    for change in [
        "UPDATE ledger SET amount_minor = amount_minor - 1",
        "DELETE FROM ledger",
        "TRUNCATE ledger",
        // Entered twice.
        "INSERT INTO ledger (event_id, order_id, kind, total_minor, amount_minor, debit, credit,
             provider, currency)
         SELECT event_id, order_id, kind, total_minor, amount_minor, debit, credit, provider,
             currency FROM ledger WHERE kind = 'captured'",
        // From an account to itself, to nowhere, and of nothing.
        "INSERT INTO ledger (event_id, order_id, kind, total_minor, amount_minor, debit, credit,
             provider, currency)
         SELECT event_id, order_id, kind, 99999, 1, debit, debit, provider, currency FROM ledger",
        "INSERT INTO ledger (event_id, order_id, kind, total_minor, amount_minor, debit, credit,
             provider, currency)
         SELECT event_id, order_id, kind, 99999, 1, debit, 'pocket', provider, currency FROM ledger",
        "INSERT INTO ledger (event_id, order_id, kind, total_minor, amount_minor, debit, credit,
             provider, currency)
         SELECT event_id, order_id, kind, 99999, 0, debit, credit, provider, currency FROM ledger",
    ] {
        assert!(db.execute(change, &[]).await.is_err(), "{change}");
    }
    let entries = "SELECT string_agg(kind || ' ' || amount_minor, ', ' ORDER BY entry) FROM ledger";
    let entries: String = db.query_one(entries, &[]).await.unwrap().get(0);
    assert_eq!(entries, "captured 12500, issued 12500");
    drop(db);
    shop.close().await;
}
