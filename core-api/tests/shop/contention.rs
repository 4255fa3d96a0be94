use crate::common::Shop;
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::HashSet;

const HEADER: &str = "section,kind,row,seat,capacity,price_minor,x,y\n";

fn statuses(replies: &[crate::common::reply::Reply], status: u16) -> usize {
    replies
        .iter()
        .filter(|reply| reply.status == status)
        .count()
}

/// Everybody asks for the same seat at once; `rounds` times, with and without Redis.
async fn one_seat(shop: Shop) {
    let csv = format!("{HEADER}A,seated,1,1,,1000,,\nA,seated,1,2,,1000,,\n");
    shop.event("hamlet", 4, 300, &csv).await;
    let buyers = join_all((0..64).map(|_| shop.shopper("hamlet"))).await;
    let body = json!({"event": "hamlet", "seats": [{"section": "A", "row": "1", "seat": "1"}]});
    let replies = join_all(buyers.iter().map(|buyer| shop.hold(buyer, "k", &body))).await;
    assert_eq!(statuses(&replies, 201), 1);
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        reply.assert_problem(409, "seats_taken");
        assert_eq!(reply.body["seats"], body["seats"]);
    }
    assert_eq!(shop.count("SELECT count(*) FROM holds").await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_64_gets_the_seat() {
    one_seat(Shop::open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_64_gets_the_seat_without_redis() {
    one_seat(Shop::open_without_redis().await).await;
}

/// More is asked for than there is: all of it is given out, and nothing twice.
async fn oversell(kind: &str) {
    let shop = Shop::open().await;
    let csv = if kind == "general" {
        format!("{HEADER}A,general,,,60,1000,,\n")
    } else {
        let seat = |n: usize| format!("A,seated,{},{},,1000,,\n", n / 12, n % 12);
        format!("{HEADER}{}", (0..60).map(seat).collect::<String>())
    };
    shop.event("hamlet", 3, 300, &csv).await;
    let buyers = join_all((0..80).map(|_| shop.shopper("hamlet"))).await;
    let wishes = buyers.iter().enumerate().map(|(index, buyer)| {
        let body = json!({"event": "hamlet", "section": "A", "quantity": 1 + index % 3});
        let shop = &shop;
        async move { shop.hold(buyer, "k", &body).await }
    });
    let replies = join_all(wishes).await;
    let mut given = 0;
    for reply in &replies {
        if reply.status == 201 {
            let seats = reply.body["seats"].as_array().unwrap().len();
            given += seats;
            let total = i64::try_from(seats).unwrap() * 1000;
            assert_eq!(
                reply.body["total"],
                json!({"amount_minor": total, "currency": "BRL"})
            );
        } else {
            reply.assert_problem(409, "sold_out");
        }
    }
    // Those who wanted three may have left one or two.
    assert!((58..=60).contains(&given), "{given} of 60 given out");
    let held = "SELECT count(*) FROM seats WHERE state = 'held'";
    assert_eq!(shop.count(held).await, i64::try_from(given).unwrap());
    let rest = shop.shopper("hamlet").await;
    for left in 0..60 - given {
        let body = json!({"event": "hamlet", "section": "A", "quantity": 1});
        let reply = shop.hold(&rest, &format!("rest{left}"), &body).await;
        assert_eq!(
            reply.status, 201,
            "a free seat is always to be had: {}",
            reply.body
        );
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn general_admission_is_not_oversold() {
    oversell("general").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbered_seats_are_not_oversold() {
    oversell("seated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_for_requests_at_once() {
    let shop = Shop::open().await;
    shop.event(
        "hamlet",
        4,
        300,
        &format!("{HEADER}A,general,,,100,1000,,\n"),
    )
    .await;
    let ana = shop.shopper("hamlet").await;
    let body = json!({"event": "hamlet", "section": "A", "quantity": 1});
    let keys: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let replies = join_all(keys.iter().map(|key| shop.hold(&ana, key, &body))).await;
    assert_eq!(statuses(&replies, 201), 4);
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        reply.assert_problem(422, "over_limit");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_repeats_its_reply() {
    let shop = Shop::open().await;
    let csv = format!("{HEADER}A,general,,,100,1000,,\nB,seated,1,1,,1000,,\n");
    shop.event("hamlet", 4, 300, &csv).await;
    let ana = shop.shopper("hamlet").await;
    let any = json!({"event": "hamlet", "section": "A", "quantity": 2});
    let that = json!({"event": "hamlet", "seats": [{"section": "B", "row": "1", "seat": "1"}]});
    for (key, body) in [("any", &any), ("that", &that)] {
        let replies = join_all((0..8).map(|_| shop.hold(&ana, key, body))).await;
        assert_eq!(statuses(&replies, 201), 8);
        let holds: HashSet<&Value> = replies.iter().map(|reply| &reply.body["hold"]).collect();
        assert_eq!(holds.len(), 1);
    }
    let before = shop.fingerprint().await;
    shop.hold(&ana, "any", &that)
        .await
        .assert_problem(422, "idempotency_key_reused");
    assert_eq!(shop.fingerprint().await, before);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_seats_are_all_or_none() {
    let shop = Shop::open().await;
    let seats: Vec<String> = (1..=8).map(|n| format!("A,seated,1,{n},,1000,,")).collect();
    let csv = format!("{HEADER}{}\n", seats.join("\n"));
    shop.event("hamlet", 8, 300, &csv).await;
    let buyers = join_all((0..24).map(|_| shop.shopper("hamlet"))).await;
    // Overlapping pairs, named in either order.
    let wishes = buyers.iter().enumerate().map(|(index, buyer)| {
        let (a, b) = (1 + index % 7, 2 + index % 7);
        let (a, b) = if index % 2 == 0 { (a, b) } else { (b, a) };
        let seat = |n: usize| json!({"section": "A", "row": "1", "seat": n.to_string()});
        let body = json!({"event": "hamlet", "seats": [seat(a), seat(b)]});
        let shop = &shop;
        async move { shop.hold(buyer, "k", &body).await }
    });
    let replies = join_all(wishes).await;
    let granted = statuses(&replies, 201);
    assert_eq!(statuses(&replies, 409), 24 - granted);
    let held = shop
        .count("SELECT count(*) FROM seats WHERE state = 'held'")
        .await;
    assert_eq!(held, i64::try_from(granted * 2).unwrap());
    shop.close().await;
}
