use crate::common::Shop;
use crate::common::people::{admission, mint};
use crate::common::reply::Reply;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catraca_domain::keyring::Keyring;
use reqwest::Method;

const CSV: &str = "section,kind,row,seat,capacity,price_minor,x,y\nA,general,,,10,1000,,\n";

async fn session(shop: &Shop, cookies: &str) -> Reply {
    Reply::of(
        shop.request(Method::GET, "/api/v1/session")
            .header("cookie", cookies),
    )
    .await
}

#[tokio::test]
async fn bad_tokens_open_nothing() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let ana = shop.account(&[]).await;
    let good = admission("hamlet");
    let parts: Vec<String> = mint(&good).split('.').map(str::to_owned).collect();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"t1","typ":"JWT"}"#);
    let stranger = r#"[{"kid":"t1","secret":"AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;
    let unknown = r#"[{"kid":"t9","secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]"#;
    let minted = |edit: fn(&mut catraca_domain::admission::Admission)| {
        let mut other = admission("hamlet");
        edit(&mut other);
        mint(&other)
    };
    let cases = [
        ("garbage", "xyz".to_owned(), "invalid_admission"),
        ("empty", String::new(), "invalid_admission"),
        (
            "alg none",
            format!("{none}.{}.", parts[1]),
            "invalid_admission",
        ),
        (
            "alg none, tag kept",
            format!("{none}.{}.{}", parts[1], parts[2]),
            "invalid_admission",
        ),
        (
            "tag lost",
            format!("{}.{}.", parts[0], parts[1]),
            "invalid_admission",
        ),
        ("too long", "a".repeat(5_000), "invalid_admission"),
        (
            "stranger's key",
            good.mint(&Keyring::from_json(stranger).unwrap()),
            "invalid_admission",
        ),
        (
            "unknown kid",
            good.mint(&Keyring::from_json(unknown).unwrap()),
            "invalid_admission",
        ),
        (
            "issuer",
            minted(|a| a.iss = "other".to_owned()),
            "invalid_admission",
        ),
        ("not yet", minted(|a| a.nbf += 60), "invalid_admission"),
        (
            "no such event",
            minted(|a| a.aud = "macbeth".parse().unwrap()),
            "invalid_admission",
        ),
        ("number", minted(|a| a.num = u64::MAX), "invalid_admission"),
        ("expired", minted(|a| a.exp = a.iat), "session_ended"),
    ];
    for (name, token, kind) in cases {
        let reply = session(&shop, &ana.with(&token).cookies).await;
        assert!(reply.is_problem(401, kind), "{name}: {reply:?}");
    }
    session(&shop, &ana.cookies)
        .await
        .assert_problem(401, "no_admission");
    let anonymous = format!("__Host-admission={}", mint(&good));
    session(&shop, &anonymous)
        .await
        .assert_problem(401, "not_logged_in");
    assert_eq!(
        shop.count("SELECT count(*) FROM shopping_sessions").await,
        0
    );
    shop.close().await;
}

#[tokio::test]
async fn an_admission_is_one_accounts_and_a_number_one_admissions() {
    let shop = Shop::open().await;
    shop.event("hamlet", 4, 300, CSV).await;
    let (ana, bia) = (shop.account(&[]).await, shop.account(&[]).await);
    let first = admission("hamlet");
    let token = mint(&first);
    // Many first uses at once open one session.
    let at_once = (0..16).map(|_| {
        let (cookies, shop) = (ana.with(&token).cookies, &shop);
        async move { session(shop, &cookies).await.status }
    });
    assert_eq!(futures::future::join_all(at_once).await, [200; 16]);
    let reply = session(&shop, &bia.with(&token).cookies).await;
    reply.assert_problem(401, "admission_spent");
    let bearer = shop
        .request(Method::GET, "/api/v1/session")
        .header("cookie", &ana.cookies)
        .bearer_auth(&token);
    let reply = Reply::of(bearer).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body["max_seats_per_buyer"], 4);
    assert_eq!(reply.body["event"], "hamlet");
    let mut twin = admission("hamlet");
    twin.num = first.num;
    let reply = session(&shop, &bia.with(&mint(&twin)).cookies).await;
    reply.assert_problem(401, "invalid_admission");
    assert_eq!(
        shop.count("SELECT count(*) FROM shopping_sessions").await,
        1
    );
    shop.close().await;
}
