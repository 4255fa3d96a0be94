//! A webhook is recorded before it is answered, and believed only as a hint.

use super::support::{CARD_WEBHOOK_SECRET, Reply, Shop};
use catraca_domain::secret::Secret;
use catraca_domain::signature;
use serde_json::{Value, json};
use time::OffsetDateTime;

async fn deliver(shop: &Shop, provider: &str, secret: &str, body: &Value) -> Reply {
    let raw = body.to_string();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let signed = signature::sign(&Secret::from(secret), now, raw.as_bytes());
    let request = shop.http.post(format!("{}/webhooks/{provider}", shop.core));
    Reply::of(request.header("stripe-signature", signed).body(raw)).await
}

fn event(id: &str, order: &str) -> Value {
    json!({ "id": id, "type": "payment_intent.succeeded",
            "data": { "object": { "object": "payment_intent", "id": "pi_1",
                                  "metadata": { "order": order } } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_foreign_webhooks_are_refused() {
    let shop = Shop::open_deaf().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await;
    shop.settle(order).await;
    let body = event("evt_1", &order.to_string());
    deliver(&shop, "card", "whsec_wrong", &body)
        .await
        .assert_problem(400, "bad_signature");
    deliver(&shop, "barter", CARD_WEBHOOK_SECRET, &body)
        .await
        .assert_problem(404, "not_found");
    let unsigned = shop
        .http
        .post(format!("{}/webhooks/card", shop.core))
        .body(body.to_string());
    Reply::of(unsigned)
        .await
        .assert_problem(400, "bad_signature");
    let unsigned = shop
        .http
        .post(format!("{}/webhooks/paypal", shop.core))
        .body(body.to_string());
    Reply::of(unsigned)
        .await
        .assert_problem(400, "bad_signature");
    let huge = shop
        .http
        .post(format!("{}/webhooks/card", shop.core))
        .body(vec![b' '; 300_000]);
    Reply::of(huge)
        .await
        .assert_problem(413, "payload_too_large");
    assert_eq!(shop.count("SELECT count(*) FROM webhook_events").await, 0);
    // Rightly signed but untrue: looked into, and nothing comes of it.
    assert_eq!(
        deliver(&shop, "card", CARD_WEBHOOK_SECRET, &body)
            .await
            .status,
        200
    );
    shop.settle(order).await;
    assert_eq!(shop.view(&ana, order).await["status"], "awaiting_payment");
    shop.close().await;
}

/// While a secret is replaced, either is good, and no third.
#[tokio::test(flavor = "multi_thread")]
async fn either_secret_is_good_while_one_is_replaced() {
    let shop = Shop::open_deaf().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await.to_string();
    for (id, secret, status) in [
        ("evt_1", "whsec_next", 200),
        ("evt_2", CARD_WEBHOOK_SECRET, 200),
        ("evt_3", "whsec_third", 400),
    ] {
        let reply = deliver(&shop, "card", secret, &event(id, &order)).await;
        assert_eq!(reply.status, status, "{id}");
    }
    // What a provider does while it knows both: two signatures, of which one is ours.
    let raw = event("evt_4", &order).to_string();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let ours = signature::sign(&Secret::from(CARD_WEBHOOK_SECRET), now, raw.as_bytes());
    let theirs = signature::sign(&Secret::from("whsec_old"), now, raw.as_bytes());
    let both = format!("{theirs},{}", ours.split_once(',').unwrap().1);
    let request = shop.http.post(format!("{}/webhooks/card", shop.core));
    let reply = Reply::of(request.header("stripe-signature", both).body(raw.clone())).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    // Late: rightly signed, but too long ago.
    let old = signature::sign(
        &Secret::from(CARD_WEBHOOK_SECRET),
        now - 400,
        raw.as_bytes(),
    );
    let request = shop.http.post(format!("{}/webhooks/card", shop.core));
    Reply::of(request.header("stripe-signature", old).body(raw))
        .await
        .assert_problem(400, "bad_signature");
    assert_eq!(shop.count("SELECT count(*) FROM webhook_events").await, 3);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_webhook_is_one_event() {
    let shop = Shop::open_deaf().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await;
    shop.db()
        .await
        .execute("UPDATE outbox SET done_at = now()", &[])
        .await
        .unwrap();
    let body = event("evt_1", &order.to_string());
    for _ in 0..3 {
        assert_eq!(
            deliver(&shop, "card", CARD_WEBHOOK_SECRET, &body)
                .await
                .status,
            200
        );
    }
    assert_eq!(shop.count("SELECT count(*) FROM webhook_events").await, 1);
    assert_eq!(
        shop.count("SELECT count(*) FROM outbox WHERE done_at IS NULL")
            .await,
        1
    );
    // Of no order of ours: kept, and nothing else.
    let stray = event("evt_2", &uuid::Uuid::new_v4().to_string());
    assert_eq!(
        deliver(&shop, "card", CARD_WEBHOOK_SECRET, &stray)
            .await
            .status,
        200
    );
    assert_eq!(shop.count("SELECT count(*) FROM webhook_events").await, 2);
    assert_eq!(
        shop.count("SELECT count(*) FROM outbox WHERE done_at IS NULL")
            .await,
        1
    );
    shop.close().await;
}
