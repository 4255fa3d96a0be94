//! What the sandbox answers in Stripe's name, against Stripe's own OpenAPI description.

use std::collections::{BTreeSet, HashMap};

use axum::body::Bytes;
use catraca_payments::{PaymentStatus, ProviderRef, Registry};
use jsonschema::Validator;
use serde_json::{Value, json};
use uuid::Uuid;

use super::given;
use crate::schemas::{Exchange, find, record, unknown_fields};
use crate::support::{Rig, money, payment, setting};

/// Objects that we ask to have expanded; any other reference is an id.
const EXPANDED: &[&str] = &["payment_intent", "latest_charge"];

/// OpenAPI 3.0 as JSON Schema: `nullable` becomes a type, unexpanded references become text.
fn as_json_schema(name: &str, schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| as_json_schema("", item)),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                as_json_schema(name, value);
            }
            if fields.contains_key("x-expansionResources") && !EXPANDED.contains(&name) {
                fields.remove("anyOf");
                fields.insert("type".to_owned(), json!("string"));
            }
            if fields.remove("nullable") == Some(json!(true)) {
                let plain = std::mem::take(fields);
                fields.insert("anyOf".to_owned(), json!([{ "type": "null" }, plain]));
            }
        }
        _ => {}
    }
}

struct Stripe {
    document: Value,
    validators: HashMap<String, Validator>,
}

impl Stripe {
    fn new() -> Self {
        let text = std::fs::read(given("CATRACA_VERIFY_STRIPE_SPEC")).unwrap();
        let mut document: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            document["info"]["version"],
            catraca_payments::stripe::STRIPE_VERSION
        );
        as_json_schema("", &mut document["components"]["schemas"]);
        as_json_schema("", &mut document["paths"]);
        Self {
            document,
            validators: HashMap::new(),
        }
    }

    /// Whatever the schema refuses, and every field that it doesn't know.
    fn check(&mut self, schema: &Value, value: &Value, what: &str) -> Vec<String> {
        let document = &self.document;
        let validator = self
            .validators
            .entry(schema.to_string())
            .or_insert_with(|| {
                let mut root = json!({ "components": document["components"] });
                root["allOf"] = json!([schema]);
                jsonschema::options()
                    .with_draft(jsonschema::Draft::Draft4)
                    .build(&root)
                    .unwrap()
            });
        let mut faults: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{what} at {}: {error}", error.instance_path()))
            .collect();
        let mut unknown = Vec::new();
        unknown_fields(document, schema, value, "", &mut unknown);
        faults.extend(
            unknown
                .into_iter()
                .map(|at| format!("{what}: unknown field {at}")),
        );
        faults
    }
}

/// Everything both adapters can say, with refusals among it.
async fn converse(rig: &Rig) -> Vec<Exchange> {
    let (recorder, base) = record(&rig.base).await;
    let registry = Registry::from_settings(&|name| setting(&base, name)).unwrap();
    let part = money("BRL", 2_000);
    for provider in ["card", "pix"] {
        let adapter = registry.get(provider).unwrap();
        for outcome in ["approve", "decline"] {
            let payment = payment("BRL", 12_345);
            let started = adapter.start(&payment).await.unwrap();
            let reference = &started.provider_ref;
            adapter.status(reference).await.unwrap();
            rig.choose(&started, &[("outcome", outcome)]).await;
            let status = adapter.capture(reference, payment.amount).await.unwrap();
            if matches!(status, PaymentStatus::Captured { .. }) {
                adapter
                    .refund(reference, part, Uuid::new_v4())
                    .await
                    .unwrap();
            }
            adapter.void(reference).await.unwrap();
            adapter.status(reference).await.unwrap();
        }
        let started = adapter.start(&payment("BRL", 100)).await.unwrap();
        adapter.void(&started.provider_ref).await.unwrap();
        adapter.status(&started.provider_ref).await.unwrap();
        let gone = ProviderRef::new("pi_gone");
        adapter.status(&gone).await.unwrap_err();
        adapter
            .start(&payment("BRL", 999_999_999))
            .await
            .unwrap_err();
    }
    // A card payment let go, and a page with a payment under way.
    let card = registry.get("card").unwrap();
    let started = card.start(&payment("BRL", 12_345)).await.unwrap();
    rig.approve(&started).await;
    card.void(&started.provider_ref).await.unwrap();
    let started = card.start(&payment("BRL", 12_345)).await.unwrap();
    rig.choose(&started, &[("outcome", "approve"), ("delay_seconds", "60")])
        .await;
    card.void(&started.provider_ref).await.unwrap();
    for (path, fault) in [("http_500", 500), ("http_429", 429)] {
        let asked = json!({ "provider": "card", "call": "start", "fault": path });
        rig.control("sandbox/faults", &asked).await;
        card.start(&payment("BRL", fault)).await.unwrap_err();
    }
    recorder.take()
}

#[tokio::test]
#[ignore = "needs Stripe's description: scripts/verify-peers"]
async fn the_sandbox_answers_as_stripe_describes() {
    let mut stripe = Stripe::new();
    let rig = Rig::new("card").await;
    let mut covered = BTreeSet::new();
    let mut faults = Vec::new();
    for exchange in converse(&rig).await {
        let documents = [std::mem::take(&mut stripe.document)];
        let (_, template) = find(&documents, &exchange.path);
        let template = template.to_owned();
        [stripe.document] = documents;
        let replies = &stripe.document["paths"][&template][&exchange.method]["responses"];
        let kind = if exchange.status == 200 {
            "200"
        } else {
            "default"
        };
        let schema = replies[kind]["content"]["application/json"]["schema"].clone();
        let what = format!("{} {template} {}", exchange.method, exchange.status);
        assert!(schema.is_object(), "no schema for {what}");
        faults.extend(stripe.check(&schema, &exchange.reply, &what));
        covered.insert(what);
    }
    let events: Vec<Bytes> = {
        rig.delivery("charge.refunded").await;
        let deliveries = rig.inbox.deliveries.lock().unwrap();
        deliveries
            .iter()
            .map(|delivery| delivery.body.clone())
            .collect()
    };
    for body in events {
        let event: Value = serde_json::from_slice(&body).unwrap();
        let what = format!("event {}", event["type"].as_str().unwrap());
        let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        faults.extend(stripe.check(&of("event"), &event, &what));
        let object = &event["data"]["object"];
        let schema = of(object["object"].as_str().unwrap());
        faults.extend(stripe.check(&schema, object, &what));
        covered.insert(what);
    }
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(
        covered.len() >= 20,
        "only {} in {covered:#?}",
        covered.len()
    );
}
