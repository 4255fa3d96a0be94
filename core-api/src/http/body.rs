//! JSON bodies: every way to send a bad one has its own clear answer.

use crate::error::ApiError;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use catraca_domain::problem::Kind;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Largest JSON body, in bytes.
pub const JSON_BYTES_MAX: usize = 64 * 1024;

/// A JSON object: parsed, and as it came, for the idempotency hash.
pub struct JsonBody<T> {
    /// The request.
    pub parsed: T,
    /// The same as plain JSON, keys sorted.
    pub value: Value,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let essence = content_type
            .and_then(|value| value.to_str().ok())
            .map(|value| {
                value
                    .split(';')
                    .next()
                    .unwrap_or("")
                    .trim()
                    .to_ascii_lowercase()
            });
        if essence.as_deref() != Some("application/json") {
            return Err(ApiError::new(
                Kind::UNSUPPORTED_MEDIA_TYPE,
                "Send application/json.",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|e| bytes_rejected(&e))?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::new(Kind::MALFORMED_BODY, format!("Not JSON: {error}.")))?;
        if !value.is_object() {
            return Err(ApiError::new(
                Kind::MALFORMED_BODY,
                "The body must be a JSON object.",
            ));
        }
        let parsed = serde_path_to_error::deserialize(value.clone()).map_err(|error| {
            ApiError::field(error.path().to_string(), error.inner().to_string())
        })?;
        Ok(Self { parsed, value })
    }
}

/// A body that could not be read at all, as a problem.
pub fn bytes_rejected(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::new(
            Kind::PAYLOAD_TOO_LARGE,
            "The body is larger than this address takes.",
        )
    } else {
        ApiError::new(Kind::MALFORMED_BODY, "The body ended early.")
    }
}
