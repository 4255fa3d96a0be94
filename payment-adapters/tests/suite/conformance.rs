//! One suite over every adapter, against the sandbox, over real HTTP.

use crate::support::{
    Rig, assert_secured, captured, is_secured, money, payment, repeated, setting,
};
use axum::http::StatusCode;
use catraca_payments::{
    AdapterError, Display, PaymentStatus, ProviderRef, RefundState, Registry, WebhookError,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod card {
            $(#[tokio::test] async fn $case() { super::$case("card").await; })*
        }
        mod paypal {
            $(#[tokio::test] async fn $case() { super::$case("paypal").await; })*
        }
        mod pix {
            $(#[tokio::test] async fn $case() { super::$case("pix").await; })*
        }
    };
}

conformance!(
    approved_captured_refunded,
    partial_capture,
    declined,
    abandoned_then_voided,
    authorised_then_voided,
    capturing_twice_takes_once,
    starting_twice_is_one_payment,
    same_key_other_body_is_rejected,
    refunding_twice_is_one_refund,
    refunding_again_a_day_later,
    refused_amounts,
    zero_decimals,
    unknown_reference,
    webhooks_verify,
    webhooks_are_retried,
    webhooks_survive_being_killed,
    wrong_credentials,
    held_back_then_resolved,
    held_back_decline,
    survives_being_killed,
    bad_forms_change_nothing,
    form_sent_twice,
    unpaid_when_its_time_is_over,
);

async fn approved_captured_refunded(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, started) = rig.start().await;
    let reference = &started.provider_ref;
    assert_eq!(rig.status(reference).await, PaymentStatus::Open);
    let (status, location) = rig.choose(&started, &[("outcome", "approve")]).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(
        location
            .unwrap()
            .as_str()
            .starts_with(payment.return_url.as_str())
    );
    let authorised = rig.adapter.authorise(reference).await.unwrap();
    assert_secured(&authorised, payment.amount);
    assert_eq!(rig.adapter.authorise(reference).await.unwrap(), authorised);
    let status = rig
        .adapter
        .capture(reference, payment.amount)
        .await
        .unwrap();
    assert_eq!(status, captured(payment.amount, 0));

    let part = money("BRL", 2_345);
    let refund = rig
        .adapter
        .refund(reference, part, Uuid::new_v4())
        .await
        .unwrap();
    assert_eq!(refund.state, RefundState::Completed);
    assert_eq!(rig.status(reference).await, captured(payment.amount, 2_345));
    let error = rig
        .adapter
        .refund(reference, payment.amount, Uuid::new_v4())
        .await
        .unwrap_err();
    assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
    rig.adapter
        .refund(reference, money("BRL", 10_000), Uuid::new_v4())
        .await
        .unwrap();
    assert_eq!(
        rig.status(reference).await,
        captured(payment.amount, 12_345)
    );
    let error = rig
        .adapter
        .refund(reference, money("BRL", 1), Uuid::new_v4())
        .await
        .unwrap_err();
    assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");

    let line = rig.ledger_line(reference).await;
    assert_eq!(line["provider"], provider);
    assert_eq!(line["order"], payment.order_id.to_string());
    assert_eq!(line["hold"], payment.hold_id.to_string());
    assert_eq!(
        (&line["amount_minor"], &line["currency"]),
        (&12_345.into(), &"BRL".into())
    );
    assert_eq!(line["captured_minor"], 12_345);
    assert_eq!(line["refunded_minor"], 12_345);
}

async fn partial_capture(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (_, reference) = rig.authorised().await;
    let before = rig.status(&reference).await;
    let part = money("BRL", 5_000);
    let status = rig.adapter.capture(&reference, part).await.unwrap();
    // What was taken already is reported as it is.
    let taken = matches!(before, PaymentStatus::Captured { .. });
    assert_eq!(status, if taken { before } else { captured(part, 0) });
}

async fn declined(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, started) = rig.start().await;
    rig.choose(&started, &[("outcome", "decline")]).await;
    let status = rig.adapter.authorise(&started.provider_ref).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed { .. }), "{status:?}");
    let status = rig
        .adapter
        .capture(&started.provider_ref, payment.amount)
        .await
        .unwrap();
    assert!(
        !matches!(status, PaymentStatus::Captured { .. }),
        "{status:?}"
    );
    let status = rig.adapter.void(&started.provider_ref).await.unwrap();
    assert!(status.is_over_unpaid(), "{status:?}");
    assert_eq!(
        rig.ledger_line(&started.provider_ref).await["captured_minor"],
        0
    );
}

async fn abandoned_then_voided(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, started) = rig.start().await;
    let (status, location) = rig.choose(&started, &[("outcome", "abandon")]).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    // A payment without a page of Checkout's has one way back only.
    let back = match provider {
        "pix" => &payment.return_url,
        _ => &payment.cancel_url,
    };
    assert!(location.unwrap().as_str().starts_with(back.as_str()));
    assert_eq!(rig.status(&started.provider_ref).await, PaymentStatus::Open);
    let status = rig.adapter.void(&started.provider_ref).await.unwrap();
    assert!(status.is_over_unpaid(), "{status:?}");
    assert!(
        rig.adapter
            .void(&started.provider_ref)
            .await
            .unwrap()
            .is_over_unpaid()
    );
    // Paying a closed page takes nothing; PayPal's can't be closed, but takes nothing by itself.
    rig.choose(&started, &[("outcome", "approve")]).await;
    let status = rig.status(&started.provider_ref).await;
    assert!(
        status.is_over_unpaid() || status == PaymentStatus::Approved,
        "{status:?}"
    );
    assert!(
        rig.adapter
            .void(&started.provider_ref)
            .await
            .unwrap()
            .is_over_unpaid()
    );
}

async fn authorised_then_voided(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, reference) = rig.authorised().await;
    if rig.status(&reference).await == captured(payment.amount, 0) {
        // Too late to let go, so nothing changes; the way back is a refund.
        let status = rig.adapter.void(&reference).await.unwrap();
        assert_eq!(status, captured(payment.amount, 0));
        let refund = rig
            .adapter
            .refund(&reference, payment.amount, Uuid::new_v4());
        assert_eq!(refund.await.unwrap().state, RefundState::Completed);
        return;
    }
    assert_eq!(
        rig.adapter.void(&reference).await.unwrap(),
        PaymentStatus::Voided
    );
    assert_eq!(
        rig.adapter.void(&reference).await.unwrap(),
        PaymentStatus::Voided
    );
    let late = rig
        .adapter
        .capture(&reference, payment.amount)
        .await
        .unwrap();
    assert_eq!(late, PaymentStatus::Voided);
    let error = rig
        .adapter
        .refund(&reference, payment.amount, Uuid::new_v4())
        .await
        .unwrap_err();
    assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
}

async fn capturing_twice_takes_once(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, reference) = rig.authorised().await;
    let capture = || rig.adapter.capture(&reference, payment.amount);
    let (one, two, three) = tokio::join!(capture(), capture(), capture());
    for status in [one, two, three, capture().await] {
        assert_eq!(status.unwrap(), captured(payment.amount, 0));
    }
    assert_eq!(rig.ledger_line(&reference).await["captured_minor"], 12_345);
    assert_eq!(
        rig.adapter.void(&reference).await.unwrap(),
        captured(payment.amount, 0)
    );
}

async fn starting_twice_is_one_payment(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let payment = payment("BRL", 500);
    let start = || rig.adapter.start(&payment);
    let (one, two) = tokio::join!(start(), start());
    let one = one.unwrap();
    assert_eq!(two.unwrap(), one);
    assert_eq!(start().await.unwrap(), one);
}

async fn same_key_other_body_is_rejected(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (mut payment, _) = rig.start().await;
    payment.amount = money("BRL", 1);
    let error = rig.adapter.start(&payment).await.unwrap_err();
    assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
}

async fn refunding_twice_is_one_refund(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, reference) = rig.captured().await;
    let id = Uuid::new_v4();
    let one = rig
        .adapter
        .refund(&reference, money("BRL", 1_000), id)
        .await
        .unwrap();
    let two = rig
        .adapter
        .refund(&reference, money("BRL", 1_000), id)
        .await
        .unwrap();
    assert_eq!(one, two);
    assert_eq!(
        rig.status(&reference).await,
        captured(payment.amount, 1_000)
    );
}

/// Providers forget their idempotency keys; nothing is given back twice for that.
async fn refunding_again_a_day_later(provider: &'static str) {
    let mut rig = Rig::new(provider).await;
    let (payment, reference) = rig.captured().await;
    let id = Uuid::new_v4();
    let part = money("BRL", 1_000);
    let first = rig.adapter.refund(&reference, part, id).await.unwrap();
    rig.forget_keys();
    let again = repeated(|| rig.adapter.refund(&reference, part, id)).await;
    assert_eq!(again, first);
    assert_eq!(
        rig.status(&reference).await,
        captured(payment.amount, 1_000)
    );
}

async fn refused_amounts(provider: &'static str) {
    let rig = Rig::new(provider).await;
    for amount_minor in [0, -1] {
        let error = rig
            .adapter
            .start(&payment("BRL", amount_minor))
            .await
            .unwrap_err();
        assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
    }
    let (payment, reference) = rig.authorised().await;
    if rig.status(&reference).await == captured(payment.amount, 0) {
        return;
    }
    for amount in [money("BRL", 12_346), money("USD", 12_345), money("BRL", 0)] {
        let error = rig.adapter.capture(&reference, amount).await.unwrap_err();
        assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
    }
}

async fn zero_decimals(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let payment = payment("JPY", 1_500);
    if !rig.adapter.takes(payment.amount.currency) {
        let error = rig.adapter.start(&payment).await.unwrap_err();
        assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
        return;
    }
    let started = rig.adapter.start(&payment).await.unwrap();
    rig.approve(&started).await;
    let status = rig.adapter.authorise(&started.provider_ref).await.unwrap();
    assert_secured(&status, payment.amount);
    let status = rig
        .adapter
        .capture(&started.provider_ref, payment.amount)
        .await
        .unwrap();
    assert_eq!(status, captured(payment.amount, 0));
}

async fn unknown_reference(provider: &'static str) {
    let rig = Rig::new(provider).await;
    for reference in ["NOSUCHPAYMENT", "", "../../v1/events", "a?b#c"] {
        let reference = ProviderRef::new(reference);
        assert_eq!(
            rig.adapter.status(&reference).await.unwrap_err(),
            AdapterError::NotFound
        );
        assert_eq!(
            rig.adapter.void(&reference).await.unwrap_err(),
            AdapterError::NotFound
        );
    }
}

fn first_event(provider: &str) -> &'static str {
    match provider {
        "card" => "payment_intent.amount_capturable",
        "pix" => "payment_intent.succeeded",
        _ => "CHECKOUT.ORDER.APPROVED",
    }
}

async fn webhooks_verify(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, reference) = rig.authorised().await;
    let delivery = rig.delivery(first_event(provider)).await;
    let event = rig.verified(&delivery).await;
    assert!(event.kind.starts_with(first_event(provider)));
    assert_eq!(event.order_id, Some(payment.order_id));
    let named = if provider == "card" {
        "checkout.session.completed"
    } else {
        &event.kind
    };
    let event = rig.verified(&rig.delivery(named).await).await;
    assert_eq!(event.provider_ref, Some(reference));
    assert_eq!(event.raw["id"], event.event_id);

    let now = OffsetDateTime::now_utc();
    let verify = async |headers: &_, body: &[u8], now| {
        rig.adapter
            .verify_webhook(headers, body, now)
            .await
            .unwrap_err()
    };
    let forged = String::from_utf8(delivery.body.to_vec())
        .unwrap()
        .replace("BRL", "USD");
    let forged = forged.replace("brl", "usd");
    let error = verify(&delivery.headers, forged.as_bytes(), now).await;
    assert!(matches!(error, WebhookError::BadSignature(_)), "{error:?}");
    let error = verify(&axum::http::HeaderMap::new(), &delivery.body, now).await;
    assert!(matches!(error, WebhookError::BadSignature(_)), "{error:?}");
    for wrong in [now + Duration::days(5), now - Duration::minutes(10)] {
        let error = verify(&delivery.headers, &delivery.body, wrong).await;
        assert_eq!(error, WebhookError::OutsideTolerance);
    }
    let error = verify(&delivery.headers, b"not json", now).await;
    assert!(!matches!(error, WebhookError::Unavailable(_)), "{error:?}");
}

async fn webhooks_are_retried(provider: &'static str) {
    let rig = Rig::new(provider).await;
    *rig.inbox.refuse.lock().unwrap() = 3;
    rig.authorised().await;
    let delivery = rig.delivery(first_event(provider)).await;
    rig.verified(&delivery).await;
}

async fn webhooks_survive_being_killed(provider: &'static str) {
    let mut rig = Rig::new(provider).await;
    *rig.inbox.refuse.lock().unwrap() = u32::MAX;
    rig.authorised().await;
    rig.restart();
    *rig.inbox.refuse.lock().unwrap() = 0;
    let delivery = rig.delivery(first_event(provider)).await;
    let now = OffsetDateTime::now_utc();
    repeated(async || {
        let verified = rig
            .adapter
            .verify_webhook(&delivery.headers, &delivery.body, now);
        verified.await.map_err(|error| match error {
            WebhookError::Unavailable(error) => error,
            other => panic!("{other:?}"),
        })
    })
    .await;
}

/// A wrong key is our fault, and said to be.
async fn wrong_credentials(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let wrong = |name: &str| match name {
        "CATRACA_CARD_SECRET_KEY" | "CATRACA_PAYPAL_CLIENT_SECRET" => Some("wrong".to_owned()),
        _ => setting(&rig.base, name),
    };
    let registry = Registry::from_settings(&wrong).unwrap();
    let adapter = registry.get(provider).unwrap();
    let error = adapter.start(&payment("BRL", 100)).await.unwrap_err();
    assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
}

async fn held_back_then_resolved(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, started) = rig.start().await;
    let reference = &started.provider_ref;
    let form = [("outcome", "approve"), ("delay_seconds", "1")];
    let (status, _) = rig.choose(&started, &form).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let waiting = rig.status(reference).await;
    assert!(
        matches!(waiting, PaymentStatus::Open | PaymentStatus::Pending { .. }),
        "{waiting:?}"
    );
    rig.status_after(reference, &waiting).await;
    let status = rig.adapter.authorise(reference).await.unwrap();
    assert_secured(&status, payment.amount);
}

async fn held_back_decline(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (_, started) = rig.start().await;
    rig.choose(&started, &[("outcome", "decline"), ("delay_seconds", "1")])
        .await;
    let waiting = rig.status(&started.provider_ref).await;
    rig.status_after(&started.provider_ref, &waiting).await;
    let status = rig.adapter.authorise(&started.provider_ref).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed { .. }), "{status:?}");
}

async fn survives_being_killed(provider: &'static str) {
    let mut rig = Rig::new(provider).await;
    let (payment, reference) = rig.authorised().await;
    let (_, held_back) = rig.start().await;
    rig.choose(
        &held_back,
        &[("outcome", "approve"), ("delay_seconds", "1")],
    )
    .await;
    rig.restart();
    // PayPal's tokens ended with the process: the adapter gets a new one by itself.
    let status = rig.status(&reference).await;
    assert_secured(&status, payment.amount);
    let status = repeated(|| rig.adapter.capture(&reference, payment.amount)).await;
    assert_eq!(status, captured(payment.amount, 0));
    rig.restart();
    assert_eq!(rig.status(&reference).await, captured(payment.amount, 0));
    let again = repeated(|| rig.adapter.capture(&reference, payment.amount)).await;
    assert_eq!(again, captured(payment.amount, 0));
    for _ in 0..200 {
        let status = rig
            .adapter
            .authorise(&held_back.provider_ref)
            .await
            .unwrap();
        if is_secured(&status, payment.amount) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("what was held back never came");
}

async fn bad_forms_change_nothing(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (_, started) = rig.start().await;
    let forms: &[&[(&str, &str)]] = &[
        &[],
        &[("outcome", "steal")],
        &[("outcome", "approve"), ("delay_seconds", "-1")],
        &[("outcome", "approve"), ("delay_seconds", "3601")],
        &[("outcome", "approve"), ("delay_seconds", "soon")],
    ];
    for form in forms {
        let (status, location) = rig.choose(&started, form).await;
        assert_eq!((status, location), (StatusCode::UNPROCESSABLE_ENTITY, None));
    }
    assert_eq!(rig.status(&started.provider_ref).await, PaymentStatus::Open);
}

async fn form_sent_twice(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, started) = rig.start().await;
    rig.approve(&started).await;
    rig.approve(&started).await;
    let (status, _) = rig.choose(&started, &[("outcome", "decline")]).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let status = rig.adapter.authorise(&started.provider_ref).await.unwrap();
    assert_secured(&status, payment.amount);
}

/// Stripe's secrets rotate; an event signed with neither of ours is not believed.
/// A page that nobody paid is closed, or forgotten where the adapter says that they are.
async fn unpaid_when_its_time_is_over(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, started) = rig.start().await;
    let expire = async |name: &str| {
        let body = serde_json::json!({ "payment": name });
        rig.control("sandbox/expire", &body).await
    };
    assert_eq!(expire("nobody's").await, StatusCode::NOT_FOUND);
    let order = payment.order_id.to_string();
    assert_eq!(expire(&order).await, StatusCode::NO_CONTENT);
    let status = rig.adapter.status(&started.provider_ref).await;
    if rig.adapter.forgets_unpaid() {
        assert_eq!(status, Err(AdapterError::NotFound));
    } else {
        assert_eq!(status, Ok(PaymentStatus::Expired));
    }
    let (status, _) = rig.choose(&started, &[("outcome", "approve")]).await;
    assert_eq!(status, StatusCode::CONFLICT);
    // Only what is unpaid can run out.
    let (_, paid) = rig.authorised().await;
    assert_eq!(expire(paid.as_str()).await, StatusCode::CONFLICT);
    let misspelt = serde_json::json!({ "order": order });
    let status = rig.control("sandbox/expire", &misspelt).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn card_webhook_secrets_rotate() {
    let rig = Rig::new("card").await;
    let body = br#"{"id":"evt_1","type":"charge.refunded","data":{"object":{}}}"#;
    let now = OffsetDateTime::now_utc();
    let sign = |secret: &str| {
        let secret = catraca_domain::secret::Secret::from(secret);
        let header = catraca_domain::signature::sign(&secret, now.unix_timestamp(), body);
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("stripe-signature", header.parse().unwrap());
        headers
    };
    for secret in ["whsec_new", "whsec_old"] {
        let event = rig
            .adapter
            .verify_webhook(&sign(secret), body, now)
            .await
            .expect(secret);
        assert_eq!(event.event_id, "evt_1");
        assert_eq!((event.provider_ref, event.order_id), (None, None));
    }
    let error = rig
        .adapter
        .verify_webhook(&sign("whsec_other"), body, now)
        .await
        .unwrap_err();
    assert!(matches!(error, WebhookError::BadSignature(_)), "{error:?}");
}

/// A page whose payment is being processed can't be closed; once it is decided, the money can be
/// let go.
#[tokio::test]
async fn card_voided_while_processing() {
    let rig = Rig::new("card").await;
    let (_, started) = rig.start().await;
    rig.choose(&started, &[("outcome", "approve"), ("delay_seconds", "1")])
        .await;
    let waiting = rig.adapter.void(&started.provider_ref).await.unwrap();
    assert!(
        matches!(waiting, PaymentStatus::Pending { .. }),
        "{waiting:?}"
    );
    rig.status_after(&started.provider_ref, &waiting).await;
    let status = rig.adapter.void(&started.provider_ref).await.unwrap();
    assert_eq!(status, PaymentStatus::Voided);
}

/// Stripe remembers the refusal to close the page under its key; a later one must not be met by it.
#[tokio::test]
async fn card_closed_after_a_held_back_decline() {
    let rig = Rig::new("card").await;
    let (_, started) = rig.start().await;
    let form = [("outcome", "decline"), ("delay_seconds", "1")];
    rig.choose(&started, &form).await;
    let waiting = rig.adapter.void(&started.provider_ref).await.unwrap();
    assert!(
        matches!(waiting, PaymentStatus::Pending { .. }),
        "{waiting:?}"
    );
    rig.status_after(&started.provider_ref, &waiting).await;
    let status = rig.adapter.void(&started.provider_ref).await.unwrap();
    assert_eq!(status, PaymentStatus::Expired);
}

/// The code is there to be shown in place, and as a page with its image.
#[tokio::test]
async fn pix_shows_its_code() {
    let rig = Rig::new("pix").await;
    let (_, started) = rig.start().await;
    let Some(Display::QrCode {
        data,
        image_url,
        expires_at,
    }) = started.display
    else {
        panic!("no code");
    };
    assert!(data.contains(started.provider_ref.as_str()) && expires_at.is_some());
    let get = async |url| {
        let reply = reqwest::get::<url::Url>(url).await.unwrap();
        assert!(reply.status().is_success());
        reply.text().await.unwrap()
    };
    assert!(get(image_url.unwrap()).await.contains("<svg"));
    let page = get(started.redirect_url).await;
    assert!(page.contains("qr.svg") && page.contains(&data), "{page}");
}

/// A code that nobody paid runs out by itself, and can't be paid then.
#[tokio::test]
async fn pix_runs_out() {
    let rig = Rig::new("pix").await;
    let mut payment = payment("BRL", 12_345);
    // A minute is added, and ten seconds are the least that Stripe allows.
    payment.expires_at = OffsetDateTime::now_utc() - Duration::seconds(49);
    let started = rig.adapter.start(&payment).await.unwrap();
    let reference = &started.provider_ref;
    assert_eq!(rig.status(reference).await, PaymentStatus::Open);
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    let status = rig.status_after(reference, &PaymentStatus::Open).await;
    assert_eq!(status, PaymentStatus::Expired);
    let (status, _) = rig.choose(&started, &[("outcome", "approve")]).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        rig.adapter.void(reference).await.unwrap(),
        PaymentStatus::Expired
    );
    let event = rig
        .verified(&rig.delivery("payment_intent.payment_failed").await)
        .await;
    assert_eq!(event.order_id, Some(payment.order_id));
    // Too late to begin with.
    payment.idempotency_key.push('2');
    payment.expires_at -= Duration::minutes(5);
    let error = rig.adapter.start(&payment).await.unwrap_err();
    assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
}
