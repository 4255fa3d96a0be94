//! Errors, sorted by whose fault they are: the caller's is a problem document, ours is one public
//! sentence for the caller and the whole story for the log.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use catraca_domain::problem::{CONTENT_TYPE, Kind, Problem};
use tokio_postgres::error::SqlState;

/// What a handler answers when it can't do what was asked.
#[derive(Debug)]
pub enum ApiError {
    /// The caller's: told in full, not logged as an error.
    Problem(Box<Problem>),
    /// A part that we need is away: the caller is told when to come back.
    Unavailable(String),
    /// Ours: logged in full, the caller learns only that.
    Internal(String),
}

impl ApiError {
    /// The caller's fault.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self::Problem(Box::new(Problem::new(kind, detail)))
    }

    /// A field of the caller's is wrong.
    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Problem(Box::new(Problem::field(field, reason)))
    }

    /// A field of the caller's names something that doesn't exist: 404, and which field.
    pub fn unknown(field: impl Into<String>, reason: impl Into<String>) -> Self {
        let mut problem = Problem::field(field, reason);
        let errors = std::mem::take(&mut problem.errors);
        problem = Problem::new(Kind::NOT_FOUND, problem.detail);
        problem.errors = errors;
        Self::Problem(Box::new(problem))
    }

    /// Our fault.
    pub fn internal(story: impl Into<String>) -> Self {
        Self::Internal(story.into())
    }

    /// A part of ours is away.
    pub fn unavailable(story: impl Into<String>) -> Self {
        Self::Unavailable(story.into())
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<tokio_postgres::Error> for ApiError {
    fn from(error: tokio_postgres::Error) -> Self {
        let story = match error.as_db_error() {
            Some(db) => format!("{}: {} ({})", error, db.message(), db.code().code()),
            None => error.to_string(),
        };
        if is_away(&error) {
            Self::Unavailable(story)
        } else {
            Self::Internal(story)
        }
    }
}

impl From<deadpool_postgres::PoolError> for ApiError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Unavailable(format!("database pool: {error}"))
    }
}

/// The database is starting, stopping, gone or too busy: not a fault of the query.
fn is_away(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        None => true,
        Some(code) => {
            *code == SqlState::ADMIN_SHUTDOWN
                || *code == SqlState::CRASH_SHUTDOWN
                || *code == SqlState::CANNOT_CONNECT_NOW
                || *code == SqlState::TOO_MANY_CONNECTIONS
                || *code == SqlState::QUERY_CANCELED
                || *code == SqlState::LOCK_NOT_AVAILABLE
                || *code == SqlState::T_R_DEADLOCK_DETECTED
                || *code == SqlState::T_R_SERIALIZATION_FAILURE
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Problem(problem) => *problem,
            Self::Unavailable(story) => {
                tracing::warn!(%story, "unavailable");
                Problem::new(
                    Kind::UNAVAILABLE,
                    "A part of the shop is not answering. Try again.",
                )
            }
            Self::Internal(story) => {
                tracing::error!(%story, "internal error");
                Problem::new(
                    Kind::INTERNAL,
                    "This is our fault, and it has been recorded.",
                )
            }
        };
        problem_response(&problem)
    }
}

/// A problem as a response.
pub fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, problem.to_json()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
