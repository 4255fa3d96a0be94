//! What the payment sandbox says the providers have taken and given back.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// `GET /sandbox/ledger`.
#[derive(Debug, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) payments: Vec<Entry>,
}

/// One payment at a provider; amounts in minor units.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) provider: String,
    pub(crate) provider_ref: String,
    pub(crate) order: Option<String>,
    pub(crate) hold: Option<String>,
    pub(crate) currency: String,
    pub(crate) captured_minor: i64,
    pub(crate) refunded_minor: i64,
}

impl Ledger {
    /// The ledger as it is now; nothing without a sandbox.
    ///
    /// # Errors
    /// When the sandbox does not answer, or in another shape.
    pub(crate) async fn fetch(sandbox: Option<&Url>) -> anyhow::Result<Option<Self>> {
        let Some(sandbox) = sandbox else {
            return Ok(None);
        };
        let url = sandbox.join("/sandbox/ledger")?;
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let answer = client.get(url).send().await.context("asking the sandbox")?;
        let ledger = answer
            .error_for_status()?
            .json()
            .await
            .context("the sandbox's ledger")?;
        Ok(Some(ledger))
    }

    /// Orders and holds for which money was taken more than once.
    pub(crate) fn captured_twice(&self) -> Vec<String> {
        let mut taken: HashMap<String, Vec<&str>> = HashMap::new();
        for entry in self
            .payments
            .iter()
            .filter(|entry| entry.captured_minor > 0)
        {
            let order = entry.order.iter().map(|order| format!("order {order}"));
            let hold = entry.hold.iter().map(|hold| format!("hold {hold}"));
            for thing in order.chain(hold) {
                taken.entry(thing).or_default().push(&entry.provider_ref);
            }
        }
        let twice = taken.into_iter().filter(|(_, refs)| refs.len() > 1);
        twice
            .map(|(thing, refs)| format!("{thing}: captured by {}", refs.join(" and ")))
            .collect()
    }
}

impl Entry {
    pub(crate) fn order_id(&self) -> Option<Uuid> {
        self.order.as_deref()?.parse().ok()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} for order {}, hold {}: {} {} captured, {} refunded",
            self.provider,
            self.provider_ref,
            self.order.as_deref().unwrap_or("none"),
            self.hold.as_deref().unwrap_or("none"),
            self.captured_minor,
            self.currency,
            self.refunded_minor
        )
    }
}
