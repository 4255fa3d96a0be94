//! How an order reaches its end: given what the order, its seats and its payment are now, the
//! one next step. The worker takes the step, writes what came of it, and asks again.
//!
//! Every combination has an answer, and the answer never guesses: a payment whose outcome is
//! unknown is waited for. Whatever happens in whatever order, an order comes to rest only in
//! "paid, with its seats sold" or "not paid, nothing captured or all of it refunded".

use serde::{Deserialize, Serialize};

/// An order, as its buyer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Accepted; the provider has not been asked yet.
    Queued,
    /// The buyer has to pay at the provider's page.
    AwaitingPayment,
    /// Paid; the tickets are there.
    Paid,
    /// The payment failed.
    Failed,
    /// Not paid in time.
    Expired,
    /// Paid and given back.
    Refunded,
}

impl OrderStatus {
    /// Its name in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::AwaitingPayment => "awaiting_payment",
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
        }
    }
}

impl OrderStatus {
    /// Whether the buyer need not wait for another one.
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::AwaitingPayment => false,
            Self::Paid | Self::Failed | Self::Expired | Self::Refunded => true,
        }
    }
}

impl OrderStatus {
    /// Whether it ended without tickets.
    pub fn is_over(self) -> bool {
        match self {
            Self::Queued | Self::AwaitingPayment | Self::Paid => false,
            Self::Failed | Self::Expired | Self::Refunded => true,
        }
    }
}

impl std::str::FromStr for OrderStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        [
            Self::Queued,
            Self::AwaitingPayment,
            Self::Paid,
            Self::Failed,
            Self::Expired,
            Self::Refunded,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or(UnknownStatus)
    }
}

/// The text names no status.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("unknown order or payment status")]
pub struct UnknownStatus;

/// What the order has of its seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seats {
    /// Its hold is live.
    Held,
    /// Its hold is over; whether the seats are still free has not been tried.
    Lapsed,
    /// Its hold is over and at least one seat is somebody else's.
    Gone,
    /// They are sold to this order.
    Sold,
}

/// What the provider says of the payment, checked for amount, currency and order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payment {
    /// The provider has not been asked.
    NotStarted,
    /// The buyer has not paid.
    Open,
    /// Outcome unknown: a time-out, or a status that we don't know.
    Pending,
    /// The buyer has agreed; the provider has yet to set the money aside.
    Approved,
    /// The money is set aside.
    Authorised,
    /// The money is ours.
    Captured,
    /// It was ours and has been given back.
    Refunded,
    /// Failed, declined, voided or run out: nothing was or will be charged.
    Dead,
    /// Another amount, currency or order than ours: for the operator to look at.
    Mismatched,
}

impl Payment {
    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Refunded => "refunded",
            Self::Dead => "dead",
            Self::Mismatched => "mismatched",
        }
    }
}

impl std::str::FromStr for Payment {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        [
            Self::NotStarted,
            Self::Open,
            Self::Pending,
            Self::Approved,
            Self::Authorised,
            Self::Captured,
            Self::Refunded,
            Self::Dead,
            Self::Mismatched,
        ]
        .into_iter()
        .find(|payment| payment.as_str() == text)
        .ok_or(UnknownStatus)
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Ask the provider to start, and send the buyer to its page.
    Start,
    /// Nothing now; look again later.
    Wait,
    /// Ask the provider to set the money aside.
    Authorise,
    /// Turn the held seats into sold ones.
    Sell,
    /// Try to take the same seats again: all or none.
    Retake,
    /// Collect the money.
    Capture,
    /// Give up the authorisation or the open payment.
    Void,
    /// Give the money back.
    Refund,
    /// Give a part of the money back that was asked for; the order stays paid.
    RefundPart,
    /// Issue tickets; the order is paid.
    FinishPaid,
    /// Free the seats if they are ours; the order has this status for good.
    Close(OrderStatus),
    /// Stop and show it to the operator.
    Quarantine,
    /// All is done.
    Rest,
}

/// The next step.
pub fn next_step(order: OrderStatus, seats: Seats, payment: Payment) -> Step {
    use OrderStatus as O;
    use Payment as P;
    match order {
        O::Queued | O::AwaitingPayment => open_order(seats, payment),
        O::Paid => match payment {
            P::Refunded => Step::Close(O::Refunded),
            P::Mismatched => Step::Quarantine,
            P::NotStarted
            | P::Open
            | P::Pending
            | P::Approved
            | P::Authorised
            | P::Captured
            | P::Dead => Step::Rest,
        },
        // An order that is over keeps nothing: money that turns up late goes back.
        O::Failed | O::Expired => match payment {
            P::Approved | P::Authorised | P::Open => Step::Void,
            P::Captured => Step::Refund,
            P::Pending => Step::Wait,
            P::Mismatched => Step::Quarantine,
            P::NotStarted | P::Dead | P::Refunded => Step::Rest,
        },
        O::Refunded => match payment {
            P::Captured => Step::Refund,
            P::NotStarted
            | P::Open
            | P::Pending
            | P::Approved
            | P::Authorised
            | P::Refunded
            | P::Dead
            | P::Mismatched => Step::Rest,
        },
    }
}

/// What an operator wants of a paid order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// A part of the money goes back first.
    Part,
    /// All of it goes back.
    All,
}

/// [`next_step`] when an operator wants something of the order: money that was rightly taken goes
/// back too. The seats of a whole refund follow once it is done, by `Close(Refunded)`; those of a
/// part were given back when it was asked for.
pub fn next_step_wanting(
    order: OrderStatus,
    seats: Seats,
    payment: Payment,
    wanted: Wanted,
) -> Step {
    match (order, payment, wanted) {
        (OrderStatus::Paid, Payment::Captured, Wanted::Part) => Step::RefundPart,
        (OrderStatus::Paid, Payment::Captured, Wanted::All) => Step::Refund,
        // Not to be forgotten while the provider can't say how things are.
        (OrderStatus::Paid, Payment::Pending, Wanted::Part | Wanted::All) => Step::Wait,
        _ => next_step(order, seats, payment),
    }
}

/// The next step when an operator has decided that a quarantined order ends and whatever was taken
/// goes back. Amounts no longer matter, so a payment is `Mismatched` only by its currency.
pub fn next_step_giving_back(order: OrderStatus, payment: Payment) -> Step {
    use Payment as P;
    match payment {
        P::Mismatched => Step::Quarantine,
        P::Pending => Step::Wait,
        P::Open | P::Approved | P::Authorised => Step::Void,
        P::Captured => Step::Refund,
        P::NotStarted | P::Dead | P::Refunded if order.is_over() => Step::Rest,
        P::Refunded => Step::Close(OrderStatus::Refunded),
        P::NotStarted | P::Dead => match order {
            OrderStatus::Paid => Step::Close(OrderStatus::Refunded),
            _ => Step::Close(OrderStatus::Failed),
        },
    }
}

fn open_order(seats: Seats, payment: Payment) -> Step {
    use Payment as P;
    use Seats as S;
    match (payment, seats) {
        (P::Mismatched, _) => Step::Quarantine,
        (P::NotStarted, S::Held) => Step::Start,
        (P::NotStarted, S::Lapsed | S::Gone | S::Sold)
        | (P::Dead | P::Refunded, S::Lapsed | S::Gone) => Step::Close(OrderStatus::Expired),
        (P::Open, S::Held | S::Sold) | (P::Pending, _) => Step::Wait,
        (P::Open | P::Approved | P::Authorised, S::Gone) | (P::Open, S::Lapsed) => Step::Void,
        (P::Approved, S::Held | S::Sold) => Step::Authorise,
        (P::Authorised | P::Captured, S::Held) => Step::Sell,
        (P::Approved | P::Authorised | P::Captured, S::Lapsed) => Step::Retake,
        (P::Authorised, S::Sold) => Step::Capture,
        (P::Captured, S::Sold) => Step::FinishPaid,
        (P::Captured, S::Gone) => Step::Refund,
        (P::Dead, S::Held | S::Sold) => Step::Close(OrderStatus::Failed),
        (P::Refunded, S::Held | S::Sold) => Step::Close(OrderStatus::Refunded),
    }
}
