//! Stripe's errors: `{"error": {"type", "code", "message", "param"}}`.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::app::Answer;

/// Why a call was refused.
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

impl Refusal {
    fn bad_request(code: Option<&'static str>, param: Option<&str>, message: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            code,
            param: param.map(str::to_owned),
            message,
        }
    }

    pub(super) fn missing(param: &str) -> Self {
        let message = format!("Missing required param: {param}.");
        Self::bad_request(Some("parameter_missing"), Some(param), message)
    }

    pub(super) fn unknown(param: &str) -> Self {
        let message = format!("Received unknown parameter: {param}");
        Self::bad_request(Some("parameter_unknown"), Some(param), message)
    }

    pub(super) fn invalid(param: &str, message: &str) -> Self {
        Self::bad_request(Some("parameter_invalid"), Some(param), message.to_owned())
    }

    pub(super) fn amount(param: &str, code: &'static str, message: &str) -> Self {
        Self::bad_request(Some(code), Some(param), message.to_owned())
    }

    pub(super) fn not_found(what: &str, id: &str) -> Self {
        let mut refusal = Self::bad_request(
            Some("resource_missing"),
            Some("id"),
            format!("No such {what}: '{id}'"),
        );
        refusal.status = StatusCode::NOT_FOUND;
        refusal
    }

    /// Checkout has no code for this; Stripe's words name the status.
    pub(super) fn session_not_open(status: &str) -> Self {
        let message = format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout \
             Session has a status of `{status}`."
        );
        Self::bad_request(None, None, message)
    }

    pub(super) fn intent_state(doing: &str, status: &str) -> Self {
        let message =
            format!("This PaymentIntent could not be {doing} because it has a status of {status}.");
        Self::bad_request(Some("payment_intent_unexpected_state"), None, message)
    }

    pub(super) fn other_request() -> Self {
        let message = "Keys for idempotent requests can only be used with the same parameters they \
                       were first used with.";
        let mut refusal = Self::bad_request(None, None, message.to_owned());
        refusal.kind = "idempotency_error";
        refusal
    }

    pub(super) fn unauthorised(message: &str) -> Self {
        let mut refusal = Self::bad_request(None, None, message.to_owned());
        refusal.status = StatusCode::UNAUTHORIZED;
        refusal
    }

    pub(super) fn internal(message: &str) -> Self {
        let mut refusal = Self::bad_request(None, None, message.to_owned());
        refusal.status = StatusCode::INTERNAL_SERVER_ERROR;
        refusal.kind = "api_error";
        refusal
    }

    /// The call made sense; the object was in another state.
    pub(super) fn is_about_state(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST && self.param.is_none()
    }

    pub(super) fn answer(self) -> Answer {
        let mut error = Map::new();
        error.insert("type".to_owned(), self.kind.into());
        error.insert("message".to_owned(), self.message.into());
        if let Some(code) = self.code {
            error.insert("code".to_owned(), code.into());
        }
        if let Some(param) = self.param {
            error.insert("param".to_owned(), param.into());
        }
        let mut body = Map::new();
        body.insert("error".to_owned(), Value::Object(error));
        Answer::new(self.status, Value::Object(body))
    }
}
