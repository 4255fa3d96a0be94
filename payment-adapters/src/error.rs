//! Errors sorted by what they mean for the money, and so by what to do next.

use std::time::Duration;

use catraca_domain::money::Money;
use thiserror::Error;

/// Why a call to a provider gave no answer we could use.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AdapterError {
    /// The provider said no to the buyer's means of payment. Final; nothing was taken.
    #[error("declined: {reason}")]
    Declined {
        /// The provider's code.
        reason: String,
    },
    /// The provider refused the request itself. Our fault and final: a retry gives the same.
    #[error("rejected by the provider ({code}): {message}")]
    Rejected {
        /// The provider's code.
        code: String,
        /// The provider's words, for the log.
        message: String,
    },
    /// The request never reached the provider: nothing happened. Retry.
    #[error("provider unavailable: {message}")]
    Unavailable {
        /// For the log.
        message: String,
    },
    /// The request may have been carried out: timeout, connection cut, 5xx, unreadable reply.
    /// Read the status, or repeat the same call (its idempotency key makes that safe).
    #[error("outcome unknown: {message}")]
    Unknown {
        /// For the log.
        message: String,
    },
    /// Refused unprocessed; come back later.
    #[error("rate limited")]
    RateLimited {
        /// How long the provider asks us to wait, if it says.
        retry_after: Option<Duration>,
    },
    /// The provider has no such payment.
    #[error("no such payment at the provider")]
    NotFound,
}

impl AdapterError {
    pub(crate) fn not_captured() -> Self {
        Self::Rejected {
            code: "not_captured".to_owned(),
            message: "nothing was captured, so nothing can be refunded".to_owned(),
        }
    }

    pub(crate) fn more_than_left(captured: Money, refunded: Money, asked: Money) -> Self {
        Self::Rejected {
            code: "amount_too_large".to_owned(),
            message: format!("{asked} is more than what is left of {captured} after {refunded}"),
        }
    }

    pub(crate) fn currency_mismatch(there: Money, ours: Money) -> Self {
        Self::Rejected {
            code: "currency_mismatch".to_owned(),
            message: format!(
                "the payment is in {}, not in {}",
                there.currency, ours.currency
            ),
        }
    }

    /// Whether the same call may succeed later. Repeating it is safe in any case.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Unknown { .. } | Self::RateLimited { .. } => true,
            Self::Declined { .. } | Self::Rejected { .. } | Self::NotFound => false,
        }
    }
}

/// Why a webhook was not believed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum WebhookError {
    /// No signature, or not the provider's. Answer 400.
    #[error("bad webhook signature: {0}")]
    BadSignature(&'static str),
    /// Rightly signed, but outside the tolerance: a replay, or a clock gone wrong. Answer 400.
    #[error("webhook signed outside the tolerance")]
    OutsideTolerance,
    /// Rightly signed, but not an event as we know them. Answer 400.
    #[error("malformed webhook: {0}")]
    Malformed(String),
    /// Could not be checked now. Answer 503: the provider delivers it again.
    #[error("webhook could not be checked: {0}")]
    Unavailable(AdapterError),
}

/// A setting that is missing or wrong; the program should not start.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// Another setting of the same provider is present, this one isn't.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The setting can't be read.
    #[error("{name}: {reason}")]
    Invalid {
        /// The environment variable.
        name: &'static str,
        /// What is wrong with it, without its value.
        reason: String,
    },
    /// The HTTP client could not be built.
    #[error("HTTP client: {0}")]
    Client(String),
}
