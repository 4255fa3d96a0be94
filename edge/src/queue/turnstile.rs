//! Cloudflare Turnstile's word on a visitor. Fails closed: with its service away, or with keys that
//! are missing or wrong, nobody new gets a place.

use super::challenge::{Refused, required};
use crate::runtime::within;
use crate::settings::Turnstile;
use crate::visit::Visit;
use catraca_domain::problem::{Kind, Problem};
use serde::Deserialize;
use serde_json::json;
use worker::{Fetch, Headers, Method, Request, RequestInit, console_error};

/// Longest wait for it, in milliseconds.
const ANSWER_MS_MAX: u64 = 4_000;
/// Longest response of a widget, in bytes: theirs are at most 2048 characters.
const RESPONSE_BYTES_MAX: usize = 2_048;

/// What it says of a response.
enum Verdict {
    /// Solved, here for the first time.
    Good,
    /// Not solved.
    Bad,
    /// Solved, and used or over five minutes old.
    Spent,
    /// It does not take our secret, or our way of asking. Its word for it.
    OurFault(String),
}

/// Lets whoever solved it pass.
pub(super) async fn check(visit: &Visit, response: &str) -> Result<(), Refused> {
    let Ok(settings) = &visit.settings.turnstile else {
        // The log says which keys are missing, whenever such a room is configured.
        return Err(not_set_up());
    };
    let again = |detail| {
        let challenge = json!({ "kind": "turnstile", "site_key": settings.site_key });
        Err(required(detail, challenge))
    };
    if response.is_empty() || response.len() > RESPONSE_BYTES_MAX {
        return again("Solve the challenge.");
    }
    match within(ANSWER_MS_MAX, site_verify(settings, response)).await {
        Some(Ok(Verdict::Good)) => Ok(()),
        Some(Ok(Verdict::Bad)) => again("The challenge was not solved."),
        Some(Ok(Verdict::Spent)) => {
            again("The challenge's answer has been used, or came too late.")
        }
        Some(Ok(Verdict::OurFault(code))) => {
            console_error!("CATRACA_TURNSTILE_SECRET is not right: Turnstile says {code}");
            Err(not_set_up())
        }
        Some(Err(error)) => {
            console_error!("Turnstile: {error}");
            Err(Refused::Unavailable)
        }
        None => {
            console_error!("Turnstile took over {ANSWER_MS_MAX} ms");
            Err(Refused::Unavailable)
        }
    }
}

/// 503: trying again helps once the room's organiser has seen to it.
fn not_set_up() -> Refused {
    let detail = "This room's challenge is not set up. Its organiser has to see to it.";
    Refused::Required(Box::new(Problem::new(Kind::UNAVAILABLE, detail)))
}

/// Asks siteverify, which accepts a response once:
/// <https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>.
async fn site_verify(settings: &Turnstile, response: &str) -> worker::Result<Verdict> {
    #[derive(Deserialize)]
    struct Reply {
        success: bool,
        #[serde(default, rename = "error-codes")]
        error_codes: Vec<String>,
    }
    let secret = settings.secret.expose_str();
    let secret = secret.map_err(|_| "its secret is no text")?;
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    let body = json!({ "secret": secret, "response": response }).to_string();
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(body.into()));
    let request = Request::new_with_init(&settings.url, &init)?;
    let mut answer = Fetch::Request(request).send().await?;
    let status = answer.status_code();
    // Whatever the status: an answer of its own is JSON, and what is none says nothing.
    let reply: Reply = serde_json::from_slice(&answer.bytes().await?)
        .map_err(|_| format!("status {status} and no answer"))?;
    if reply.success {
        return Ok(Verdict::Good);
    }
    let code = reply.error_codes.into_iter().next().unwrap_or_default();
    match code.as_str() {
        "missing-input-secret" | "invalid-input-secret" | "bad-request" => {
            Ok(Verdict::OurFault(code))
        }
        "timeout-or-duplicate" => Ok(Verdict::Spent),
        "internal-error" => Err(code.into()),
        _ => Ok(Verdict::Bad),
    }
}
