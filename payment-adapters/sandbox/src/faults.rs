//! Faults on demand: the next calls of a kind go wrong in a given way. Kept in memory only; a
//! restart forgets them.

use std::time::Duration;

use axum::http::{Method, Uri};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::payment::{Payment, Provider};
use crate::world::World;

/// Most faults waiting at once.
pub(crate) const FAULTS_MAX: usize = 1_000;
/// How long a call hangs unless told: longer than the adapters wait.
const HANG_SECONDS: u64 = 35;
/// How long a webhook is held back unless told, so that later ones overtake it.
const REORDER_SECONDS: u64 = 2;
/// Longest of either.
const SECONDS_MAX: u64 = 120;

/// What is asked of a provider, or (`Webhook`) what the provider sends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    Start,
    Status,
    Authorise,
    Capture,
    Void,
    Refund,
    Webhook,
    /// Tokens, signature checks: not to be made to fail, but counted.
    #[serde(skip_deserializing)]
    Other,
}

impl Call {
    /// Whether it can move money.
    pub(crate) fn changes(self) -> bool {
        match self {
            Self::Start | Self::Authorise | Self::Capture | Self::Void | Self::Refund => true,
            Self::Status | Self::Webhook | Self::Other => false,
        }
    }
}

/// How a call goes wrong. "Before" is not carried out, "after" is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// No answer for [`Fault::seconds`].
    TimeoutBefore,
    TimeoutAfter,
    /// 500; Stripe's is remembered under the idempotency key, as the real one's.
    #[serde(rename = "http_500")]
    Http500,
    #[serde(rename = "http_500_after")]
    Http500After,
    #[serde(rename = "http_429")]
    Http429,
    /// The connection ends within the reply.
    CutBefore,
    CutAfter,
    /// Webhooks: delivered twice.
    Duplicate,
    /// Webhooks: held back for [`Fault::seconds`], while others go out.
    Reorder,
    /// Webhooks: never delivered.
    Lose,
}

impl Kind {
    fn is_for_webhooks(self) -> bool {
        matches!(self, Self::Duplicate | Self::Reorder | Self::Lose)
    }
}

fn once() -> u32 {
    1
}

/// One fault, as asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) provider: Provider,
    pub(crate) call: Call,
    #[serde(rename = "fault")]
    pub(crate) kind: Kind,
    /// So many calls; then it is used up.
    #[serde(default = "once")]
    pub(crate) times: u32,
    /// Only calls about this payment: any of its ids, or that of its order or hold. For webhooks,
    /// anything in the event's text.
    pub(crate) payment: Option<String>,
    /// For what takes time; a sensible while if not given.
    pub(crate) seconds: Option<u64>,
}

impl Fault {
    /// Why it makes no sense, if so.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if (self.call == Call::Webhook) != self.kind.is_for_webhooks() {
            return Some("duplicate, reorder and lose are for webhooks, and only they are");
        }
        if self.times == 0 || self.seconds.is_some_and(|seconds| seconds > SECONDS_MAX) {
            return Some("times is 1 or more, seconds 120 at most");
        }
        None
    }

    pub(crate) fn duration(&self) -> Duration {
        let usual = match self.kind {
            Kind::Reorder => REORDER_SECONDS,
            _ => HANG_SECONDS,
        };
        Duration::from_secs(self.seconds.unwrap_or(usual))
    }
}

/// What a call is about.
pub(crate) struct Subject {
    pub(crate) provider: Provider,
    pub(crate) call: Call,
    payment: Option<Payment>,
    /// What was sent, where there is no payment yet.
    text: String,
}

impl Subject {
    /// A webhook about to be sent.
    pub(crate) fn webhook(provider: Provider, body: &str) -> Self {
        Self {
            provider,
            call: Call::Webhook,
            payment: None,
            text: body.to_owned(),
        }
    }

    /// An API call.
    pub(crate) fn of(world: &World, method: &Method, uri: &Uri, body: &[u8]) -> Self {
        let path = uri.path();
        let query = uri.query().unwrap_or_default().as_bytes();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let post = method == Method::POST;
        let fields: Vec<(String, String)> = [body, query]
            .into_iter()
            .flat_map(|text| form_urlencoded::parse(text).into_owned())
            .collect();
        let field = |name: &str| {
            let mut found = fields.iter().filter(|(key, _)| key.starts_with(name));
            found.next().map(|(_, value)| value.as_str())
        };
        let (call, id) = match (post, parts.as_slice()) {
            (true, ["v1", "checkout", "sessions"] | ["v1", "payment_intents"]) => {
                (Call::Start, None)
            }
            (true, ["v2", "checkout", "orders"]) => (Call::Start, None),
            (true, ["v1", "refunds"]) => {
                (Call::Refund, field("payment_intent").or(field("charge")))
            }
            (true, [.., id, "capture"]) => (Call::Capture, Some(*id)),
            (true, [.., id, "cancel" | "expire" | "void"]) => (Call::Void, Some(*id)),
            (true, [.., id, "authorize" | "confirm"]) => (Call::Authorise, Some(*id)),
            (true, [.., id, "refund"]) => (Call::Refund, Some(*id)),
            (false, ["v1", "refunds"]) => (Call::Status, field("payment_intent")),
            (false, ["v1", "checkout", "sessions", id] | ["v1" | "v2", _, id]) => {
                (Call::Status, Some(*id))
            }
            (false, ["v2", _, _, id]) => (Call::Status, Some(*id)),
            _ => (Call::Other, None),
        };
        let payment = id.and_then(|id| world.payment(id)).cloned();
        let paypal = matches!(
            parts.as_slice(),
            ["v2", ..] | ["v1", "oauth2" | "notifications", ..]
        );
        let provider = match &payment {
            Some(payment) => payment.provider,
            None if paypal => Provider::PayPal,
            None if field("payment_method_types") == Some("pix") => Provider::Pix,
            None => Provider::Card,
        };
        Self {
            provider,
            call,
            payment,
            text: String::from_utf8_lossy(body).into_owned(),
        }
    }

    fn fits(&self, fault: &Fault) -> bool {
        let named = |wanted: &String| match &self.payment {
            Some(payment) => payment.is_called(wanted),
            None => self.text.contains(wanted.as_str()),
        };
        self.provider == fault.provider
            && self.call == fault.call
            && fault.payment.as_ref().is_none_or(named)
    }
}

/// Those waiting, oldest first.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> bool {
        if self.0.len() >= FAULTS_MAX {
            return false;
        }
        self.0.push(fault);
        true
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn list(&self) -> &[Fault] {
        &self.0
    }

    /// The fault for this call, used up by one.
    pub(crate) fn take(&mut self, subject: &Subject) -> Option<Fault> {
        let at = self.0.iter().position(|fault| subject.fits(fault))?;
        let taken = self.0[at].clone();
        self.0[at].times -= 1;
        if self.0[at].times == 0 {
            self.0.remove(at);
        }
        Some(taken)
    }
}
