use crate::common::reply::Reply;
use crate::common::{Shop, listen};
use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::json;
use std::collections::HashMap;

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
        let query: HashMap<_, _> = address.query_pairs().into_owned().collect();
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

/// The development provider, stopped when dropped.
struct Issuer(std::process::Child);

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Issuer {
    async fn start(core: &str) -> (Self, String) {
        let (listener, url) = listen().await;
        let address = url.trim_start_matches("http://").to_owned();
        drop(listener);
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let data = std::env::temp_dir().join(format!("catraca-issuer-{}", uuid::Uuid::new_v4()));
        let child = std::process::Command::new("node")
            .arg("devtools/issuer/server.mjs")
            .current_dir(root)
            .env("CATRACA_LISTEN", address)
            .env("CATRACA_PUBLIC_URL", core)
            .env("CATRACA_OIDC_CLIENT_SECRET", "secret")
            .env("CATRACA_ISSUER_DATA", data)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("node, which `make setup` brings: {error}"));
        let issuer = Self(child);
        let discovery = format!("{url}/.well-known/openid-configuration");
        for _ in 0..200 {
            if reqwest::get(&discovery).await.is_ok() {
                return (issuer, url);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the development provider did not start: run `make setup`");
    }
}

/// A browser: follows redirects and keeps cookies, secure ones too, for each origin.
async fn browse(shop: &Shop, jar: &mut HashMap<(String, String), String>, start: &str) -> Reply {
    let mut url = url::Url::parse(&shop.core).unwrap().join(start).unwrap();
    for _ in 0..10 {
        let origin = url.origin().ascii_serialization();
        let mine = jar.iter().filter(|((of, _), _)| *of == origin);
        let cookies: Vec<String> = mine
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let request = shop
            .http
            .get(url.clone())
            .header("cookie", cookies.join("; "));
        let reply = Reply::of(request).await;
        for cookie in reply.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            jar.insert((origin.clone(), name.to_owned()), value.to_owned());
        }
        if reply.header("location").is_empty() {
            return reply;
        }
        url = url.join(reply.header("location")).unwrap();
    }
    panic!("too many redirects");
}

#[tokio::test]
async fn logs_in_with_a_real_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (listener, core) = listen().await;
    let (_running, issuer) = Issuer::start(&core).await;
    let shop = Shop::open_at(listener, &issuer).await;
    let mut jar = HashMap::new();
    let mut logins = Vec::new();
    for (email, roles) in [
        ("ana@example.com", json!([])),
        ("operator@example.com", json!(["operator"])),
    ] {
        let path = format!("/auth/login?provider=dev&login_hint={email}&return_to=/api/v1/me");
        let me = browse(&shop, &mut jar, &path).await;
        assert_eq!(
            (me.status, &me.body["email"]),
            (200, &json!(email)),
            "{}",
            me.body
        );
        assert_eq!(me.body["roles"], roles);
        logins.push(jar[&(core.clone(), "__Host-login".to_owned())].clone());
    }
    // The second login ended the first, which the browser carried.
    let first = format!("__Host-login={}", logins[0]);
    let request = shop
        .request(Method::GET, "/api/v1/me")
        .header("cookie", first);
    Reply::of(request)
        .await
        .assert_problem(401, "not_logged_in");
    assert_eq!(shop.count("SELECT count(*) FROM login_sessions").await, 1);
    assert_eq!(shop.count("SELECT count(*) FROM accounts").await, 2);
    let again = browse(
        &shop,
        &mut jar,
        "/auth/login?login_hint=ana@example.com&return_to=/api/v1/me",
    );
    assert_eq!(again.await.body["email"], "ana@example.com");
    assert_eq!(shop.count("SELECT count(*) FROM accounts").await, 2);
    shop.close().await;
}
