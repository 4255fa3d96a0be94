//! Availability in Redis and in memory: patched seat by seat, one reader for a cold key, and Redis
//! empty, lying or asleep.

use crate::common::Shop;
use crate::common::people::Person;
use crate::common::reply::Reply;
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use redis::AsyncCommands as _;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing is served that is older than a second, which `make bench-catalog` measures; here it has two
/// more, for a machine that runs other tests beside this one.
const STALE_MAX: Duration = Duration::from_secs(3);

fn csv() -> String {
    let seat = |n: u32| format!("A,seated,{},{},,1000,,\n", 1 + n / 10, 1 + n % 10);
    let seats: String = (0..41).map(seat).collect();
    format!("section,kind,row,seat,capacity,price_minor,x,y\n{seats}B,general,,,33,500,,\n")
}

fn seat(ordinal: usize) -> Value {
    json!({"event": "hamlet", "seats": [{"section": "A", "row": (1 + ordinal / 10).to_string(),
        "seat": (1 + ordinal % 10).to_string()}]})
}

/// What a core says: the states of A, one letter each, and the free places of A and B.
async fn seen(shop: &Shop, core: &str) -> (String, u64, u64) {
    let map = format!("{core}/api/v1/events/hamlet/sections/A/seats");
    let map = Reply::of(shop.http.get(map)).await;
    assert_eq!(map.status, 200, "{}", map.body);
    let states = map.body["seats"].as_array().unwrap().iter();
    let states = states.map(|seat| seat["state"].as_str().unwrap()[..1].to_owned());
    let free = format!("{core}/api/v1/events/hamlet/availability");
    let free = Reply::of(shop.http.get(free)).await;
    let free = |n: usize| free.body["sections"][n]["free"].as_u64().unwrap();
    (states.collect(), free(0), free(1))
}

/// The same by SQL.
async fn truth(shop: &Shop) -> (String, u64, u64) {
    let sql = "SELECT section, string_agg(CASE WHEN state = 'held' AND held_until < now() THEN 'f'
                   ELSE left(state, 1) END, '' ORDER BY ordinal)
               FROM seats GROUP BY section ORDER BY section";
    let rows = shop.db().await.query(sql, &[]).await.unwrap();
    let states = |n: usize| rows[n].get::<_, String>(1);
    let free = |n: usize| states(n).matches('f').count() as u64;
    (states(0), free(0), free(1))
}

/// Until every core says what is so; how long that took.
async fn until_right(shop: &Shop, cores: &[&str]) -> Duration {
    let since = Instant::now();
    let truth = truth(shop).await;
    for core in cores {
        loop {
            let asked = since.elapsed();
            let seen = seen(shop, core).await;
            if seen == truth {
                break;
            }
            assert!(
                asked < STALE_MAX,
                "after {asked:?} {seen:?} is not {truth:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    since.elapsed()
}

async fn hold(shop: &Shop, who: &Person, key: &str, wish: &Value) -> String {
    let reply = shop.hold(who, key, wish).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.body["hold"].as_str().unwrap().to_owned()
}

/// Changes what it likes; nobody reads meanwhile.
async fn random_changes(shop: &Shop, rng: &mut StdRng, rounds: usize) {
    let mut held: Vec<(Person, String)> = Vec::new();
    for round in 0..rounds {
        if rng.random_bool(0.4) && !held.is_empty() {
            let (who, given) = held.swap_remove(rng.random_range(0..held.len()));
            let path = format!("/api/v1/holds/{given}");
            let gone = shop.send(&who, Method::DELETE, &path, None).await;
            assert_eq!(gone.status, 204, "{}", gone.body);
            continue;
        }
        let who = shop.shopper("hamlet").await;
        let wish = if rng.random_bool(0.5) {
            seat(rng.random_range(0..41))
        } else {
            json!({"event": "hamlet", "section": "B", "quantity": rng.random_range(1..=3)})
        };
        let reply = shop.hold(&who, &round.to_string(), &wish).await;
        if reply.status == 201 {
            held.push((who, reply.body["hold"].as_str().unwrap().to_owned()));
        } else {
            assert_eq!(reply.status, 409, "{}", reply.body);
        }
    }
}

/// A section's states in Redis, and its counter.
async fn in_redis(shop: &Shop, section: &str, capacity: usize) -> Option<(String, u64)> {
    let event = shop.event_number("hamlet").await.0;
    let mut redis = shop.app.redis.clone();
    let map = format!("avail:{{{event}}}:map:{section}");
    let counter = format!("free:{section}");
    let counter: Option<u64> = redis
        .hget(format!("avail:{{{event}}}"), counter)
        .await
        .unwrap();
    let mut ask = redis::cmd("BITFIELD");
    ask.arg(map);
    for seat in 0..capacity {
        ask.arg("GET").arg("u2").arg(format!("#{seat}"));
    }
    let states: Vec<usize> = ask.query_async(&mut redis).await.unwrap();
    let states = states.into_iter().map(|state| ["f", "h", "s", "?"][state]);
    Some((states.collect(), counter?))
}

#[tokio::test]
async fn redis_is_patched_seat_by_seat() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, &csv()).await;
    let core = shop.core.clone();
    let since = Instant::now();
    while in_redis(&shop, "A", 41).await.is_none() {
        seen(&shop, &core).await;
        assert!(since.elapsed() < STALE_MAX * 3, "Redis was not filled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (readings, _) = shop.app.catalogue.asked_of_database();
    random_changes(&shop, &mut rng, 80).await;
    let (states, free_a, free_b) = truth(&shop).await;
    let since = Instant::now();
    loop {
        let a = in_redis(&shop, "A", 41).await.unwrap();
        let b = in_redis(&shop, "B", 33).await.unwrap();
        if (&a.0, a.1, b.1) == (&states, free_a, free_b) {
            break;
        }
        assert!(
            since.elapsed() < STALE_MAX,
            "{a:?} {b:?} {states} {free_a} {free_b}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        shop.app.catalogue.asked_of_database().0,
        readings,
        "only patched"
    );
    shop.close().await;
}

#[tokio::test]
async fn changes_at_once_in_two_cores_end_up_right_in_both() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, &csv()).await;
    let (_, second) = shop.another().await;
    let core = shop.core.clone();
    until_right(&shop, &[&core, &second]).await;
    for round in 0..3 {
        let people = join_all((0..24).map(|_| shop.shopper("hamlet"))).await;
        let mut rng = StdRng::seed_from_u64(seed + round);
        let asked = people.iter().enumerate().map(|(index, who)| {
            let core = if index % 2 == 0 { &core } else { &second };
            // Few seats, so that they change hands often.
            let wish = seat(rng.random_range(0..6));
            let shop = &shop;
            async move {
                let cookie = ("cookie", who.cookies.as_str());
                let request = shop.http.post(format!("{core}/api/v1/holds"));
                let request = request.header(cookie.0, cookie.1);
                let request = request.header("idempotency-key", round.to_string());
                let reply = Reply::of(request.json(&wish)).await;
                if let Some(hold) = reply.body["hold"].as_str() {
                    let path = format!("{core}/api/v1/holds/{hold}");
                    let request = shop.http.delete(path).header(cookie.0, cookie.1);
                    assert_eq!(Reply::of(request).await.status, 204);
                }
            }
        });
        join_all(asked).await;
        until_right(&shop, &[&core, &second]).await;
    }
    shop.close().await;
}

#[tokio::test]
async fn five_hundred_cold_reads_read_once_in_each_core() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, &csv()).await;
    let (second, address) = shop.another().await;
    let cores = [shop.core.clone(), address];
    let (_, before) = shop.app.catalogue.asked_of_database();
    let reads = (0..500_usize).map(|n| {
        let request = shop.http.get(format!(
            "{}/api/v1/events/hamlet/{}",
            cores[n % 2],
            ["availability", "sections/A/seats"][n / 2 % 2]
        ));
        async move {
            let reply = Reply::of(request).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
    });
    let since = Instant::now();
    join_all(reads).await;
    // And once more whenever the seats have got old meanwhile.
    let most = 1 + u64::try_from(since.elapsed().as_millis()).unwrap() / 400;
    let (first_readings, first_questions) = shop.app.catalogue.asked_of_database();
    let (readings, questions) = second.catalogue.asked_of_database();
    assert!(
        first_questions - before <= 1 && questions == 1,
        "{questions}"
    );
    println!("read {first_readings} and {readings} times, {most} at most");
    assert!((1..=most).contains(&first_readings) && (1..=most).contains(&readings));
    shop.close().await;
}

#[tokio::test]
async fn an_emptied_redis_is_filled_again() {
    let redis = OwnRedis::start().await;
    let shop = Shop::open_with_redis(&redis.url).await;
    shop.event("hamlet", 4, 300, &csv()).await;
    let (_, second) = shop.another().await;
    let core = shop.core.clone();
    let ana = shop.shopper("hamlet").await;
    for round in 0..4 {
        until_right(&shop, &[&core, &second]).await;
        let mut connection = shop.app.redis.clone();
        let _: () = redis::cmd("FLUSHALL")
            .query_async(&mut connection)
            .await
            .unwrap();
        hold(&shop, &ana, &round.to_string(), &seat(round)).await;
        until_right(&shop, &[&core, &second]).await;
    }
    let since = Instant::now();
    while in_redis(&shop, "A", 41)
        .await
        .is_none_or(|(a, _)| !a.starts_with("hhhhf"))
    {
        seen(&shop, &core).await;
        assert!(since.elapsed() < STALE_MAX * 2, "not filled again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shop.close().await;
}

/// A bit that fell over is found out at once, by the counters. A lie that fits together is believed
/// for as long as a true reading would be.
#[tokio::test]
async fn a_lying_redis_is_not_believed_for_a_second() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, &csv()).await;
    let (_, second) = shop.another().await;
    let core = shop.core.clone();
    let ana = shop.shopper("hamlet").await;
    hold(&shop, &ana, "k", &seat(7)).await;
    until_right(&shop, &[&core, &second]).await;
    let event = shop.event_number("hamlet").await.0;
    let (key, map) = (
        format!("avail:{{{event}}}"),
        format!("avail:{{{event}}}:map:A"),
    );
    let mut redis = shop.app.redis.clone();
    let mut lied_since = None;
    let expected = truth(&shop).await;
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        match rng.random_range(0..6) {
            0 | 1 => {
                let bit = rng.random_range(0..82);
                let was: bool = redis.getbit(&map, bit).await.unwrap();
                let _: () = redis.setbit(&map, bit, !was).await.unwrap();
            }
            2 => {
                let _: () = redis.set(&map, "garbage").await.unwrap();
            }
            3 => {
                let _: () = redis.hset(&key, "free:B", 99).await.unwrap();
            }
            4 => {
                let _: () = redis.publish("avail:news", "{}").await.unwrap();
                let far = json!({"event": event, "seats": {"version": 2,
                    "stamp": i64::MAX, "seats": [["A", 0, 2], ["nowhere", -1, 9]]}});
                let _: () = redis.publish("avail:news", far.to_string()).await.unwrap();
            }
            _ => {
                // Seat 7 as free, and the counter with it.
                let _: () = redis::cmd("BITFIELD")
                    .arg(&map)
                    .arg(&["SET", "u2", "#7", "0"])
                    .query_async(&mut redis)
                    .await
                    .unwrap();
                let _: () = redis.hset(&key, "free:A", 41).await.unwrap();
            }
        }
        for core in [&core, &second] {
            let asked = Instant::now();
            if seen(&shop, core).await == expected {
                lied_since = None;
            } else {
                let since = *lied_since.get_or_insert(asked);
                assert!(
                    asked - since < STALE_MAX,
                    "believed for {:?}",
                    asked - since
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    until_right(&shop, &[&core, &second]).await;
    shop.close().await;
}

#[tokio::test]
async fn a_redis_asleep_makes_nothing_wrong() {
    let redis = OwnRedis::start().await;
    let shop = Shop::open_with_redis(&redis.url).await;
    shop.event("hamlet", 4, 300, &csv()).await;
    let (_, second) = shop.another().await;
    let core = shop.core.clone();
    let (ana, bia) = (shop.shopper("hamlet").await, shop.shopper("hamlet").await);
    until_right(&shop, &[&core, &second]).await;
    redis.signal("STOP");
    for round in 0..3 {
        hold(&shop, &ana, &round.to_string(), &seat(round)).await;
        let taken = shop.hold(&bia, &round.to_string(), &seat(round)).await;
        taken.assert_problem(409, "seats_taken");
        until_right(&shop, &[&core, &second]).await;
    }
    redis.signal("CONT");
    // Heard again: what one core changes, the other takes in and does not read.
    let since = Instant::now();
    let mut next = 10;
    loop {
        let release = hold(&shop, &bia, &format!("{next}"), &seat(next)).await;
        let took = until_right(&shop, &[&second]).await;
        let path = format!("/api/v1/holds/{release}");
        shop.send(&bia, Method::DELETE, &path, None).await;
        if took < Duration::from_millis(200) {
            break;
        }
        next += 1;
        assert!(since.elapsed() < Duration::from_secs(10), "still deaf");
    }
    shop.close().await;
}

/// A Redis that a test may do anything to.
struct OwnRedis {
    child: Child,
    url: String,
}

impl OwnRedis {
    async fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        drop(free);
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let since = Instant::now();
        while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            assert!(since.elapsed() < Duration::from_secs(10), "no Redis");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self {
            child,
            url: format!("redis://127.0.0.1:{port}/"),
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
