//! Brings an order to its end: load the facts, take the one next step, write what came of it,
//! look again, until there is nothing to do now or any more. The rules are
//! [`catraca_domain::settlement`]'s; here they meet the database and the provider.
//!
//! Why a crash between any two lines is safe, and why two workers at once do no harm:
//! - A step is decided on what is written down and what the provider says *now*, never on memory.
//! - `Start` crashes after the call: the order still says `not_started`, the same call with the
//!   same key (the hold's id) gives the same payment. Nobody was sent to its page meanwhile.
//! - `Authorise`, `Capture`, `Void` crash after the call: the next look finds at the provider what
//!   came of it. Each is one outcome however often asked.
//! - `Sell`, `Retake`, `FinishPaid`, `Close` are one transaction each, begun by locking the order
//!   and comparing its status: a second one finds it changed and does nothing.
//! - `Refund` and `RefundPart` write their row first; the row's id is the provider's key, so it happens once.
//!   Crashed after the call, the provider says "refunded" and the row is completed.
//! - The money is taken only once the seats are sold to this order, and the order is paid only
//!   once the money is taken; whichever is missing after a crash is what the next look does.
//! - Not knowing is an answer: it waits, and [`super::reconcile`] looks again.

use super::facts::{self, Facts};
use super::provider::{self, AtProvider, Known, NoAnswer, Price};
use super::record::{self, Written};
use crate::app::App;
use crate::error::ApiError;
use crate::fail_point;
use crate::orders::changes;
use crate::orders::failure::Failure;
use catraca_domain::ids::{EventNumber, OrderId};
use catraca_domain::money::Money;
use catraca_domain::settlement::{
    OrderStatus, Payment, Seats, Step, next_step_giving_back, next_step_wanting,
};
use catraca_payments::{RefundState, StartPayment};
use std::time::Duration;

/// Most steps in one go. The longest way, of a payment that came late, takes seven.
const STEPS_MAX: usize = 24;

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Looked at again later, unasked.
    Waiting,
    /// Nothing left to do.
    Resting,
    /// A person has to look.
    Quarantined,
    /// There is no such order.
    NoSuchOrder,
}

/// Called with the name of each point where a crash must be survivable; an error stops there.
/// The worker's never stops; tests' does.
pub type Fuse<'a> = &'a (dyn Fn(&'static str) -> Result<(), ApiError> + Sync);

/// Settles an order as far as possible now.
///
/// # Errors
/// The database's. The provider's are none: the order waits.
pub async fn settle(app: &App, event: EventNumber, order: OrderId) -> Result<Outcome, ApiError> {
    let pass = |point| {
        fail_point::pass(point);
        Ok(())
    };
    settle_until(app, event, order, &pass).await
}

/// [`settle`], stopped where the fuse says so.
///
/// # Errors
/// As [`settle`], and the fuse's.
pub async fn settle_until(
    app: &App,
    event: EventNumber,
    order: OrderId,
    fuse: Fuse<'_>,
) -> Result<Outcome, ApiError> {
    let mut known: Option<Known> = None;
    for _ in 0..STEPS_MAX {
        let loaded = facts::load(&app.db.get().await?, event, order).await?;
        let Some(facts) = loaded else {
            return Ok(Outcome::NoSuchOrder);
        };
        if facts.quarantined {
            return Ok(Outcome::Quarantined);
        }
        let now = match known.take() {
            Some(known) => known,
            None => match look(app, &facts).await? {
                Ok(known) => known,
                Err(none) => return no_answer(app, &facts, none).await,
            },
        };
        let news = now.payment != facts.payment || now.refunded_minor > facts.refunded_minor;
        if news && now.payment != Payment::NotStarted {
            record::payment(app, &facts, &now).await?;
        }
        let work = Work { app, facts, fuse };
        match work.take(now).await? {
            Next::Again(again) => known = again,
            Next::Stop(outcome) => return Ok(outcome),
        }
    }
    tracing::warn!(%order, "an order takes too many steps; looking again later");
    record::look_later(app, event, order).await?;
    Ok(Outcome::Waiting)
}

/// What the payment is now. The provider is asked unless its answer can't matter.
async fn look(app: &App, facts: &Facts) -> Result<Result<Known, NoAnswer>, ApiError> {
    let open = !facts.status.is_final();
    let certain = match facts.payment {
        Payment::NotStarted | Payment::Refunded => true,
        // Ours to decide as long as the order is open; afterwards money may still turn up.
        Payment::Dead => open,
        Payment::Open
        | Payment::Pending
        | Payment::Approved
        | Payment::Authorised
        | Payment::Captured
        | Payment::Mismatched => false,
    };
    match at_provider(app, facts)? {
        Some(payment) if !certain => Ok(payment.status(facts.payment, facts.seats).await),
        _ => Ok(Ok(Known::of(facts.payment))),
    }
}

fn at_provider(app: &App, facts: &Facts) -> Result<Option<AtProvider>, ApiError> {
    let Some(reference) = facts.provider_ref.clone() else {
        return Ok(None);
    };
    Ok(Some(AtProvider {
        adapter: provider::adapter(app, &facts.provider)?,
        reference,
        price: Price {
            total: facts.total,
            any: facts.giving_back,
        },
    }))
}

async fn no_answer(app: &App, facts: &Facts, none: NoAnswer) -> Result<Outcome, ApiError> {
    match none {
        NoAnswer::Later(at_least) => {
            record::wait(app, facts, at_least).await?;
            Ok(Outcome::Waiting)
        }
        NoAnswer::Refused(why) => {
            record::quarantine(app, facts, &why).await?;
            Ok(Outcome::Quarantined)
        }
    }
}

enum Next {
    /// Decide anew, with what is known of the payment if that is fresh.
    Again(Option<Known>),
    Stop(Outcome),
}

struct Work<'a> {
    app: &'a App,
    facts: Facts,
    fuse: Fuse<'a>,
}

impl Work<'_> {
    /// Takes the next step.
    async fn take(&self, known: Known) -> Result<Next, ApiError> {
        let facts = &self.facts;
        let step = if facts.giving_back {
            next_step_giving_back(facts.status, known.payment)
        } else {
            next_step_wanting(facts.status, facts.seats, known.payment, facts.wanted)
        };
        self.announce(step, known.payment);
        (self.fuse)(point_before(step))?;
        let next = match step {
            Step::Start => self.start().await?,
            Step::Authorise | Step::Capture | Step::Void => self.call(step, known.payment).await?,
            Step::Sell | Step::Retake => {
                let again = step == Step::Retake;
                match record::sell(self.app, facts, again).await? {
                    Written::Yes => Next::Again(Some(known)),
                    Written::Changed => Next::Again(None),
                }
            }
            Step::Refund => self.refund(&known).await?,
            Step::RefundPart => self.refund_part().await?,
            Step::FinishPaid => {
                record::finish_paid(self.app, facts, &known).await?;
                self.publish(known)
            }
            Step::Close(status) => {
                let failure = failure(status, facts, &known).map(Failure::sentence);
                record::close(self.app, facts, status, failure).await?;
                self.publish(known)
            }
            Step::Wait => {
                record::wait(self.app, facts, None).await?;
                Next::Stop(Outcome::Waiting)
            }
            Step::Rest => {
                record::rest(self.app, facts).await?;
                Next::Stop(Outcome::Resting)
            }
            Step::Quarantine => {
                let why = known.detail.as_deref().or(facts.detail.as_deref());
                let why = why.unwrap_or("the payment is not what was ordered");
                record::quarantine(self.app, facts, why).await?;
                Next::Stop(Outcome::Quarantined)
            }
        };
        (self.fuse)("after the step")?;
        Ok(next)
    }

    fn announce(&self, step: Step, payment: Payment) {
        metrics::counter!("catraca_settlement_steps_total", "step" => point_before(step))
            .increment(1);
        tracing::debug!(order = %self.facts.deal.order, ?step, ?payment,
            seats = ?self.facts.seats, status = self.facts.status.as_str(), "settling");
    }

    /// The buyer may be watching.
    fn publish(&self, known: Known) -> Next {
        changes::publish(self.app, self.facts.deal.order);
        Next::Again(Some(known))
    }

    async fn start(&self) -> Result<Next, ApiError> {
        let facts = &self.facts;
        if facts.total.amount_minor == 0 {
            // Nothing to pay, so no provider to ask.
            return Ok(Next::Again(Some(Known::of(Payment::Captured))));
        }
        let adapter = provider::adapter(self.app, &facts.provider)?;
        let request = self.request()?;
        let call = adapter.start(&request);
        let outcome = provider::counted(&*adapter, "start", call).await;
        (self.fuse)("after start's call")?;
        match outcome {
            Ok(started) => {
                record::started(self.app, facts, &started).await?;
                changes::publish(self.app, facts.deal.order);
                Ok(Next::Again(Some(Known::of(Payment::Open))))
            }
            // The same call again finds out; nobody can pay before its answer is stored.
            Err(error) if error.is_transient() => {
                let none = provider::later(&error);
                Ok(Next::Stop(no_answer(self.app, facts, none).await?))
            }
            Err(error) => {
                let dead = Known::because(Payment::Dead, error.to_string());
                Ok(Next::Again(Some(dead)))
            }
        }
    }

    fn request(&self) -> Result<StartPayment, ApiError> {
        let facts = &self.facts;
        let back = |query: &str| {
            let path = format!("/orders/{}?{query}=1", facts.deal.order);
            let url = self.app.config.public_url.join(&path);
            url.map_err(|error| ApiError::internal(format!("return address: {error}")))
        };
        let quantity = facts.granted.len();
        let tickets = if quantity == 1 { "ticket" } else { "tickets" };
        Ok(StartPayment {
            hold_id: facts.deal.hold.0,
            order_id: facts.deal.order.0,
            amount: facts.total,
            description: format!("{quantity} {tickets}: {}", facts.title),
            buyer_email: facts.email.contains('@').then(|| facts.email.clone()),
            return_url: back("returned")?,
            cancel_url: back("cancelled")?,
            expires_at: facts.hold_expires_at,
            idempotency_key: facts.deal.hold.to_string(),
        })
    }

    async fn call(&self, step: Step, before: Payment) -> Result<Next, ApiError> {
        let Some(payment) = at_provider(self.app, &self.facts)? else {
            return Err(ApiError::internal("a payment without its reference"));
        };
        let answer = match step {
            Step::Authorise => payment.authorise().await,
            Step::Capture => payment.capture().await,
            _ => payment.void().await,
        };
        (self.fuse)("after the call")?;
        match answer {
            // Still not done: a provider that takes its time is given it.
            Ok(known) if known.payment == before => {
                let none = NoAnswer::Later(None);
                Ok(Next::Stop(no_answer(self.app, &self.facts, none).await?))
            }
            Ok(known) => Ok(Next::Again(Some(known))),
            Err(none) => Ok(Next::Stop(no_answer(self.app, &self.facts, none).await?)),
        }
    }

    async fn refund(&self, known: &Known) -> Result<Next, ApiError> {
        let facts = &self.facts;
        let left = known.captured_minor - known.refunded_minor;
        let Some(payment) = at_provider(self.app, facts)?.filter(|_| left > 0) else {
            return Ok(Next::Again(Some(Known::of(Payment::Refunded))));
        };
        let row = record::refund_row(self.app, facts, left).await?;
        let amount = Money {
            amount_minor: row.amount_minor,
            currency: facts.total.currency,
        };
        (self.fuse)("before refund's call")?;
        let call = payment.adapter.refund(&payment.reference, amount, row.id);
        let outcome = provider::counted(&*payment.adapter, "refund", call).await;
        (self.fuse)("after refund's call")?;
        let failed = match outcome {
            Ok(refund) => match refund.state {
                RefundState::Completed => {
                    let mut done = Known::of(Payment::Refunded);
                    done.captured_minor = known.captured_minor;
                    done.refunded_minor = known.captured_minor;
                    return Ok(Next::Again(Some(done)));
                }
                RefundState::Pending => NoAnswer::Later(Some(Duration::from_secs(5))),
                RefundState::Failed { reason } => NoAnswer::Refused(format!("refund: {reason}")),
            },
            Err(error) if error.is_transient() => provider::later(&error),
            Err(error) => NoAnswer::Refused(format!("refund: {error}")),
        };
        if matches!(failed, NoAnswer::Refused(_)) && !row.failed {
            record::refund_failed(self.app, facts, row.id).await?;
        }
        Ok(Next::Stop(no_answer(self.app, facts, failed).await?))
    }

    async fn refund_part(&self) -> Result<Next, ApiError> {
        let facts = &self.facts;
        let Some(part) = record::next_part(self.app, facts).await? else {
            return Ok(Next::Again(None));
        };
        let Some(payment) = at_provider(self.app, facts)? else {
            return Err(ApiError::internal("a payment without its reference"));
        };
        let amount = Money {
            amount_minor: part.amount_minor,
            currency: facts.total.currency,
        };
        (self.fuse)("before the part's call")?;
        let call = payment.adapter.refund(&payment.reference, amount, part.id);
        let outcome = provider::counted(&*payment.adapter, "refund", call).await;
        (self.fuse)("after the part's call")?;
        let failed = match outcome {
            Ok(refund) => match refund.state {
                RefundState::Completed => {
                    record::part_completed(self.app, facts, part.id).await?;
                    changes::publish(self.app, facts.deal.order);
                    return Ok(Next::Again(None));
                }
                RefundState::Pending => NoAnswer::Later(Some(Duration::from_secs(5))),
                RefundState::Failed { reason } => NoAnswer::Refused(format!("refund: {reason}")),
            },
            Err(error) if error.is_transient() => provider::later(&error),
            Err(error) => NoAnswer::Refused(format!("refund: {error}")),
        };
        if let NoAnswer::Refused(why) = &failed {
            record::part_failed(self.app, facts, part.id, why).await?;
        }
        Ok(Next::Stop(no_answer(self.app, facts, failed).await?))
    }
}

/// What the buyer is told of an order that came to nothing.
fn failure(status: OrderStatus, facts: &Facts, known: &Known) -> Option<Failure> {
    match status {
        OrderStatus::Failed if facts.provider_ref.is_none() => Some(Failure::NotStarted),
        OrderStatus::Failed => Some(Failure::Declined),
        OrderStatus::Expired => Some(match (facts.seats, known.payment) {
            (Seats::Gone, Payment::Refunded) => Failure::PaidLateRefunded,
            (Seats::Gone, _) => Failure::PaidLateNotCharged,
            _ => Failure::NotPaidInTime,
        }),
        OrderStatus::Queued
        | OrderStatus::AwaitingPayment
        | OrderStatus::Paid
        | OrderStatus::Refunded => None,
    }
}

fn point_before(step: Step) -> &'static str {
    match step {
        Step::Start => "start",
        Step::Wait => "wait",
        Step::Authorise => "authorise",
        Step::Sell => "sell",
        Step::Retake => "retake",
        Step::Capture => "capture",
        Step::Void => "void",
        Step::Refund => "refund",
        Step::RefundPart => "refund_part",
        Step::FinishPaid => "finish_paid",
        Step::Close(_) => "close",
        Step::Quarantine => "quarantine",
        Step::Rest => "rest",
    }
}
