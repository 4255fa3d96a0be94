//! The line of holds: bounded, in order, and nothing is set aside for who has gone.

use crate::common::Shop;
use catraca_core::holds::Line;
use futures::future::join_all;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const CSV: &str = "section,kind,row,seat,capacity,price_minor,x,y\nA,general,,,3000,1000,,\n";
/// What fits in a line, and how long it is waited in.
const LINE_MAX: usize = 2_048;
const WAIT_MAX: Duration = Duration::from_secs(6);

/// Nobody serves this line: whoever finds it full is told so at once, whoever waits too long then.
#[tokio::test]
async fn a_line_that_does_not_move_is_bounded_in_length_and_time() {
    let line = Arc::new(Line::<usize>::default());
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for n in 0..LINE_MAX + 10 {
        let line = Arc::clone(&line);
        asking.spawn(async move {
            let refused = line.ask(n).await.is_err();
            (refused, began.elapsed())
        });
    }
    let ended = asking.join_all().await;
    assert!(ended.iter().all(|(refused, _)| *refused));
    let at_once = ended.iter().filter(|(_, after)| *after < WAIT_MAX).count();
    assert_eq!(at_once, 10);
    assert!(began.elapsed() < WAIT_MAX * 3);
}

/// No connection is to be had, so the line does not move, and those in it leave. Then it moves:
/// nothing was set aside for them, and who comes behind is served.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_set_aside_for_who_has_gone() {
    let shop = Shop::open().await;
    shop.event("hamlet", 8, 300, CSV).await;
    let buyers = join_all((0..8).map(|_| shop.shopper("hamlet"))).await;
    let body = json!({"event": "hamlet", "section": "A", "quantity": 1});
    let first = join_all(buyers.iter().map(|buyer| shop.hold(buyer, "first", &body))).await;
    assert!(first.iter().all(|reply| reply.status == 201));
    let mut busy = Vec::new();
    for _ in 0..12 {
        busy.push(shop.db().await);
    }
    let leaving = buyers.iter().map(|buyer| {
        let hold = shop.hold(buyer, "second", &body);
        tokio::time::timeout(Duration::from_millis(800), hold)
    });
    let left = join_all(leaving).await;
    assert!(left.iter().all(Result::is_err), "served without a database");
    // Nothing tells from outside when the server has seen them go.
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(busy);
    let next = shop.hold(&buyers[0], "third", &body).await;
    assert_eq!(next.status, 201, "{}", next.body);
    let held = "SELECT count(*) FROM seats WHERE state = 'held'";
    assert_eq!(shop.count(held).await, 9);
    shop.close().await;
}
