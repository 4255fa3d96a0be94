//! Stripe's errors, sorted: <https://docs.stripe.com/api/errors>.

use http::StatusCode;
use serde::Deserialize;

use crate::AdapterError;
use crate::transport::Reply;

#[derive(Deserialize)]
struct Envelope {
    error: Body,
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    decline_code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// The reply if it is a 2xx; its meaning as an error otherwise.
pub(super) fn checked(reply: Reply) -> Result<Reply, AdapterError> {
    if reply.status.is_success() {
        return Ok(reply);
    }
    if let Some(error) = reply.common_error() {
        return Err(error);
    }
    let body = serde_json::from_slice::<Envelope>(&reply.body).map(|envelope| envelope.error);
    let Ok(body) = body else {
        // A 4xx that isn't Stripe's comes from something in between, which may not have passed
        // the request on, or may have.
        return Err(AdapterError::Unknown {
            message: format!("foreign {} reply", reply.status),
        });
    };
    let message = body.message.unwrap_or_default();
    let code = body.code.unwrap_or(body.kind);
    Err(match reply.status {
        StatusCode::PAYMENT_REQUIRED => AdapterError::Declined {
            reason: body.decline_code.unwrap_or(code),
        },
        // The same key is being worked on by another of our requests.
        StatusCode::CONFLICT => AdapterError::Unknown { message },
        StatusCode::NOT_FOUND if code == "resource_missing" => AdapterError::NotFound,
        _ => AdapterError::Rejected { code, message },
    })
}

/// Whether Stripe refused because the object is in another state than the call wants. Checkout
/// says so without a code; its words are the only sign.
pub(crate) fn is_state_conflict(error: &AdapterError) -> bool {
    match error {
        AdapterError::Rejected { code, message } => {
            code == "payment_intent_unexpected_state"
                || code == "charge_already_captured"
                || (code == "invalid_request_error" && message.contains("status"))
        }
        AdapterError::Declined { .. }
        | AdapterError::Unavailable { .. }
        | AdapterError::Unknown { .. }
        | AdapterError::RateLimited { .. }
        | AdapterError::NotFound => false,
    }
}
