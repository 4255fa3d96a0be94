//! Mail to buyers: their tickets once the order is paid, and word of every refund.
//!
//! 1. The transaction that gives the reason writes a row ([`queue`]), if there is somewhere to send
//!    mail from at all: no order waits for a mail server.
//! 2. The worker takes due rows, several at once, and makes and sends each message ([`message`],
//!    [`Post`]); a row that somebody is at is nobody else's for [`LEASE_SECONDS`].
//! 3. Sent, the row says so. Otherwise it is tried again, ever later, for [`DAYS_MAX`] days, unless
//!    the server says that there is no such address.
//!
//! Killed between sending and writing that down, the message goes out again: at least once, each
//! time with the same `Message-ID`, by which mail programs know it for the same.

mod message;
mod outbox;
mod post;
pub mod queue;
mod view;

pub use post::{MailConfig, Post};
pub use view::MailView;
pub(crate) use view::of_tickets;

use crate::app::App;
use crate::error::ApiError;
use crate::worker::every;
use futures::StreamExt as _;
use outbox::Due;
use post::Refused;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the worker looks for mail to send.
const PAUSE: Duration = Duration::from_millis(500);
/// Most messages under way at once, in one process.
const AT_ONCE: usize = 8;
/// How long a message may take, with all that the server has to say.
const SEND_WITHIN: Duration = Duration::from_secs(40);
/// How long a row is left to whoever took it: longer than sending can take.
const LEASE_SECONDS: f64 = 60.0;
/// First and longest pause between two tries, in seconds; each is twice the one before.
const BACK_OFF_SECONDS: (f64, f64) = (2.0, 900.0);
/// After so many days nobody waits for the message any more.
const DAYS_MAX: f64 = 3.0;

/// Sends what is due, until stopped; then what is under way is finished. Nothing to do without a
/// mail server.
pub async fn run(app: App, stop: CancellationToken) {
    if app.mail.is_some() {
        every(stop, PAUSE, "mail", || round(&app)).await;
    }
}

/// Everything that is due now.
async fn round(app: &App) -> Result<(), ApiError> {
    let Some(post) = &app.mail else {
        return Ok(());
    };
    loop {
        let due = outbox::take(app, AT_ONCE, LEASE_SECONDS).await?;
        if due.is_empty() {
            return Ok(());
        }
        let sent = futures::stream::iter(due).map(|mail| deliver(app, post, mail));
        let ends: Vec<Result<(), ApiError>> = sent.buffer_unordered(AT_ONCE).collect().await;
        ends.into_iter().collect::<Result<(), _>>()?;
    }
}

async fn deliver(app: &App, post: &Post, mail: Due) -> Result<(), ApiError> {
    let message = message::of(app, post, &mail).await?;
    let outcome = match tokio::time::timeout(SEND_WITHIN, post.send(message)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Refused::ForNow("no answer in time".to_owned())),
    };
    let word = match &outcome {
        Ok(()) => "sent",
        Err(Refused::ForNow(_)) => "put_off",
        Err(Refused::ForGood(_)) => "given_up",
    };
    metrics::counter!("catraca_mails_total", "kind" => mail.kind.as_str(), "outcome" => word)
        .increment(1);
    match outcome {
        Ok(()) => outbox::sent(app, &mail).await,
        Err(Refused::ForNow(why)) => {
            tracing::warn!(order = %mail.order, tries = mail.tries, why, "mail put off");
            outbox::put_off(app, &mail, BACK_OFF_SECONDS, DAYS_MAX, &why).await
        }
        Err(Refused::ForGood(why)) => {
            tracing::warn!(order = %mail.order, why, "mail given up");
            outbox::give_up(app, &mail, &why).await
        }
    }
}
