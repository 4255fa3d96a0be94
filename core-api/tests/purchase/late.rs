//! Money that comes after the hold is over.

use super::support::Shop;
use catraca_core::purchase::settle::Outcome;
use serde_json::json;
use std::time::Duration;

/// Pays after the deadline: the seats are still free, so they are sold after all.
async fn still_free(provider: &str, swept: bool) {
    let shop = Shop::open_deaf().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0, 1]).await;
    let order = shop.order(&ana, hold, provider).await;
    shop.settle(order).await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "approve", 0).await;
    shop.hold_ends(hold, Duration::ZERO).await;
    if swept {
        sweep(&shop).await;
    }
    shop.settle(order).await;
    let paid = shop.view(&ana, order).await;
    assert_eq!(paid["status"], "paid", "{paid}");
    assert_eq!(shop.seats("sold").await, 2);
    assert_eq!(
        shop.count("SELECT count(*) FROM holds WHERE state = 'sold'")
            .await,
        1
    );
    shop.close().await;
}

async fn sweep(shop: &Shop) {
    let db = shop.db().await;
    db.batch_execute(
        "UPDATE seats SET state = 'free', hold_id = NULL, held_until = NULL
             WHERE state = 'held' AND held_until < now();
         UPDATE holds SET state = 'expired' WHERE state = 'active' AND expires_at < now();",
    )
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_late_with_the_seats_still_free() {
    still_free("card", true).await;
    still_free("paypal", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_late_with_the_seats_not_even_swept() {
    still_free("card", false).await;
    still_free("paypal", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_late_with_a_seat_gone() {
    for provider in ["card", "paypal"] {
        let shop = Shop::open_deaf().await;
        let (ana, bia) = (shop.buyer("ana").await, shop.buyer("bia").await);
        let hold = shop.hold(&ana, &[0, 1]).await;
        let order = shop.order(&ana, hold, provider).await;
        shop.settle(order).await;
        let page = shop.page(&ana, order).await;
        shop.choose(&page, "approve", 0).await;
        shop.hold_ends(hold, Duration::ZERO).await;
        shop.hold(&bia, &[1]).await;
        shop.settle(order).await;
        let expired = shop.view(&ana, order).await;
        assert_eq!(expired["status"], "expired", "{expired}");
        assert!(
            expired["failure"]
                .as_str()
                .unwrap()
                .contains("somebody else"),
            "{expired}"
        );
        assert_eq!(shop.ledger(order).await["captured_minor"], 0);
        assert_eq!(
            shop.seats("held").await,
            1,
            "the other buyer's hold is untouched"
        );
        assert_eq!(shop.seats("free").await, 11);
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_while_the_provider_is_still_at_it() {
    let shop = Shop::open_deaf().await;
    shop.work();
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "approve", 4).await;
    shop.hold_ends(hold, Duration::from_secs(1)).await;
    // Not guessed: neither expired nor sold until the provider has spoken, and then sold.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(shop.view(&ana, order).await["status"], "awaiting_payment");
    shop.until(&ana, order, "paid").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_late_payments_for_one_seat_sell_it_once() {
    let shop = Shop::open_deaf().await;
    let (ana, bia) = (shop.buyer("ana").await, shop.buyer("bia").await);
    let mut orders = Vec::new();
    for buyer in [&ana, &bia] {
        let hold = shop.hold(buyer, &[5]).await;
        let order = shop.order(buyer, hold, "card").await;
        shop.settle(order).await;
        let page = shop.page(buyer, order).await;
        shop.choose(&page, "approve", 0).await;
        shop.hold_ends(hold, Duration::ZERO).await;
        orders.push(order);
    }
    tokio::join!(shop.settle(orders[0]), shop.settle(orders[1]));
    let mut statuses = vec![
        shop.view(&ana, orders[0]).await["status"]
            .as_str()
            .unwrap()
            .to_owned(),
        shop.view(&bia, orders[1]).await["status"]
            .as_str()
            .unwrap()
            .to_owned(),
    ];
    statuses.sort();
    assert_eq!(statuses, ["expired", "paid"]);
    shop.close().await;
}

/// A provider that was away, or asked by nobody, until it had forgotten the payment.
#[tokio::test(flavor = "multi_thread")]
async fn never_paid_and_forgotten() {
    let shop = Shop::open_deaf().await;
    let ana = shop.buyer("ana").await;
    for (provider, seats) in [("card", [0, 1]), ("paypal", [2, 3]), ("pix", [4, 5])] {
        let hold = shop.hold(&ana, &seats).await;
        let order = shop.order(&ana, hold, provider).await;
        shop.settle(order).await;
        shop.expire(order).await;
        if provider == "paypal" {
            // As long as it could be paid, "unknown" may be a mistake of theirs.
            assert_eq!(shop.settle(order).await, Outcome::Waiting);
            assert_eq!(shop.view(&ana, order).await["status"], "awaiting_payment");
        }
        shop.hold_ends(hold, Duration::ZERO).await;
        assert_eq!(shop.settle(order).await, Outcome::Resting, "{provider}");
        let expired = shop.view(&ana, order).await;
        assert_eq!(expired["status"], "expired", "{expired}");
        let failure = expired["failure"].as_str().unwrap();
        assert!(failure.contains("not made in time"), "{failure}");
        let ledger = shop.ledger(order).await;
        assert_eq!(ledger["captured_minor"], 0, "{ledger}");
    }
    let unfinished = "SELECT count(*) FROM orders WHERE next_look_at IS NOT NULL";
    assert_eq!(shop.count(unfinished).await, 0);
    shop.close().await;
}

/// Money might have been set aside, so a person looks and says that none was.
#[tokio::test(flavor = "multi_thread")]
async fn agreed_to_and_forgotten() {
    let shop = Shop::open_deaf().await;
    let (ana, bia) = (shop.buyer("ana").await, shop.buyer("bia").await);
    let operator = shop.person("operator", &["operator"]).await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "paypal").await;
    shop.settle(order).await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "approve", 0).await;
    // Written down, and then the call gets no further.
    let fault = json!({ "provider": "paypal", "call": "authorise", "fault": "http_500" });
    shop.fault(&fault).await;
    assert_eq!(shop.settle(order).await, Outcome::Waiting);
    shop.expire(order).await;
    shop.hold_ends(hold, Duration::ZERO).await;
    shop.hold(&bia, &[0]).await;
    assert_eq!(shop.settle(order).await, Outcome::Quarantined);
    let list = shop.get(&operator, "/api/v1/admin/quarantine").await;
    let why = list.body["orders"][0]["why"].as_str().unwrap();
    assert!(why.contains("no longer knows"), "{why}");

    let path = format!("/api/v1/admin/orders/{order}/resolve");
    let body = json!({ "action": "give_back", "reason": "nothing at PayPal" });
    let reply = shop.post(&operator, &path, "k", &body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    assert_eq!(shop.settle(order).await, Outcome::Resting);
    assert_eq!(shop.view(&ana, order).await["status"], "failed");
    shop.close().await;
}
