use crate::common::reply::Reply;
use crate::common::{Shop, listen};
use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn return_to_is_a_path_of_ours() {
    let shop = Shop::open().await;
    for bad in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "evil",
        "",
        "javascript:alert(1)",
        "/\tevil",
        "/\n//evil",
        "/.//evil.example/",
        "/a/..//evil.example/",
    ] {
        let request = shop
            .request(Method::GET, "/auth/login")
            .query(&[("return_to", bad)]);
        Reply::of(request)
            .await
            .assert_problem(422, "invalid_field");
    }
    let unknown = shop.get("/auth/login?provider=nobody").await;
    unknown.assert_problem(422, "invalid_field");
    shop.close().await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_no_fault_of_the_visitor() {
    let shop = Shop::open().await;
    shop.get("/auth/login")
        .await
        .assert_problem(503, "unavailable");
    let providers = shop.get("/auth/providers").await;
    assert_eq!(providers.body, json!({"providers": [{"name": "dev"}]}));
    shop.close().await;
}

#[tokio::test]
async fn answers_that_were_not_asked_for_log_nobody_in() {
    let shop = Shop::open().await;
    for path in [
        "/auth/callback",
        "/auth/callback?state=x",
        "/auth/callback?state=x&code=y",
        "/auth/callback?error=access_denied",
        "/auth/callback?state=x&error=%3Cscript%3E",
    ] {
        for cookie in ["a=b", "__Host-login-attempt=x"] {
            let request = shop.request(Method::GET, path).header("cookie", cookie);
            Reply::of(request).await.assert_problem(400, "login_failed");
        }
    }
    let twice = shop.get("/auth/callback?state=a&state=b").await;
    twice.assert_problem(422, "invalid_field");
    assert_eq!(shop.count("SELECT count(*) FROM login_sessions").await, 0);
    shop.close().await;
}

#[tokio::test]
async fn logging_out_ends_the_login() {
    let shop = Shop::open().await;
    let ana = shop.account(&[]).await;
    assert_eq!(
        shop.send(&ana, Method::GET, "/api/v1/me", None)
            .await
            .status,
        200
    );
    let out = shop.send(&ana, Method::POST, "/auth/logout", None).await;
    assert_eq!(out.status, 204);
    assert!(
        out.header("set-cookie")
            .starts_with("__Host-login=; Path=/; Max-Age=0; Secure; HttpOnly")
    );
    let me = shop.send(&ana, Method::GET, "/api/v1/me", None).await;
    me.assert_problem(401, "not_logged_in");
    let again = Reply::of(shop.request(Method::POST, "/auth/logout")).await;
    assert_eq!(again.status, 204);
    shop.close().await;
}

/// A provider that can be discovered and refuses every code.
async fn issuer() -> String {
    let (listener, url) = listen().await;
    let discovery = json!({"issuer": url, "authorization_endpoint": format!("{url}/auth"),
        "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"]});
    let json = |value: serde_json::Value| move || async move { axum::Json(value) };
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(json(discovery)))
        .route("/jwks", get(json(json!({"keys": []}))))
        .route(
            "/token",
            axum::routing::post(|| async {
                let refusal = json!({"error": "invalid_grant"});
                (axum::http::StatusCode::BAD_REQUEST, axum::Json(refusal))
            }),
        );
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn an_attempt_is_its_browsers_and_good_once() {
    let issuer = issuer().await;
    let shop = Shop::open_with_issuer(&issuer).await;
    let begin = |cookie: &str| {
        let query = [
            ("return_to", "/e/hamlet"),
            ("login_hint", "ana@example.com"),
        ];
        let request = shop.request(Method::GET, "/auth/login").query(&query);
        request.header("cookie", cookie)
    };
    let state_of = |reply: &Reply| {
        let address = url::Url::parse(reply.header("location")).unwrap();
        let query: std::collections::HashMap<_, _> = address.query_pairs().into_owned().collect();
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["login_hint"], "ana@example.com");
        assert!(query["nonce"].len() > 20 && query["scope"].contains("openid"));
        query["state"].clone()
    };
    let first = Reply::of(begin("a=b")).await;
    assert_eq!(first.status, 303, "{}", first.body);
    let cookie = first
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    // A second tab keeps the browser's secret.
    let second = Reply::of(begin(&cookie)).await;
    assert!(second.header("set-cookie").starts_with(&cookie));
    let (one, two) = (state_of(&first), state_of(&second));
    let answer = |state: &str, cookie: &str, rest: &str| {
        let path = format!("/auth/callback?state={state}&{rest}");
        shop.request(Method::GET, &path).header("cookie", cookie)
    };
    let other = format!("__Host-login-attempt={}", "x".repeat(43));
    Reply::of(answer(&one, &other, "code=c"))
        .await
        .assert_problem(400, "login_failed");
    let denied = Reply::of(answer(&two, &cookie, "error=access_denied")).await;
    denied.assert_problem(400, "login_failed");
    assert!(
        denied.body["detail"]
            .as_str()
            .unwrap()
            .contains("access_denied")
    );
    Reply::of(answer(&one, &cookie, "code=c"))
        .await
        .assert_problem(400, "login_failed");
    Reply::of(answer(&one, &cookie, "code=c"))
        .await
        .assert_problem(400, "login_failed");
    assert_eq!(shop.count("SELECT count(*) FROM login_attempts").await, 0);
    shop.close().await;
}
