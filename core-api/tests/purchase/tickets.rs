//! A ticket as JSON, as a QR code and on paper; the keys of its code, and what the door is told.

use super::support::Shop;
use catraca_core::config::Config;
use catraca_core::tickets::{keys, pdf};
use catraca_domain::ticket_code::{self, TicketKeys};
use clap::Parser;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_its_owners_alone() {
    let shop = Shop::open().await;
    shop.work();
    let (ana, bia) = (shop.buyer("ana").await, shop.buyer("bia").await);
    let hold = shop.hold(&ana, &[6]).await;
    let order = shop.order(&ana, hold, "card").await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "approve", 0).await;
    let paid = shop.until(&ana, order, "paid").await;
    let id = paid["tickets"][0]["ticket"].as_str().unwrap();
    let path = format!("/api/v1/tickets/{id}");

    let ticket = shop.get(&ana, &path).await;
    assert_eq!(ticket.status, 200);
    assert_eq!(ticket.body["event"]["slug"], "hamlet");
    assert_eq!(ticket.body["event"]["venue"], "Teatro São João");
    assert_eq!(
        (&ticket.body["row"], &ticket.body["seat"]),
        (&"1".into(), &"7".into())
    );
    assert_eq!(ticket.body["order"], order.to_string());
    // Whoever reads the published keys can tell.
    let keys = shop.http.get(format!("{}/api/v1/ticket-keys", shop.core));
    let keys = keys.send().await.unwrap().text().await.unwrap();
    let keys = TicketKeys::from_jwks(&keys).unwrap();
    let code = ticket.body["code"].as_str().unwrap();
    let said = keys.verify(code).unwrap();
    assert_eq!(
        (said.ticket.to_string().as_str(), said.seat.as_deref()),
        (id, Some("7"))
    );

    let svg = shop.get(&ana, &format!("{path}.svg")).await;
    assert_eq!(
        (svg.status, svg.content_type.as_str()),
        (200, "image/svg+xml")
    );
    assert!(String::from_utf8(svg.bytes).unwrap().contains("<svg"));
    let pdf = shop.get(&ana, &format!("{path}.pdf")).await;
    assert_eq!(
        (pdf.status, pdf.content_type.as_str()),
        (200, "application/pdf")
    );
    assert!(pdf.bytes.starts_with(b"%PDF-1.") && pdf.bytes.trim_ascii_end().ends_with(b"%%EOF"));
    // "São" in Windows-1252, as the page's hexadecimal string.
    let page = String::from_utf8_lossy(&pdf.bytes).to_uppercase();
    assert!(page.contains(&hex::encode_upper(b"Teatro S\xE3o Jo\xE3o")));
    if let Ok(folder) = std::env::var("CATRACA_TEST_KEEP") {
        std::fs::write(format!("{folder}/ticket.pdf"), &pdf.bytes).unwrap();
        std::fs::write(format!("{folder}/ticket.code"), code).unwrap();
    }

    for ending in ["", ".svg", ".pdf", ".gif"] {
        let path = format!("{path}{ending}");
        shop.get(&bia, &path)
            .await
            .assert_problem(404, "ticket_not_found");
    }
    shop.get(&ana, "/api/v1/tickets/7")
        .await
        .assert_problem(404, "ticket_not_found");
    shop.close().await;
}

#[test]
fn accents_are_printed_and_the_rest_is_not_guessed() {
    assert_eq!(pdf::win_ansi("São João – €5"), b"S\xE3o Jo\xE3o \x96 \x805");
    assert_eq!(pdf::win_ansi("日本\n\u{7f}\u{80}"), b"?????");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refunded_ticket_has_no_code_and_is_on_the_doors_list() {
    let shop = Shop::open().await;
    shop.work();
    let ana = shop.buyer("ana").await;
    let operator = shop.person("operator", &["operator"]).await;
    let guard = shop.person("guard", &["door"]).await;
    let hold = shop.hold(&ana, &[3, 4]).await;
    let order = shop.order(&ana, hold, "card").await;
    let page = shop.page(&ana, order).await;
    shop.choose(&page, "approve", 0).await;
    let paid = shop.until(&ana, order, "paid").await;

    let door = shop.get(&guard, "/api/v1/door/hamlet").await;
    assert_eq!(door.status, 200, "{}", door.body);
    assert_eq!(
        (&door.body["issued"], &door.body["void"]),
        (&json!(2), &json!([]))
    );
    assert_eq!(door.body["title"], "Hamlet, o príncipe");
    shop.get(&ana, "/api/v1/door/hamlet")
        .await
        .assert_problem(403, "forbidden");
    shop.get(&guard, "/api/v1/door/macbeth")
        .await
        .assert_problem(404, "not_found");
    let staff_only = format!("/api/v1/admin/orders/{order}/refund");
    shop.post(&guard, &staff_only, "k", &json!({}))
        .await
        .assert_problem(403, "forbidden");

    shop.post(&operator, &staff_only, "k", &json!({})).await;
    shop.until(&ana, order, "refunded").await;
    let door = shop.get(&operator, "/api/v1/door/hamlet").await;
    let mut void: Vec<&str> = door.body["void"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ticket| ticket.as_str().unwrap())
        .collect();
    let mut ids: Vec<&str> = paid["tickets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ticket| ticket["ticket"].as_str().unwrap())
        .collect();
    void.sort_unstable();
    ids.sort_unstable();
    assert_eq!((door.body["issued"].clone(), void), (json!(0), ids.clone()));
    let path = format!("/api/v1/tickets/{}", ids[0]);
    let ticket = shop.get(&ana, &path).await;
    assert_eq!(
        (&ticket.body["status"], &ticket.body["code"]),
        (&json!("void"), &json!(null))
    );
    shop.get(&ana, &format!("{path}.svg"))
        .await
        .assert_problem(410, "ticket_void");
    let pdf = shop.get(&ana, &format!("{path}.pdf")).await;
    let page = String::from_utf8_lossy(&pdf.bytes).to_uppercase();
    assert!(
        page.contains(&hex::encode_upper(b"VOID: refunded")) || page.contains("VOID: REFUNDED")
    );
    shop.close().await;
}

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    config: Config,
}

#[test]
fn a_replaced_keys_codes_stay_good_as_long_as_it_is_published() {
    let seeds = [
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
        "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI",
    ];
    let config = |seed: &str, others: &str| {
        let flags = [
            "test",
            "--public-url=http://x",
            "--database-url=postgres://x",
            "--redis-url=redis://x",
            "--edge-url=http://x",
            "--edge-secret=s",
            "--ticket-key",
            seed,
            "--admission-keys=[{\"kid\":\"a\",\"secret\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]",
            "--oidc-providers=[{\"name\":\"d\",\"issuer\":\"http://x\",\"client_id\":\"c\",\"client_secret\":\"s\"}]",
        ];
        let others = (!others.is_empty()).then(|| format!("--ticket-public-keys={others}"));
        let flags = flags.into_iter().map(str::to_owned).chain(others);
        Args::try_parse_from(flags).map(|args| args.config)
    };
    let x = |config: &Config| {
        let key = keys::signing_key(&config.ticket_key)
            .unwrap()
            .verifying_key();
        let jwks: serde_json::Value =
            serde_json::from_str(&TicketKeys::new([key]).unwrap().to_jwks()).unwrap();
        jwks["keys"][0]["x"].as_str().unwrap().to_owned()
    };
    let (old, new) = (config(seeds[0], "").unwrap(), config(seeds[1], "").unwrap());
    let payload = ticket_code::Payload {
        event: "hamlet".parse().unwrap(),
        ticket: catraca_domain::ids::TicketId(uuid::Uuid::nil()),
        section: "Plateia é".to_owned(),
        row: None,
        seat: None,
    };
    let code = |config: &Config| {
        ticket_code::sign(&keys::signing_key(&config.ticket_key).unwrap(), &payload).unwrap()
    };
    // The next key is published first, then signs, with the old one published beside it.
    let announced = config(seeds[0], &x(&new)).unwrap();
    let replaced = config(seeds[1], &format!("{}, {}", x(&old), x(&new))).unwrap();
    assert_eq!(code(&announced), code(&old));
    assert_eq!(code(&replaced), code(&new));
    for config in [&announced, &replaced] {
        let published = keys::published(config).unwrap();
        assert_eq!(published.kids().count(), 2);
        for code in [code(&old), code(&new)] {
            assert_eq!(published.verify(&code).as_ref(), Ok(&payload));
        }
    }
    let gone = keys::published(&new).unwrap().verify(&code(&old));
    assert_eq!(gone, Err(ticket_code::CodeError::UnknownKey));
    assert!(config(seeds[0], "AAAA").is_err(), "32 bytes, no less");
}
