use crate::common::Shop;
use crate::common::reply::Reply;
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Instant;

const HEADER: &str = "section,kind,row,seat,capacity,price_minor,x,y\n";

#[tokio::test]
async fn every_bad_line_is_named_and_nothing_imported() {
    let shop = Shop::open().await;
    let good = format!("{HEADER}A,seated,1,1,,1000,1.5,2\nB,general,,,10,500,,\n");
    shop.event("hamlet", 4, 300, &good).await;
    let operator = shop.operator().await;
    let before = shop.fingerprint().await;
    let lines = [
        ("A,seated,1,1,,1000,,", None),
        ("A,seated,1,1,,1000,,", Some("before")),
        ("A,seated,1,,,1000,,", Some("seat")),
        ("A,seated,1,2,5,1000,,", Some("capacity")),
        ("A,seated,1,2,,-1,,", Some("price_minor")),
        ("A,seated,1,2,,12.50,,", Some("price_minor")),
        ("A,seated,1,2,,99999999999999999999,,", Some("price_minor")),
        ("A,seated,1,2,,1000,left,", Some("x")),
        ("A,seated,1,2,,1000,,inf", Some("y")),
        (",seated,1,2,,1000,,", Some("section")),
        ("A,standing,1,2,,1000,,", Some("kind")),
        ("A,seated,1", Some("fields")),
        ("B,general,,,0,500,,", Some("capacity")),
        ("B,general,,,x,500,,", Some("capacity")),
        ("B,general,1,,10,500,,", Some("row")),
        ("B,general,,,9999999,500,,", Some("capacity")),
        ("A,general,,,10,500,,", Some("line")),
        ("C,general,,,10,500,,", None),
        ("C,seated,1,1,,500,,", Some("general")),
    ];
    let mut csv = HEADER.to_owned();
    for (line, _) in lines {
        let _ = writeln!(csv, "{line}");
    }
    let reply = shop.import(&operator, "hamlet", csv).await;
    reply.assert_problem(422, "invalid_field");
    let named: Vec<(u64, &str)> = reply.body["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (
                line["line"].as_u64().unwrap(),
                line["reason"].as_str().unwrap(),
            )
        })
        .collect();
    let expected: Vec<(u64, &str)> = (2..)
        .zip(lines)
        .filter_map(|(n, (_, word))| Some((n, word?)))
        .collect();
    assert_eq!(named.len(), expected.len(), "{named:#?}");
    for ((line, reason), (number, word)) in named.iter().zip(&expected) {
        assert_eq!(line, number, "{reason}");
        assert!(
            reason.contains(word),
            "line {line}: {reason}, expected {word}"
        );
    }
    for (name, csv) in [
        ("empty", String::new()),
        ("header only", HEADER.to_owned()),
        ("no header", "A,seated,1,1,,1000,,\n".to_owned()),
        (
            "column missing",
            "section,kind,row,seat,capacity,price_minor,x\n".to_owned(),
        ),
        ("binary", "\u{0}\u{1}\u{2}".to_owned()),
    ] {
        let reply = shop.import(&operator, "hamlet", csv).await;
        assert!(reply.is_problem(422, "invalid_field"), "{name}: {reply:?}");
    }
    let many = format!("{HEADER}{}", "x\n".repeat(5_000));
    let reply = shop.import(&operator, "hamlet", many).await;
    assert_eq!(reply.body["bad_lines"], 5_000);
    assert_eq!(reply.body["lines"].as_array().unwrap().len(), 100);
    assert_eq!(shop.fingerprint().await, before);
    shop.close().await;
}

#[tokio::test]
async fn what_is_in_use_is_not_replaced() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, &format!("{HEADER}A,general,,,10,500,,\n"))
        .await;
    let operator = shop.operator().await;
    let plan = || format!("{HEADER}B,general,,,5,700,,\n");
    let ana = shop.shopper("hamlet").await;
    let wish = json!({"event": "hamlet", "section": "A", "quantity": 1});
    let held = shop.hold(&ana, "k", &wish).await;
    let before = shop.fingerprint().await;
    shop.import(&operator, "hamlet", plan())
        .await
        .assert_problem(409, "conflict");
    assert_eq!(shop.fingerprint().await, before);
    let path = format!("/api/v1/holds/{}", held.body["hold"].as_str().unwrap());
    shop.send(&ana, Method::DELETE, &path, None).await;
    let reply = shop.import(&operator, "hamlet", plan()).await;
    assert_eq!(
        (reply.status, &reply.body),
        (200, &json!({"sections": 1, "seats": 5}))
    );
    let sections = shop.get("/api/v1/events/hamlet").await.body["sections"].clone();
    assert_eq!(sections.as_array().unwrap().len(), 1);
    assert_eq!(sections[0]["section"], "B");
    for (path, body, status, kind) in [
        (
            "/api/v1/admin/events/nowhere/seats:import",
            plan(),
            404,
            "not_found",
        ),
        (
            "/api/v1/admin/events/hamlet/seats:import",
            "x".repeat(17_000_000),
            413,
            "payload_too_large",
        ),
    ] {
        let request = shop
            .request(Method::POST, path)
            .header("cookie", &operator.cookies);
        let reply = Reply::of(request.header("content-type", "text/csv").body(body)).await;
        reply.assert_problem(status, kind);
    }
    let request = shop.request(Method::POST, "/api/v1/admin/events/hamlet/seats:import");
    let request = request
        .header("cookie", &operator.cookies)
        .json(&Value::Null);
    Reply::of(request)
        .await
        .assert_problem(415, "unsupported_media_type");
    shop.close().await;
}

#[tokio::test]
async fn a_stadium_takes_seconds() {
    let shop = Shop::open().await;
    let mut csv = format!("{HEADER}Pista,general,,,32000,34000,,\n");
    for n in 0..8_000 {
        let _ = writeln!(
            csv,
            "Norte,seated,{},{},,18000,{}.5,{}",
            n / 100,
            n % 100,
            n % 100,
            n / 100
        );
    }
    let started = Instant::now();
    shop.event("estadio", 6, 300, &csv).await;
    let took = started.elapsed();
    assert!(took.as_secs() < 10, "{took:?}");
    let availability = shop.get("/api/v1/events/estadio/availability").await;
    assert_eq!(availability.body["sections"][0]["free"], 32_000);
    assert_eq!(availability.body["sections"][1]["free"], 8_000);
    eprintln!("40,000 places imported in {took:?}");
    shop.close().await;
}
