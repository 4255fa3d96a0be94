//! The sandbox as a process: killed, torn, stopped.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const KEY: &str = "sk_test_process";

struct Sandbox {
    child: Child,
    base: String,
    client: reqwest::Client,
}

impl Sandbox {
    async fn start(port: u16, data: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let child = Command::new(env!("CARGO_BIN_EXE_catraca-sandbox"))
            .env("CATRACA_LISTEN", format!("127.0.0.1:{port}"))
            .env("CATRACA_CARD_SECRET_KEY", KEY)
            .env("CATRACA_CARD_WEBHOOK_SECRETS", "whsec_1")
            .env("CATRACA_PAYPAL_CLIENT_ID", "client")
            .env("CATRACA_PAYPAL_CLIENT_SECRET", "secret")
            .env("CATRACA_PAYPAL_WEBHOOK_ID", "W1")
            .env("CATRACA_SANDBOX_DATA", data)
            .env_remove("CATRACA_SANDBOX_WEBHOOK_BASE")
            .env("RUST_LOG", "warn")
            .spawn()
            .unwrap();
        let sandbox = Self {
            child,
            base: format!("http://127.0.0.1:{port}"),
            client: reqwest::Client::new(),
        };
        for _ in 0..200 {
            let health = sandbox
                .client
                .get(format!("{}/healthz", sandbox.base))
                .send()
                .await;
            if health.is_ok_and(|reply| reply.status().is_success()) {
                return sandbox;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the sandbox is not ready after 10 s");
    }

    async fn call(&self, path: &str, key: Option<&str>, form: &[(&str, &str)]) -> (u16, Value) {
        let mut request = self
            .client
            .post(format!("{}{path}", self.base))
            .bearer_auth(KEY);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let reply = request.form(form).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let request = self
            .client
            .get(format!("{}{path}", self.base))
            .bearer_auth(KEY);
        request.send().await.unwrap().json().await.unwrap()
    }

    fn stop(mut self, signal: Signal) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn place() -> (u16, PathBuf) {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    (
        port,
        std::env::temp_dir().join(format!("catraca-sandbox-{}", uuid::Uuid::new_v4())),
    )
}

const INTENT: &[(&str, &str)] = &[
    ("amount", "1000"),
    ("currency", "brl"),
    ("capture_method", "manual"),
    ("confirm", "true"),
    ("return_url", "https://shop.example/back"),
    ("metadata[order]", "o1"),
];

impl Sandbox {
    /// A `PaymentIntent` by itself, its page, and the buyer's choice on it.
    async fn pay(&self, key: &str, form: &[(&str, &str)]) -> Value {
        let (status, intent) = self.call("/v1/payment_intents", Some(key), INTENT).await;
        assert_eq!(status, 200, "{intent}");
        assert_eq!(intent["status"], "requires_action");
        let page = intent["next_action"]["redirect_to_url"]["url"]
            .as_str()
            .unwrap();
        let browser = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let text = browser
            .get(page)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(
            text.contains("10.00") && text.contains("stand-in"),
            "{text}"
        );
        let reply = browser.post(page).form(form).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), 303);
        intent
    }
}

#[tokio::test]
async fn acknowledged_is_kept_through_kill_9_and_a_torn_line() {
    let (port, data) = place();
    let sandbox = Sandbox::start(port, &data).await;
    let intent = sandbox.pay("k1", &[("outcome", "approve")]).await;
    let path = format!("/v1/payment_intents/{}", intent["id"].as_str().unwrap());
    sandbox.stop(Signal::SIGKILL);
    let mut journal = std::fs::OpenOptions::new()
        .append(true)
        .open(data.join("journal.jsonl"))
        .unwrap();
    journal.write_all(br#"[{"payment":{"id":"pi_tor"#).unwrap();
    drop(journal);

    let sandbox = Sandbox::start(port, &data).await;
    assert_eq!(sandbox.get(&path).await["status"], "requires_capture");
    let (status, again) = sandbox
        .call("/v1/payment_intents", Some("k1"), INTENT)
        .await;
    assert_eq!((status, &again["id"]), (200, &intent["id"]));
    let (status, captured) = sandbox
        .call(&format!("{path}/capture"), Some("c1"), &[])
        .await;
    assert_eq!((status, &captured["status"]), (200, &"succeeded".into()));
    sandbox.stop(Signal::SIGKILL);
    let sandbox = Sandbox::start(port, &data).await;
    assert_eq!(sandbox.get(&path).await["amount_received"], 1000);
    let ledger = sandbox.get("/sandbox/ledger").await;
    assert_eq!(ledger["payments"].as_array().unwrap().len(), 1);
    assert_eq!(ledger["payments"][0]["captured_minor"], 1000);
    let events = sandbox
        .get("/v1/events?type=payment_intent.succeeded")
        .await;
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
    std::fs::remove_dir_all(data).unwrap();
}

#[tokio::test]
async fn stops_on_term_and_int() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (port, data) = place();
        let sandbox = Sandbox::start(port, &data).await;
        assert!(sandbox.stop(signal).success());
        std::fs::remove_dir_all(data).unwrap();
    }
}

#[tokio::test]
async fn refuses_as_stripe_does() {
    let (port, data) = place();
    let sandbox = Sandbox::start(port, &data).await;
    let refused = async |path: &str, key: Option<&str>, form: &[(&str, &str)]| {
        let (status, body) = sandbox.call(path, key, form).await;
        let error = body["error"].clone();
        (status, error["type"].clone(), error["code"].clone())
    };
    let intents = "/v1/payment_intents";
    let invalid = Value::from("invalid_request_error");
    let missing = refused(intents, None, &[("currency", "brl")]).await;
    assert_eq!(missing, (400, invalid.clone(), "parameter_missing".into()));
    let unknown = refused(intents, None, &[("amount", "1"), ("colour", "red")]).await;
    assert_eq!(unknown, (400, invalid.clone(), "parameter_unknown".into()));
    for amount in ["0", "-5", "1.5", "100000000", "much"] {
        let (status, kind, _) =
            refused(intents, None, &[("amount", amount), ("currency", "brl")]).await;
        assert_eq!((status, kind), (400, invalid.clone()), "{amount}");
    }
    let gone = refused("/v1/payment_intents/pi_none/capture", None, &[]).await;
    assert_eq!(gone, (404, invalid, "resource_missing".into()));
    let (status, intent) = sandbox.call(intents, Some("k"), INTENT).await;
    assert_eq!(status, 200, "{intent}");
    let other = refused(intents, Some("k"), &[("amount", "1"), ("currency", "brl")]).await;
    assert_eq!(other, (400, "idempotency_error".into(), Value::Null));
    let stranger = sandbox
        .client
        .get(format!("{}{intents}", sandbox.base))
        .bearer_auth("sk_no");
    assert_eq!(stranger.send().await.unwrap().status().as_u16(), 401);
    drop(sandbox);
    std::fs::remove_dir_all(data).unwrap();
}

#[tokio::test]
async fn a_decline_can_be_tried_again() {
    let (port, data) = place();
    let sandbox = Sandbox::start(port, &data).await;
    let intent = sandbox.pay("k1", &[("outcome", "decline")]).await;
    let path = format!("/v1/payment_intents/{}", intent["id"].as_str().unwrap());
    let declined = sandbox.get(&path).await;
    assert_eq!(declined["status"], "requires_payment_method");
    assert_eq!(declined["last_payment_error"]["code"], "card_declined");
    let form = [("return_url", "https://shop.example/back")];
    let (status, confirmed) = sandbox.call(&format!("{path}/confirm"), None, &form).await;
    assert_eq!(
        (status, &confirmed["status"]),
        (200, &"requires_action".into())
    );
    let (status, cancelled) = sandbox.call(&format!("{path}/cancel"), None, &[]).await;
    assert_eq!((status, &cancelled["status"]), (200, &"canceled".into()));
    drop(sandbox);
    std::fs::remove_dir_all(data).unwrap();
}
