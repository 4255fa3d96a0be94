//! Chosen seats: the lock in Redis before them spares work, and decides nothing.

use crate::common::people::Person;
use crate::common::{Shop, listen, redis_url};
use futures::StreamExt as _;
use futures::future::join_all;
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

const CSV: &str = "section,kind,row,seat,capacity,price_minor,x,y
A,seated,1,1,,1000,,\nA,seated,1,2,,1000,,\nA,seated,1,3,,1000,,\n";
/// For what must happen at some time, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Clicks on one seat.
const CLICKS: usize = 10_000;

fn seats(numbers: &[&str]) -> Value {
    let seat = |number: &&str| json!({"section": "A", "row": "1", "seat": number});
    json!({"event": "hamlet", "seats": numbers.iter().map(seat).collect::<Vec<_>>()})
}

async fn key(shop: &Shop, seat: &str) -> String {
    let event = shop.event_number("hamlet").await;
    format!("seat:{{{}}}:A\u{1f}1\u{1f}{seat}", event.0)
}

/// Every row written to these tables counts, committed or not: a sequence does not roll back.
async fn count_writes(shop: &Shop) {
    let tables = ["seats", "holds", "buyers", "idempotency_keys"];
    let triggers = tables.map(|table| {
        format!(
            "CREATE SEQUENCE writes_{table};
             CREATE FUNCTION count_{table}() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM nextval('writes_{table}'); RETURN NEW; END $$;
             CREATE TRIGGER count BEFORE INSERT OR UPDATE ON {table}
             FOR EACH ROW EXECUTE FUNCTION count_{table}();"
        )
    });
    shop.db()
        .await
        .batch_execute(&triggers.join("\n"))
        .await
        .unwrap();
}

async fn writes(shop: &Shop, table: &str) -> i64 {
    shop.count(&format!(
        "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM writes_{table}"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_clicks_on_a_seat_write_it_once() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let buyers = join_all((0..100).map(|_| shop.shopper("hamlet"))).await;
    count_writes(&shop).await;
    let wish = seats(&["1"]);
    let click = |number: usize| {
        let (shop, wish, buyer): (_, _, &Person) = (&shop, &wish, &buyers[number % 100]);
        async move { shop.hold(buyer, &number.to_string(), wish).await }
    };
    let clicks = futures::stream::iter((0..CLICKS).map(click));
    let replies: Vec<_> = clicks.buffer_unordered(100).collect().await;
    let granted = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(granted, 1);
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        reply.assert_problem(409, "seats_taken");
    }
    for table in ["seats", "holds", "buyers", "idempotency_keys"] {
        assert_eq!(writes(&shop, table).await, 1, "{table}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_seats_are_locked_all_or_none() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    let mut redis = shop.app.redis.clone();
    let (first, second) = (key(&shop, "1").await, key(&shop, "2").await);
    let (): () = redis.set_ex(&second, "somebody else's", 30).await.unwrap();
    let refused = shop.hold(&ana, "k", &seats(&["1", "2"])).await;
    refused.assert_problem(409, "seats_taken");
    assert_eq!(refused.body["seats"], seats(&["2"])["seats"]);
    assert!(
        !redis.exists::<_, bool>(&first).await.unwrap(),
        "one is locked"
    );
    assert_eq!(
        shop.count("SELECT count(*) FROM seats WHERE state = 'held'")
            .await,
        0
    );
    shop.close().await;
}

/// The holder of the lock sleeps for longer than the lock lives. Another takes the seat meanwhile;
/// the sleeper wakes, changes nothing, and leaves alone what is not his.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_lost_in_sleep_changes_nothing() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let (ana, bia) = (shop.shopper("hamlet").await, shop.shopper("hamlet").await);
    assert_eq!(shop.hold(&ana, "other", &seats(&["3"])).await.status, 201);
    // Ana's request will find her buyer's row locked, with the seat's lock in its hand.
    let mut db = shop.db().await;
    let asleep = db.transaction().await.unwrap();
    let lock = "SELECT 1 FROM buyers WHERE account_id = $1 FOR UPDATE";
    asleep.execute(lock, &[&ana.account]).await.unwrap();
    let mut redis = shop.app.redis.clone();
    let key = key(&shop, "1").await;
    let wish = seats(&["1"]);
    let sleeper = shop.hold(&ana, "k", &wish);
    let others = async {
        while !redis.exists::<_, bool>(&key).await.unwrap() {
            tokio::task::yield_now().await;
        }
        shop.hold(&bia, "early", &wish)
            .await
            .assert_problem(409, "seats_taken");
        while redis.exists::<_, bool>(&key).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(shop.hold(&bia, "late", &wish).await.status, 201);
        while redis.exists::<_, bool>(&key).await.unwrap() {
            tokio::task::yield_now().await;
        }
        // A third has the lock when the sleeper wakes.
        let (): () = redis.set_ex(&key, "a third's", 30).await.unwrap();
        asleep.commit().await.unwrap();
    };
    let (reply, ()) = tokio::join!(sleeper, others);
    reply.assert_problem(409, "seats_taken");
    drop(db);
    let holder = "SELECT count(*) FROM seats s JOIN holds h USING (event_id, hold_id)
                  WHERE s.seat_label = '1' AND h.account_id = ";
    assert_eq!(shop.count(&format!("{holder}'{}'", bia.account)).await, 1);
    assert_eq!(shop.count("SELECT count(*) FROM holds").await, 2);
    // What is given back in the background has been: it was another's, and is still there.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(redis.get::<_, String>(&key).await.unwrap(), "a third's");
    shop.close().await;
}

/// A Redis that takes the connection and says nothing costs a moment, and nobody a seat.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_redis_is_not_waited_for() {
    let (silent, _) = listen().await;
    let address = format!("redis://{}/", silent.local_addr().unwrap());
    let shop = Shop::open_with_redis(&address).await;
    shop.event("hamlet", 4, 300, CSV).await;
    let buyers = join_all((0..20).map(|_| shop.shopper("hamlet"))).await;
    let wish = seats(&["1", "2"]);
    let asking = join_all(buyers.iter().map(|buyer| shop.hold(buyer, "k", &wish)));
    let replies = tokio::time::timeout(PATIENCE, asking).await.unwrap();
    let granted = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(granted, 1);
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        reply.assert_problem(409, "seats_taken");
    }
    shop.close().await;
}

/// Redis takes a lock and is too slow to say so. The seat is held by the database's word, and the lock
/// does not stay for its time: nobody would get the seat when it comes back meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_was_taken_unheard_is_given_back() {
    let redis = MuteableRedis::start().await;
    let shop = Shop::open_with_redis(&redis.url).await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    // Scripts are known from here on, and Redis is asked at all.
    assert_eq!(shop.hold(&ana, "first", &seats(&["3"])).await.status, 201);
    redis.mute.send_replace(true);
    assert_eq!(shop.hold(&ana, "k", &seats(&["1"])).await.status, 201);
    let key = key(&shop, "1").await;
    let mut direct = redis.direct().await;
    // It would not end by itself any more; only whoever took it can end it.
    let () = direct.persist(&key).await.unwrap();
    redis.mute.send_replace(false);
    let gone = async {
        while direct.exists::<_, bool>(&key).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    shop.close().await;
}

/// The tests' Redis behind a line that can be cut on the way back.
struct MuteableRedis {
    url: String,
    server: url::Url,
    mute: watch::Sender<bool>,
}

impl MuteableRedis {
    async fn start() -> Self {
        let server = url::Url::parse(&redis_url()).unwrap();
        let to = (
            server.host_str().unwrap().to_owned(),
            server.port().unwrap(),
        );
        let (listener, _) = listen().await;
        let mut url = server.clone();
        url.set_port(Some(listener.local_addr().unwrap().port()))
            .unwrap();
        let (mute, muted) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(to.clone()).await.unwrap();
                tokio::spawn(carry(client, server, muted.clone()));
            }
        });
        Self {
            url: url.to_string(),
            server,
            mute,
        }
    }

    async fn direct(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.server.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

/// Both ways; answers wait while the line is mute.
async fn carry(client: TcpStream, server: TcpStream, mut muted: watch::Receiver<bool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async { tokio::io::copy(&mut from_client, &mut to_server).await };
    let answering = async {
        let mut answer = [0; 4096];
        loop {
            let size = from_server.read(&mut answer).await?;
            let heard = muted.wait_for(|mute| !mute).await.is_ok();
            if size == 0 || !heard {
                return Ok::<_, std::io::Error>(());
            }
            to_client.write_all(&answer[..size]).await?;
        }
    };
    // A side that hangs up ends both.
    tokio::select! { _ = asking => {}, _ = answering => {} }
}
