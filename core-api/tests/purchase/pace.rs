//! The pace: never more than the limit in any second, whatever the network does between sending
//! and arriving; shared by processes, with Redis and without.

use catraca_core::purchase::pace::{Pace, Rates};
use catraca_payments::{AdapterError, Gate, Heard, card};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LIMIT: usize = 30;

fn pace(url: &str, name: &str, processes: u32) -> Pace {
    let client = redis::Client::open(url).unwrap();
    let settings = redis::aio::ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(300)))
        .set_number_of_retries(0);
    let redis = redis::aio::ConnectionManager::new_lazy_with_config(client, settings).unwrap();
    let limit = u32::try_from(LIMIT).unwrap();
    let rates: Rates = [(name.to_owned(), limit)].into();
    Pace::new(&redis, &rates, processes)
}

/// Sends through a pace; each request arrives somewhere between being sent and being answered.
async fn send(pace: Pace, requests: usize, arrived: Arc<Mutex<Vec<Instant>>>) {
    let sent = (0..requests).map(|_| {
        let (pace, arrived) = (pace.clone(), Arc::clone(&arrived));
        async move {
            let leave = pace.enter(card::PROVIDER).await.unwrap();
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..120))).await;
            arrived.lock().unwrap().push(Instant::now());
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..60))).await;
            leave.end(Heard::Well);
        }
    });
    futures::future::join_all(sent).await;
}

fn most_in_a_second(arrived: &Mutex<Vec<Instant>>) -> usize {
    let mut times = arrived.lock().unwrap().clone();
    times.sort();
    let within = |from: &Instant| {
        let second = *from + Duration::from_secs(1);
        times
            .iter()
            .filter(|at| *at >= from && **at < second)
            .count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

fn redis_url() -> String {
    let url = std::env::var("CATRACA_TEST_REDIS_URL").unwrap();
    let mut url = url::Url::parse(&url).unwrap();
    // Shops have 1 to 15, and empty them.
    url.set_path("/0");
    url.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_limit() {
    let url = redis_url();
    let mut redis = redis::Client::open(url.as_str())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let _: () = redis::cmd("DEL")
        .arg(&["pace:{card}", "pace:{card}:since"])
        .query_async(&mut redis)
        .await
        .unwrap();
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let (one, two) = (pace(&url, "card", 2), pace(&url, "card", 2));
    tokio::join!(
        send(one.clone(), 60, Arc::clone(&arrived)),
        send(two, 60, Arc::clone(&arrived))
    );
    let most = most_in_a_second(&arrived);
    assert!(most <= LIMIT, "{most} in a second");
    assert_eq!(arrived.lock().unwrap().len(), 120);

    // A provider that says "too many" is left alone as long as it asks.
    let leave = one.enter(card::PROVIDER).await.unwrap();
    leave.end(Heard::TooMany(Some(Duration::from_mins(1))));
    let refused = one.enter(card::PROVIDER).await.err().unwrap();
    let AdapterError::RateLimited { retry_after } = refused else {
        panic!("{refused:?}");
    };
    assert!(retry_after.unwrap() > Duration::from_secs(58));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_keeps_to_its_share() {
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let nowhere = "redis://127.0.0.1:1/";
    let (one, two) = (pace(nowhere, "card", 2), pace(nowhere, "card", 2));
    tokio::join!(
        send(one, 40, Arc::clone(&arrived)),
        send(two, 40, Arc::clone(&arrived))
    );
    let most = most_in_a_second(&arrived);
    assert!(most <= LIMIT, "{most} in a second");
    assert_eq!(arrived.lock().unwrap().len(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_a_limit_passes() {
    let pace = pace("redis://127.0.0.1:1/", "paypal", 1);
    for _ in 0..100 {
        pace.enter(card::PROVIDER).await.unwrap().end(Heard::Well);
    }
}
