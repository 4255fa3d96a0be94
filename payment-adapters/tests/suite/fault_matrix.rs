//! Each outcome × each fault × each call, over every adapter: after repeating what may be repeated,
//! nothing was taken or given back twice, and the status is the right one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use catraca_payments::{AdapterError, PaymentAdapter, PaymentStatus, http_client_with, registry};
use futures::StreamExt as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Rig, captured, is_secured, money, payment, repeated, setting};

const CALLS: &[&str] = &["start", "status", "authorise", "capture", "void", "refund"];
const FAULTS: &[&str] = &[
    "timeout_before",
    "timeout_after",
    "http_500",
    "http_500_after",
    "http_429",
    "cut_before",
    "cut_after",
];
/// Flows at once.
const FLOWS_MAX: usize = 12;

/// How a sale goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Paid, captured, partly refunded.
    Kept,
    /// Paid, and let go (or given back, where it was taken at once).
    LetGo,
    Declined,
    Abandoned,
}

macro_rules! matrix {
    ($($provider:ident: $calls:expr),* $(,)?) => {
        $(#[tokio::test] async fn $provider() { run(stringify!($provider), &$calls).await; })*
    };
}

// The calls that each provider knows and that a fault must have met.
matrix!(
    card: ["start", "status", "capture", "void", "refund"],
    paypal: ["start", "status", "authorise", "capture", "void", "refund"],
    pix: ["start", "status", "void", "refund"],
);

/// The adapter, less patient than in production.
fn hasty(rig: &Rig) -> Arc<dyn PaymentAdapter> {
    let client = http_client_with(Duration::from_secs(1)).unwrap();
    let settings = |name: &str| setting(&rig.base, name);
    let registry = registry::Registry::with_client(&settings, &client).unwrap();
    Arc::clone(registry.get(rig.provider).unwrap())
}

async fn run(provider: &'static str, calls: &[&str]) {
    let rig = Rig::new(provider).await;
    let adapter = hasty(&rig);
    let mut cases = Vec::new();
    for outcome in [
        Outcome::Kept,
        Outcome::LetGo,
        Outcome::Declined,
        Outcome::Abandoned,
    ] {
        for call in CALLS {
            cases.extend(FAULTS.iter().map(|fault| (outcome, *call, *fault)));
        }
    }
    let met: Vec<_> = futures::stream::iter(cases)
        .map(|case| flow(&rig, &*adapter, case))
        .buffer_unordered(FLOWS_MAX)
        .collect()
        .await;
    let met: BTreeSet<(&str, &str)> = met.into_iter().flatten().collect();
    let wanted = calls
        .iter()
        .flat_map(|call| FAULTS.iter().map(move |fault| (*call, *fault)));
    assert_eq!(met, wanted.collect());
}

/// One sale with one fault in it; the fault, if it was met.
async fn flow(
    rig: &Rig,
    adapter: &dyn PaymentAdapter,
    (outcome, call, fault): (Outcome, &'static str, &'static str),
) -> Option<(&'static str, &'static str)> {
    let case = format!("{} {outcome:?} {call} {fault}", rig.provider);
    let payment = payment("BRL", 12_345);
    let order = payment.order_id.to_string();
    let asked = json!({
        "provider": rig.provider, "call": call, "fault": fault, "payment": order, "seconds": 3,
    });
    assert_eq!(
        rig.control("sandbox/faults", &asked).await,
        StatusCode::CREATED
    );

    let started = repeated(|| adapter.start(&payment)).await;
    let reference = &started.provider_ref;
    let form = match outcome {
        Outcome::Kept | Outcome::LetGo => "approve",
        Outcome::Declined => "decline",
        Outcome::Abandoned => "abandon",
    };
    rig.choose(&started, &[("outcome", form)]).await;
    let whole = payment.amount;
    if outcome != Outcome::Abandoned {
        let status = repeated(|| adapter.authorise(reference)).await;
        let paid = outcome != Outcome::Declined;
        assert_eq!(is_secured(&status, whole), paid, "{case}: {status:?}");
        assert_eq!(
            matches!(status, PaymentStatus::Failed { .. }),
            !paid,
            "{case}"
        );
    }
    let mut given_back = 0;
    if outcome == Outcome::Kept {
        let status = repeated(|| adapter.capture(reference, whole)).await;
        assert_eq!(status, captured(whole, 0), "{case}");
        let id = Uuid::new_v4();
        repeated(|| adapter.refund(reference, money("BRL", 2_000), id)).await;
        given_back = 2_000;
    } else {
        let status = repeated(|| adapter.void(reference)).await;
        if matches!(status, PaymentStatus::Captured { .. }) {
            assert_eq!(outcome, Outcome::LetGo, "{case}");
            let id = Uuid::new_v4();
            repeated(|| adapter.refund(reference, whole, id)).await;
            given_back = whole.amount_minor;
        } else {
            assert!(status.is_over_unpaid(), "{case}: {status:?}");
        }
    }

    let status = repeated(|| adapter.status(reference)).await;
    let taken = outcome == Outcome::Kept || given_back > 0;
    if taken {
        assert_eq!(status, captured(whole, given_back), "{case}");
    } else {
        assert!(
            !matches!(status, PaymentStatus::Captured { .. }),
            "{case}: {status:?}"
        );
    }
    let ledger = rig.look("sandbox/ledger").await;
    let lines = ledger["payments"].as_array().unwrap();
    let own: Vec<&Value> = lines
        .iter()
        .filter(|line| line["order"] == order.as_str())
        .collect();
    let sum = |field: &str| {
        own.iter()
            .map(|line| line[field].as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!(
        sum("captured_minor"),
        if taken { whole.amount_minor } else { 0 },
        "{case}"
    );
    assert_eq!(sum("refunded_minor"), given_back, "{case}");
    // Stripe remembers a 5xx under its key, so what was begun is begun again; nobody was sent to
    // the first page.
    let twice = call == "start" && fault == "http_500_after" && rig.provider != "paypal";
    assert_eq!(own.len(), if twice { 2 } else { 1 }, "{case}");

    let waiting = rig.look("sandbox/faults").await;
    let waits = |fault: &Value| fault["payment"] == order.as_str();
    let unmet = waiting["faults"].as_array().unwrap().iter().any(waits);
    (!unmet).then_some((call, fault))
}

macro_rules! webhooks {
    ($($case:ident),* $(,)?) => {
        $(mod $case {
            #[tokio::test] async fn card() { super::$case("card").await; }
            #[tokio::test] async fn paypal() { super::$case("paypal").await; }
            #[tokio::test] async fn pix() { super::$case("pix").await; }
        })*
    };
}

webhooks!(
    webhooks_twice,
    webhooks_out_of_order,
    webhooks_lost,
    too_fast
);

/// The ids of the events that came so far, each verified.
async fn came(rig: &Rig) -> Vec<(String, String)> {
    let deliveries = rig.inbox.deliveries.lock().unwrap().clone();
    let mut events = Vec::new();
    for delivery in deliveries {
        let event = rig.verified(&delivery).await;
        events.push((event.event_id, event.kind));
    }
    events
}

async fn until_came(
    rig: &Rig,
    enough: impl Fn(&[(String, String)]) -> bool,
) -> Vec<(String, String)> {
    for _ in 0..200 {
        let events = came(rig).await;
        if enough(&events) {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 10 s; came: {:?}", came(rig).await);
}

async fn webhooks_twice(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let asked = json!({ "provider": provider, "call": "webhook", "fault": "duplicate" });
    rig.control("sandbox/faults", &asked).await;
    rig.authorised().await;
    until_came(&rig, |events| {
        let ids: BTreeSet<_> = events.iter().map(|event| &event.0).collect();
        events.len() > 1 && ids.len() == events.len() - 1
    })
    .await;
}

async fn webhooks_out_of_order(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (payment, started) = rig.start().await;
    let first = match provider {
        "card" => "payment_intent.amount_capturable_updated",
        "pix" => "payment_intent.succeeded",
        _ => "CHECKOUT.ORDER.APPROVED",
    };
    let asked = json!({
        "provider": provider, "call": "webhook", "fault": "reorder", "payment": first,
    });
    let status = rig.control("sandbox/faults", &asked).await;
    assert_eq!(status, StatusCode::CREATED);
    rig.approve(&started).await;
    let reference = &started.provider_ref;
    rig.adapter.authorise(reference).await.unwrap();
    rig.adapter
        .capture(reference, payment.amount)
        .await
        .unwrap();
    let refund = rig
        .adapter
        .refund(reference, payment.amount, Uuid::new_v4());
    refund.await.unwrap();
    let is_first = |event: &(String, String)| event.1 == first;
    let events = until_came(&rig, |events| events.iter().any(is_first)).await;
    let last = events.last().unwrap();
    assert!(events.len() > 1 && is_first(last), "{events:?}");
    assert_eq!(
        rig.status(reference).await,
        captured(payment.amount, 12_345)
    );
}

async fn webhooks_lost(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let asked = json!({
        "provider": provider, "call": "webhook", "fault": "lose", "times": 1_000,
    });
    assert_eq!(
        rig.control("sandbox/faults", &asked).await,
        StatusCode::CREATED
    );
    let (payment, reference) = rig.captured().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(came(&rig).await, []);
    assert_eq!(rig.status(&reference).await, captured(payment.amount, 0));
}

/// Above the limit calls are refused unprocessed, and the sandbox tells how fast it was called.
async fn too_fast(provider: &'static str) {
    let rig = Rig::new(provider).await;
    let (_, reference) = rig.authorised().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let limit = json!({ "provider": provider, "per_second": 5 });
    assert_eq!(
        rig.control("sandbox/limits", &limit).await,
        StatusCode::NO_CONTENT
    );
    let calls = futures::future::join_all((0..12).map(|_| rig.adapter.status(&reference))).await;
    let refused = calls
        .iter()
        .filter(|call| {
            let retry_after = Some(Duration::from_secs(1));
            matches!(call, Err(error) if *error == AdapterError::RateLimited { retry_after })
        })
        .count();
    let taken = calls.iter().filter(|call| call.is_ok()).count();
    assert_eq!((taken + refused, taken), (12, 5));
    let stats = rig.look("sandbox/stats").await;
    let own = |line: &&Value| line["provider"] == provider;
    let line = stats["providers"]
        .as_array()
        .unwrap()
        .iter()
        .find(own)
        .unwrap();
    assert_eq!(line["refused"], 7);
    assert!(
        line["peak_requests_per_second"].as_u64().unwrap() >= 12,
        "{line}"
    );
    assert!(line["calls"]["start"].as_u64().unwrap() == 1, "{line}");
}

/// Faults that make no sense are refused; those waiting can be cleared.
#[tokio::test]
async fn faults_are_checked() {
    let rig = Rig::new("card").await;
    for wrong in [
        json!({}),
        json!({ "provider": "card", "call": "capture", "fault": "duplicate" }),
        json!({ "provider": "card", "call": "webhook", "fault": "http_500" }),
        json!({ "provider": "cash", "call": "capture", "fault": "http_500" }),
        json!({ "provider": "card", "call": "other", "fault": "http_500" }),
        json!({ "provider": "card", "call": "capture", "fault": "http_500", "times": 0 }),
        json!({ "provider": "card", "call": "capture", "fault": "http_500", "seconds": 121 }),
    ] {
        let status = rig.control("sandbox/faults", &wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let right = json!({ "provider": "card", "call": "start", "fault": "http_500", "times": 9 });
    assert_eq!(
        rig.control("sandbox/faults", &right).await,
        StatusCode::CREATED
    );
    assert_eq!(rig.look("sandbox/faults").await["faults"][0]["times"], 9);
    let url = rig.base.join("sandbox/faults").unwrap();
    reqwest::Client::new().delete(url).send().await.unwrap();
    assert_eq!(rig.look("sandbox/faults").await, json!({ "faults": [] }));
    rig.authorised().await;
}
