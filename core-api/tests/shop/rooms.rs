use crate::common::Shop;
use catraca_domain::room::{Challenge, Control, Identity, Method as QueueMethod, RoomConfig};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const CSV: &str = "section,kind,row,seat,capacity,price_minor,x,y\nB,general,,,2,500,,\n";
const ROOM: &str = "/api/v1/admin/rooms/hamlet";

async fn act(shop: &Shop, action: &str, body: Option<&Value>) -> Value {
    let operator = shop.operator().await;
    let reply = shop
        .send(&operator, Method::POST, &format!("{ROOM}/{action}"), body)
        .await;
    assert_eq!(reply.status, 200, "{action}: {}", reply.body);
    reply.body
}

async fn until(shop: &Shop, fits: impl Fn(&RoomConfig) -> bool) -> RoomConfig {
    let started = Instant::now();
    loop {
        match shop.edge.config("hamlet") {
            Some(config) if fits(&config) => return config,
            other => assert!(started.elapsed() < Duration::from_secs(8), "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_change_is_at_the_edge_when_it_is_answered() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let first = until(&shop, |config| config.version == 1).await;
    assert_eq!((first.control, first.opens_at), (Control::Scheduled, None));
    let opened = act(&shop, "open", None).await;
    assert_eq!(
        (&opened["in_force"], &opened["control"]),
        (&json!(true), &json!("open"))
    );
    let config = shop.edge.config("hamlet").unwrap();
    assert_eq!((config.control, config.version), (Control::Open, 2));
    for (action, control) in [
        ("pause", Control::Paused),
        ("resume", Control::Open),
        ("close", Control::Closed),
    ] {
        act(&shop, action, None).await;
        assert_eq!(
            shop.edge.config("hamlet").unwrap().control,
            control,
            "{action}"
        );
    }
    act(&shop, "message", Some(&json!({"message": "Olá, já vem"}))).await;
    let config = shop.edge.config("hamlet").unwrap();
    assert_eq!(config.message.as_deref(), Some("Olá, já vem"));
    let operator = shop.operator().await;
    let settings = json!({"rate_per_minute": 1200, "opens_at": "2039-12-01T12:00:00Z",
        "method": "passthrough", "lanes": []});
    let reply = shop
        .send(&operator, Method::PUT, ROOM, Some(&settings))
        .await;
    assert_eq!(
        (reply.status, &reply.body["max_active"]),
        (200, &json!(500))
    );
    let config = shop.edge.config("hamlet").unwrap();
    assert_eq!(
        (config.rate_per_minute, config.method),
        (1200, QueueMethod::Passthrough)
    );
    assert!(config.opens_at.is_some());
    let settings = json!({ "opens_at": null });
    let reply = shop
        .send(&operator, Method::PUT, ROOM, Some(&settings))
        .await;
    assert_eq!(reply.body["opens_at"], Value::Null);
    let version = reply.body["version"].as_u64().unwrap();
    let same = shop
        .send(&operator, Method::PUT, ROOM, Some(&settings))
        .await;
    assert_eq!(same.body["version"], version, "nothing changed");
    shop.close().await;
}

#[tokio::test]
async fn what_the_edge_missed_is_pushed_again() {
    let shop = Shop::open().await;
    shop.edge.away.store(true, Ordering::Relaxed);
    shop.event("hamlet", 4, 300, CSV).await;
    shop.work();
    let opened = act(&shop, "open", None).await;
    assert_eq!(opened["in_force"], false);
    assert!(shop.edge.config("hamlet").is_none());
    shop.edge.away.store(false, Ordering::Relaxed);
    until(&shop, |config| config.control == Control::Open).await;
    shop.close().await;
}

#[tokio::test]
async fn an_edge_with_a_newer_room_is_overtaken() {
    let shop = Shop::open().await;
    shop.edge.away.store(true, Ordering::Relaxed);
    shop.event("hamlet", 4, 300, CSV).await;
    act(&shop, "open", None).await;
    let operator = shop.operator().await;
    let shown = shop.send(&operator, Method::GET, ROOM, None).await;
    let mut old: RoomConfig = serde_json::from_value(shown.body).unwrap();
    (old.version, old.control) = (70, Control::Closed);
    shop.edge.remember(old);
    shop.edge.away.store(false, Ordering::Relaxed);
    shop.work();
    let config = until(&shop, |config| config.control == Control::Open).await;
    assert_eq!(config.version, 71);
    shop.close().await;
}

#[tokio::test]
async fn a_room_says_when_the_last_seat_is_sold() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    act(&shop, "open", None).await;
    shop.work();
    let state = |sql: &'static str| {
        let shop = &shop;
        async move { shop.db().await.execute(sql, &[]).await.unwrap() }
    };
    state("UPDATE seats SET state = 'sold', hold_id = gen_random_uuid(), order_id = gen_random_uuid()").await;
    until(&shop, |config| config.sold_out).await;
    state("UPDATE seats SET state = 'free', hold_id = NULL, order_id = NULL WHERE ordinal = 0")
        .await;
    until(&shop, |config| !config.sold_out).await;
    shop.close().await;
}

#[tokio::test]
async fn a_room_says_when_the_last_seat_may_go_soon() {
    let shop = Shop::open().await;
    let many = CSV.replace(",2,500", ",40,500");
    shop.event("hamlet", 4, 300, &many).await;
    let operator = shop.operator().await;
    let settings = json!({"rate_per_minute": 10});
    shop.send(&operator, Method::PUT, ROOM, Some(&settings))
        .await;
    act(&shop, "open", None).await;
    shop.work();
    // One person shops, five more may come within half a minute, four seats each: 24 of 40 left.
    let ana = shop.shopper("hamlet").await;
    let session = shop.send(&ana, Method::GET, "/api/v1/session", None).await;
    assert_eq!(session.status, 200);
    let sell = |until: i64| {
        let shop = &shop;
        let sql = format!(
            "UPDATE seats SET state = 'sold', hold_id = gen_random_uuid(), order_id = gen_random_uuid()
             WHERE ordinal < {until} AND state <> 'sold'"
        );
        async move { shop.db().await.execute(&sql, &[]).await.unwrap() }
    };
    sell(15).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!shop.edge.config("hamlet").unwrap().selling_out, "25 left");
    sell(16).await;
    until(&shop, |config| config.selling_out && !config.sold_out).await;
    sell(40).await;
    until(&shop, |config| config.sold_out).await;
    shop.close().await;
}

#[tokio::test]
async fn what_a_room_asks_of_visitors_reaches_the_edge_and_the_landing_page() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let operator = shop.operator().await;
    let settings = json!({"identity": "account", "challenge": "proof_of_work"});
    let reply = shop
        .send(&operator, Method::PUT, ROOM, Some(&settings))
        .await;
    assert_eq!(
        (reply.status, &reply.body["in_force"]),
        (200, &json!(true)),
        "{reply:?}"
    );
    let config = shop.edge.config("hamlet").unwrap();
    assert_eq!(
        (config.identity, config.challenge),
        (Identity::Account, Challenge::ProofOfWork)
    );
    let refused = shop
        .send(
            &operator,
            Method::PUT,
            ROOM,
            Some(&json!({"challenge": "turnstile", "identity": "anonymous"})),
        )
        .await;
    refused.assert_problem(422, "invalid_field");
    let error = &refused.body["errors"][0];
    assert_eq!(error["field"], "challenge");
    assert!(
        error["reason"]
            .as_str()
            .unwrap()
            .contains("CATRACA_TURNSTILE_SITE_KEY"),
        "{error}"
    );
    assert_eq!(
        shop.edge.config("hamlet").unwrap().identity,
        Identity::Account,
        "all or nothing"
    );
    let events = shop.get("/api/v1/events").await;
    let entry = json!({"identity": "account", "challenge": "proof_of_work", "opens_at": null});
    assert_eq!(events.body["events"][0]["entry"], entry);
    let openapi = shop.get("/api/openapi.json").await;
    let fields = &openapi.body["components"]["schemas"]["RoomSettings"]["properties"];
    assert!(fields["identity"].is_object() && fields["challenge"].is_object());
    shop.close().await;
}

#[tokio::test]
async fn whoever_asks_for_turnstile_hears_what_the_edge_lacks() {
    let shop = Shop::open_with_flags(&[("--turnstile-site-key", "1x00000000000000000000AA")]).await;
    let lacks = "the edge has no CATRACA_TURNSTILE_SECRET";
    *shop.edge.turnstile_fault.lock().unwrap() = Some(lacks.to_owned());
    shop.event("hamlet", 4, 300, CSV).await;
    let operator = shop.operator().await;
    let ask = async |challenge: &str| {
        let body = json!({"challenge": challenge});
        let reply = shop.send(&operator, Method::PUT, ROOM, Some(&body)).await;
        assert_eq!(
            (reply.status, &reply.body["in_force"]),
            (200, &json!(true)),
            "{reply:?}"
        );
        reply.body
    };
    assert_eq!(ask("turnstile").await["faults"], json!([lacks]));
    let opened = act(&shop, "open", None).await;
    assert_eq!(opened["faults"], json!([lacks]), "until it is seen to");
    assert_eq!(ask("proof_of_work").await["faults"], Value::Null);
    *shop.edge.turnstile_fault.lock().unwrap() = None;
    assert_eq!(ask("turnstile").await["faults"], Value::Null);
    shop.close().await;

    // An empty variable is none.
    let shop = Shop::open_with_flags(&[("--turnstile-site-key", "")]).await;
    shop.event("hamlet", 4, 300, CSV).await;
    let operator = shop.operator().await;
    let body = json!({"challenge": "turnstile"});
    let refused = shop.send(&operator, Method::PUT, ROOM, Some(&body)).await;
    refused.assert_problem(422, "invalid_field");
    shop.close().await;
}

#[tokio::test]
async fn lanes_and_their_passes() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let operator = shop.operator().await;
    let settings = json!({"lanes": [{"lane": "partner:acme", "share_percent": 25}],
        "beacon": {"source": "drand quicknet 7"}});
    let reply = shop
        .send(&operator, Method::PUT, ROOM, Some(&settings))
        .await;
    assert_eq!(
        (reply.status, &reply.body["lanes"]),
        (200, &settings["lanes"])
    );
    let config = shop.edge.config("hamlet").unwrap();
    assert_eq!(config.lanes[0].share_percent, 25);
    assert_eq!(config.beacon.unwrap().source, "drand quicknet 7");
    let passes = format!("{ROOM}/passes");
    let wanted = json!({"lane": "partner:acme", "count": 3, "valid_seconds": 600});
    let reply = shop
        .send(&operator, Method::POST, &passes, Some(&wanted))
        .await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let given = reply.body["passes"].as_array().unwrap();
    let unique: std::collections::BTreeSet<&str> =
        given.iter().map(|pass| pass.as_str().unwrap()).collect();
    assert_eq!(unique.len(), 3);
    assert!(unique.iter().all(|pass| pass.starts_with("l1.")));
    for (field, value) in [
        ("lane", json!("priority")),
        ("count", json!(0)),
        ("valid_seconds", json!(1)),
    ] {
        let mut bad = wanted.clone();
        bad[field] = value;
        let reply = shop
            .send(&operator, Method::POST, &passes, Some(&bad))
            .await;
        reply.assert_problem(422, "invalid_field");
    }
    shop.close().await;
}
