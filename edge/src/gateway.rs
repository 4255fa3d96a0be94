//! The way through to the core: `/api`, `/auth` and `/webhooks`, bodies streamed both ways.
//!
//! The core checks everything by itself; the gateway only makes sure that nobody outside can
//! speak as the edge.

use crate::answer;
use crate::visit::Visit;
use catraca_domain::problem::Kind;
use catraca_domain::signature;
use worker::console_error;
use worker::{Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response, Result};

/// Headers that only the edge may set.
const OURS: [&str; 5] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    signature::HEADER,
];
/// Set by Cloudflare's network, and by nobody where it isn't.
const CLIENT_ADDRESS: &str = "cf-connecting-ip";
/// Largest body that the core takes anywhere but at an import of seats, in bytes: a webhook's.
const BODY_BYTES_MAX: u64 = 256 * 1024;
/// Largest import of seats that the core takes, in bytes.
const IMPORT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Forwards, and passes the answer through as it is: redirects, cookies and all.
pub(crate) async fn forward(mut visit: Visit) -> Result<Response> {
    let url = visit.request.url()?;
    if announces_too_much(visit.request.headers(), url.path())? {
        // Whoever is cut off in the middle of sending never sees the answer.
        let _thrown_away = visit.body(0).await;
        return answer::problem(
            Kind::PAYLOAD_TOO_LARGE,
            "The body is larger than this address takes.",
        );
    }
    let target = match url.query() {
        Some(query) => format!("{}{}?{query}", visit.settings.core_url, url.path()),
        None => format!("{}{}", visit.settings.core_url, url.path()),
    };
    let mut init = RequestInit::new();
    init.with_method(visit.request.method())
        .with_headers(forwarded_headers(&visit, &url)?)
        .with_redirect(RequestRedirect::Manual);
    if !matches!(visit.request.method(), Method::Get | Method::Head) {
        init.with_body(visit.request.inner().body().map(Into::into));
    }
    let request = Request::new_with_init(&target, &init)?;
    match Fetch::Request(request).send().await {
        Ok(response) => Ok(response),
        Err(error) => {
            console_error!("core unreachable: {error}");
            answer::problem(
                Kind::UNAVAILABLE,
                "The shop can't be reached just now. Your place and your session are kept.",
            )
        }
    }
}

/// The core refuses such a body too, but without reading it to its end: its answer would be lost
/// with the connection that is still being written to.
fn announces_too_much(headers: &Headers, path: &str) -> Result<bool> {
    let length = headers.get("content-length")?;
    let length = length
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(0);
    let most = if path.ends_with("/seats:import") {
        IMPORT_BYTES_MAX
    } else {
        BODY_BYTES_MAX
    };
    Ok(length > most)
}

fn forwarded_headers(visit: &Visit, url: &worker::Url) -> Result<Headers> {
    let headers = visit.request.headers().clone();
    for name in OURS {
        headers.delete(name)?;
    }
    let client_address = headers.get(CLIENT_ADDRESS)?;
    let mut host = url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = url.port() {
        host = format!("{host}:{port}");
    }
    headers.delete("host")?;
    headers.set("x-forwarded-host", &host)?;
    headers.set("x-forwarded-proto", url.scheme())?;
    if let (Some(address), Some(_)) = (client_address, visit.request.cf()) {
        headers.set("x-forwarded-for", &address)?;
    }
    Ok(headers)
}
