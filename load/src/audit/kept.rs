//! Invariant 8, as far as an outsider sees: what was acknowledged is still there.

use std::collections::HashMap;

use tokio_postgres::Transaction;
use uuid::Uuid;

use super::journal::{Journal, Line, Seat};
use super::report::Finding;

/// What the database still knows.
struct Kept {
    /// Seats, amount and session of a hold.
    holds: HashMap<Uuid, (Vec<Seat>, i64, Uuid)>,
    /// Hold, amount and status of an order.
    orders: HashMap<Uuid, (Uuid, i64, String)>,
    /// Order of a ticket.
    tickets: HashMap<Uuid, Uuid>,
}

impl Kept {
    async fn load(snapshot: &Transaction<'_>) -> anyhow::Result<Self> {
        let (mut holds, mut orders) = (HashMap::new(), HashMap::new());
        let mut tickets = HashMap::new();
        let sql = "SELECT hold_id, seats, amount_minor, jti FROM holds";
        for row in snapshot.query(sql, &[]).await? {
            let mut seats: Vec<Seat> = serde_json::from_value(row.try_get(1)?)?;
            seats.sort();
            holds.insert(row.try_get(0)?, (seats, row.try_get(2)?, row.try_get(3)?));
        }
        let sql = "SELECT order_id, hold_id, amount_minor, status FROM orders";
        for row in snapshot.query(sql, &[]).await? {
            orders.insert(
                row.try_get(0)?,
                (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?),
            );
        }
        for row in snapshot
            .query("SELECT ticket_id, order_id FROM tickets", &[])
            .await?
        {
            tickets.insert(row.try_get(0)?, row.try_get(1)?);
        }
        Ok(Self {
            holds,
            orders,
            tickets,
        })
    }

    fn hold(&self, id: Uuid, told: &[Seat], amount: i64, jti: Uuid) -> Option<String> {
        let mut told = told.to_vec();
        told.sort();
        match self.holds.get(&id) {
            None => Some(format!("hold {id} is gone")),
            Some(kept) if *kept == (told.clone(), amount, jti) => None,
            Some((seats, kept_amount, session)) => Some(format!(
                "hold {id}: told {told:?} for {amount} to {jti}, kept {seats:?} for {kept_amount} \
                 by {session}"
            )),
        }
    }

    fn order(&self, id: Uuid, told_hold: Uuid, told_amount: i64) -> Option<String> {
        match self.orders.get(&id) {
            None => Some(format!("order {id} is gone")),
            Some((hold, amount, _)) if (*hold, *amount) == (told_hold, told_amount) => None,
            Some((hold, amount, _)) => Some(format!(
                "order {id}: told hold {told_hold} for {told_amount}, kept {hold} for {amount}"
            )),
        }
    }

    fn paid(&self, id: Uuid, tickets: &[Uuid]) -> Vec<String> {
        let mut offences = Vec::new();
        let status = self.orders.get(&id).map_or("gone", |(_, _, status)| status);
        // Paid once, it can only be refunded.
        if !matches!(status, "paid" | "refunded") {
            offences.push(format!("order {id} was paid and is {status}"));
        }
        let lost = tickets
            .iter()
            .filter(|ticket| self.tickets.get(ticket) != Some(&id));
        offences.extend(lost.map(|ticket| format!("ticket {ticket} of order {id} is gone")));
        offences
    }
}

/// Invariant 8, against the journal.
///
/// # Errors
/// When the database can't answer.
pub(crate) async fn audit(
    snapshot: &Transaction<'_>,
    journal: &Journal,
) -> anyhow::Result<Finding> {
    let kept = Kept::load(snapshot).await?;
    let mut offences = Vec::new();
    let (mut holds, mut orders, mut paid) = (0, 0, 0);
    for line in &journal.lines {
        match line {
            Line::Hold {
                hold,
                jti,
                seats,
                amount,
            } => {
                holds += 1;
                offences.extend(kept.hold(*hold, seats, *amount, *jti));
            }
            Line::Order {
                order,
                hold,
                amount,
            } => {
                orders += 1;
                offences.extend(kept.order(*order, *hold, *amount));
            }
            Line::Paid { order, tickets } => {
                paid += 1;
                offences.extend(kept.paid(*order, tickets));
            }
            Line::Run {}
            | Line::Room { .. }
            | Line::Number { .. }
            | Line::Admission { .. }
            | Line::Leaving { .. } => {}
        }
    }
    Ok(Finding {
        invariant: 8,
        name: "what was acknowledged is still there",
        checked: format!("{holds} holds, {orders} orders, {paid} paid orders in the journal"),
        offences,
        not_judged: Vec::new(),
    })
}
