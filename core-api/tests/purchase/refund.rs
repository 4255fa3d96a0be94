//! A refund happens once, and gives the seats back.

use super::support::{Buyer, Shop};
use catraca_core::purchase::settle::settle_until;
use catraca_domain::ids::OrderId;
use serde_json::json;

async fn paid(shop: &Shop, ana: &Buyer, provider: &str) -> OrderId {
    let hold = shop.hold(ana, &[0, 1]).await;
    let order = shop.order(ana, hold, provider).await;
    let page = shop.page(ana, order).await;
    shop.choose(&page, "approve", 0).await;
    shop.until(ana, order, "paid").await;
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_twice_at_once_it_happens_once() {
    for provider in ["card", "paypal"] {
        let shop = Shop::open().await;
        shop.work();
        let ana = shop.buyer("ana").await;
        let operator = shop.person("operator", &["operator"]).await;
        let order = paid(&shop, &ana, provider).await;
        let path = format!("/api/v1/admin/orders/{order}/refund");
        shop.post(&ana, &path, "k", &json!({}))
            .await
            .assert_problem(403, "forbidden");
        let body = json!({});
        let (one, two) = tokio::join!(
            shop.post(&operator, &path, "a", &body),
            shop.post(&operator, &path, "b", &body),
        );
        assert!([200, 202].contains(&one.status) && [200, 202].contains(&two.status));
        let refunded = shop.until(&ana, order, "refunded").await;
        assert_eq!(refunded["tickets"], json!([]));
        assert_eq!(shop.post(&operator, &path, "c", &body).await.status, 200);
        let ledger = shop.ledger(order).await;
        assert_eq!(ledger["captured_minor"], 25_000);
        assert_eq!(ledger["refunded_minor"], 25_000);
        assert_eq!(shop.seats("free").await, 12);
        assert_eq!(
            shop.count("SELECT count(*) FROM refunds WHERE state = 'completed'")
                .await,
            1
        );
        assert_eq!(
            shop.count("SELECT count(*) FROM tickets WHERE voided_at IS NULL")
                .await,
            0
        );
        // The seats can be sold again, with tickets of their own.
        let bia = shop.buyer("bia").await;
        paid(&shop, &bia, provider).await;
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_paid_is_refunded() {
    let shop = Shop::open().await;
    let ana = shop.buyer("ana").await;
    let operator = shop.person("operator", &["operator"]).await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await;
    let path = format!("/api/v1/admin/orders/{order}/refund");
    shop.post(&operator, &path, "k", &json!({}))
        .await
        .assert_problem(409, "not_refundable");
    let nobody = format!(
        "/api/v1/admin/orders/{}/refund",
        shop.event.scoped_id([1; 12])
    );
    shop.post(&operator, &nobody, "k", &json!({}))
        .await
        .assert_problem(404, "order_not_found");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_survives_a_death_at_every_point() {
    for provider in ["card", "paypal"] {
        let shop = Shop::open_deaf().await;
        let ana = shop.buyer("ana").await;
        let operator = shop.person("operator", &["operator"]).await;
        let worker = shop.work();
        let order = paid(&shop, &ana, provider).await;
        worker.cancel();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let path = format!("/api/v1/admin/orders/{order}/refund");
        assert_eq!(
            shop.post(&operator, &path, "k", &json!({})).await.status,
            202
        );
        for nth in 0.. {
            let passed = std::sync::atomic::AtomicUsize::new(0);
            let fuse = |point: &'static str| {
                if passed.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == nth {
                    return Err(catraca_core::error::ApiError::internal(point));
                }
                Ok(())
            };
            if settle_until(&shop.app, shop.event, order, &fuse)
                .await
                .is_ok()
            {
                break;
            }
        }
        assert_eq!(shop.view(&ana, order).await["status"], "refunded");
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_given_back_at_the_providers_desk_takes_the_tickets_too() {
    let shop = Shop::open().await;
    shop.work();
    let ana = shop.buyer("ana").await;
    let order = paid(&shop, &ana, "card").await;
    let sql = format!("SELECT provider_ref FROM payments WHERE order_id = '{order}'");
    let reference: String = shop.db().await.query_one(&sql, &[]).await.unwrap().get(0);
    let adapter = shop.app.providers.get("card").unwrap();
    let reference = catraca_payments::ProviderRef::new(reference);
    let amount = catraca_domain::money::Money::new(25_000, "BRL".parse().unwrap()).unwrap();
    adapter
        .refund(&reference, amount, uuid::Uuid::new_v4())
        .await
        .unwrap();
    // Its webhook says so.
    shop.until(&ana, order, "refunded").await;
    shop.close().await;
}
