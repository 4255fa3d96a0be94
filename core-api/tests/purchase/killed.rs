//! Real worker processes, killed with SIGKILL again and again while people buy.

use super::support::Shop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn killed_workers_lose_nothing() {
    let shop = Shop::open().await;
    let bought = AtomicBool::new(false);
    let killing = async {
        let mut kills = 0;
        let mut other = shop.worker_process();
        while !bought.load(Ordering::Relaxed) {
            let mut one = shop.worker_process();
            tokio::time::sleep(Duration::from_millis(300)).await;
            other.start_kill().unwrap();
            other.wait().await.unwrap();
            std::mem::swap(&mut one, &mut other);
            kills += 1;
        }
        // The last one is told to stop, and does.
        let pid = other.id().unwrap().to_string();
        tokio::process::Command::new("kill")
            .arg(&pid)
            .status()
            .await
            .unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(22), other.wait()).await;
        assert!(
            ended.unwrap().unwrap().success(),
            "a worker told to stop ends well"
        );
        kills
    };
    let buying = async {
        for round in 0..6 {
            tokio::join!(buy(&shop, 2 * round), buy(&shop, 2 * round + 1));
        }
        bought.store(true, Ordering::Relaxed);
    };
    let (kills, ()) = tokio::join!(killing, buying);
    assert!(kills >= 5, "only {kills} kills");
    println!("{kills} kills");
    assert_eq!(shop.seats("sold").await, 8);
    assert_eq!(shop.count("SELECT count(*) FROM tickets").await, 8);
    shop.close().await;
}

async fn buy(shop: &Shop, seat: i32) {
    let buyer = shop.buyer(&format!("fan{seat}")).await;
    let hold = shop.hold(&buyer, &[seat]).await;
    let provider = if seat % 2 == 0 { "card" } else { "paypal" };
    let order = shop.order(&buyer, hold, provider).await;
    let page = shop.page(&buyer, order).await;
    let (outcome, end) = match seat % 3 {
        2 => ("decline", "failed"),
        _ => ("approve", "paid"),
    };
    shop.choose(&page, outcome, 0).await;
    shop.until(&buyer, order, end).await;
}
