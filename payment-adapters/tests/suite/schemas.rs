//! What the PayPal adapter sends and what the sandbox answers, against PayPal's own OpenAPI
//! documents, found in `../shared/specs` beside the checkout. Without them the test says so and
//! passes, unless `CI` is set.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use catraca_payments::{PaymentStatus, ProviderRef, Registry};
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::support::{Rig, money, payment, setting};

/// One request and its reply.
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) request: Value,
    pub(crate) status: u16,
    pub(crate) reply: Value,
}

#[derive(Clone)]
pub(crate) struct Recorder {
    upstream: Url,
    client: reqwest::Client,
    seen: Arc<Mutex<Vec<Exchange>>>,
}

async fn relay(
    State(recorder): State<Recorder>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let url = recorder.upstream.join(&uri.to_string()).unwrap();
    let mut request = recorder
        .client
        .request(method.clone(), url)
        .body(body.clone());
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
        "paypal-request-id",
        "prefer",
    ] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let reply = request.send().await.unwrap();
    let status = reply.status();
    let text = reply.bytes().await.unwrap();
    recorder.seen.lock().unwrap().push(Exchange {
        method: method.as_str().to_lowercase(),
        path: uri.path().to_owned(),
        request: serde_json::from_slice(&body).unwrap_or(Value::Null),
        status: status.as_u16(),
        reply: serde_json::from_slice(&text).unwrap_or(Value::Null),
    });
    Response::builder()
        .status(status)
        .body(Body::from(text))
        .unwrap()
}

/// A relay before the sandbox that notes what passes.
pub(crate) async fn record(upstream: &Url) -> (Recorder, Url) {
    let recorder = Recorder {
        upstream: upstream.clone(),
        client: reqwest::Client::new(),
        seen: Arc::default(),
    };
    let app = Router::new().fallback(relay).with_state(recorder.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (recorder, base)
}

impl Recorder {
    /// What passed so far.
    pub(crate) fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Everything the adapter can say, with refusals among it.
async fn converse(rig: &Rig) -> Vec<Exchange> {
    let (recorder, base) = record(&rig.base).await;
    let registry = Registry::from_settings(&|name| setting(&base, name)).unwrap();
    let adapter = registry.get("paypal").unwrap();

    for currency in ["BRL", "JPY", "HUF"] {
        let payment = payment(currency, 120_000);
        let started = adapter.start(&payment).await.unwrap();
        let reference = &started.provider_ref;
        rig.approve(&started).await;
        adapter.authorise(reference).await.unwrap();
        adapter.capture(reference, payment.amount).await.unwrap();
        let half = money(currency, 60_000);
        adapter
            .refund(reference, half, Uuid::new_v4())
            .await
            .unwrap();
        adapter
            .refund(reference, payment.amount, Uuid::new_v4())
            .await
            .unwrap_err();
        adapter.status(reference).await.unwrap();
    }
    refused_refund(&recorder, &base).await;
    let started = adapter.start(&payment("BRL", 100)).await.unwrap();
    rig.choose(&started, &[("outcome", "decline")]).await;
    let status = adapter.authorise(&started.provider_ref).await.unwrap();
    assert!(matches!(status, PaymentStatus::Failed { .. }));
    let started = adapter.start(&payment("BRL", 100)).await.unwrap();
    rig.approve(&started).await;
    adapter.authorise(&started.provider_ref).await.unwrap();
    adapter.void(&started.provider_ref).await.unwrap();
    adapter.status(&started.provider_ref).await.unwrap();
    adapter.status(&ProviderRef::new("GONE")).await.unwrap_err();
    let delivery = rig.delivery("PAYMENT.CAPTURE.COMPLETED").await;
    let now = OffsetDateTime::now_utc();
    adapter
        .verify_webhook(&delivery.headers, &delivery.body, now)
        .await
        .unwrap();
    recorder.take()
}

/// Asks for more than is left of a capture, which the adapter never does.
async fn refused_refund(recorder: &Recorder, base: &Url) {
    let find = |exchanges: &[Exchange]| {
        let mut paths = exchanges.iter().map(|exchange| &exchange.path);
        paths
            .rfind(|path| path.ends_with("/refund"))
            .unwrap()
            .clone()
    };
    let path = find(&recorder.seen.lock().unwrap());
    let client = &recorder.client;
    let token = client.post(base.join("v1/oauth2/token").unwrap());
    let token = token.basic_auth("client", Some("client-secret"));
    let token = token.form(&[("grant_type", "client_credentials")]);
    let token: Value = token.send().await.unwrap().json().await.unwrap();
    let refund = client.post(base.join(&path).unwrap());
    let refund = refund.bearer_auth(token["access_token"].as_str().unwrap());
    let amount = json!({ "amount": { "currency_code": "HUF", "value": "9000" } });
    let reply = refund.json(&amount).send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 422);
}

#[tokio::test]
async fn paypal_agrees_with_its_openapi_documents() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/specs");
    if !folder.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing",
            folder.display()
        );
        println!("skipped: no {}", folder.display());
        return;
    }
    let documents: Vec<Value> = ["orders-v2", "payments-v2", "webhooks-v1"]
        .into_iter()
        .map(|name| std::fs::read(folder.join(format!("paypal-{name}.json"))).unwrap())
        .map(|bytes| serde_json::from_slice(&bytes).unwrap())
        .collect();
    let rig = Rig::new("paypal").await;
    let mut covered = BTreeSet::new();
    let mut faults = Vec::new();
    for exchange in converse(&rig).await {
        // The token endpoint isn't in these documents.
        if exchange.path == "/v1/oauth2/token" {
            continue;
        }
        let (document, template) = find(&documents, &exchange.path);
        let operation = &document["paths"][template][&exchange.method];
        assert!(operation.is_object(), "no {} {template}", exchange.method);
        covered.insert(format!(
            "{} {template} {}",
            exchange.method, exchange.status
        ));
        let sent = &operation["requestBody"]["content"]["application/json"]["schema"];
        if sent.is_object() {
            faults.extend(check(
                document,
                sent,
                &exchange.request,
                "request",
                template,
            ));
        }
        let reply = &operation["responses"][exchange.status.to_string()];
        assert!(reply.is_object(), "no {} in {template}", exchange.status);
        let answered = &reply["content"]["application/json"]["schema"];
        if answered.is_object() {
            faults.extend(check(
                document,
                answered,
                &exchange.reply,
                "reply",
                template,
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(covered.len() >= 10, "only {covered:#?}");
}

/// The document and path template for a path.
pub(crate) fn find<'a>(documents: &'a [Value], path: &str) -> (&'a Value, &'a str) {
    let fits = |template: &str| {
        let mut parts = template.split('/').zip(path.split('/'));
        template.split('/').count() == path.split('/').count()
            && parts.all(|(wanted, given)| wanted == given || wanted.starts_with('{'))
    };
    documents
        .iter()
        .find_map(|document| {
            let mut templates = document["paths"].as_object().unwrap().keys();
            templates
                .find(|template| fits(template))
                .map(|t| (document, t.as_str()))
        })
        .unwrap_or_else(|| panic!("{path} is in no document"))
}

/// Whatever the schema refuses, and every field that it doesn't know.
fn check(document: &Value, schema: &Value, value: &Value, what: &str, path: &str) -> Vec<String> {
    let mut root = json!({ "components": document["components"] });
    root["allOf"] = json!([schema]);
    let validator = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft4)
        .build(&root)
        .unwrap();
    let mut faults: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{what} {path} at {}: {error}", error.instance_path()))
        .collect();
    let mut unknown = Vec::new();
    unknown_fields(document, schema, value, "", &mut unknown);
    faults.extend(
        unknown
            .into_iter()
            .map(|at| format!("{what} {path}: unknown field {at}")),
    );
    faults
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(at) => resolve(
            document,
            document.pointer(at.trim_start_matches('#')).unwrap(),
        ),
        None => schema,
    }
}

/// The schemas of a field, wherever the schema's parts define it; `None` if none of them does.
fn properties<'a>(document: &'a Value, schema: &'a Value, name: &str) -> Vec<&'a Value> {
    let schema = resolve(document, schema);
    let parts = ["allOf", "anyOf", "oneOf"]
        .into_iter()
        .filter_map(|key| schema[key].as_array());
    let own = schema["properties"].get(name);
    own.into_iter()
        .chain(
            parts
                .flatten()
                .flat_map(|part| properties(document, part, name)),
        )
        .collect()
}

/// Whether any part of the schema lists fields at all.
fn lists_fields(document: &Value, schema: &Value) -> bool {
    let schema = resolve(document, schema);
    let mut parts = ["allOf", "anyOf", "oneOf"]
        .into_iter()
        .filter_map(|key| schema[key].as_array());
    schema["properties"].is_object() && schema["additionalProperties"] != json!(true)
        || parts.any(|parts| parts.iter().any(|part| lists_fields(document, part)))
}

pub(crate) fn unknown_fields(
    doc: &Value,
    schema: &Value,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    let schema = resolve(doc, schema);
    match value {
        Value::Object(fields) if lists_fields(doc, schema) => {
            for (name, value) in fields {
                let at = format!("{at}/{name}");
                let known = properties(doc, schema, name);
                // Where several parts define a field, one that knows all of it is enough.
                let each = known.iter().map(|schema| {
                    let mut found = Vec::new();
                    unknown_fields(doc, schema, value, &at, &mut found);
                    found
                });
                match each.min_by_key(Vec::len) {
                    Some(deeper) => found.extend(deeper),
                    None => found.push(at),
                }
            }
        }
        Value::Array(items) if schema["items"].is_object() => {
            for (index, item) in items.iter().enumerate() {
                unknown_fields(doc, &schema["items"], item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}
