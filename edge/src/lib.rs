//! The Worker, and the two Durable Objects behind it.
//!
//! In the order in which a visitor meets them: [`router`] (which of all this is meant), `queue`
//! (join, wait, claim, leave), [`dispenser`] (gives numbers), [`room`] (calls and admits),
//! `pages` (the same without JavaScript), `gateway` (the core, once admitted). [`contract`] is
//! what Worker, Dispenser and Room say to each other.

mod answer;
mod client;
mod contract;
#[expect(
    missing_docs,
    reason = "the macro makes a constructor and a method without any"
)]
mod dispenser;
mod gateway;
mod holder;
mod identity;
mod internal;
mod log_key;
mod pages;
mod queue;
mod quick;
#[expect(
    missing_docs,
    reason = "the macro makes a constructor and methods without any"
)]
mod room;
mod rooms;
mod router;
mod runtime;
mod settings;
mod status_cache;
mod visit;

use worker::{Context, Env, Request, Response, Result, event};

pub use dispenser::Dispenser;
pub use quick::{
    quick_headers, quick_join, quick_joined, quick_joins_call, quick_joins_reply, quick_place,
    quick_refused,
};
pub use room::Room;

/// Every request from outside.
///
/// # Errors
/// None in practice: whatever goes wrong is answered as a problem document.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    router::route(request, env, context).await
}
