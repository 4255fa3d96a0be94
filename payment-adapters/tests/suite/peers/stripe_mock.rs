//! Stripe's own mock checks every parameter of every request against Stripe's API description. It
//! keeps no state, so a relay before it paints the state that the next call needs onto its replies.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use catraca_payments::card::CardAdapter;
use catraca_payments::pix::PixAdapter;
use catraca_payments::{Display, PaymentAdapter, PaymentStatus, ProviderRef};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::{client, config, given};
use crate::support::{captured, money, payment};

#[derive(Clone)]
struct Relay {
    upstream: Url,
    client: reqwest::Client,
    /// Laid over whatever session or intent comes back.
    paint: Arc<Mutex<Value>>,
    seen: Arc<Mutex<Vec<(String, u16, String)>>>,
}

fn lay(over: &Value, under: &mut Value) {
    match (over, under) {
        (Value::Object(over), Value::Object(under)) => {
            for (name, value) in over {
                lay(value, under.entry(name.clone()).or_insert(Value::Null));
            }
        }
        (over, under) => *under = over.clone(),
    }
}

async fn pass(
    State(relay): State<Relay>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let url = relay.upstream.join(&uri.to_string()).unwrap();
    let mut request = relay.client.request(method.clone(), url).body(body);
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
        "stripe-version",
    ] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let reply = request.send().await.unwrap();
    let status = reply.status();
    let text = reply.text().await.unwrap();
    let segments: Vec<_> = uri.path().split('/').collect();
    let plain = segments.iter().map(|part| {
        let is_id = ["cs_", "pi_"].iter().any(|prefix| part.starts_with(prefix));
        if is_id { "{id}" } else { *part }
    });
    let call = format!("{method} {}", plain.collect::<Vec<_>>().join("/"));
    relay
        .seen
        .lock()
        .unwrap()
        .push((call, status.as_u16(), text.clone()));
    let mut object: Value = serde_json::from_str(&text).unwrap();
    if matches!(
        object["object"].as_str(),
        Some("checkout.session" | "payment_intent")
    ) {
        lay(&relay.paint.lock().unwrap(), &mut object);
    }
    let reply = Response::builder().status(status);
    reply.body(Body::from(object.to_string())).unwrap()
}

async fn relay() -> (Relay, Url) {
    let relay = Relay {
        upstream: given("CATRACA_VERIFY_STRIPE_MOCK").parse().unwrap(),
        client: client(),
        paint: Arc::new(Mutex::new(json!({}))),
        seen: Arc::default(),
    };
    let app = Router::new().fallback(pass).with_state(relay.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (relay, base.parse().unwrap())
}

impl Relay {
    fn paint(&self, over: Value) {
        *self.paint.lock().unwrap() = over;
    }

    /// Every call so far was accepted; which they were.
    fn accepted(&self) -> BTreeSet<String> {
        let seen = self.seen.lock().unwrap();
        for (call, status, text) in seen.iter() {
            assert!(*status < 400, "{call}: {status} {text}");
        }
        seen.iter().map(|(call, ..)| call.clone()).collect()
    }
}

fn intent(status: &str) -> Value {
    let received = if status == "succeeded" { 12_345 } else { 0 };
    json!({
        "status": status, "currency": "brl", "amount_capturable": 12_345,
        "amount_received": received, "last_payment_error": null,
        "latest_charge": { "id": "ch_1", "amount": 12_345, "captured": true, "amount_refunded": 0 },
    })
}

/// Captures, lets go and gives back, whatever the mock answers: it never changes its mind.
async fn captures_and_refunds(relay: &Relay, adapter: &dyn PaymentAdapter, id: &str) {
    let reference = ProviderRef::new(id);
    let whole = money("BRL", 12_345);
    let paint = |status| {
        if id.starts_with("cs_") {
            relay.paint(json!({ "status": "complete", "payment_intent": intent(status) }));
        } else {
            relay.paint(intent(status));
        }
    };
    paint("requires_capture");
    let authorised = PaymentStatus::Authorised { amount: whole };
    assert_eq!(adapter.authorise(&reference).await.unwrap(), authorised);
    adapter.capture(&reference, whole).await.unwrap();
    adapter.void(&reference).await.unwrap();
    paint("succeeded");
    assert_eq!(
        adapter.status(&reference).await.unwrap(),
        captured(whole, 0)
    );
    let refund = adapter
        .refund(&reference, money("BRL", 45), Uuid::new_v4())
        .await
        .unwrap();
    assert!(refund.refund_ref.starts_with("re_"), "{refund:?}");
}

#[tokio::test]
#[ignore = "needs stripe-mock: scripts/verify-peers"]
async fn card_requests_are_accepted() {
    let (relay, base) = relay().await;
    let adapter = CardAdapter::new(config(&base), client());
    relay.paint(json!({
        "url": "https://checkout.stripe.com/c/pay/cs_1", "status": "open", "payment_intent": null,
    }));
    let started = adapter.start(&payment("BRL", 12_345)).await.unwrap();
    assert!(started.provider_ref.as_str().starts_with("cs_"));
    let mut nameless = payment("JPY", 1_500);
    nameless.buyer_email = None;
    adapter.start(&nameless).await.unwrap();
    assert_eq!(
        adapter.status(&started.provider_ref).await.unwrap(),
        PaymentStatus::Open
    );
    adapter.void(&started.provider_ref).await.unwrap();
    captures_and_refunds(&relay, &adapter, started.provider_ref.as_str()).await;
    captures_and_refunds(&relay, &adapter, "pi_1").await;
    let calls = [
        "GET /v1/checkout/sessions/{id}",
        "GET /v1/payment_intents/{id}",
        "GET /v1/refunds",
        "POST /v1/checkout/sessions",
        "POST /v1/checkout/sessions/{id}/expire",
        "POST /v1/payment_intents/{id}/cancel",
        "POST /v1/payment_intents/{id}/capture",
        "POST /v1/refunds",
    ];
    assert_eq!(relay.accepted(), calls.map(str::to_owned).into());
}

#[tokio::test]
#[ignore = "needs stripe-mock: scripts/verify-peers"]
async fn pix_requests_are_accepted() {
    let (relay, base) = relay().await;
    let adapter = PixAdapter::new(config(&base), client());
    let mut waiting = intent("requires_action");
    waiting["next_action"] = json!({ "type": "pix_display_qr_code", "pix_display_qr_code": {
        "data": "000201", "expires_at": 1_800_000_000,
        "hosted_instructions_url": "https://payments.stripe.com/pix/instructions/x",
        "image_url_png": "https://qr.stripe.com/x.png",
        "image_url_svg": "https://qr.stripe.com/x.svg",
    } });
    relay.paint(waiting);
    let started = adapter.start(&payment("BRL", 12_345)).await.unwrap();
    let reference = &started.provider_ref;
    assert!(reference.as_str().starts_with("pi_"));
    let Some(Display::QrCode {
        data,
        image_url,
        expires_at,
    }) = started.display
    else {
        panic!("no code");
    };
    assert_eq!(data, "000201");
    assert_eq!(image_url.unwrap().path(), "/x.svg");
    assert!(expires_at.is_some());
    assert_eq!(
        adapter.status(reference).await.unwrap(),
        PaymentStatus::Open
    );
    adapter.void(reference).await.unwrap();
    relay.paint(intent("succeeded"));
    let whole = money("BRL", 12_345);
    assert_eq!(
        adapter.capture(reference, whole).await.unwrap(),
        captured(whole, 0)
    );
    adapter
        .refund(reference, money("BRL", 45), Uuid::new_v4())
        .await
        .unwrap();
    let calls = [
        "GET /v1/payment_intents/{id}",
        "GET /v1/refunds",
        "POST /v1/payment_intents",
        "POST /v1/payment_intents/{id}/cancel",
        "POST /v1/refunds",
    ];
    assert_eq!(relay.accepted(), calls.map(str::to_owned).into());
}

/// The mock does refuse: a parameter that doesn't exist, one of the wrong type, another version.
#[tokio::test]
#[ignore = "needs stripe-mock: scripts/verify-peers"]
async fn wrong_requests_are_refused() {
    let base: Url = given("CATRACA_VERIFY_STRIPE_MOCK").parse().unwrap();
    let post = async |version: &str, form: &[(&str, &str)]| {
        let request = client()
            .post(base.join("v1/payment_intents").unwrap())
            .bearer_auth("sk_test_verify")
            .header("Stripe-Version", version)
            .form(form);
        request.send().await.unwrap().status().as_u16()
    };
    let version = catraca_payments::stripe::STRIPE_VERSION;
    let right = [("amount", "100"), ("currency", "brl")];
    assert_eq!(post(version, &right).await, 200);
    assert_eq!(
        post(version, &[right[0], right[1], ("colour", "red")]).await,
        400
    );
    assert_eq!(post(version, &[("amount", "much"), right[1]]).await, 400);
    assert_eq!(post("2011-01-01", &right).await, 400);
}
