//! `PayPal`'s errors, sorted: `name`, and the first `details[].issue` where there is one.

use http::StatusCode;
use serde::Deserialize;

use crate::AdapterError;
use crate::transport::Reply;

#[derive(Deserialize)]
struct Body {
    name: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    debug_id: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    issue: String,
    #[serde(default)]
    description: String,
}

/// The buyer's means of payment were refused.
const DECLINES: &[&str] = &[
    "INSTRUMENT_DECLINED",
    "PAYER_CANNOT_PAY",
    "TRANSACTION_REFUSED",
    "CARD_EXPIRED",
    "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING",
    "PAYER_ACCOUNT_RESTRICTED",
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED",
];

/// It is in another state than the call wants: read what is so.
const STATE_CONFLICTS: &[&str] = &[
    "ORDER_ALREADY_AUTHORIZED",
    "ORDER_ALREADY_CAPTURED",
    "ORDER_ALREADY_COMPLETED",
    "ORDER_COMPLETED_OR_VOIDED",
    "ORDER_NOT_APPROVED",
    "PAYER_ACTION_REQUIRED",
    "AUTHORIZATION_ALREADY_CAPTURED",
    "AUTHORIZATION_ALREADY_VOIDED",
    "AUTHORIZATION_VOIDED",
    "PREVIOUSLY_CAPTURED",
    "PREVIOUSLY_VOIDED",
    "CANNOT_BE_VOIDED",
];

/// The reply if it is a 2xx; its meaning as an error otherwise.
pub(super) fn checked(reply: Reply) -> Result<Reply, AdapterError> {
    if reply.status.is_success() {
        return Ok(reply);
    }
    if let Some(error) = reply.common_error() {
        return Err(error);
    }
    if reply.status == StatusCode::UNAUTHORIZED {
        return Err(AdapterError::Rejected {
            code: "unauthorised".to_owned(),
            message: "the client id or secret is not accepted".to_owned(),
        });
    }
    let Ok(body) = serde_json::from_slice::<Body>(&reply.body) else {
        return Err(AdapterError::Unknown {
            message: format!("foreign {} reply", reply.status),
        });
    };
    let (code, message) = match body.details.into_iter().next() {
        Some(detail) => (detail.issue, detail.description),
        None => (body.name.clone(), body.message),
    };
    let message = format!("{message} (debug id {})", body.debug_id);
    Err(if reply.status == StatusCode::NOT_FOUND {
        AdapterError::NotFound
    } else if DECLINES.contains(&code.as_str()) {
        AdapterError::Declined { reason: code }
    } else if reply.status == StatusCode::CONFLICT && body.name == "RESOURCE_CONFLICT"
        || code == "PREVIOUS_REQUEST_IN_PROGRESS"
    {
        AdapterError::Unknown { message }
    } else {
        AdapterError::Rejected { code, message }
    })
}

/// Whether the call was refused only because of the state the payment is in.
pub(super) fn is_state_conflict(error: &AdapterError) -> bool {
    matches!(error, AdapterError::Rejected { code, .. } if STATE_CONFLICTS.contains(&code.as_str()))
}
