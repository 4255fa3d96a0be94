//! Sending a request and sorting what can go wrong by whether it may have been carried out.

use std::sync::Arc;
use std::time::Duration;

use catraca_domain::secret::Secret;
use reqwest::{Response, StatusCode};
use url::Url;

use crate::{AdapterError, ConfigError, Gate, Heard, Leave, Provider};

/// How long a connection may take. Nothing was sent when this runs out.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a provider may take to answer. Stripe gives up on its own side after 80 s; a purchase
/// worker would rather mark the outcome unknown and come back.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// More than any reply we know of; a provider gone wrong must not fill our memory.
const REPLY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The client all adapters share. Redirects are not followed: a provider's API has none, and our
/// credentials are not to be carried elsewhere.
pub(crate) fn http_client() -> Result<reqwest::Client, ConfigError> {
    http_client_with(REPLY_TIMEOUT)
}

/// The same client with another reply timeout than 30 s.
pub fn http_client_with(reply_timeout: Duration) -> Result<reqwest::Client, ConfigError> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(reply_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("catraca/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ConfigError::Client(error.to_string()))
}

/// Where requests leave from: the HTTP client, and the gate that each has to pass, if there is one.
#[derive(Clone, Debug)]
pub struct Outlet {
    http: reqwest::Client,
    gate: Option<Arc<dyn Gate>>,
}

impl From<reqwest::Client> for Outlet {
    fn from(http: reqwest::Client) -> Self {
        Self { http, gate: None }
    }
}

impl Outlet {
    /// Every request asks this gate first.
    pub fn through(http: reqwest::Client, gate: Arc<dyn Gate>) -> Self {
        Self {
            http,
            gate: Some(gate),
        }
    }

    /// The way to one provider.
    pub(crate) fn to(self, provider: Provider) -> Client {
        Client {
            outlet: self,
            provider,
        }
    }
}

/// The way to one provider.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    outlet: Outlet,
    provider: Provider,
}

impl std::ops::Deref for Client {
    type Target = reqwest::Client;

    fn deref(&self) -> &reqwest::Client {
        &self.outlet.http
    }
}

impl Client {
    /// Sends a request once the gate lets it pass, and reads the reply to its end.
    pub(crate) async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<Reply, AdapterError> {
        let leave = match &self.outlet.gate {
            Some(gate) => gate.enter(self.provider).await?,
            None => Leave::free(),
        };
        let reply = send(request).await;
        leave.end(match &reply {
            Ok(reply) if reply.status == StatusCode::TOO_MANY_REQUESTS => {
                Heard::TooMany(reply.retry_after)
            }
            Ok(reply) if !reply.status.is_server_error() => Heard::Well,
            Ok(_) | Err(_) => Heard::Failed,
        });
        reply
    }
}

/// A reply read to its end.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    retry_after: Option<Duration>,
    /// The provider says that it plays back what this idempotency key was answered before.
    pub(crate) replayed: bool,
}

impl Reply {
    /// Reads the body as JSON. A 2xx we can't read may well have been carried out: `Unknown`.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, AdapterError> {
        serde_json::from_slice(&self.body).map_err(|error| AdapterError::Unknown {
            message: format!("unreadable reply ({}): {error}", self.status),
        })
    }

    /// What the statuses mean that are the same for every provider; `None`: read the body.
    ///
    /// 409 is a provider's way to say that another request with this key is still running.
    pub(crate) fn common_error(&self) -> Option<AdapterError> {
        let status = self.status;
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Some(AdapterError::RateLimited {
                retry_after: self.retry_after,
            });
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Some(AdapterError::Unknown {
                message: format!("provider answered {status}"),
            });
        }
        if status.is_redirection() || status.is_informational() {
            return Some(AdapterError::Unknown {
                message: format!("unexpected {status}"),
            });
        }
        None
    }
}

/// Sends a request and reads the reply to its end.
async fn send(request: reqwest::RequestBuilder) -> Result<Reply, AdapterError> {
    let response = request.send().await.map_err(|error| sort(&error))?;
    let status = response.status();
    let retry_after = retry_after(&response);
    let replayed = response.headers().get("idempotent-replayed");
    let replayed = replayed.is_some_and(|value| value == "true");
    let body = read_bounded(response).await?;
    Ok(Reply {
        status,
        body,
        retry_after,
        replayed,
    })
}

async fn read_bounded(mut response: Response) -> Result<Vec<u8>, AdapterError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| sort(&error))? {
        if body.len() + chunk.len() > REPLY_BYTES_MAX {
            return Err(AdapterError::Unknown {
                message: "reply too large".to_owned(),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Only a connection that was never made is known to have done nothing.
fn sort(error: &reqwest::Error) -> AdapterError {
    let message = chain(error);
    if error.is_builder() {
        return AdapterError::Rejected {
            code: "unsendable".to_owned(),
            message,
        };
    }
    if error.is_connect() {
        return AdapterError::Unavailable { message };
    }
    AdapterError::Unknown { message }
}

/// An error with its causes, without the URL.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() && error.is_timeout() {
        text.push_str("timed out");
    }
    text
}

/// `Retry-After` in seconds, at most an hour. The date form is not used by either provider.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response
        .headers()
        .get(http::header::RETRY_AFTER)?
        .to_str()
        .ok()?;
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(3_600)))
}

/// Reads a base URL: absolute, `https`, or `http` to this machine only.
pub(crate) fn base_url(name: &'static str, value: Option<String>) -> Result<Url, ConfigError> {
    let text = value.ok_or(ConfigError::Missing(name))?;
    let invalid = |reason: &str| ConfigError::Invalid {
        name,
        reason: reason.to_owned(),
    };
    let mut url = Url::parse(text.trim()).map_err(|error| invalid(&error.to_string()))?;
    let local = match url.host() {
        Some(url::Host::Domain(host)) => host == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if local => {}
        "http" => return Err(invalid("plain http only to this machine")),
        _ => return Err(invalid("not an http(s) URL")),
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// An address under the base URL.
pub(crate) fn join(base: &Url, path: &str) -> Result<Url, AdapterError> {
    base.join(path).map_err(|error| AdapterError::Rejected {
        code: "bad_path".to_owned(),
        message: error.to_string(),
    })
}

/// A provider's id as one segment of a path. Ids are letters, digits, `_` and `-`; anything else
/// isn't one, and must not become part of an address.
pub(crate) fn segment(id: &str) -> Result<&str, AdapterError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.is_empty() || id.len() > 255 || !id.bytes().all(plain) {
        return Err(AdapterError::NotFound);
    }
    Ok(id)
}

/// A secret as header text.
pub(crate) fn text(secret: &Secret) -> Result<&str, AdapterError> {
    secret.expose_str().map_err(|_| AdapterError::Rejected {
        code: "bad_secret".to_owned(),
        message: "the configured secret is not text".to_owned(),
    })
}

/// A description within every provider's limit of 127 characters, and never empty.
pub(crate) fn shorten(description: &str) -> String {
    let text: String = description.trim().chars().take(127).collect();
    if text.is_empty() {
        "Tickets".to_owned()
    } else {
        text
    }
}
