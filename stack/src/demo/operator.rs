//! What an operator does, over HTTP through the edge.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, RequestBuilder, Response, header};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const REQUEST_WITHIN: Duration = Duration::from_mins(1);
/// How long the core may take to tell the edge about a room.
const ROOM_WITHIN: Duration = Duration::from_secs(15);
/// How much of an error's body is shown.
const BODY_CHARS_MAX: usize = 500;

/// One event of the demo.
#[derive(Clone, Debug)]
pub(crate) struct Sale {
    /// Slug; names the room too.
    pub(crate) event: String,
    /// Shown to visitors.
    pub(crate) title: &'static str,
    /// Where it is.
    pub(crate) venue: &'static str,
}

/// The import's answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Imported {
    pub(crate) sections: u64,
    pub(crate) seats: u64,
}

#[derive(Deserialize)]
struct RoomStatus {
    phase: String,
}

/// A logged-in operator.
pub(crate) struct Operator {
    http: Client,
    edge: String,
}

impl Operator {
    /// Logs in; the development provider asks nothing.
    pub(crate) async fn log_in(edge: &str) -> anyhow::Result<Self> {
        let http = Client::builder()
            .cookie_store(true)
            .timeout(REQUEST_WITHIN)
            .build()?;
        let operator = Self {
            http,
            edge: edge.to_owned(),
        };
        let query = [
            ("provider", "dev"),
            ("login_hint", "operator@example.com"),
            ("return_to", "/api/v1/me"),
        ];
        let login = operator
            .http
            .get(format!("{edge}/auth/login"))
            .query(&query);
        checked(login).await?;
        checked(operator.http.get(format!("{edge}/api/v1/me"))).await?;
        Ok(operator)
    }

    pub(crate) async fn create_event(&self, sale: &Sale) -> anyhow::Result<()> {
        let starts_at = (OffsetDateTime::now_utc() + time::Duration::days(30)).format(&Rfc3339)?;
        let request = self.post("events").json(&json!({
            "event": sale.event,
            "title": sale.title,
            "venue": sale.venue,
            "starts_at": starts_at,
            "currency": "BRL",
            "max_seats_per_buyer": 6,
            "hold_seconds": 300,
        }));
        checked(request)
            .await
            .with_context(|| format!("creating {}", sale.event))?;
        Ok(())
    }

    pub(crate) async fn import_seats(&self, sale: &Sale, csv: Vec<u8>) -> anyhow::Result<Imported> {
        let request = self
            .post(&format!("events/{}/seats:import", sale.event))
            .header(header::CONTENT_TYPE, "text/csv")
            .body(csv);
        let answer = checked(request)
            .await
            .with_context(|| format!("importing {}", sale.event))?;
        Ok(answer.json().await?)
    }

    pub(crate) async fn configure_room(
        &self,
        sale: &Sale,
        opens_at: OffsetDateTime,
        rate_per_minute: u32,
        max_active: u32,
    ) -> anyhow::Result<()> {
        let url = format!("{}/api/v1/admin/rooms/{}", self.edge, sale.event);
        let request = self.as_page(self.http.put(url)).json(&json!({
            "method": "fifo",
            "identity": "anonymous",
            "challenge": "none",
            "opens_at": opens_at.format(&Rfc3339)?,
            "rate_per_minute": rate_per_minute,
            "max_active": max_active,
            "session_seconds": 600,
            "claim_window_seconds": 60,
            "lanes": [],
            "fail_mode": "closed",
        }));
        checked(request)
            .await
            .with_context(|| format!("configuring {}", sale.event))?;
        Ok(())
    }

    /// Waits until the edge knows the room.
    pub(crate) async fn await_lobby(&self, sale: &Sale) -> anyhow::Result<()> {
        let url = format!("{}/queue/v1/{}/status", self.edge, sale.event);
        let known = async {
            loop {
                if let Ok(answer) = checked(self.http.get(&url)).await
                    && let Ok(status) = answer.json::<RoomStatus>().await
                    && status.phase != "closed"
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(ROOM_WITHIN, known)
            .await
            .with_context(|| format!("the edge does not open the room {}", sale.event))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        let key = format!("demo-{:016x}", rand::random::<u64>());
        self.as_page(self.http.post(format!("{}/api/v1/admin/{path}", self.edge)))
            .header("Idempotency-Key", key)
    }

    /// As a browser would say it, for checks against forged requests.
    fn as_page(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(header::ORIGIN, &self.edge)
    }
}

/// Sends; an error shows the answer's body.
async fn checked(request: RequestBuilder) -> anyhow::Result<Response> {
    let answer = request.send().await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let url = answer.url().clone();
    let body: String = answer.text().await?.chars().take(BODY_CHARS_MAX).collect();
    anyhow::bail!("{url} answers {status}: {body}")
}
