use crate::common::Shop;
use futures::future::join_all;
use serde_json::json;
use std::time::Duration;

const CSV: &str = "section,kind,row,seat,capacity,price_minor,x,y\nA,general,,,500,1000,,\n";

#[tokio::test(flavor = "multi_thread")]
async fn one_buyers_lock_delays_nobody_else() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let buyers = join_all((0..40).map(|_| shop.shopper("hamlet"))).await;
    let body = json!({"event": "hamlet", "section": "A", "quantity": 1});
    let first = join_all(buyers.iter().map(|buyer| shop.hold(buyer, "1", &body))).await;
    assert!(first.iter().all(|reply| reply.status == 201));
    // Somebody else is counting the first buyer's seats, and takes long.
    let mut db = shop.db().await;
    let tx = db.transaction().await.unwrap();
    let account = buyers[0].account;
    tx.execute(
        "SELECT 1 FROM buyers WHERE account_id = $1 FOR UPDATE",
        &[&account],
    )
    .await
    .unwrap();
    let (stuck, others) = buyers.split_first().unwrap();
    let stuck = shop.hold(stuck, "2", &body);
    let others = async {
        let asked = others.iter().map(|buyer| shop.hold(buyer, "2", &body));
        let replies = tokio::time::timeout(Duration::from_secs(5), join_all(asked)).await;
        tx.commit().await.unwrap();
        replies.unwrap()
    };
    let (stuck, others) = tokio::join!(stuck, others);
    assert_eq!(stuck.status, 201, "{}", stuck.body);
    assert!(others.iter().all(|reply| reply.status == 201));
    drop(db);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_an_answer_of_its_own() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let buyers = join_all((0..60).map(|_| shop.shopper("hamlet"))).await;
    let ended = "UPDATE shopping_sessions SET ended_at = now(), end_reason = 'left'
                 WHERE account_id = $1";
    let db = shop.db().await;
    for (index, buyer) in buyers.iter().enumerate() {
        let opened = json!({"event": "hamlet", "section": "A", "quantity": 1});
        assert_eq!(shop.hold(buyer, "first", &opened).await.status, 201);
        if index % 3 == 2 {
            db.execute(ended, &[&buyer.account]).await.unwrap();
        }
    }
    drop(db);
    // One in three asks for what it may have, for more than that, or after its session.
    let asked = buyers.iter().enumerate().map(|(index, buyer)| {
        let quantity = if index % 3 == 1 { 4 } else { 2 };
        let body = json!({"event": "hamlet", "section": "A", "quantity": quantity});
        let shop = &shop;
        async move { shop.hold(buyer, "second", &body).await }
    });
    for (index, reply) in join_all(asked).await.iter().enumerate() {
        match index % 3 {
            0 => assert_eq!(reply.body["seats"].as_array().unwrap().len(), 2),
            1 => reply.assert_problem(422, "over_limit"),
            _ => reply.assert_problem(401, "session_ended"),
        }
    }
    let held = "SELECT count(*) FROM seats WHERE state = 'held'";
    assert_eq!(shop.count(held).await, 60 + 20 * 2);
    shop.close().await;
}
