//! RFC 9457 problem documents: the one shape of every error, at the edge and in the core.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `Content-Type` of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";
/// What every `type` begins with.
pub const TYPE_BASE: &str = "https://catraca.dev/problems/";

/// The kinds of problem: a stable name, a title and the status it is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Last part of the `type`.
    pub name: &'static str,
    /// Short, constant English title.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
}

macro_rules! kinds {
    ($($constant:ident $name:literal $status:literal $title:literal;)*) => {
        impl Kind {
            $(#[doc = $title] pub const $constant: Kind =
                Kind { name: $name, title: $title, status: $status };)*

            /// Every kind, for documentation and tests.
            pub const ALL: &'static [Kind] = &[$(Kind::$constant),*];
        }
    };
}

kinds! {
    NOT_FOUND "not_found" 404 "Nothing is at this address";
    METHOD_NOT_ALLOWED "method_not_allowed" 405 "This address does not take that method";
    MALFORMED_BODY "malformed_body" 400 "The body could not be read";
    PAYLOAD_TOO_LARGE "payload_too_large" 413 "The body is too large";
    UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" 415 "The content type is not supported";
    INVALID_FIELD "invalid_field" 422 "A field has a value that is not allowed";
    MISSING_IDEMPOTENCY_KEY "missing_idempotency_key" 400 "Idempotency-Key is required";
    IDEMPOTENCY_KEY_REUSED "idempotency_key_reused" 422 "Idempotency-Key was used for another body";
    NO_ADMISSION "no_admission" 401 "An admission is required: join the waiting room";
    INVALID_ADMISSION "invalid_admission" 401 "The admission is not valid here";
    ADMISSION_SPENT "admission_spent" 401 "The admission belongs to another shopping session";
    SESSION_ENDED "session_ended" 401 "The shopping session has ended";
    NOT_LOGGED_IN "not_logged_in" 401 "Log in first";
    FORBIDDEN "forbidden" 403 "Your account may not do this";
    LOGIN_FAILED "login_failed" 400 "The login could not be completed";
    SEATS_TAKEN "seats_taken" 409 "A seat is no longer free";
    SOLD_OUT "sold_out" 409 "Not enough places are left";
    OVER_LIMIT "over_limit" 422 "More seats than one buyer may have";
    HOLD_NOT_FOUND "hold_not_found" 404 "No such hold";
    HOLD_EXPIRED "hold_expired" 410 "The hold has expired";
    HOLD_HAS_ORDER "hold_has_order" 409 "The hold has an order already";
    ORDER_NOT_FOUND "order_not_found" 404 "No such order";
    TICKET_NOT_FOUND "ticket_not_found" 404 "No such ticket";
    TICKET_VOID "ticket_void" 410 "The ticket is void";
    NOT_REFUNDABLE "not_refundable" 409 "The order can't be refunded";
    INVALID_PLACE "invalid_place" 401 "The place is not valid in this room";
    NOT_CALLED "not_called" 409 "Your number has not been called yet";
    PLACE_LAPSED "place_lapsed" 410 "The place has lapsed";
    ROOM_CLOSED "room_closed" 409 "The room is closed";
    CHALLENGE_REQUIRED "challenge_required" 403 "A challenge must be solved first";
    TAKEN "taken" 409 "That name is taken";
    CONFLICT "conflict" 409 "The present state does not allow this";
    BAD_SIGNATURE "bad_signature" 400 "The signature is not valid";
    TOO_MANY_REQUESTS "too_many_requests" 429 "Too many requests";
    UNAVAILABLE "unavailable" 503 "Not available just now: try again shortly";
    INTERNAL "internal" 500 "Something went wrong on our side";
}

/// One bad field and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Path of the field, such as `seats[2].row`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable identifier: [`TYPE_BASE`] and the kind's name.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The kind's title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, in words for a person.
    pub detail: String,
    /// Each field at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Further members.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Problem {
    /// A problem of a kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            type_uri: format!("{TYPE_BASE}{}", kind.name),
            title: kind.title.to_owned(),
            status: kind.status,
            detail: detail.into(),
            errors: Vec::new(),
            extra: Map::new(),
        }
    }

    /// [`Kind::INVALID_FIELD`] for one field.
    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        let (field, reason) = (field.into(), reason.into());
        let mut problem = Self::new(Kind::INVALID_FIELD, format!("{field}: {reason}"));
        problem.errors.push(FieldError { field, reason });
        problem
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The document as JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| String::from("{}"))
    }
}
