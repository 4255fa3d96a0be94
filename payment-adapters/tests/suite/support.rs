//! A sandbox, a place for its webhooks, the real adapters, and somebody to play the buyer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use catraca_domain::money::Money;
use catraca_domain::secret::Secret;
use catraca_payments::{
    AdapterError, PaymentAdapter, PaymentStatus, ProviderRef, Registry, StartPayment, Started,
    WebhookEvent,
};
use catraca_sandbox::Config;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use url::Url;
use uuid::Uuid;

pub(crate) const CARD_SECRETS: &str = "whsec_new,whsec_old";

/// A webhook as it arrived.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) provider: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Clone, Default)]
pub(crate) struct Inbox {
    pub(crate) deliveries: Arc<Mutex<Vec<Delivery>>>,
    /// So many deliveries are refused first.
    pub(crate) refuse: Arc<Mutex<u32>>,
}

pub(crate) struct Rig {
    pub(crate) base: Url,
    pub(crate) inbox: Inbox,
    pub(crate) adapter: Arc<dyn PaymentAdapter>,
    pub(crate) provider: &'static str,
    browser: reqwest::Client,
    config: Config,
    runtime: Option<tokio::runtime::Runtime>,
}

/// Settings as the core would have them, for a sandbox at `base`.
pub(crate) fn setting(base: &Url, name: &str) -> Option<String> {
    let value = match name {
        "CATRACA_CARD_API_URL" | "CATRACA_PAYPAL_API_URL" => base.as_str(),
        "CATRACA_CARD_SECRET_KEY" => "sk_test_conformance",
        "CATRACA_CARD_WEBHOOK_SECRETS" => CARD_SECRETS,
        "CATRACA_PAYPAL_CLIENT_ID" => "client",
        "CATRACA_PAYPAL_CLIENT_SECRET" => "client-secret",
        "CATRACA_PAYPAL_WEBHOOK_ID" => "WEBHOOK1",
        "CATRACA_PIX" => "on",
        _ => return None,
    };
    Some(value.to_owned())
}

pub(crate) fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Rig {
    pub(crate) async fn new(provider: &'static str) -> Self {
        install_crypto();
        let (inbox, webhook_base) = open_inbox().await;
        let data: PathBuf = std::env::temp_dir().join(format!("catraca-{}", Uuid::new_v4()));
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: None,
            card_secret_key: Secret::from("sk_test_conformance"),
            card_webhook_secrets: vec![Secret::from("whsec_new")],
            paypal_client_id: "client".to_owned(),
            paypal_client_secret: Secret::from("client-secret"),
            paypal_webhook_id: "WEBHOOK1".to_owned(),
            webhook_base: Some(webhook_base),
            data,
        };
        let (runtime, base) = start_sandbox(config.clone());
        // A restart is on the same port.
        config.listen = SocketAddr::from(([127, 0, 0, 1], base.port().unwrap()));
        let registry = Registry::from_settings(&|name| setting(&base, name)).unwrap();
        let adapter = Arc::clone(registry.get(provider).unwrap());
        let browser = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            base,
            inbox,
            adapter,
            provider,
            browser,
            config,
            runtime: Some(runtime),
        }
    }

    /// Kills the sandbox with whatever it is doing, and starts it again on the same port and data.
    pub(crate) fn restart(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
        let (runtime, base) = start_sandbox(self.config.clone());
        assert_eq!(base, self.base);
        self.runtime = Some(runtime);
    }

    pub(crate) async fn start(&self) -> (StartPayment, Started) {
        let payment = payment("BRL", 12_345);
        let started = self.adapter.start(&payment).await.unwrap();
        (payment, started)
    }

    /// Posts the pay page's form; gives status and `Location`.
    pub(crate) async fn choose(
        &self,
        started: &Started,
        form: &[(&str, &str)],
    ) -> (StatusCode, Option<Url>) {
        let request = self.browser.post(started.redirect_url.clone()).form(form);
        let reply = request.send().await.unwrap();
        let location = reply
            .headers()
            .get("location")
            .map(|l| l.to_str().unwrap().parse().unwrap());
        (reply.status(), location)
    }

    pub(crate) async fn approve(&self, started: &Started) {
        let (status, _) = self.choose(started, &[("outcome", "approve")]).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
    }

    /// A payment whose money is set aside, or taken where the provider knows no other way.
    pub(crate) async fn authorised(&self) -> (StartPayment, ProviderRef) {
        let (payment, started) = self.start().await;
        self.approve(&started).await;
        let status = self.adapter.authorise(&started.provider_ref).await.unwrap();
        assert_secured(&status, payment.amount);
        (payment, started.provider_ref)
    }

    pub(crate) async fn captured(&self) -> (StartPayment, ProviderRef) {
        let (payment, reference) = self.authorised().await;
        let status = self
            .adapter
            .capture(&reference, payment.amount)
            .await
            .unwrap();
        assert_eq!(status, captured(payment.amount, 0));
        (payment, reference)
    }

    pub(crate) async fn status(&self, reference: &ProviderRef) -> PaymentStatus {
        repeated(|| self.adapter.status(reference)).await
    }

    /// Asks until the status is another than `from`.
    pub(crate) async fn status_after(
        &self,
        reference: &ProviderRef,
        from: &PaymentStatus,
    ) -> PaymentStatus {
        for _ in 0..200 {
            let status = self.status(reference).await;
            if status != *from {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("still {from:?} after 10 s");
    }

    /// The first delivery of that kind for this provider.
    pub(crate) async fn delivery(&self, kind: &str) -> Delivery {
        for _ in 0..200 {
            let found = self
                .inbox
                .deliveries
                .lock()
                .unwrap()
                .iter()
                .find_map(|delivery| {
                    let body = String::from_utf8(delivery.body.to_vec()).unwrap();
                    let fits = delivery.provider == self.provider && body.contains(kind);
                    fits.then(|| delivery.clone())
                });
            if let Some(delivery) = found {
                return delivery;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no {kind} within 10 s");
    }

    pub(crate) async fn verified(&self, delivery: &Delivery) -> WebhookEvent {
        let now = OffsetDateTime::now_utc();
        self.adapter
            .verify_webhook(&delivery.headers, &delivery.body, now)
            .await
            .unwrap()
    }

    /// Sends JSON to the sandbox's own addresses.
    pub(crate) async fn control(&self, path: &str, body: &serde_json::Value) -> StatusCode {
        let url = self.base.join(path).unwrap();
        let reply = self.browser.post(url).json(body).send().await.unwrap();
        reply.status()
    }

    /// Reads one of the sandbox's own addresses.
    pub(crate) async fn look(&self, path: &str) -> serde_json::Value {
        let url = self.base.join(path).unwrap();
        let reply = self.browser.get(url).send().await.unwrap();
        reply.json().await.unwrap()
    }

    /// Kills the sandbox, makes its idempotency keys more than a day old, and starts it again.
    pub(crate) fn forget_keys(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
        // Whoever has the journal open must be gone.
        drop(bind(self.config.listen));
        let journal = self.config.data.join("journal.jsonl");
        let text = std::fs::read_to_string(&journal).unwrap();
        let aged = text.replace("\"at_ms\":", "\"at_ms\":1,\"was_ms\":");
        assert_ne!(aged, text);
        std::fs::write(&journal, aged).unwrap();
        let (runtime, _) = start_sandbox(self.config.clone());
        self.runtime = Some(runtime);
    }

    pub(crate) async fn ledger_line(&self, reference: &ProviderRef) -> serde_json::Value {
        let url = self.base.join("sandbox/ledger").unwrap();
        let ledger: serde_json::Value = self
            .browser
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let lines = ledger["payments"].as_array().unwrap();
        lines
            .iter()
            .find(|line| line["provider_ref"] == reference.as_str())
            .unwrap()
            .clone()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let _ = std::fs::remove_dir_all(&self.config.data);
    }
}

/// Repeats a call while it may succeed later, as the core does.
pub(crate) async fn repeated<T, F>(call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, AdapterError>>,
{
    for _ in 0..100 {
        match call().await {
            Err(error) if error.is_transient() => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            outcome => return outcome.unwrap(),
        }
    }
    panic!("transient errors for 5 s");
}

pub(crate) fn captured(amount: Money, refunded_minor: i64) -> PaymentStatus {
    let refunded = Money {
        amount_minor: refunded_minor,
        currency: amount.currency,
    };
    PaymentStatus::Captured { amount, refunded }
}

pub(crate) fn money(currency: &str, amount_minor: i64) -> Money {
    Money::new(amount_minor, currency.parse().unwrap()).unwrap()
}

pub(crate) fn payment(currency: &str, amount_minor: i64) -> StartPayment {
    let hold_id = Uuid::new_v4();
    StartPayment {
        hold_id,
        order_id: Uuid::new_v4(),
        amount: money(currency, amount_minor),
        description: "2 tickets: Otelo".to_owned(),
        buyer_email: Some("ana@example.com".to_owned()),
        return_url: "https://shop.example/return?order=1".parse().unwrap(),
        cancel_url: "https://shop.example/cancel?order=1".parse().unwrap(),
        expires_at: OffsetDateTime::now_utc() + time::Duration::minutes(5),
        idempotency_key: hold_id.to_string(),
    }
}

/// The buyer has paid: the money is set aside, or taken where the provider takes it at once.
pub(crate) fn is_secured(status: &PaymentStatus, whole: Money) -> bool {
    match status {
        PaymentStatus::Authorised { amount } => *amount == whole,
        status => *status == captured(whole, 0),
    }
}

pub(crate) fn assert_secured(status: &PaymentStatus, whole: Money) {
    assert!(is_secured(status, whole), "{status:?}");
}

/// Binds; the port of a sandbox just killed takes a moment to be free.
fn bind(address: SocketAddr) -> std::net::TcpListener {
    let started = std::time::Instant::now();
    loop {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) if started.elapsed() > Duration::from_secs(5) => panic!("{error}"),
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// The sandbox in a runtime of its own, so that it can be killed in the middle of things.
fn start_sandbox(config: Config) -> (tokio::runtime::Runtime, Url) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = bind(config.listen);
    listener.set_nonblocking(true).unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        catraca_sandbox::serve(listener, config, std::future::pending())
            .await
            .unwrap();
    });
    (runtime, base)
}

pub(crate) async fn open_inbox() -> (Inbox, Url) {
    async fn receive(
        State(inbox): State<Inbox>,
        Path(provider): Path<String>,
        headers: HeaderMap,
        body: Bytes,
    ) -> StatusCode {
        {
            let mut refuse = inbox.refuse.lock().unwrap();
            if *refuse > 0 {
                *refuse -= 1;
                return StatusCode::SERVICE_UNAVAILABLE;
            }
        }
        inbox.deliveries.lock().unwrap().push(Delivery {
            provider,
            headers,
            body,
        });
        StatusCode::OK
    }
    let inbox = Inbox::default();
    let app = Router::new()
        .route("/webhooks/{provider}", axum::routing::post(receive))
        .with_state(inbox.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (inbox, base)
}
