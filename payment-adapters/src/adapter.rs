//! The trait every provider implements, and the words it speaks.

use std::fmt;

use async_trait::async_trait;
use catraca_domain::money::{Currency, Money};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::{AdapterError, WebhookError};

/// A provider's name: in `POST /api/v1/orders {provider}`, in `/webhooks/{provider}`, in metrics.
/// Only adapters make one; text from outside goes through [`crate::Registry::get`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(transparent)]
pub struct Provider(&'static str);

impl Provider {
    /// Names a provider; lower case, fit for an URL's path.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name as stored and shown.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The provider's own name for a payment (Stripe: `cs_…`, PayPal: the order's id).
/// Opaque: the core stores it and hands it back.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderRef(String);

impl ProviderRef {
    /// Wraps a reference read from a provider or from the database.
    pub fn new(reference: impl Into<String>) -> Self {
        Self(reference.into())
    }

    /// The reference as the provider wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the core wants paid.
#[derive(Clone, Debug)]
pub struct StartPayment {
    /// The hold being paid for; comes back in webhooks.
    pub hold_id: Uuid,
    /// The order that the payment settles; comes back in webhooks.
    pub order_id: Uuid,
    /// The whole amount.
    pub amount: Money,
    /// One line the buyer reads on the provider's page, e.g. `2 tickets: Hamlet`. Cut to 127
    /// characters, which is the least any provider takes.
    pub description: String,
    /// Filled in for the buyer where the provider allows.
    pub buyer_email: Option<String>,
    /// Where the buyer lands after paying.
    pub return_url: Url,
    /// Where the buyer lands after turning back.
    pub cancel_url: Url,
    /// When the hold runs out. Providers can't expire that soon by themselves (Stripe: 30 minutes
    /// at least), so the core calls [`PaymentAdapter::void`] then.
    pub expires_at: OffsetDateTime,
    /// Same key and same body: same payment, however often asked. The hold id.
    pub idempotency_key: String,
}

/// A payment opened at the provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Started {
    /// To be stored with the order before the buyer is sent away.
    pub provider_ref: ProviderRef,
    /// The provider's page.
    pub redirect_url: Url,
    /// What a shop may show on its own page instead of sending the buyer away.
    pub display: Option<Display>,
}

/// Something the buyer pays by without leaving the shop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Display {
    /// A code to be scanned with, or copied into, the buyer's banking app.
    QrCode {
        /// What the code says.
        data: String,
        /// The code as an image at the provider, if it has one.
        image_url: Option<Url>,
        /// From when on it can't be paid, if the provider says.
        expires_at: Option<OffsetDateTime>,
    },
}

/// What the provider says about a payment. A status it has not agreed on with us is `Pending`:
/// never guessed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PaymentStatus {
    /// The buyer has not paid yet, and still can.
    Open,
    /// The buyer agreed; the money is to be set aside with [`PaymentAdapter::authorise`].
    Approved,
    /// The money is set aside: capture or void it.
    Authorised {
        /// What can be captured.
        amount: Money,
    },
    /// The money is taken.
    Captured {
        /// What was taken.
        amount: Money,
        /// What of it was given back since, or is on its way.
        refunded: Money,
    },
    /// Called off by us before anything was taken.
    Voided,
    /// The buyer's attempt was refused. Nothing is set aside. Some providers let the buyer try
    /// again on the same page: `void` closes that door.
    Failed {
        /// The provider's code or words, for the log and the operator.
        reason: String,
    },
    /// The provider closed it unpaid.
    Expired,
    /// The provider is still at it, or says something this adapter doesn't know: ask again later.
    Pending {
        /// The provider's own word.
        provider_status: String,
    },
}

impl PaymentStatus {
    /// Nothing is held or taken, and nothing can be any more.
    pub fn is_over_unpaid(&self) -> bool {
        matches!(self, Self::Voided | Self::Expired)
    }
}

/// A refund asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refund {
    /// The provider's name for it.
    pub refund_ref: String,
    /// How far it is.
    pub state: RefundState,
}

/// How far a refund is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefundState {
    /// The money is on its way back for good.
    Completed,
    /// Accepted, not done, or a status unknown to this adapter: ask for it again with the same id.
    Pending,
    /// The provider could not give it back; an operator must look.
    Failed {
        /// The provider's word.
        reason: String,
    },
}

/// A webhook whose signature was checked. Only a hint: read [`PaymentAdapter::status`] and act on
/// that, so that events late, doubled or out of order change nothing.
#[derive(Clone, Debug)]
pub struct WebhookEvent {
    /// The provider's id of the event: unique, the same in each redelivery.
    pub event_id: String,
    /// The provider's kind, e.g. `payment_intent.succeeded`.
    pub kind: String,
    /// The payment as the core stored it, where the event names it.
    pub provider_ref: Option<ProviderRef>,
    /// The order, from what [`StartPayment`] sent along. Stripe's `payment_intent.*` events carry
    /// this and no `provider_ref`; match by either.
    pub order_id: Option<Uuid>,
    /// The event as received.
    pub raw: serde_json::Value,
}

/// One payment provider. Every call may be repeated: each mutating one carries an idempotency key
/// made from its arguments, so a repeat gives the first outcome.
///
/// Outcomes of the mutating calls: `Ok` says what is so now; the errors, sorted by what to do about
/// them, are in [`AdapterError`].
#[async_trait]
pub trait PaymentAdapter: Send + Sync {
    /// Which provider this is.
    fn provider(&self) -> Provider;

    /// Whether it takes payments in that currency at all; `start` is `Rejected` otherwise.
    fn takes(&self, _currency: Currency) -> bool {
        true
    }

    /// Whether [`PaymentAdapter::takes`] is ever false.
    fn is_choosy(&self) -> bool {
        false
    }

    /// Whether the provider forgets a payment that nobody paid, so that `NotFound` for one that was
    /// open means that it can't be paid any more. Only true where no money can be taken of a
    /// payment unless [`PaymentAdapter::authorise`] was called.
    fn forgets_unpaid(&self) -> bool {
        false
    }

    /// Opens a payment and says where the buyer pays.
    async fn start(&self, payment: &StartPayment) -> Result<Started, AdapterError>;

    /// What is so at the provider now.
    async fn status(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError>;

    /// Sets the money aside where the provider waits to be asked (`Approved`); elsewhere reports
    /// the status and changes nothing, and that is `Captured` where the money is taken as soon as
    /// the buyer pays. A refusal is `Ok(Failed)`.
    async fn authorise(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError>;

    /// Takes authorised money, once: a second call reports `Captured` again, as does any where the
    /// money was taken already. `amount` is at most what was authorised; the rest is let go.
    async fn capture(
        &self,
        reference: &ProviderRef,
        amount: Money,
    ) -> Result<PaymentStatus, AdapterError>;

    /// Lets authorised money go and closes an unpaid payment page. Gives what is so afterwards:
    /// `Voided`, `Expired` or `Failed` when nothing is held; `Captured` when it came too late (then
    /// refund); anything else: ask again.
    async fn void(&self, reference: &ProviderRef) -> Result<PaymentStatus, AdapterError>;

    /// Gives captured money back. `refund_id` is the core's own id of this refund and makes it
    /// happen once, however much later it is asked for again. More than what is left: `Rejected`.
    async fn refund(
        &self,
        reference: &ProviderRef,
        amount: Money,
        refund_id: Uuid,
    ) -> Result<Refund, AdapterError>;

    /// Checks that a webhook is the provider's and fresh, over the body as received.
    /// No default body, so that a new adapter can't accept everything by omission.
    async fn verify_webhook(
        &self,
        headers: &HeaderMap,
        raw_body: &[u8],
        now: OffsetDateTime,
    ) -> Result<WebhookEvent, WebhookError>;
}
