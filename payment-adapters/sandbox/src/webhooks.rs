//! Delivers events, signed the provider's way, again and again until a 2xx: after 0.5 s, 1 s, 2 s …
//! at most every 30 s, 50 times (about 24 minutes). What is undelivered survives a restart.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;
use url::Url;

use crate::app::{App, now_ms};
use crate::faults::{Fault, Kind, Subject};
use crate::payment::Provider;
use crate::world::{Change, Delivery};

const TRIES_MAX: u32 = 50;
const BACK_OFF_FIRST_MS: i64 = 500;
const BACK_OFF_MAX_MS: i64 = 30_000;
const IN_FLIGHT_MAX: usize = 64;
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// How late a retry may be.
const TICK: Duration = Duration::from_millis(100);

/// The task that delivers; runs until dropped.
pub(crate) fn run(app: App) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let base = app.config().webhook_base.clone();
    let client = reqwest::Client::builder()
        .timeout(REPLY_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("no HTTP client for webhooks")?;
    Ok(async move {
        match base {
            Some(base) => deliver_all(&app, &client, &base).await,
            None => std::future::pending().await,
        }
    })
}

async fn deliver_all(app: &App, client: &reqwest::Client, base: &Url) {
    let mut in_flight: JoinSet<String> = JoinSet::new();
    let mut busy = std::collections::HashSet::new();
    loop {
        while let Some(done) = in_flight.try_join_next() {
            if let Ok(id) = done {
                busy.remove(&id);
            }
        }
        let room = IN_FLIGHT_MAX.saturating_sub(in_flight.len());
        let now = now_ms();
        let due: Vec<Delivery> = app.read(|world| {
            let due = world
                .deliveries
                .values()
                .filter(|delivery| delivery.next_ms <= now && !busy.contains(&delivery.event.id));
            due.take(room).cloned().collect()
        });
        for delivery in due {
            busy.insert(delivery.event.id.clone());
            in_flight.spawn(deliver(app.clone(), client.clone(), base.clone(), delivery));
        }
        tokio::select! {
            () = app.outbox_changed() => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// One try; records how it went, and gives the event's id back.
async fn deliver(app: App, client: reqwest::Client, base: Url, delivery: Delivery) -> String {
    let id = delivery.event.id.clone();
    let tries = delivery.tries + 1;
    let subject = Subject::webhook(delivery.event.provider, delivery.event.body.get());
    let fault = app.take_fault(&subject);
    if let Some(change) = fault.as_ref().and_then(|fault| instead(fault, &delivery)) {
        if app.transact(|txn| txn.apply(change)).await.is_err() {
            tracing::error!(event = id, "the fault could not be recorded");
        }
        return id;
    }
    if fault.is_some() {
        // The first of two; how it goes decides nothing.
        let _ = post(&app, &client, &base, &delivery).await;
    }
    let change = match post(&app, &client, &base, &delivery).await {
        Ok(()) => Change::Done { event: id.clone() },
        Err(error) if tries >= TRIES_MAX => {
            tracing::warn!(event = id, tries, %error, "webhook given up");
            Change::Done { event: id.clone() }
        }
        Err(error) => {
            tracing::debug!(event = id, tries, %error, "webhook not taken");
            let back_off = (BACK_OFF_FIRST_MS << (tries - 1).min(16)).min(BACK_OFF_MAX_MS);
            Change::Retry {
                event: id.clone(),
                tries,
                next_ms: now_ms() + back_off,
            }
        }
    };
    if app.transact(|txn| txn.apply(change)).await.is_err() {
        tracing::error!(event = id, "the delivery could not be recorded");
    }
    id
}

/// What a fault makes of a delivery in place of a try; `None`: it is tried, twice.
fn instead(fault: &Fault, delivery: &Delivery) -> Option<Change> {
    let event = delivery.event.id.clone();
    match fault.kind {
        Kind::Reorder => {
            let seconds = i64::try_from(fault.duration().as_secs()).unwrap_or_default();
            let (tries, next_ms) = (delivery.tries, now_ms() + seconds * 1_000);
            Some(Change::Retry {
                event,
                tries,
                next_ms,
            })
        }
        Kind::Lose => Some(Change::Done { event }),
        _ => None,
    }
}

async fn post(
    app: &App,
    client: &reqwest::Client,
    base: &Url,
    delivery: &Delivery,
) -> anyhow::Result<()> {
    let body = delivery.event.body.get().as_bytes().to_vec();
    let provider = delivery.event.provider;
    let headers = match provider {
        Provider::Card | Provider::Pix => stripe_headers(app, &body),
        Provider::PayPal => paypal_headers(app, &body)?,
    };
    let base = base.as_str().trim_end_matches('/');
    let address = format!("{base}/webhooks/{}", provider.name());
    let mut request = client
        .post(address)
        .header("Content-Type", "application/json")
        .body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send().await?.error_for_status()?;
    Ok(())
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length; the error can't happen.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// `t=…` and one `v1=…` for each secret; signed anew for each try, as Stripe does.
fn stripe_headers(app: &App, body: &[u8]) -> Vec<(&'static str, String)> {
    let time = (now_ms() / 1_000).to_string();
    let mut header = format!("t={time}");
    for secret in &app.config().card_webhook_secrets {
        header.push_str(",v1=");
        for byte in mac(secret.expose(), &[time.as_bytes(), b".", body]) {
            // Writing to a string can't fail.
            let _ = write!(header, "{byte:02x}");
        }
    }
    vec![("Stripe-Signature", header)]
}

fn paypal_headers(app: &App, body: &[u8]) -> anyhow::Result<Vec<(&'static str, String)>> {
    let id = uuid::Uuid::new_v4().to_string();
    let now = OffsetDateTime::from_unix_timestamp(now_ms() / 1_000)?.format(&Rfc3339)?;
    let signature = paypal_signature(app, &id, &now, body);
    Ok(vec![
        ("PayPal-Transmission-Id", id),
        ("PayPal-Transmission-Time", now),
        ("PayPal-Transmission-Sig", signature),
        (
            "PayPal-Cert-Url",
            format!("{}/v1/notifications/certs/sandbox", app.base()),
        ),
        ("PayPal-Auth-Algo", "SHA256withRSA".to_owned()),
    ])
}

/// `PayPal` signs `id|time|webhook id|CRC-32 of the body` with RSA, and only `PayPal` checks it. The
/// stand-in signs the same text with HMAC under the client's secret, and checks it likewise.
pub(crate) fn paypal_signature(app: &App, id: &str, time: &str, body: &[u8]) -> String {
    let config = app.config();
    let text = format!("{id}|{time}|{}|{}", config.paypal_webhook_id, crc32(body));
    STANDARD.encode(mac(
        config.paypal_client_secret.expose(),
        &[text.as_bytes()],
    ))
}

/// CRC-32 as in zip files (polynomial 0xEDB88320, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
