//! The worker dies at every point where it could, and another goes on.

use super::support::Shop;
use catraca_core::error::ApiError;
use catraca_core::purchase::settle::settle_until;
use catraca_domain::ids::OrderId;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Settles, dying at the `nth` point. True when there was such a point.
async fn die_at(shop: &Shop, order: OrderId, nth: usize) -> bool {
    let passed = AtomicUsize::new(0);
    let fuse = |point: &'static str| {
        if passed.fetch_add(1, Ordering::Relaxed) == nth {
            return Err(ApiError::internal(format!("died at: {point}")));
        }
        Ok(())
    };
    settle_until(&shop.app, shop.event, order, &fuse)
        .await
        .is_err()
}

/// Dies at the first point, then at the second, and so on until one look comes through.
async fn settle_dying(shop: &Shop, order: OrderId) -> usize {
    for nth in 0..64 {
        if !die_at(shop, order, nth).await {
            return nth;
        }
    }
    panic!("never came through");
}

async fn dying_all_the_way(provider: &str, outcome: &str, end: &str) {
    let shop = Shop::open_deaf().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0, 1]).await;
    let order = shop.order(&ana, hold, provider).await;
    settle_dying(&shop, order).await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, outcome, 0).await;
    let deaths = settle_dying(&shop, order).await;
    assert!(deaths >= 2, "only {deaths} points");
    assert_eq!(shop.view(&ana, order).await["status"], end);
    shop.ledger(order).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_survives_a_death_at_every_point() {
    for provider in ["card", "paypal"] {
        dying_all_the_way(provider, "approve", "paid").await;
        dying_all_the_way(provider, "decline", "failed").await;
    }
}

/// For each point: an order of its own dies exactly there, then settles untroubled.
#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_survives_one_death_at_each_point() {
    let shop = Shop::open_deaf().await;
    for nth in 0..12 {
        let ana = shop.buyer("ana").await;
        let hold = shop.hold(&ana, &[i32::try_from(nth).unwrap()]).await;
        let order = shop.order(&ana, hold, "paypal").await;
        die_at(&shop, order, nth % 5).await;
        shop.settle(order).await;
        let page = shop.page(&ana, order).await;
        shop.choose(&page, "approve", 0).await;
        die_at(&shop, order, nth).await;
        shop.settle(order).await;
        assert_eq!(shop.view(&ana, order).await["status"], "paid");
    }
    assert_eq!(shop.seats("sold").await, 12);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_survives_a_death_at_every_point() {
    for seat_lost in [false, true] {
        let shop = Shop::open_deaf().await;
        let (ana, bia) = (shop.buyer("ana").await, shop.buyer("bia").await);
        let hold = shop.hold(&ana, &[0, 1]).await;
        let order = shop.order(&ana, hold, "paypal").await;
        shop.settle(order).await;
        let page = shop.page(&ana, order).await;
        shop.choose(&page, "approve", 0).await;
        shop.hold_ends(hold, Duration::ZERO).await;
        if seat_lost {
            shop.hold(&bia, &[0]).await;
        }
        settle_dying(&shop, order).await;
        let end = if seat_lost { "expired" } else { "paid" };
        assert_eq!(shop.view(&ana, order).await["status"], end);
        shop.close().await;
    }
}

/// Two workers at one order at once, without any lease between them.
#[tokio::test(flavor = "multi_thread")]
async fn two_at_one_order_do_no_harm() {
    let shop = Shop::open_deaf().await;
    for (seat, provider) in [(0, "card"), (1, "paypal"), (2, "card"), (3, "paypal")] {
        let ana = shop.buyer("ana").await;
        let hold = shop.hold(&ana, &[seat]).await;
        let order = shop.order(&ana, hold, provider).await;
        let both = || async {
            let one = settle_until(&shop.app, shop.event, order, &|_| Ok(()));
            let two = settle_until(&shop.app, shop.event, order, &|_| Ok(()));
            let _ = tokio::join!(one, two);
            shop.settle(order).await;
        };
        both().await;
        let page = shop.page(&ana, order).await;
        shop.choose(&page, "approve", 0).await;
        both().await;
        assert_eq!(shop.view(&ana, order).await["status"], "paid");
    }
    assert_eq!(shop.count("SELECT count(*) FROM tickets").await, 4);
    shop.close().await;
}
