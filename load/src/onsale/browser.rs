//! A visitor's browser: a cookie jar of its own over connections shared by all, patient with a
//! server that is restarting. A request that may have been lost is sent again with the same
//! idempotency key, until the visitor's time is up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::cookie::{CookieStore as _, Jar};
use reqwest::header::{ACCEPT, COOKIE, SET_COOKIE};
use reqwest::{Client, redirect};
use tokio::sync::Semaphore;
use url::Url;

use super::call::{Answer, Body, Call, Stop};
use super::tally::Tally;

/// Most requests in flight, and so most sockets, whatever the size of the crowd.
const IN_FLIGHT_MAX: usize = 256;
/// workerd closes a kept connection after five idle seconds. Whoever sends just then is reset, and does not
/// know whether the request was seen: a kept connection is given up before.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Longest wait for one answer; after it, the request counts as lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(4);
const REDIRECTS_MAX: u32 = 10;

/// What all browsers share: one connection pool, bounded, and the counters.
#[derive(Debug)]
pub(crate) struct Network {
    client: Client,
    permits: Semaphore,
    edge: Url,
    tally: Arc<Tally>,
}

impl Network {
    pub(crate) fn new(edge: Url, tally: Arc<Tally>) -> anyhow::Result<Self> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(IN_FLIGHT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .timeout(ANSWER_WITHIN)
            .build()?;
        let permits = Semaphore::new(IN_FLIGHT_MAX);
        Ok(Self {
            client,
            permits,
            edge,
            tally,
        })
    }
}

/// One visitor's browser.
#[derive(Debug)]
pub(crate) struct Browser {
    network: Arc<Network>,
    jar: Jar,
    deadline: Instant,
}

impl Browser {
    pub(crate) fn new(network: Arc<Network>, deadline: Instant) -> Self {
        Self {
            network,
            jar: Jar::default(),
            deadline,
        }
    }

    /// An address at the edge; each part is one path segment.
    pub(crate) fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.network.edge.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }

    /// Whether the edge has set a cookie of this name.
    pub(crate) fn has_cookie(&self, name: &str) -> bool {
        let cookies = self.jar.cookies(&self.network.edge);
        let header = cookies
            .as_ref()
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        header
            .split("; ")
            .any(|cookie| cookie.split('=').next() == Some(name))
    }

    /// Waits, unless the visitor's time is up before.
    pub(crate) async fn pause(&self, wait: Duration, doing: &str) -> Result<(), Stop> {
        // Spread by a fifth, so that a crowd that was cut off together does not return together.
        let wait = wait.mul_f64(rand::random_range(1.0..1.2));
        if Instant::now() + wait > self.deadline {
            return Err(Stop::Failed(format!("timed out: {doing}")));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Sends until there is an answer other than "not now" (5xx, 429).
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Stop> {
        let mut backoff = BACKOFF_FIRST;
        loop {
            let (wait, reason) = match self.send_once(call).await {
                Ok(answer) if answer.status.is_server_error() || answer.status.as_u16() == 429 => {
                    let reason = format!("{} answered {}", call.name, answer.status.as_u16());
                    (answer.retry_after().unwrap_or(backoff), reason)
                }
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let how = if error.is_timeout() {
                        "no answer"
                    } else {
                        "connection lost"
                    };
                    (backoff, format!("{}: {how}", call.name))
                }
            };
            self.network.tally.retried(&reason);
            self.pause(wait, &reason).await?;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// As [`Browser::send`], and then wherever the answer leads, as a browser does.
    pub(crate) async fn follow(&self, call: &Call) -> Result<Answer, Stop> {
        let mut answer = self.send(call).await?;
        for _ in 0..REDIRECTS_MAX {
            if !answer.status.is_redirection() {
                return Ok(answer);
            }
            let Some(to) = answer.leads_to() else {
                return Err(answer.unexpected());
            };
            answer = self.send(&Call::get(call.name, to)).await?;
        }
        Err(Stop::Failed(format!(
            "{}: more than {REDIRECTS_MAX} redirects",
            call.name
        )))
    }

    async fn send_once(&self, call: &Call) -> reqwest::Result<Answer> {
        // The semaphore is never closed, so this can't fail; going on without is harmless.
        let _permit = self.network.permits.acquire().await.ok();
        let mut request = self
            .network
            .client
            .request(call.method.clone(), call.url.clone());
        if let Some(cookies) = self.jar.cookies(&call.url) {
            request = request.header(COOKIE, cookies);
        }
        if let Some(key) = call.idempotency_key {
            request = request.header("idempotency-key", key.to_string());
        }
        request = match &call.body {
            Body::None => request,
            Body::Json(value) => request.json(value),
            Body::Csv(text) => request
                .header("content-type", "text/csv")
                .body(text.clone()),
            Body::Form(fields) => request.form(fields),
        };
        let sent = Instant::now();
        let response = request.header(ACCEPT, "application/json, text/html;q=0.9, */*;q=0.5");
        let response = response.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.jar
            .set_cookies(&mut headers.get_all(SET_COOKIE).iter(), &call.url);
        let body = response.text().await?;
        let took = sent.elapsed();
        Ok(Answer {
            name: call.name,
            status,
            headers,
            url: call.url.clone(),
            body,
            took,
        })
    }
}
