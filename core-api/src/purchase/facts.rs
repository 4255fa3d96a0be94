//! What an order, its seats and its payment are now, as far as PostgreSQL knows.

use super::sql;
use crate::error::ApiError;
use crate::holds::sale::{Deal, GrantedSeat};
use catraca_domain::ids::{EventNumber, HoldId, Jti, OrderId};
use catraca_domain::money::Money;
use catraca_domain::settlement::{OrderStatus, Payment, Seats, Wanted};
use catraca_payments::ProviderRef;
use deadpool_postgres::GenericClient;
use std::str::FromStr;
use time::OffsetDateTime;
use tokio_postgres::Row;

/// Everything that the next step depends on, and what it needs to be taken.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) deal: Deal,
    pub(crate) jti: Jti,
    pub(crate) provider: String,
    pub(crate) status: OrderStatus,
    pub(crate) total: Money,
    pub(crate) quarantined: bool,
    pub(crate) refund_requested: bool,
    pub(crate) wanted: Wanted,
    /// An operator has ended it: whatever was taken goes back.
    pub(crate) giving_back: bool,
    pub(crate) seats: Seats,
    pub(crate) granted: Vec<GrantedSeat>,
    pub(crate) hold_expires_at: OffsetDateTime,
    /// As it was last written down; the provider knows better.
    pub(crate) payment: Payment,
    /// Given back as far as is written down, in minor units.
    pub(crate) refunded_minor: i64,
    pub(crate) provider_ref: Option<ProviderRef>,
    /// Why the payment is as it is, in the provider's words.
    pub(crate) detail: Option<String>,
    pub(crate) title: String,
    pub(crate) email: String,
}

const LOAD: &str = "
    SELECT o.hold_id, o.jti, o.provider, o.status, o.currency, o.giving_back,
           coalesce(o.accepted_minor, o.amount_minor) AS amount_minor,
           o.quarantined IS NOT NULL AS quarantined,
           o.refund_requested_at IS NOT NULL AS refund_requested,
           EXISTS (SELECT FROM partial_refunds r WHERE r.event_id = o.event_id
                AND r.order_id = o.order_id AND r.state = 'requested') AS part_wanted,
           o.seats_gone_at IS NOT NULL AS gone,
           h.state = 'active' AND h.expires_at > now() AS live,
           h.quantity, h.seats, h.expires_at,
           p.state AS payment, p.refunded_minor, p.provider_ref, p.detail,
           e.title, a.email,
           (SELECT count(*) FROM seats s WHERE s.event_id = o.event_id AND s.hold_id = o.hold_id
                AND s.state = 'held') AS held,
           (SELECT count(*) FROM seats s WHERE s.event_id = o.event_id AND s.hold_id = o.hold_id
                AND s.order_id = o.order_id) AS sold
    FROM orders o
    JOIN holds h ON h.event_id = o.event_id AND h.hold_id = o.hold_id
    JOIN payments p ON p.event_id = o.event_id AND p.order_id = o.order_id
    JOIN events e ON e.event_id = o.event_id
    JOIN accounts a ON a.account_id = o.account_id
    WHERE o.event_id = $1 AND o.order_id = $2";

/// Reads the facts; `None` when there is no such order.
///
/// # Errors
/// The database's; words in it that this program doesn't know.
pub(crate) async fn load<C: GenericClient>(
    client: &C,
    event: EventNumber,
    order: OrderId,
) -> Result<Option<Facts>, ApiError> {
    let row = sql::query_opt(client, LOAD, &[&event.0, &order.0]).await?;
    row.map(|row| read(&row, event, order)).transpose()
}

fn read(row: &Row, event: EventNumber, order: OrderId) -> Result<Facts, ApiError> {
    let seats: serde_json::Value = row.get("seats");
    let granted = serde_json::from_value(seats)
        .map_err(|error| ApiError::internal(format!("seats of order {order}: {error}")))?;
    let currency = parse(row, "currency")?;
    let total = Money::new(row.get("amount_minor"), currency)
        .map_err(|error| ApiError::internal(format!("amount of order {order}: {error}")))?;
    Ok(Facts {
        deal: Deal {
            event,
            hold: HoldId(row.get("hold_id")),
            order,
        },
        jti: Jti(row.get("jti")),
        provider: row.get("provider"),
        status: parse(row, "status")?,
        total,
        quarantined: row.get("quarantined"),
        refund_requested: row.get("refund_requested"),
        wanted: match (row.get("part_wanted"), row.get("refund_requested")) {
            (true, _) => Wanted::Part,
            (false, true) => Wanted::All,
            (false, false) => Wanted::Nothing,
        },
        giving_back: row.get("giving_back"),
        seats: seats_of(row),
        granted,
        hold_expires_at: row.get("expires_at"),
        payment: parse(row, "payment")?,
        refunded_minor: row.get("refunded_minor"),
        provider_ref: row
            .get::<_, Option<String>>("provider_ref")
            .map(ProviderRef::new),
        detail: row.get("detail"),
        title: row.get("title"),
        email: row.get("email"),
    })
}

fn seats_of(row: &Row) -> Seats {
    let quantity = i64::from(row.get::<_, i32>("quantity"));
    if row.get::<_, i64>("sold") == quantity {
        Seats::Sold
    } else if row.get("gone") {
        Seats::Gone
    } else if row.get("live") && row.get::<_, i64>("held") == quantity {
        Seats::Held
    } else {
        Seats::Lapsed
    }
}

fn parse<T: FromStr>(row: &Row, column: &str) -> Result<T, ApiError> {
    let text: &str = row.get(column);
    text.parse()
        .map_err(|_| ApiError::internal(format!("unknown {column} {text:?} in the database")))
}
