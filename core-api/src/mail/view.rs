//! What the buyer is told of the mail.

use crate::error::ApiError;
use crate::purchase::sql;
use catraca_domain::ids::{EventNumber, OrderId};
use deadpool_postgres::GenericClient;
use serde::Serialize;

/// Where the tickets were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailView {
    /// The address.
    pub to: String,
    /// `queued`, `sent` or `given_up`.
    pub state: String,
}

/// The message with an order's tickets, if there is one.
pub(crate) async fn of_tickets<C: GenericClient>(
    client: &C,
    order: OrderId,
) -> Result<Option<MailView>, ApiError> {
    let row = sql::query_opt(
        client,
        "SELECT recipient, CASE WHEN sent_at IS NOT NULL THEN 'sent'
                                WHEN given_up IS NOT NULL THEN 'given_up' ELSE 'queued' END
         FROM mails WHERE event_id = $1 AND order_id = $2 AND kind = 'tickets'",
        &[&EventNumber::of(order.0).0, &order.0],
    )
    .await?;
    Ok(row.map(|row| MailView {
        to: row.get(0),
        state: row.get(1),
    }))
}
