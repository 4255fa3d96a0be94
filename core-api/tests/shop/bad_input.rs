use crate::common::Shop;
use crate::common::people::{Person, admission, mint};
use crate::common::reply::Reply;
use reqwest::Method;
use serde_json::{Value, json};

const CSV: &str = "section,kind,row,seat,capacity,price_minor,x,y\n\
    A,seated,1,1,,1000,,\nA,seated,1,2,,1000,,\nB,general,,,20,500,,\n";

async fn refused(
    shop: &Shop,
    name: &str,
    request: reqwest::RequestBuilder,
    status: u16,
    kind: &str,
) {
    let before = shop.fingerprint().await;
    let reply = Reply::of(request).await;
    assert!(reply.is_problem(status, kind), "{name}: {reply:?}");
    assert_eq!(shop.fingerprint().await, before, "{name} changed something");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn bodies_of_a_hold() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    shop.event("macbeth", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    let post = |content_type: &str, body: String| {
        shop.request(Method::POST, "/api/v1/holds")
            .header("cookie", &ana.cookies)
            .header("idempotency-key", "k")
            .header("content-type", content_type)
            .body(body)
    };
    let huge = format!(r#"{{"event":"{}"}}"#, "x".repeat(10_000_000));
    for (name, content_type, body, status, kind) in [
        (
            "garbage",
            "application/json",
            "{not json".to_owned(),
            400,
            "malformed_body",
        ),
        (
            "empty",
            "application/json",
            String::new(),
            400,
            "malformed_body",
        ),
        (
            "a list",
            "application/json",
            "[]".to_owned(),
            400,
            "malformed_body",
        ),
        (
            "deep",
            "application/json",
            "[".repeat(50_000),
            400,
            "malformed_body",
        ),
        (
            "not UTF-8",
            "application/json",
            "{\"event\":\"\\ud800\"}".to_owned(),
            400,
            "malformed_body",
        ),
        ("10 MB", "application/json", huge, 413, "payload_too_large"),
        (
            "a form",
            "application/x-www-form-urlencoded",
            "a=b".to_owned(),
            415,
            "unsupported_media_type",
        ),
        (
            "text",
            "text/plain",
            "{}".to_owned(),
            415,
            "unsupported_media_type",
        ),
    ] {
        refused(&shop, name, post(content_type, body), status, kind).await;
    }
    let seat = |row: &str, seat: &str| json!({"section": "A", "row": row, "seat": seat});
    let many: Vec<Value> = (0..51).map(|n| seat("1", &n.to_string())).collect();
    for (body, field) in [
        (json!({}), "event"),
        (json!({"event": "hamlet"}), "seats"),
        (json!({"event": 7, "section": "B", "quantity": 1}), "event"),
        (json!({"event": "hamlet", "section": "B"}), "quantity"),
        (json!({"event": "hamlet", "quantity": 1}), "section"),
        (
            json!({"event": "hamlet", "section": "B", "quantity": 0}),
            "quantity",
        ),
        (
            json!({"event": "hamlet", "section": "B", "quantity": -1}),
            "quantity",
        ),
        (
            json!({"event": "hamlet", "section": "B", "quantity": 51}),
            "quantity",
        ),
        (
            json!({"event": "hamlet", "section": "B", "quantity": 99_999_999_999_u64}),
            "quantity",
        ),
        (
            json!({"event": "hamlet", "section": "B", "quantity": "2"}),
            "quantity",
        ),
        (
            json!({"event": "hamlet", "section": "B", "quantity": 1.5}),
            "quantity",
        ),
        (
            json!({"event": "hamlet", "section": "", "quantity": 1}),
            "section",
        ),
        (
            json!({"event": "hamlet", "section": "B\u{0}", "quantity": 1}),
            "section",
        ),
        (
            json!({"event": "hamlet", "section": "B".repeat(10_000), "quantity": 1}),
            "section",
        ),
        (json!({"event": "hamlet", "seats": []}), "seats"),
        (json!({"event": "hamlet", "seats": many}), "seats"),
        (json!({"event": "hamlet", "seats": "A-1"}), "seats"),
        (
            json!({"event": "hamlet", "seats": [{"section": "A"}]}),
            "seats[0]",
        ),
        (
            json!({"event": "hamlet", "seats": [seat("1", "1"), seat("1", "1")]}),
            "seats[1]",
        ),
        (
            json!({"event": "hamlet", "seats": [{"section": "B", "row": "1", "seat": "1"}]}),
            "seats[0].section",
        ),
        (
            json!({"event": "hamlet", "section": "B", "quantity": 1, "seats": [seat("1", "1")]}),
            "seats",
        ),
    ] {
        let before = shop.fingerprint().await;
        let reply = shop.hold(&ana, "k", &body).await;
        let name = body.to_string().chars().take(100).collect::<String>();
        assert!(reply.is_problem(422, "invalid_field"), "{name}: {reply:?}");
        let named = reply.body["errors"][0]["field"].as_str().unwrap();
        // A missing field is reported where it is missing.
        assert!(
            named == field || named == "?" || named == ".",
            "{name}: {named} for {field}"
        );
        assert_eq!(shop.fingerprint().await, before, "{name}");
    }
    for (body, field) in [
        (
            json!({"event": "nowhere", "section": "B", "quantity": 1}),
            "event",
        ),
        (
            json!({"event": "../etc", "section": "B", "quantity": 1}),
            "event",
        ),
        (
            json!({"event": "hamlet", "section": "Z", "quantity": 1}),
            "section",
        ),
        (
            json!({"event": "hamlet", "seats": [seat("1", "1"), seat("1", "99")]}),
            "seats[1]",
        ),
        (
            json!({"event": "hamlet", "seats": [{"section": "Z", "row": "1", "seat": "1"}]}),
            "seats[0].section",
        ),
    ] {
        let before = shop.fingerprint().await;
        let reply = shop.hold(&ana, "k", &body).await;
        assert!(reply.is_problem(404, "not_found"), "{body}: {reply:?}");
        assert_eq!(reply.body["errors"][0]["field"], field, "{body}");
        assert_eq!(shop.fingerprint().await, before, "{body}");
    }
    let other = json!({"event": "macbeth", "section": "B", "quantity": 1});
    shop.hold(&ana, "k", &other)
        .await
        .assert_problem(401, "invalid_admission");
    let over = json!({"event": "hamlet", "section": "B", "quantity": 5});
    shop.hold(&ana, "k", &over)
        .await
        .assert_problem(422, "over_limit");
    shop.close().await;
}

#[tokio::test]
async fn keys_and_addresses() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.shopper("hamlet").await;
    let wish = json!({"event": "hamlet", "section": "B", "quantity": 1});
    let keyed = |key: Option<&str>| {
        let request = shop
            .request(Method::POST, "/api/v1/holds")
            .header("cookie", &ana.cookies);
        match key {
            Some(key) => request.header("idempotency-key", key).json(&wish),
            None => request.json(&wish),
        }
    };
    refused(&shop, "no key", keyed(None), 400, "missing_idempotency_key").await;
    refused(
        &shop,
        "long key",
        keyed(Some(&"k".repeat(256))),
        422,
        "invalid_field",
    )
    .await;
    refused(&shop, "empty key", keyed(Some("")), 422, "invalid_field").await;
    let anybody = Person {
        account: ana.account,
        cookies: "a=b".to_owned(),
    };
    let logged_in = Person {
        account: ana.account,
        cookies: ana.cookies.split(';').next().unwrap().to_owned(),
    };
    let stranger = Person {
        account: ana.account,
        cookies: format!(
            "__Host-login=x; __Host-admission={}",
            mint(&admission("hamlet"))
        ),
    };
    let a_hold = "/api/v1/holds/00000000-0000-0000-0000-000000000000";
    for (method, path) in [
        (Method::POST, "/api/v1/holds"),
        (Method::GET, a_hold),
        (Method::DELETE, a_hold),
        (Method::GET, "/api/v1/session"),
        (Method::DELETE, "/api/v1/session"),
    ] {
        for (person, kind) in [
            (&anybody, "no_admission"),
            (&logged_in, "no_admission"),
            (&stranger, "not_logged_in"),
        ] {
            let request = shop
                .request(method.clone(), path)
                .header("cookie", &person.cookies);
            refused(&shop, path, request, 401, kind).await;
        }
    }
    shop.get("/api/v1/me")
        .await
        .assert_problem(401, "not_logged_in");
    for path in [
        a_hold,
        "/api/v1/holds/xyz",
        "/api/v1/holds/%00",
        "/api/v1/holds/1%FF",
    ] {
        for method in [Method::GET, Method::DELETE] {
            let reply = shop.send(&ana, method, path, None).await;
            assert_eq!(reply.status, 404, "{path}: {reply:?}");
            assert_eq!(reply.header("content-type"), "application/problem+json");
        }
    }
    for path in [
        "/api/v1/events/nowhere",
        "/api/v1/events/%00",
        "/api/v1/events/UPPER",
        "/api/v1/events/nowhere/availability",
        "/api/v1/events/hamlet/sections/Z/seats",
        "/api/v1/events/hamlet/sections/%FF/seats",
        "/api/v1/events/nowhere/sections/A/seats",
        "/nowhere",
    ] {
        shop.get(path).await.assert_problem(404, "not_found");
    }
    let wrong = shop
        .request(Method::PUT, "/api/v1/holds")
        .header("cookie", &ana.cookies);
    refused(&shop, "PUT", wrong, 405, "method_not_allowed").await;
    shop.close().await;
}
