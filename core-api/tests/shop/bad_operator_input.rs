use crate::common::Shop;
use crate::common::reply::Reply;
use reqwest::Method;
use serde_json::{Value, json};

const CSV: &str = "section,kind,row,seat,capacity,price_minor,x,y\nB,general,,,20,500,,\n";

#[tokio::test]
async fn operators_only() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    let before = shop.fingerprint().await;
    for (method, path) in [
        (Method::GET, "/api/v1/admin/events"),
        (Method::POST, "/api/v1/admin/events"),
        (Method::GET, "/api/v1/admin/events/hamlet"),
        (Method::PATCH, "/api/v1/admin/events/hamlet"),
        (Method::POST, "/api/v1/admin/events/hamlet/seats:import"),
        (Method::GET, "/api/v1/admin/rooms/hamlet"),
        (Method::PUT, "/api/v1/admin/rooms/hamlet"),
        (Method::POST, "/api/v1/admin/rooms/hamlet/open"),
        (Method::POST, "/api/v1/admin/rooms/hamlet/pause"),
        (Method::POST, "/api/v1/admin/rooms/hamlet/resume"),
        (Method::POST, "/api/v1/admin/rooms/hamlet/close"),
        (Method::POST, "/api/v1/admin/rooms/hamlet/message"),
        (Method::GET, "/api/v1/admin/rooms/hamlet/live"),
    ] {
        let nobody = Reply::of(shop.request(method.clone(), path)).await;
        assert!(
            nobody.is_problem(401, "not_logged_in"),
            "{path}: {nobody:?}"
        );
        let buyer = shop.send(&ana, method, path, None).await;
        assert!(buyer.is_problem(403, "forbidden"), "{path}: {buyer:?}");
    }
    assert_eq!(shop.fingerprint().await, before);
    shop.close().await;
}

fn event(edit: &Value) -> Value {
    let mut body = json!({"event": "lear", "title": "Lear", "venue": "Globe",
        "starts_at": "2040-01-01T20:00:00Z", "currency": "BRL", "max_seats_per_buyer": 4,
        "hold_seconds": 300});
    for (key, value) in edit.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn events() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let operator = shop.operator().await;
    let before = shop.fingerprint().await;
    for edit in [
        json!({"event": ""}),
        json!({"event": "Lear"}),
        json!({"event": "-lear"}),
        json!({"event": "a".repeat(64)}),
        json!({"title": ""}),
        json!({"title": "x".repeat(201)}),
        json!({"title": "a\u{0}b"}),
        json!({"venue": 7}),
        json!({"starts_at": "soon"}),
        json!({"starts_at": null}),
        json!({"currency": "brl"}),
        json!({"currency": "REAL"}),
        json!({"max_seats_per_buyer": 0}),
        json!({"max_seats_per_buyer": 51}),
        json!({"max_seats_per_buyer": "4"}),
        json!({"hold_seconds": 9}),
        json!({"hold_seconds": 3601}),
        json!({"hold_seconds": 1e30}),
    ] {
        let body = event(&edit);
        let reply = shop
            .send(&operator, Method::POST, "/api/v1/admin/events", Some(&body))
            .await;
        assert!(reply.is_problem(422, "invalid_field"), "{edit}: {reply:?}");
        if edit.get("event").is_none() {
            let path = "/api/v1/admin/events/hamlet";
            let reply = shop.send(&operator, Method::PATCH, path, Some(&edit)).await;
            // A null leaves the field as it is.
            let fine = edit["starts_at"].is_null() && edit.get("starts_at").is_some();
            assert!(
                fine || reply.is_problem(422, "invalid_field"),
                "PATCH {edit}: {reply:?}"
            );
        }
    }
    let used = event(&json!({"event": "hamlet"}));
    let reply = shop
        .send(&operator, Method::POST, "/api/v1/admin/events", Some(&used))
        .await;
    reply.assert_problem(409, "taken");
    for path in ["/api/v1/admin/events/nowhere", "/api/v1/admin/events/%00"] {
        shop.send(&operator, Method::GET, path, None)
            .await
            .assert_problem(404, "not_found");
        let reply = shop
            .send(&operator, Method::PATCH, path, Some(&json!({})))
            .await;
        reply.assert_problem(404, "not_found");
    }
    let after = shop.fingerprint().await;
    let split = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (split(&before), split(&after));
    // The PATCH of nothing counted the event's version up; all else is as it was.
    assert_eq!(before[..4], after[..4]);
    assert_eq!(before[5..], after[5..]);
    let good = event(&json!({}));
    let made = shop
        .send(&operator, Method::POST, "/api/v1/admin/events", Some(&good))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let edit = json!({"title": "King Lear", "hold_seconds": 600});
    let path = "/api/v1/admin/events/lear";
    let after_edit = shop.send(&operator, Method::PATCH, path, Some(&edit)).await;
    assert_eq!(
        (after_edit.status, &after_edit.body["title"]),
        (200, &json!("King Lear"))
    );
    assert_eq!(after_edit.body["venue"], "Globe");
    shop.close().await;
}

#[tokio::test]
async fn rooms() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let operator = shop.operator().await;
    let path = "/api/v1/admin/rooms/hamlet";
    let before = shop.fingerprint().await;
    for body in [
        json!({"dispensers": 65}),
        json!({"method": "lottery"}),
        json!({"identity": "everyone"}),
        json!({"identity": null, "challenge": "sudoku"}),
        // This deployment has no keys for it.
        json!({"challenge": "turnstile"}),
        json!({"lanes": [{"lane": "priority", "share_percent": 100}]}),
        json!({"lanes": [{"lane": "standard", "share_percent": 10}]}),
        json!({"lanes": [{"lane": "vip", "share_percent": 10}]}),
        json!({"beacon": {"source": ""}}),
        json!({"beacon": "drand"}),
        json!({"lanes": "priority"}),
        json!({"rate_per_minute": 0}),
        json!({"rate_per_minute": -1}),
        json!({"rate_per_minute": 600_001}),
        json!({"max_active": 0}),
        json!({"session_seconds": 9}),
        json!({"claim_window_seconds": 4}),
        json!({"opens_at": "tomorrow"}),
        json!({"fail_mode": "open"}),
    ] {
        let reply = shop.send(&operator, Method::PUT, path, Some(&body)).await;
        assert!(reply.is_problem(422, "invalid_field"), "{body}: {reply:?}");
    }
    let say = format!("{path}/message");
    for message in [json!("x".repeat(501)), json!(7), json!("a\u{0}")] {
        let body = json!({ "message": message });
        let reply = shop.send(&operator, Method::POST, &say, Some(&body)).await;
        reply.assert_problem(422, "invalid_field");
    }
    for action in ["pause", "resume"] {
        let path = format!("{path}/{action}");
        shop.send(&operator, Method::POST, &path, None)
            .await
            .assert_problem(409, "conflict");
    }
    for action in ["open", "live"] {
        let method = if action == "live" {
            Method::GET
        } else {
            Method::POST
        };
        let path = format!("/api/v1/admin/rooms/nowhere/{action}");
        shop.send(&operator, method, &path, None)
            .await
            .assert_problem(404, "not_found");
    }
    assert_eq!(shop.fingerprint().await, before);
    shop.close().await;
}
