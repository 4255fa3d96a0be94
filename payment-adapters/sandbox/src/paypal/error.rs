//! `PayPal`'s errors: `{"name", "message", "debug_id", "details": [{"issue", …}], "links"}`.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::Answer;
use crate::payment::new_id;

/// Why a call was refused.
pub(super) struct Refusal {
    status: StatusCode,
    name: &'static str,
    message: &'static str,
    details: Vec<Value>,
}

impl Refusal {
    /// 422: the call makes sense, but not now, or not with these values.
    pub(super) fn unprocessable(issue: &'static str, description: &str) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            name: "UNPROCESSABLE_ENTITY",
            message: "The requested action could not be performed, semantically incorrect, or \
                      failed business validation.",
            details: vec![json!({ "issue": issue, "description": description })],
        }
    }

    /// 400: a field that isn't what it should be.
    pub(super) fn malformed(field: &str, issue: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            name: "INVALID_REQUEST",
            message: "Request is not well-formed, syntactically incorrect, or violates schema.",
            details: vec![json!({
                "field": field,
                "location": "body",
                "issue": issue,
                "description": "The field is missing or malformed.",
            })],
        }
    }

    pub(super) fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            name: "RESOURCE_NOT_FOUND",
            message: "The specified resource does not exist.",
            details: vec![json!({
                "issue": "INVALID_RESOURCE_ID",
                "description": "Specified resource ID does not exist. Please check the resource \
                                ID and try again.",
            })],
        }
    }

    pub(super) fn other_request() -> Self {
        Self::unprocessable(
            "DUPLICATE_REQUEST_ID",
            "The PayPal-Request-Id was used before with another payload.",
        )
    }

    pub(super) fn unsupported_media_type() -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            name: "UNSUPPORTED_MEDIA_TYPE",
            message: "The server does not support the request payload's media type.",
            details: Vec::new(),
        }
    }

    pub(super) fn unauthorised() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            name: "AUTHENTICATION_FAILURE",
            message: "Authentication failed due to missing authorization header, or invalid \
                      authentication credentials.",
            details: Vec::new(),
        }
    }

    pub(super) fn internal(reason: &str) -> Self {
        tracing::error!(reason, "internal error");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            name: "INTERNAL_SERVER_ERROR",
            message: "An internal server error has occurred.",
            details: Vec::new(),
        }
    }

    pub(super) fn answer(self) -> Answer {
        let mut body = json!({
            "name": self.name,
            "message": self.message,
            "debug_id": new_id(""),
            "links": [],
        });
        if !self.details.is_empty() {
            body["details"] = Value::Array(self.details);
        }
        Answer::new(self.status, body)
    }
}
