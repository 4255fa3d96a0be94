//! What the adapters make of a provider that misbehaves.

use std::time::Duration;

use crate::support::{install_crypto, payment, setting};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use catraca_domain::secret::Secret;
use catraca_payments::card::CardAdapter;
use catraca_payments::paypal::{PayPalAdapter, PayPalConfig};
use catraca_payments::pix::PixAdapter;
use catraca_payments::stripe::StripeConfig;
use catraca_payments::{
    AdapterError, ConfigError, PaymentAdapter, PaymentStatus, ProviderRef, Registry, WebhookError,
    http_client_with,
};
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

const TOKEN: &str = r#"{"access_token":"t","expires_in":32400}"#;

fn adapters(base: &Url) -> Vec<Box<dyn PaymentAdapter>> {
    install_crypto();
    let client = http_client_with(Duration::from_millis(300)).unwrap();
    let stripe = StripeConfig {
        api_url: base.clone(),
        secret_key: Secret::from("sk_test"),
        webhook_secrets: vec![Secret::from("whsec")],
    };
    let paypal = PayPalConfig {
        api_url: base.clone(),
        client_id: "client".to_owned(),
        client_secret: Secret::from("secret"),
        webhook_id: "W1".to_owned(),
    };
    vec![
        Box::new(CardAdapter::new(stripe.clone(), client.clone())),
        Box::new(PayPalAdapter::new(paypal, client.clone())),
        Box::new(PixAdapter::new(stripe, client)),
    ]
}

/// A provider that gives out tokens and does `fallback` to anything else.
async fn provider<F, R>(fallback: F) -> Url
where
    F: Fn() -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    let app = Router::new()
        .route("/v1/oauth2/token", post(async || TOKEN))
        .fallback(async move || fallback().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    base
}

async fn start_error(adapter: &dyn PaymentAdapter) -> AdapterError {
    adapter.start(&payment("BRL", 100)).await.unwrap_err()
}

#[tokio::test]
async fn no_answer_is_unknown() {
    let base = provider(|| async { std::future::pending().await }).await;
    for adapter in adapters(&base) {
        let error = start_error(&*adapter).await;
        assert!(matches!(error, AdapterError::Unknown { .. }), "{error:?}");
        assert!(error.is_transient());
    }
}

/// Reads the request and hangs up; tokens are given out.
#[tokio::test]
async fn connection_cut_after_sending_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 16_384];
            let length = stream.read(&mut buffer).await.unwrap_or_default();
            if String::from_utf8_lossy(&buffer[..length]).contains("/oauth2/token") {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{TOKEN}",
                    TOKEN.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        }
    });
    for adapter in adapters(&base) {
        let error = start_error(&*adapter).await;
        assert!(matches!(error, AdapterError::Unknown { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    for adapter in adapters(&base) {
        let error = start_error(&*adapter).await;
        assert!(
            matches!(error, AdapterError::Unavailable { .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn server_errors_are_unknown() {
    for status in [500, 502, 503, 504] {
        let status = StatusCode::from_u16(status).unwrap();
        let base = provider(move || async move { status.into_response() }).await;
        for adapter in adapters(&base) {
            let error = start_error(&*adapter).await;
            assert!(
                matches!(error, AdapterError::Unknown { .. }),
                "{status}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn too_many_requests_says_when() {
    let base = provider(|| async {
        (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")]).into_response()
    })
    .await;
    for adapter in adapters(&base) {
        let retry_after = Some(Duration::from_secs(7));
        assert_eq!(
            start_error(&*adapter).await,
            AdapterError::RateLimited { retry_after }
        );
    }
}

/// Neither a 2xx nor a 4xx that isn't the provider's settles anything.
#[tokio::test]
async fn nonsense_is_unknown() {
    for status in [
        StatusCode::OK,
        StatusCode::BAD_REQUEST,
        StatusCode::FORBIDDEN,
    ] {
        let base = provider(move || async move { (status, "<html>proxy</html>").into_response() });
        for adapter in adapters(&base.await) {
            let error = start_error(&*adapter).await;
            assert!(
                matches!(error, AdapterError::Unknown { .. }),
                "{status}: {error:?}"
            );
        }
    }
}

/// Statuses that neither API documents stay pending.
#[tokio::test]
async fn unknown_statuses_stay_pending() {
    let reply = r#"{"id":"x","status":"BEAMED_UP","currency":"brl","payment_intent":
        {"id":"pi","status":"beamed_up","currency":"brl"}}"#;
    let base = provider(move || async move { reply.into_response() }).await;
    for adapter in adapters(&base) {
        let status = adapter.status(&ProviderRef::new("x")).await.unwrap();
        assert!(
            matches!(status, PaymentStatus::Pending { .. }),
            "{status:?}"
        );
        assert_eq!(
            adapter.authorise(&ProviderRef::new("x")).await.unwrap(),
            status
        );
    }
}

#[test]
fn settings_are_whole_or_absent() {
    install_crypto();
    let base: Url = "http://127.0.0.1:1/".parse().unwrap();
    let registry = Registry::from_settings(&|_| None).unwrap();
    assert_eq!(registry.providers().count(), 0);
    let registry = Registry::from_settings(&|name| setting(&base, name)).unwrap();
    let names: Vec<_> = registry
        .providers()
        .map(catraca_payments::Provider::as_str)
        .collect();
    assert_eq!(names, ["card", "paypal", "pix"]);
    assert!(registry.get("cash").is_none());
    let half = |name: &str| setting(&base, name).filter(|_| name != "CATRACA_CARD_SECRET_KEY");
    let error = Registry::from_settings(&half).err();
    assert_eq!(error, Some(ConfigError::Missing("CATRACA_CARD_SECRET_KEY")));
    let off = |name: &str| setting(&base, name).filter(|_| name != "CATRACA_PIX");
    assert!(Registry::from_settings(&off).unwrap().get("pix").is_none());
    let odd = |name: &str| match name {
        "CATRACA_PIX" => Some("perhaps".to_owned()),
        _ => setting(&base, name),
    };
    let error = Registry::from_settings(&odd).err();
    assert!(
        matches!(error, Some(ConfigError::Invalid { .. })),
        "{error:?}"
    );
    let far: Url = "http://example.com/".parse().unwrap();
    let error = Registry::from_settings(&|name| setting(&far, name)).err();
    assert!(
        matches!(error, Some(ConfigError::Invalid { .. })),
        "{error:?}"
    );
}

/// A webhook id that PayPal doesn't know is our mistake: the event is to come again, not lost.
#[tokio::test]
async fn an_unknown_webhook_id_is_no_verdict() {
    for status in [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN] {
        let base = provider(move || async move {
            let body = r#"{"name":"NOT_AUTHORIZED","message":"no","debug_id":"d"}"#;
            (status, body).into_response()
        })
        .await;
        let mut headers = axum::http::HeaderMap::new();
        for name in [
            "auth-algo",
            "cert-url",
            "transmission-id",
            "transmission-sig",
        ] {
            let name: axum::http::HeaderName = format!("paypal-{name}").parse().unwrap();
            headers.insert(name, "x".parse().unwrap());
        }
        let at = "2026-01-02T03:04:05Z";
        headers.insert("paypal-transmission-time", at.parse().unwrap());
        let now = time::OffsetDateTime::parse(at, &Rfc3339).unwrap();
        let paypal = &adapters(&base)[1];
        let error = paypal
            .verify_webhook(&headers, b"{}", now)
            .await
            .unwrap_err();
        let WebhookError::Unavailable(error) = error else {
            panic!("{status}: {error:?}");
        };
        assert!(matches!(error, AdapterError::Rejected { .. }), "{error:?}");
    }
}

/// A refusal of the buyer's means of payment ends the attempt, whichever word PayPal has for it.
#[tokio::test]
async fn paypal_declines_are_failures() {
    for issue in [
        "INSTRUMENT_DECLINED",
        "PAYER_CANNOT_PAY",
        "TRANSACTION_REFUSED",
    ] {
        let app = Router::new()
            .route("/v1/oauth2/token", post(async || TOKEN))
            .route(
                "/v2/checkout/orders/{id}",
                axum::routing::get(async || r#"{"id":"O1","status":"APPROVED"}"#),
            )
            .fallback(async move || {
                let body = format!(
                    r#"{{"name":"UNPROCESSABLE_ENTITY","message":"no","debug_id":"d",
                        "details":[{{"issue":"{issue}","description":"no"}}]}}"#
                );
                (StatusCode::UNPROCESSABLE_ENTITY, body)
            });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base: Url = format!("http://{}/", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let paypal = &adapters(&base)[1];
        let status = paypal.authorise(&ProviderRef::new("O1")).await.unwrap();
        let reason = issue.to_owned();
        assert_eq!(status, PaymentStatus::Failed { reason });
    }
}
