//! What stands before every request to a provider: rates are bounded here, where requests truly
//! go out, since one call of an adapter may be several.

use async_trait::async_trait;
use std::fmt;
use std::time::Duration;

use crate::{AdapterError, Provider};

/// Lets requests pass.
#[async_trait]
pub trait Gate: Send + Sync + fmt::Debug {
    /// Waits until a request may be sent to the provider. An error means that it was not sent.
    async fn enter(&self, provider: Provider) -> Result<Leave, AdapterError>;
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// With an answer, whatever it says.
    Well,
    /// With "too many requests", and the wait that was asked for.
    TooMany(Option<Duration>),
    /// With a 5xx or none.
    Failed,
}

type End = Box<dyn FnOnce(Heard) + Send>;

/// Leave to send one request, until its answer has come.
pub struct Leave(Option<End>);

impl Leave {
    /// Nobody wants to know how it ends.
    pub const fn free() -> Self {
        Self(None)
    }

    /// `end` is called once, also when the request is given up.
    pub fn new(end: impl FnOnce(Heard) + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }

    /// The answer has come.
    pub fn end(mut self, heard: Heard) {
        if let Some(end) = self.0.take() {
            end(heard);
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end(Heard::Failed);
        }
    }
}
