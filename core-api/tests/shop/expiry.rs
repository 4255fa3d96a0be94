use crate::common::people::{admission, mint};
use crate::common::{Shop, people::Person};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};

const CSV: &str = "section,kind,row,seat,capacity,price_minor,x,y\n\
    A,seated,1,1,,1000,,\nA,seated,1,2,,1000,,\nB,general,,,2,500,,\n";

/// The hold's deadline passes in so many milliseconds.
async fn ends_in(shop: &Shop, hold: &str, milliseconds: f64) {
    let db = shop.db().await;
    let hold: uuid::Uuid = hold.parse().unwrap();
    let seconds = milliseconds / 1000.0;
    db.execute(
        "WITH h AS (UPDATE holds SET expires_at = clock_timestamp() + make_interval(secs => $2)
                    WHERE hold_id = $1 RETURNING hold_id, expires_at)
         UPDATE seats s SET held_until = h.expires_at FROM h WHERE s.hold_id = h.hold_id",
        &[&hold, &seconds],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn an_expired_hold_is_buyable_at_once_without_a_sweeper() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let (ana, bia) = (shop.shopper("hamlet").await, shop.shopper("hamlet").await);
    for (section, wish) in [
        (
            "A",
            json!({"event": "hamlet", "seats": [{"section": "A", "row": "1", "seat": "1"},
                                                  {"section": "A", "row": "1", "seat": "2"}]}),
        ),
        (
            "B",
            json!({"event": "hamlet", "section": "B", "quantity": 2}),
        ),
    ] {
        let granted = shop.hold(&ana, section, &wish).await;
        assert_eq!(granted.status, 201, "{}", granted.body);
        let hold = granted.body["hold"].as_str().unwrap().to_owned();
        assert_eq!(shop.hold(&bia, section, &wish).await.status, 409);
        ends_in(&shop, &hold, 400.0).await;
        let by = Instant::now() + Duration::from_secs(10);
        let taken = loop {
            let reply = shop.hold(&bia, section, &wish).await;
            if reply.status == 201 {
                break reply.body["hold"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < by, "not buyable: {}", reply.body);
        };
        // By the database's clock, which decides: not before the deadline.
        let early = format!(
            "SELECT count(*) FROM holds old, holds new WHERE old.hold_id = '{hold}'
             AND new.hold_id = '{taken}' AND new.created_at <= old.expires_at"
        );
        assert_eq!(shop.count(&early).await, 0, "taken before its deadline");
        let path = format!("/api/v1/holds/{hold}");
        let lost = shop.send(&ana, Method::GET, &path, None).await;
        assert_eq!(lost.body["state"], "expired");
        let released = shop.send(&ana, Method::DELETE, &path, None).await;
        released.assert_problem(410, "hold_expired");
    }
    shop.close().await;
}

#[tokio::test]
async fn the_sweeper_tidies() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    let wish = json!({"event": "hamlet", "section": "A", "quantity": 2});
    let held = shop.hold(&ana, "k", &wish).await;
    ends_in(&shop, held.body["hold"].as_str().unwrap(), 0.0).await;
    shop.db()
        .await
        .execute("UPDATE shopping_sessions SET expires_at = now()", &[])
        .await
        .unwrap();
    shop.work();
    let tidy = "SELECT (SELECT count(*) FROM seats WHERE state <> 'free')
        + (SELECT count(*) FROM holds WHERE state <> 'expired')
        + (SELECT count(*) FROM shopping_sessions WHERE departure_acknowledged_at IS NULL)";
    let started = Instant::now();
    while shop.count(tidy).await > 0 {
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(shop.edge.departed().len(), 1);
    shop.close().await;
}

async fn seats_taken(shop: &Shop, person: &Person) -> i64 {
    let reply = shop
        .send(person, Method::GET, "/api/v1/session", None)
        .await;
    reply.body["seats_taken"].as_i64().unwrap()
}

#[tokio::test]
async fn leaving_frees_what_is_held() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    let wish = json!({"event": "hamlet", "section": "A", "quantity": 2});
    let held = shop.hold(&ana, "k", &wish).await;
    assert_eq!(seats_taken(&shop, &ana).await, 2);
    let left = shop
        .send(&ana, Method::DELETE, "/api/v1/session", None)
        .await;
    assert_eq!(left.status, 204);
    assert_eq!(
        shop.count("SELECT count(*) FROM seats WHERE state = 'free'")
            .await,
        4
    );
    let path = format!("/api/v1/holds/{}", held.body["hold"].as_str().unwrap());
    for (method, path) in [
        (Method::GET, "/api/v1/session"),
        (Method::DELETE, "/api/v1/session"),
        (Method::GET, path.as_str()),
        (Method::DELETE, path.as_str()),
    ] {
        let reply = shop.send(&ana, method, path, None).await;
        reply.assert_problem(401, "session_ended");
    }
    shop.hold(&ana, "again", &wish)
        .await
        .assert_problem(401, "session_ended");
    shop.close().await;
}

#[tokio::test]
async fn a_session_over_by_the_databases_clock_changes_nothing() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    let wish = json!({"event": "hamlet", "section": "A", "quantity": 1});
    assert_eq!(shop.hold(&ana, "k", &wish).await.status, 201);
    // The process has just seen the session open; the transaction looks again.
    shop.db()
        .await
        .execute("UPDATE shopping_sessions SET expires_at = now()", &[])
        .await
        .unwrap();
    let before = shop.fingerprint().await;
    shop.hold(&ana, "k2", &wish)
        .await
        .assert_problem(401, "session_ended");
    assert_eq!(shop.fingerprint().await, before);
    shop.close().await;
}

#[tokio::test]
async fn a_hold_is_its_owners() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let (ana, bia) = (shop.shopper("hamlet").await, shop.shopper("hamlet").await);
    let wish = json!({"event": "hamlet", "section": "A", "quantity": 1});
    let held = shop.hold(&ana, "k", &wish).await;
    let path = format!("/api/v1/holds/{}", held.body["hold"].as_str().unwrap());
    for method in [Method::GET, Method::DELETE] {
        shop.send(&bia, method, &path, None)
            .await
            .assert_problem(404, "hold_not_found");
    }
    let shown = shop.send(&ana, Method::GET, &path, None).await;
    assert_eq!((shown.status, &shown.body), (200, &held.body));
    for _ in 0..2 {
        assert_eq!(
            shop.send(&ana, Method::DELETE, &path, None).await.status,
            204
        );
    }
    // A second admission of the same account sees what the first held.
    let again = shop.hold(&ana, "k2", &wish).await;
    let path = format!("/api/v1/holds/{}", again.body["hold"].as_str().unwrap());
    let login = Person {
        account: ana.account,
        cookies: ana.cookies.split(';').next().unwrap().to_owned(),
    };
    let second = login.with(&mint(&admission("hamlet")));
    assert_eq!(
        shop.send(&second, Method::GET, &path, None).await.status,
        200
    );
    assert_eq!(seats_taken(&shop, &second).await, 1);
    shop.close().await;
}

#[tokio::test]
async fn a_hold_that_is_being_paid_for_stays() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    let wish = json!({"event": "hamlet", "section": "A", "quantity": 1});
    let granted = shop.hold(&ana, "k", &wish).await;
    let path = format!("/api/v1/holds/{}", granted.body["hold"].as_str().unwrap());
    // The order is being written, under the hold's lock, while the shopper gives the hold back.
    let mut db = shop.db().await;
    let tx = db.transaction().await.unwrap();
    tx.execute("SELECT 1 FROM holds FOR UPDATE", &[])
        .await
        .unwrap();
    tx.execute(
        "INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider, amount_minor,
                             currency)
         SELECT event_id, gen_random_uuid(), hold_id, jti, account_id, 'card', amount_minor, 'BRL'
         FROM holds",
        &[],
    )
    .await
    .unwrap();
    let commit = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tx.commit().await.unwrap();
    };
    let release = shop.send(&ana, Method::DELETE, &path, None);
    let (released, ()) = tokio::join!(release, commit);
    released.assert_problem(409, "hold_has_order");
    let left = shop
        .send(&ana, Method::DELETE, "/api/v1/session", None)
        .await;
    assert_eq!(left.status, 204);
    assert_eq!(
        shop.count("SELECT count(*) FROM seats WHERE state = 'held'")
            .await,
        1
    );
    drop(db);
    shop.close().await;
}
