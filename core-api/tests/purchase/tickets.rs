//! A ticket as JSON, as a QR code and on paper; and its code at the door.

use super::support::Shop;
use catraca_core::tickets::{code, pdf};
use catraca_domain::secret::Secret;

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
    let key = code::signing_key(&shop.app.config.ticket_key)
        .unwrap()
        .verifying_key();
    let code = ticket.body["code"].as_str().unwrap();
    let said = code::verify(&key, code).unwrap();
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
fn a_code_is_its_keys_alone() {
    let key = code::signing_key(&Secret::new([7; 32])).unwrap();
    let payload = code::Payload {
        event: "hamlet".parse().unwrap(),
        ticket: catraca_domain::ids::TicketId(uuid::Uuid::nil()),
        section: "Plateia é".to_owned(),
        row: None,
        seat: None,
    };
    let text = code::sign(&key, &payload).unwrap();
    let public = key.verifying_key();
    assert_eq!(code::verify(&public, &text), Ok(payload));
    let other = code::signing_key(&Secret::new([8; 32]))
        .unwrap()
        .verifying_key();
    assert_eq!(code::verify(&other, &text), Err(code::CodeError::Forged));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(
            code::verify(&public, &changed).is_err(),
            "changed at {at}: {changed}"
        );
    }
    for bad in ["", "T1", "T1..", "T2.e30.AA", &"T1.".repeat(2000)] {
        assert_eq!(
            code::verify(&public, bad),
            Err(code::CodeError::Malformed),
            "{bad:.20}"
        );
    }
    assert!(code::signing_key(&Secret::new([7; 31])).is_err());
}

#[test]
fn accents_are_printed_and_the_rest_is_not_guessed() {
    assert_eq!(pdf::win_ansi("São João – €5"), b"S\xE3o Jo\xE3o \x96 \x805");
    assert_eq!(pdf::win_ansi("日本\n\u{7f}\u{80}"), b"?????");
}
