//! Payment providers behind one small trait: [`PaymentAdapter`].
//!
//! What a payment goes through, in order:
//! 1. [`PaymentAdapter::start`] opens it at the provider and gives the page where the buyer pays;
//! 2. the buyer pays there; the provider calls back ([`PaymentAdapter::verify_webhook`]) and
//!    [`PaymentAdapter::status`] tells what really happened (a webhook is only a hint to look);
//! 3. [`PaymentAdapter::authorise`] sets the money aside where the provider wants that asked for;
//! 4. the core turns its hold into a sale;
//! 5. [`PaymentAdapter::capture`] takes the money, or [`PaymentAdapter::void`] lets it go;
//! 6. [`PaymentAdapter::refund`] gives it back, whole or in part.
//!
//! A provider is one folder (`mod.rs` for behaviour, `wire.rs` for its format) and one line in
//! [`registry`]. Adapters keep no state of their own beyond access tokens: the core stores the
//! [`ProviderRef`], and everything else is read back from the provider.

mod adapter;
pub mod card;
mod error;
mod gate;
pub mod paypal;
pub mod pix;
pub mod registry;
pub mod stripe;
mod transport;

pub use adapter::{
    Display, PaymentAdapter, PaymentStatus, Provider, ProviderRef, Refund, RefundState,
    StartPayment, Started, WebhookEvent,
};
pub use error::{AdapterError, ConfigError, WebhookError};
pub use gate::{Gate, Heard, Leave};
pub use registry::Registry;
pub use transport::{Outlet, http_client_with};
