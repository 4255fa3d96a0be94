//! Invariant 3: every captured payment has its order with its tickets, or its refund; and the
//! providers' books say the same.

use std::collections::HashMap;

use tokio_postgres::Transaction;
use uuid::Uuid;

use super::check::{count, offences};
use super::ledger::{Entry, Ledger};
use super::report::Finding;

const CHECKS: [&str; 6] = [
    // An order that is open although its hold is over. Open ones with a live hold may stay so.
    "SELECT format('unsettled: order %s (%s) is open since %s, its hold is over%s', o.order_id,
            o.status, o.created_at, '; quarantined: ' || o.quarantined)
     FROM orders o JOIN holds h USING (event_id, hold_id)
     WHERE o.status IN ('queued', 'awaiting_payment')
        AND (h.state <> 'active' OR h.expires_at <= now())",
    "SELECT format('unsettled: refund %s of order %s is still %s', refund_id, order_id, state)
     FROM refunds WHERE state <> 'completed'",
    // Captured, and the order at rest: paid with all its tickets, or given back whole.
    "SELECT format('order %s is %s with %s of %s tickets; of %s due, %s captured, %s refunded, '
            || 'in %s completed refunds of %s', o.order_id, o.status, t.live, h.quantity,
            o.amount_minor, p.captured_minor, p.refunded_minor, r.refunds, r.refunded)
     FROM payments p
     JOIN orders o USING (event_id, order_id)
     JOIN holds h USING (event_id, hold_id)
     CROSS JOIN LATERAL (SELECT count(*) AS live FROM tickets t WHERE t.voided_at IS NULL
        AND (t.event_id, t.order_id) = (o.event_id, o.order_id)) t
     CROSS JOIN LATERAL (SELECT count(*) AS refunds, coalesce(sum(r.amount_minor), 0) AS refunded
        FROM refunds r WHERE r.state = 'completed'
        AND (r.event_id, r.order_id) = (o.event_id, o.order_id)) r
     WHERE p.captured_minor > 0 AND o.status NOT IN ('queued', 'awaiting_payment')
        AND NOT (o.status = 'paid' AND t.live = h.quantity AND r.refunds = 0
            AND p.captured_minor = o.amount_minor AND p.refunded_minor = 0)
        AND NOT (o.status <> 'paid' AND t.live = 0 AND r.refunds = 1
            AND r.refunded = p.captured_minor AND p.refunded_minor = p.captured_minor)",
    "SELECT format('order %s is paid, but %s of %s were captured', o.order_id,
            coalesce(p.captured_minor, 0), o.amount_minor)
     FROM orders o LEFT JOIN payments p USING (event_id, order_id)
     WHERE o.status = 'paid' AND coalesce(p.captured_minor, 0) <> o.amount_minor",
    "SELECT format('order %s has %s live tickets, but is %s', o.order_id, count(*), o.status)
     FROM tickets t JOIN orders o USING (event_id, order_id)
     WHERE t.voided_at IS NULL AND o.status <> 'paid' GROUP BY o.order_id, o.status",
    "SELECT format('hold %s has %s orders', hold_id, count(*))
     FROM orders GROUP BY event_id, hold_id HAVING count(*) > 1",
];

const OURS: &str = "SELECT o.order_id, o.hold_id, o.currency::text, p.captured_minor,
        p.refunded_minor, p.provider, o.status IN ('queued', 'awaiting_payment') AS open
    FROM orders o JOIN payments p USING (event_id, order_id)";

/// Our own side of a payment.
struct Ours {
    hold: Uuid,
    provider: String,
    currency: String,
    captured_minor: i64,
    refunded_minor: i64,
    open: bool,
}

/// Invariant 3.
///
/// # Errors
/// When the database can't answer.
pub(crate) async fn audit(
    snapshot: &Transaction<'_>,
    ledger: Option<&Ledger>,
) -> anyhow::Result<Finding> {
    let captured = "SELECT count(*) FROM payments WHERE captured_minor > 0";
    let captured = count(snapshot, captured).await?;
    let refunds = count(snapshot, "SELECT count(*) FROM refunds").await?;
    let mut checked = format!("{captured} captured payments, {refunds} refunds");
    let mut offences = offences(snapshot, &CHECKS).await?;
    if let Some(ledger) = ledger {
        let theirs = ledger.payments.len();
        checked = format!("{checked}, {theirs} payments in the providers' books");
        offences.extend(compare(ours(snapshot).await?, ledger));
    }
    Ok(Finding {
        invariant: 3,
        name: "captured = one order with its tickets, or one refund",
        checked,
        offences,
        not_judged: Vec::new(),
    })
}

async fn ours(snapshot: &Transaction<'_>) -> anyhow::Result<HashMap<Uuid, Ours>> {
    let mut ours = HashMap::new();
    for row in snapshot.query(OURS, &[]).await? {
        let payment = Ours {
            hold: row.try_get(1)?,
            currency: row.try_get(2)?,
            captured_minor: row.try_get(3)?,
            refunded_minor: row.try_get(4)?,
            provider: row.try_get(5)?,
            open: row.try_get(6)?,
        };
        ours.insert(row.try_get(0)?, payment);
    }
    Ok(ours)
}

fn compare(mut ours: HashMap<Uuid, Ours>, ledger: &Ledger) -> Vec<String> {
    let mut offences = ledger.captured_twice();
    for entry in ledger
        .payments
        .iter()
        .filter(|entry| entry.captured_minor > 0)
    {
        match entry.order_id().and_then(|order| ours.remove(&order)) {
            None => offences.push(format!("{entry}: no payment of ours has this order")),
            Some(payment) if payment.open => {}
            Some(payment) => offences.extend(differs(&payment, entry)),
        }
    }
    // What is left has nothing captured at any provider.
    for (order, payment) in ours
        .iter()
        .filter(|(_, payment)| payment.captured_minor > 0)
    {
        let (provider, captured) = (&payment.provider, payment.captured_minor);
        offences.push(format!(
            "order {order}: {captured} captured, by our books only ({provider})"
        ));
    }
    offences
}

fn differs(ours: &Ours, entry: &Entry) -> Option<String> {
    let same = ours.captured_minor == entry.captured_minor
        && ours.refunded_minor == entry.refunded_minor
        && ours.currency.trim() == entry.currency
        && ours.provider == entry.provider
        && entry
            .hold
            .as_deref()
            .is_none_or(|hold| hold == ours.hold.to_string());
    (!same).then(|| {
        format!(
            "{entry}: by our books {} {} captured, {} refunded, by {} for hold {}",
            ours.captured_minor, ours.currency, ours.refunded_minor, ours.provider, ours.hold
        )
    })
}
