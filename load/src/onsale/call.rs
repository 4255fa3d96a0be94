//! One request and its answer.

use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;
use uuid::Uuid;

use super::tally::Outcome;

/// Longest `Retry-After` that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Why a visit is over before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// One of the ends that a visit may have.
    Ended(Outcome),
    /// Something that should not happen.
    Failed(String),
}

impl From<Stop> for anyhow::Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Ended(outcome) => anyhow::anyhow!("{outcome:?}"),
            Stop::Failed(reason) => anyhow::anyhow!(reason),
        }
    }
}

/// What a request carries.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    None,
    Json(serde_json::Value),
    Csv(String),
    Form(Vec<(&'static str, String)>),
}

/// One request, as often as it takes.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// What it is for, in messages: requests of one name are counted together.
    pub(super) name: &'static str,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Body,
    /// The same for every time this call is sent.
    pub(super) idempotency_key: Option<Uuid>,
}

impl Call {
    pub(crate) fn get(name: &'static str, url: Url) -> Self {
        Self {
            name,
            method: Method::GET,
            url,
            body: Body::None,
            idempotency_key: None,
        }
    }

    /// A call that changes something: it gets an idempotency key.
    pub(crate) fn change(name: &'static str, method: Method, url: Url, body: Body) -> Self {
        let idempotency_key = Some(Uuid::new_v4());
        Self {
            name,
            method,
            url,
            body,
            idempotency_key,
        }
    }

    /// A page's form.
    pub(crate) fn post_form(
        name: &'static str,
        url: Url,
        fields: Vec<(&'static str, String)>,
    ) -> Self {
        let body = Body::Form(fields);
        Self {
            name,
            method: Method::POST,
            url,
            body,
            idempotency_key: None,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) name: &'static str,
    pub(crate) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(crate) body: String,
    /// From sending to the last byte of the answer, of the attempt that was answered.
    pub(crate) took: Duration,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Stop> {
        serde_json::from_str(&self.body)
            .map_err(|error| Stop::Failed(format!("{}: unreadable answer: {error}", self.name)))
    }

    /// The problem's name, the last part of its `type`; empty when it is no problem document.
    pub(crate) fn problem(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        let kind = body["type"].as_str().unwrap_or_default();
        kind.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// As a failure nobody planned for.
    pub(crate) fn unexpected(&self) -> Stop {
        let (status, problem) = (self.status.as_u16(), self.problem());
        Stop::Failed(
            format!("{} answered {status} {problem}", self.name)
                .trim()
                .to_owned(),
        )
    }

    /// How long the server asks to be left alone, within reason.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
    }

    /// Where a redirect leads.
    pub(super) fn leads_to(&self) -> Option<Url> {
        self.url
            .join(self.headers.get(LOCATION)?.to_str().ok()?)
            .ok()
    }
}
