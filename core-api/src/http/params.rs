//! Path and query, read at the border: what can't be read is a problem document, never plain text.

use crate::error::ApiError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use catraca_domain::ids::RoomName;
use catraca_domain::problem::Kind;
use serde::de::DeserializeOwned;

/// The query, as a struct whose fields are optional texts.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(ApiError::field("query", error.body_text())),
        }
    }
}

/// The path's parameters, as texts: whoever uses one parses it.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(_) => Err(ApiError::new(Kind::NOT_FOUND, "No such address.")),
        }
    }
}

/// A slug in a path.
///
/// # Errors
/// 404: what is no slug names nothing.
pub fn slug(text: &str) -> Result<RoomName, ApiError> {
    text.parse()
        .map_err(|_| ApiError::new(Kind::NOT_FOUND, "No such event."))
}
