//! Writing down that a message is to be sent, in the transaction that gives the reason.

use crate::app::App;
use crate::error::ApiError;
use crate::purchase::sql;
use catraca_domain::ids::{EventNumber, OrderId};
use deadpool_postgres::Transaction;
use lettre::Address;
use uuid::Uuid;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The tickets of an order that was just paid.
    Tickets,
    /// Money that was given back.
    Refund,
}

impl Kind {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tickets => "tickets",
            Self::Refund => "refund",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        [Self::Tickets, Self::Refund]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// The order is paid: its tickets go out.
///
/// # Errors
/// The database's.
pub async fn tickets(app: &App, tx: &Transaction<'_>, order: OrderId) -> Result<(), ApiError> {
    if let Some(recipient) = recipient(app, tx, order).await? {
        insert(tx, order, Kind::Tickets, order.0, &recipient).await?;
    }
    Ok(())
}

/// The order has ended: each completed refund of it is told once.
///
/// # Errors
/// The database's.
pub async fn refunds(app: &App, tx: &Transaction<'_>, order: OrderId) -> Result<(), ApiError> {
    let whole = "SELECT refund_id FROM refunds
                 WHERE event_id = $1 AND order_id = $2 AND state = 'completed'";
    told(app, tx, order, whole).await?;
    parts(app, tx, order).await
}

/// The order goes on: each completed refund of a part is told once.
///
/// # Errors
/// The database's.
pub async fn parts(app: &App, tx: &Transaction<'_>, order: OrderId) -> Result<(), ApiError> {
    let parts = "SELECT refund_id FROM partial_refunds
                 WHERE event_id = $1 AND order_id = $2 AND state = 'completed'";
    told(app, tx, order, parts).await
}

async fn told(
    app: &App,
    tx: &Transaction<'_>,
    order: OrderId,
    refunds: &str,
) -> Result<(), ApiError> {
    let Some(recipient) = recipient(app, tx, order).await? else {
        return Ok(());
    };
    let refunds = sql::query(tx, refunds, &[&EventNumber::of(order.0).0, &order.0]).await?;
    for refund in refunds {
        insert(tx, order, Kind::Refund, refund.get(0), &recipient).await?;
    }
    Ok(())
}

/// Where the buyer's mail goes; none without a mail server, or with an address that is none.
async fn recipient(
    app: &App,
    tx: &Transaction<'_>,
    order: OrderId,
) -> Result<Option<Address>, ApiError> {
    if app.mail.is_none() {
        return Ok(None);
    }
    let row = sql::query_opt(
        tx,
        "SELECT a.email FROM orders o JOIN accounts a USING (account_id)
         WHERE o.event_id = $1 AND o.order_id = $2",
        &[&EventNumber::of(order.0).0, &order.0],
    )
    .await?;
    let address = row.and_then(|row| row.get::<_, &str>(0).parse().ok());
    if address.is_none() {
        tracing::info!(%order, "the buyer has no address that mail could be sent to");
    }
    Ok(address)
}

async fn insert(
    tx: &Transaction<'_>,
    order: OrderId,
    kind: Kind,
    about: Uuid,
    recipient: &Address,
) -> Result<(), ApiError> {
    let recipient: &str = recipient.as_ref();
    sql::execute(
        tx,
        "INSERT INTO mails (event_id, order_id, kind, about, recipient)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_id, order_id, kind, about) DO NOTHING",
        &[
            &EventNumber::of(order.0).0,
            &order.0,
            &kind.as_str(),
            &about,
            &recipient,
        ],
    )
    .await?;
    Ok(())
}
