//! Redis forgets, or is away: slower, never wrong.

use super::support::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_redis_is_lost_again_and_again() {
    let shop = Shop::open().await;
    shop.work();
    let client = redis::Client::open(shop.redis_url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let flushing = tokio::spawn(async move {
        loop {
            let flushed: redis::RedisResult<()> =
                redis::cmd("FLUSHDB").query_async(&mut redis).await;
            flushed.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    });
    let purchases = (0..6).map(|seat| {
        let shop = &shop;
        async move {
            let buyer = shop.buyer(&format!("fan{seat}")).await;
            let hold = shop.hold(&buyer, &[seat]).await;
            let order = shop.order(&buyer, hold, "card").await;
            let page = shop.page(&buyer, order).await;
            shop.choose(&page, "approve", 0).await;
            shop.until(&buyer, order, "paid").await;
        }
    });
    futures::future::join_all(purchases).await;
    flushing.abort();
    assert_eq!(shop.seats("sold").await, 6);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_tickets_are_sold_all_the_same() {
    let shop = Shop::open_without_redis().await;
    shop.work();
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "paypal").await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "approve", 0).await;
    shop.until(&ana, order, "paid").await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_takes_over_where_one_stopped() {
    let shop = Shop::open().await;
    let first = shop.work();
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await;
    let page = shop.page(&ana, order).await;
    first.cancel();
    shop.choose(&page, "approve", 0).await;
    shop.work();
    shop.until(&ana, order, "paid").await;
    shop.close().await;
}

/// A worker read an entry and died: whoever takes its lane over begins with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_entries_are_taken_over() {
    let shop = Shop::open().await;
    let ana = shop.buyer("ana").await;
    let hold = shop.hold(&ana, &[0]).await;
    let order = shop.order(&ana, hold, "card").await;
    let client = redis::Client::open(shop.redis_url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let stream = format!("purchase:{{{}}}:card", shop.event.0);
    let outbox = shop.count("SELECT outbox_id FROM outbox").await;
    let (id, _, (), _): (String, i64, (), redis::Value) = redis::pipe()
        .cmd("XADD")
        .arg(&stream)
        .arg("*")
        .arg("outbox")
        .arg(outbox)
        .arg("order")
        .arg(order.to_string())
        .arg("provider")
        .arg("card")
        .cmd("SADD")
        .arg("purchase:lanes")
        .arg(format!("{}:card", shop.event.0))
        .cmd("XGROUP")
        .arg("CREATE")
        .arg(&stream)
        .arg(&["workers", "0"])
        .cmd("XREADGROUP")
        .arg(&["GROUP", "workers", "ghost", "STREAMS"])
        .arg(&stream)
        .arg(">")
        .query_async(&mut redis)
        .await
        .unwrap();
    let sql = "UPDATE outbox SET relayed_at = now() + interval '1 minute', stream_id = $1";
    shop.db().await.execute(sql, &[&id]).await.unwrap();
    // Nor does the reconciler help.
    shop.db()
        .await
        .execute("UPDATE orders SET next_look_at = NULL", &[])
        .await
        .unwrap();
    shop.work();
    shop.page(&ana, order).await;
    let length: i64 = redis::cmd("XLEN")
        .arg(&stream)
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!(length <= 1);
    shop.close().await;
}
