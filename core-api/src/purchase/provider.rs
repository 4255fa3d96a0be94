//! Calls to a provider, counted and timed, and what their answers mean for the order.
//!
//! An answer that is not certain is no answer: the order waits and asks again. Repeating a call
//! is always safe, since each carries a key made of what it is for.

use crate::app::App;
use crate::error::ApiError;
use catraca_domain::money::Money;
use catraca_domain::settlement::{Payment, Seats};
use catraca_payments::{AdapterError, PaymentAdapter, PaymentStatus, ProviderRef};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is known of a payment, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) payment: Payment,
    pub(crate) captured_minor: i64,
    pub(crate) refunded_minor: i64,
    /// The provider's words, where it said no or something unexpected.
    pub(crate) detail: Option<String>,
}

impl Known {
    pub(crate) fn of(payment: Payment) -> Self {
        Self {
            payment,
            captured_minor: 0,
            refunded_minor: 0,
            detail: None,
        }
    }

    pub(crate) fn because(payment: Payment, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::of(payment)
        }
    }
}

/// Why a call gave nothing to go on.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// Ask again, not before this long if the provider said so.
    Later(Option<Duration>),
    /// The provider said no to the request itself: asking again gives the same.
    Refused(String),
}

/// What the order is for, and whether the provider must say the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Price {
    pub(crate) total: Money,
    /// It all goes back: any amount of the same currency will do.
    pub(crate) any: bool,
}

impl Price {
    fn takes(self, amount: Money) -> bool {
        amount == self.total || (self.any && amount.currency == self.total.currency)
    }

    /// Setting aside what is let go again can't be wrong.
    fn sets_aside(self, amount: Money) -> bool {
        amount == self.total || self.any
    }
}

/// What the provider says, compared with what the order is for.
pub(crate) fn read(status: PaymentStatus, price: Price) -> Known {
    let total = price.total;
    match status {
        PaymentStatus::Open => Known::of(Payment::Open),
        PaymentStatus::Approved => Known::of(Payment::Approved),
        PaymentStatus::Authorised { amount } if price.sets_aside(amount) => {
            Known::of(Payment::Authorised)
        }
        PaymentStatus::Authorised { amount } => mismatch("authorised", amount, total),
        PaymentStatus::Captured { amount, refunded } if price.takes(amount) => Known {
            payment: if refunded.amount_minor >= amount.amount_minor {
                Payment::Refunded
            } else {
                Payment::Captured
            },
            captured_minor: amount.amount_minor,
            refunded_minor: refunded.amount_minor,
            detail: None,
        },
        PaymentStatus::Captured { amount, .. } => mismatch("captured", amount, total),
        PaymentStatus::Voided => Known::because(Payment::Dead, "voided"),
        PaymentStatus::Expired => Known::because(Payment::Dead, "expired"),
        PaymentStatus::Failed { reason } => Known::because(Payment::Dead, reason),
        PaymentStatus::Pending { provider_status } => {
            Known::because(Payment::Pending, provider_status)
        }
    }
}

fn mismatch(what: &str, amount: Money, total: Money) -> Known {
    Known::because(
        Payment::Mismatched,
        format!("{what} {amount}, the order is for {total}"),
    )
}

/// Whether the time to pay is over and nothing was sold.
fn is_over(seats: Seats) -> bool {
    match seats {
        Seats::Lapsed | Seats::Gone => true,
        Seats::Held | Seats::Sold => false,
    }
}

/// One payment at its provider.
pub(crate) struct AtProvider {
    pub(crate) adapter: Arc<dyn PaymentAdapter>,
    pub(crate) reference: ProviderRef,
    pub(crate) price: Price,
}

impl AtProvider {
    /// What is so now. `before` is what was known of the payment until now.
    pub(crate) async fn status(&self, before: Payment, seats: Seats) -> Result<Known, NoAnswer> {
        let call = self.adapter.status(&self.reference);
        match counted(&*self.adapter, "status", call).await {
            Ok(status) => self.settled(status).await,
            Err(error) if error.is_transient() => Err(later(&error)),
            Err(AdapterError::NotFound) if self.adapter.forgets_unpaid() && is_over(seats) => {
                self.forgotten(before)
            }
            // Nothing was asked for, so nothing is lost by asking again: our key may be wrong.
            Err(error) => {
                tracing::error!(reference = %self.reference, %error, "payment can't be read");
                Err(NoAnswer::Later(None))
            }
        }
    }

    /// What it means that the provider no longer knows a payment whose time is over. `Approved` is
    /// written down before money is asked for, so of one that was open none was ever set aside.
    /// Of the others a person has to say that nothing was.
    fn forgotten(&self, before: Payment) -> Result<Known, NoAnswer> {
        let gone = match before {
            Payment::NotStarted | Payment::Open | Payment::Dead => true,
            Payment::Pending | Payment::Approved | Payment::Authorised | Payment::Mismatched => {
                self.price.any
            }
            Payment::Captured | Payment::Refunded => false,
        };
        if gone {
            return Ok(Known::because(Payment::Dead, "expired"));
        }
        let (provider, was) = (self.adapter.provider(), before.as_str());
        let why = format!("{provider} no longer knows this payment, which was {was}");
        Err(NoAnswer::Refused(why))
    }

    /// Sets the money aside.
    pub(crate) async fn authorise(&self) -> Result<Known, NoAnswer> {
        let call = self.adapter.authorise(&self.reference);
        let outcome = counted(&*self.adapter, "authorise", call).await;
        self.outcome("authorise", outcome).await
    }

    /// Takes the money.
    pub(crate) async fn capture(&self) -> Result<Known, NoAnswer> {
        let call = self.adapter.capture(&self.reference, self.price.total);
        let outcome = counted(&*self.adapter, "capture", call).await;
        self.outcome("capture", outcome).await
    }

    /// Lets the money go, or closes the page.
    pub(crate) async fn void(&self) -> Result<Known, NoAnswer> {
        let call = self.adapter.void(&self.reference);
        match counted(&*self.adapter, "void", call).await {
            Ok(status) => Ok(read(status, self.price)),
            Err(error) if error.is_transient() => Err(later(&error)),
            // Forgotten since it was last read; the next reading says what that means.
            Err(AdapterError::NotFound) if self.adapter.forgets_unpaid() => {
                Err(NoAnswer::Later(None))
            }
            Err(error) => Err(NoAnswer::Refused(format!("void: {error}"))),
        }
    }

    async fn outcome(
        &self,
        what: &str,
        outcome: Result<PaymentStatus, AdapterError>,
    ) -> Result<Known, NoAnswer> {
        match outcome {
            Ok(status) => self.settled(status).await,
            Err(error) if error.is_transient() => Err(later(&error)),
            Err(AdapterError::Declined { reason }) => {
                self.settled(PaymentStatus::Failed { reason }).await
            }
            Err(error) => Err(NoAnswer::Refused(format!("{what}: {error}"))),
        }
    }

    /// A refused attempt may leave the page open for another. The order won't wait for that, so
    /// the page is closed before the payment counts as dead.
    async fn settled(&self, status: PaymentStatus) -> Result<Known, NoAnswer> {
        let PaymentStatus::Failed { reason } = status else {
            return Ok(read(status, self.price));
        };
        let after = self.void().await?;
        if after.payment == Payment::Dead {
            return Ok(Known::because(Payment::Dead, reason));
        }
        Ok(after)
    }
}

/// The adapter of that name.
///
/// # Errors
/// When this deployment doesn't have it (any more).
pub(crate) fn adapter(app: &App, name: &str) -> Result<Arc<dyn PaymentAdapter>, ApiError> {
    let adapter = app.providers.get(name).cloned();
    adapter.ok_or_else(|| ApiError::internal(format!("payment provider {name} is not configured")))
}

/// Runs a call, counted by provider, call and outcome, and timed.
pub(crate) async fn counted<T>(
    adapter: &dyn PaymentAdapter,
    call: &'static str,
    future: impl Future<Output = Result<T, AdapterError>>,
) -> Result<T, AdapterError> {
    let provider = adapter.provider().as_str();
    let started = Instant::now();
    let result = future.await;
    let outcome = match &result {
        Ok(_) => "ok",
        Err(AdapterError::Declined { .. }) => "declined",
        Err(AdapterError::Rejected { .. }) => "rejected",
        Err(AdapterError::Unavailable { .. }) => "unavailable",
        Err(AdapterError::Unknown { .. }) => "unknown",
        Err(AdapterError::RateLimited { .. }) => "rate_limited",
        Err(AdapterError::NotFound) => "not_found",
    };
    metrics::counter!("catraca_provider_calls_total",
        "provider" => provider, "call" => call, "outcome" => outcome)
    .increment(1);
    metrics::histogram!("catraca_provider_call_seconds", "provider" => provider, "call" => call)
        .record(started.elapsed().as_secs_f64());
    if let Err(error) = &result {
        tracing::warn!(provider, call, %error, "provider call failed");
    }
    result
}

/// A transient error as "later".
pub(crate) fn later(error: &AdapterError) -> NoAnswer {
    match error {
        AdapterError::RateLimited { retry_after } => NoAnswer::Later(*retry_after),
        AdapterError::Declined { .. }
        | AdapterError::Rejected { .. }
        | AdapterError::Unavailable { .. }
        | AdapterError::Unknown { .. }
        | AdapterError::NotFound => NoAnswer::Later(None),
    }
}
