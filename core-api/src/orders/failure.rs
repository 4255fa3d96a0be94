//! Why an order came to nothing: a sentence for whoever reads JSON, a name for whoever has words of
//! their own.

use serde::Serialize;

/// See [`Failure::sentence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    /// The provider did not open the payment.
    NotStarted,
    /// The provider refused it.
    Declined,
    /// Nobody paid in time.
    NotPaidInTime,
    /// Paid in time for nothing: refunded.
    PaidLateRefunded,
    /// The same, before any money was taken.
    PaidLateNotCharged,
}

impl Failure {
    const ALL: [Self; 5] = [
        Self::NotStarted,
        Self::Declined,
        Self::NotPaidInTime,
        Self::PaidLateRefunded,
        Self::PaidLateNotCharged,
    ];

    /// As stored with the order.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::NotStarted => "The payment could not be started. You have not been charged.",
            Self::Declined => "The payment was declined. You have not been charged.",
            Self::NotPaidInTime => "The payment was not made in time. You have not been charged.",
            Self::PaidLateRefunded => {
                "The payment came after the hold had ended, and the seats had gone to somebody \
                 else. Your money has been given back."
            }
            Self::PaidLateNotCharged => {
                "The payment came after the hold had ended, and the seats had gone to somebody \
                 else. You have not been charged."
            }
        }
    }

    /// Which one was stored; `None` for a sentence of another release.
    pub(super) fn of(sentence: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|failure| failure.sentence() == sentence)
    }
}
