//! Mail to buyers, over real SMTP conversations.

use super::smtp::{MailServer, Manner, Received};
use super::support::{Buyer, Shop};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catraca_core::mail::{MailConfig, Post};
use catraca_domain::ids::OrderId;
use serde_json::{Value, json};
use std::time::Duration;

async fn buy(shop: &Shop, buyer: &Buyer, seats: &[i32]) -> OrderId {
    let hold = shop.hold(buyer, seats).await;
    let order = shop.order(buyer, hold, "card").await;
    let page = shop.page(buyer, order).await;
    shop.choose(&page, "approve", 0).await;
    shop.until(buyer, order, "paid").await;
    order
}

/// Waits until the order's mail is in this state.
async fn until_mail(shop: &Shop, buyer: &Buyer, order: OrderId, state: &str) -> Value {
    for _ in 0..400 {
        let mail = shop.view(buyer, order).await["mail"].clone();
        if mail["state"] == state {
            return mail;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not {state}: {}", shop.view(buyer, order).await["mail"]);
}

/// The bodies of the parts, decoded.
fn parts(message: &Received) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for part in message.data.split("\r\n--") {
        let Some((head, body)) = part.split_once("\r\n\r\n") else {
            continue;
        };
        let body = if head.contains("base64") {
            let text: String = body.split_whitespace().collect();
            STANDARD.decode(text).unwrap()
        } else if head.contains("quoted-printable") {
            unquoted(body)
        } else {
            body.as_bytes().to_vec()
        };
        found.push((head.to_owned(), body));
    }
    found
}

/// RFC 2045, 6.7.
fn unquoted(body: &str) -> Vec<u8> {
    let body = body.replace("=\r\n", "");
    let mut pieces = body.split('=');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend(&piece.as_bytes()[2..]);
    }
    bytes
}

fn part(message: &Received, kind: &str) -> Vec<u8> {
    let mut all = parts(message).into_iter();
    let of_kind = all.find(|(head, _)| head.contains(&format!("Content-Type: {kind}")));
    of_kind
        .unwrap_or_else(|| panic!("no {kind}: {}", message.data))
        .1
}

fn text(message: &Received, kind: &str) -> String {
    String::from_utf8(part(message, kind)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_mailed_when_paid_and_a_refund_is_told() {
    let server = MailServer::start().await;
    let shop = Shop::open_with_mail(server.url()).await;
    shop.work();
    shop.mail();
    let ana = shop.buyer("ana").await;
    let order = buy(&shop, &ana, &[0, 1]).await;
    let message = server.nth(1).await;
    assert_eq!(message.from, "MAIL FROM:<tickets@shop.example>");
    assert_eq!(message.to, ["RCPT TO:<ana@example.com>"]);
    assert_eq!(message.header("to").unwrap(), "ana@example.com");
    assert_eq!(
        message.header("message-id").unwrap(),
        format!("<tickets.{order}@shop.example>")
    );
    assert_eq!(message.header("auto-submitted").unwrap(), "auto-generated");
    assert!(
        message
            .header("subject")
            .unwrap()
            .starts_with("Your tickets: Hamlet, o ")
    );
    let plain = text(&message, "text/plain");
    for wanted in [
        "Hamlet, o príncipe",
        "Teatro São João",
        "row 1, seat 2",
        "BRL 250.00",
    ] {
        assert!(plain.contains(wanted), "{wanted} in {plain}");
    }
    let view = shop.view(&ana, order).await;
    for ticket in view["tickets"].as_array().unwrap() {
        let address = format!(
            "{}/tickets/{}",
            shop.core,
            ticket["ticket"].as_str().unwrap()
        );
        assert!(plain.contains(&address), "{address} in {plain}");
        assert!(text(&message, "text/html").contains(&format!("href=\"{address}\"")));
    }
    let pdf = part(&message, "application/pdf");
    let pages = String::from_utf8_lossy(&pdf)
        .matches("/Type /Page\n")
        .count();
    assert!(pdf.starts_with(b"%PDF-") && pages == 2, "{pages} pages");
    let mail = until_mail(&shop, &ana, order, "sent").await;
    assert_eq!(mail["to"], "ana@example.com");

    let operator = shop.person("operator", &["operator"]).await;
    let path = format!("/api/v1/admin/orders/{order}/refund");
    let one = json!({ "tickets": [view["tickets"][0]["ticket"]] });
    let reply = shop.post(&operator, &path, "part", &one).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    let message = server.nth(2).await;
    let plain = text(&message, "text/plain");
    assert!(plain.contains("given BRL 125.00 back"), "{plain}");
    let (void, good) = (plain.find("row 1, seat 1"), plain.find("row 1, seat 2"));
    assert!(plain.find("No longer valid:") < void && void < plain.find("Still valid:"));
    assert!(plain.find("Still valid:") < good, "{plain}");

    shop.post(&operator, &path, "k", &json!({})).await;
    let message = server.nth(3).await;
    let subject = message.header("subject").unwrap();
    assert!(subject.starts_with("Refund: Hamlet"), "{subject}");
    let plain = text(&message, "text/plain");
    for wanted in ["given BRL 125.00 back", "No longer valid:", "row 1, seat 2"] {
        assert!(plain.contains(wanted), "{wanted} in {plain}");
    }
    shop.until(&ana, order, "refunded").await;
    shop.until_idle().await;
    for _ in 0..200 {
        if shop
            .count("SELECT count(*) FROM mails WHERE sent_at IS NULL")
            .await
            == 0
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rows = "SELECT count(*) FROM mails WHERE sent_at IS NOT NULL";
    assert_eq!((shop.count(rows).await, server.received().len()), (3, 3));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_holds_nobody_up_and_gets_the_mail_later() {
    let server = MailServer::away().await;
    let shop = Shop::open_with_mail(server.url()).await;
    shop.work();
    shop.mail();
    let ana = shop.buyer("ana").await;
    let order = buy(&shop, &ana, &[0]).await;
    assert_eq!(
        until_mail(&shop, &ana, order, "queued").await["to"],
        "ana@example.com"
    );
    // Tried, and not yet again.
    let tried = "SELECT count(*) FROM mails WHERE tries = 1 AND next_try_at > now()";
    for _ in 0..200 {
        if shop.count(tried).await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.arrive().await;
    server.nth(1).await;
    until_mail(&shop, &ana, order, "sent").await;
    assert_eq!(shop.count("SELECT count(*) FROM mails").await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_after_sending_sends_the_same_message_again() {
    let server = MailServer::start().await;
    server.behave(Manner::Hangs);
    let shop = Shop::open_with_mail(server.url()).await;
    let mut worker = shop.worker_process();
    let ana = shop.buyer("ana").await;
    let order = buy(&shop, &ana, &[0]).await;
    // The server has it; the worker has not heard so.
    let first = server.nth(1).await;
    worker.start_kill().unwrap();
    worker.wait().await.unwrap();
    server.behave(Manner::Takes);
    let _worker = shop.worker_process();
    // Nobody takes it up before its time, which is brought forward here.
    let forward = "UPDATE mails SET next_try_at = now() WHERE sent_at IS NULL AND tries = 1";
    assert_eq!(shop.db().await.execute(forward, &[]).await.unwrap(), 1);
    let second = server.nth(2).await;
    assert_eq!(first.header("message-id"), second.header("message-id"));
    assert_eq!(first.header("date"), second.header("date"));
    until_mail(&shop, &ana, order, "sent").await;
    assert_eq!(
        shop.count("SELECT count(*) FROM mails WHERE tries = 2")
            .await,
        1
    );
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_mailbox_is_given_up_and_a_busy_server_is_not() {
    let server = MailServer::start().await;
    server.behave(Manner::KnowsNobody);
    let shop = Shop::open_with_mail(server.url()).await;
    shop.work();
    shop.mail();
    let ana = shop.buyer("ana").await;
    let order = buy(&shop, &ana, &[0]).await;
    until_mail(&shop, &ana, order, "given_up").await;
    server.behave(Manner::IsBusy);
    let bia = shop.buyer("bia").await;
    let order = buy(&shop, &bia, &[1]).await;
    let put_off = "SELECT count(*) FROM mails WHERE tries > 0 AND next_try_at > now()
                   AND next_try_at < now() + interval '5 seconds'";
    for _ in 0..200 {
        if shop.count(put_off).await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.behave(Manner::Takes);
    until_mail(&shop, &bia, order, "sent").await;
    // Three days on, nobody waits for it.
    server.behave(Manner::IsBusy);
    let carla = shop.buyer("carla").await;
    let order = buy(&shop, &carla, &[2]).await;
    let age = "UPDATE mails SET created_at = now() - interval '4 days', next_try_at = now()
               WHERE sent_at IS NULL AND given_up IS NULL";
    assert_eq!(shop.db().await.execute(age, &[]).await.unwrap(), 1);
    until_mail(&shop, &carla, order, "given_up").await;
    assert_eq!(server.received().len(), 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_from_outside_becomes_a_header_or_markup() {
    let server = MailServer::start().await;
    let shop = Shop::open_with_mail(server.url()).await;
    shop.work();
    shop.mail();
    let title = "Gala\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script>";
    let db = shop.db().await;
    db.execute("UPDATE events SET title = $1, venue = $1", &[&title])
        .await
        .unwrap();
    drop(db);
    let ana = shop.buyer("ana").await;
    buy(&shop, &ana, &[0]).await;
    let message = server.nth(1).await;
    assert_eq!(message.to, ["RCPT TO:<ana@example.com>"]);
    assert_eq!(message.header("bcc"), None, "{}", message.data);
    assert!(message.header("subject").unwrap().contains("Gala"));
    let html = text(&message, "text/html");
    assert!(
        html.contains("&lt;script&gt;") && !html.contains("<script"),
        "{html}"
    );

    // Addresses that are none: the order is paid all the same, and no mail is tried.
    for (seat, bad) in [
        "",
        "ana",
        "a@b.c>\r\nRCPT TO:<eve@example.com",
        "a b@c.d",
        "a@b.c\r\nBcc: e@f.g",
    ]
    .iter()
    .enumerate()
    {
        let fan = shop.buyer("fan").await;
        let db = shop.db().await;
        let sql = "UPDATE accounts SET email = $2 WHERE account_id = $1";
        db.execute(sql, &[&fan.account, bad]).await.unwrap();
        drop(db);
        let order = buy(&shop, &fan, &[i32::try_from(seat).unwrap() + 1]).await;
        assert_eq!(shop.view(&fan, order).await["mail"], json!(null), "{bad:?}");
    }
    assert_eq!(shop.count("SELECT count(*) FROM mails").await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_there_is_no_mail() {
    let shop = Shop::open().await;
    shop.work();
    shop.mail();
    let ana = shop.buyer("ana").await;
    let order = buy(&shop, &ana, &[0]).await;
    assert_eq!(shop.view(&ana, order).await["mail"], json!(null));
    assert_eq!(shop.count("SELECT count(*) FROM mails").await, 0);
    shop.close().await;
}

#[test]
fn tickets_and_passwords_do_not_travel_in_the_clear() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let open = |url: &str| {
        Post::new(&MailConfig {
            smtp_url: Some(url.into()),
            mail_from: Some("Catraca <tickets@example.com>".parse().unwrap()),
        })
    };
    for good in [
        "smtp://127.0.0.1:2525",
        "smtp://localhost",
        "smtp://[::1]:25",
        "smtps://u:p@mail.example.com",
        "smtp://u:p@mail.example.com:587?tls=required",
    ] {
        assert!(open(good).unwrap().is_some(), "{good}");
    }
    for bad in [
        "smtp://mail.example.com",
        "smtp://u:secret@mail.example.com:587?tls=opportunistic",
        "smtp://10.0.0.1",
        "https://mail.example.com",
        "mail.example.com",
    ] {
        let error = open(bad)
            .err()
            .unwrap_or_else(|| panic!("{bad}"))
            .to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
