//! Invariant 3: every captured payment has its order with its tickets, or its refund; our ledger
//! balances and agrees, and the providers' books say the same.

use std::collections::HashMap;

use tokio_postgres::Transaction;
use uuid::Uuid;

use super::check::{count, offences};
use super::ledger::{Entry, Ledger};
use super::report::Finding;

const CHECKS: [&str; 7] = [
    // An order that is open although its hold is over. Open ones with a live hold may stay so.
    "SELECT format('unsettled: order %s (%s) is open since %s, its hold is over%s', o.order_id,
            o.status, o.created_at, '; quarantined: ' || o.quarantined)
     FROM orders o JOIN holds h USING (event_id, hold_id)
     WHERE o.status IN ('queued', 'awaiting_payment')
        AND (h.state <> 'active' OR h.expires_at <= now())",
    "SELECT format('unsettled: refund %s of order %s is still %s', refund_id, order_id, state)
     FROM refunds WHERE state <> 'completed'",
    "SELECT format('unsettled: part %s of order %s, %s, is still %s%s', refund_id, order_id,
            amount_minor, state, ': ' || failure)
     FROM partial_refunds WHERE state <> 'completed'",
    // Captured, and the order at rest: paid with all its tickets, or given back whole.
    "SELECT format('order %s is %s with %s of %s tickets; of %s due, %s captured, %s refunded, '
            || 'in %s completed refunds of %s and parts of %s', o.order_id, o.status, t.live,
            h.quantity, o.due, p.captured_minor, p.refunded_minor, r.refunds, r.refunded, s.parts)
     FROM payments p
     JOIN (SELECT *, coalesce(accepted_minor, amount_minor) AS due FROM orders) o
        USING (event_id, order_id)
     JOIN holds h USING (event_id, hold_id)
     CROSS JOIN LATERAL (SELECT coalesce(sum(s.amount_minor), 0) AS parts FROM partial_refunds s
        WHERE s.state = 'completed'
        AND (s.event_id, s.order_id) = (o.event_id, o.order_id)) s
     CROSS JOIN LATERAL (SELECT count(*) AS live FROM tickets t WHERE t.voided_at IS NULL
        AND (t.event_id, t.order_id) = (o.event_id, o.order_id)) t
     CROSS JOIN LATERAL (SELECT count(*) AS refunds, coalesce(sum(r.amount_minor), 0) AS refunded
        FROM refunds r WHERE r.state = 'completed'
        AND (r.event_id, r.order_id) = (o.event_id, o.order_id)) r
     WHERE p.captured_minor > 0 AND o.status NOT IN ('queued', 'awaiting_payment')
        AND NOT (o.status = 'paid' AND t.live = h.quantity AND r.refunds = 0
            AND p.captured_minor = o.due AND p.refunded_minor = s.parts
            AND (s.parts = 0 OR s.parts < p.captured_minor))
        AND NOT (o.status <> 'paid' AND t.live = 0
            AND r.refunds = CASE WHEN s.parts < p.captured_minor THEN 1 ELSE 0 END
            AND r.refunded + s.parts = p.captured_minor AND p.refunded_minor = p.captured_minor)",
    "SELECT format('order %s is paid, but %s of %s were captured', o.order_id,
            coalesce(p.captured_minor, 0), coalesce(o.accepted_minor, o.amount_minor))
     FROM orders o LEFT JOIN payments p USING (event_id, order_id)
     WHERE o.status = 'paid'
        AND coalesce(p.captured_minor, 0) <> coalesce(o.accepted_minor, o.amount_minor)",
    "SELECT format('order %s has %s live tickets, but is %s', o.order_id, count(*), o.status)
     FROM tickets t JOIN orders o USING (event_id, order_id)
     WHERE t.voided_at IS NULL AND o.status <> 'paid' GROUP BY o.order_id, o.status",
    "SELECT format('hold %s has %s orders', hold_id, count(*))
     FROM orders GROUP BY event_id, hold_id HAVING count(*) > 1",
];

const OURS: &str = "SELECT o.order_id, o.hold_id, o.currency::text, p.captured_minor,
        p.refunded_minor, p.provider, o.status IN ('queued', 'awaiting_payment') AS open
    FROM orders o JOIN payments p USING (event_id, order_id)";

/// The ledger, added up leg by leg here rather than by the core's own view.
const LEGS: &str = "SELECT event_id, order_id, provider, currency::text, debit, amount_minor
        FROM ledger
    UNION ALL SELECT event_id, order_id, provider, currency::text, credit, -amount_minor
        FROM ledger";

/// Whatever the ledger says that orders, payments or refunds don't.
fn ledger_checks() -> [String; 5] {
    [
        format!(
            "SELECT format('ledger: %s of %s is off by %s', provider, currency, sum(amount_minor))
             FROM ({LEGS}) AS l (event_id, order_id, provider, currency, account, amount_minor)
             GROUP BY provider, currency HAVING sum(amount_minor) <> 0"
        ),
        // Each account of each order at rest, against what the order and its payment say.
        format!(
            "SELECT format('ledger: order %s (%s) has %s at the provider, %s owed, %s sold; its '
                || 'payment: %s captured, %s refunded', o.order_id, o.status, a.held, a.owed,
                a.sold, p.captured_minor, p.refunded_minor)
             FROM orders o JOIN payments p USING (event_id, order_id)
             CROSS JOIN LATERAL (SELECT
                coalesce(sum(amount_minor) FILTER (WHERE account = 'provider'), 0) AS held,
                coalesce(sum(amount_minor) FILTER (WHERE account = 'owed'), 0) AS owed,
                -coalesce(sum(amount_minor) FILTER (WHERE account = 'sales'), 0) AS sold
                FROM ({LEGS}) AS l (event_id, order_id, provider, currency, account, amount_minor)
                WHERE (l.event_id, l.order_id) = (o.event_id, o.order_id)) a
             WHERE o.status NOT IN ('queued', 'awaiting_payment')
                AND NOT EXISTS (SELECT FROM partial_refunds r WHERE r.state <> 'completed'
                    AND (r.event_id, r.order_id) = (o.event_id, o.order_id))
                AND (a.held <> p.captured_minor - p.refunded_minor OR a.owed <> 0
                    OR a.sold <> CASE WHEN o.status = 'paid'
                        THEN p.captured_minor - p.refunded_minor ELSE 0 END)"
        ),
        "SELECT format('ledger: order %s is entered with %s in %s, its payment is with %s in %s',
            l.order_id, l.provider, l.currency, p.provider, o.currency)
         FROM ledger l JOIN payments p USING (event_id, order_id)
         JOIN orders o USING (event_id, order_id)
         WHERE (l.provider, l.currency) <> (p.provider, o.currency)"
            .to_owned(),
        // Running totals: each entry is what its total grew by.
        "SELECT format('ledger: %s of order %s goes from %s by %s to %s', kind, order_id, before,
            amount_minor, total_minor)
         FROM (SELECT *, coalesce(lag(total_minor) OVER
                (PARTITION BY event_id, order_id, kind ORDER BY total_minor), 0) AS before
            FROM ledger) l
         WHERE before + amount_minor <> total_minor"
            .to_owned(),
        // Sold seats by their tickets' prices, where nothing but whole tickets went back.
        "SELECT format('ledger: order %s has tickets for %s and sales of %s', o.order_id,
            t.worth, s.sold)
         FROM orders o
         CROSS JOIN LATERAL (SELECT coalesce(sum((g->>'price_minor')::bigint), 0) AS worth
            FROM holds h, jsonb_array_elements(h.seats) g
            WHERE (h.event_id, h.hold_id) = (o.event_id, o.hold_id)) t
         CROSS JOIN LATERAL (SELECT coalesce(sum(CASE kind WHEN 'issued' THEN amount_minor
                WHEN 'revoked' THEN -amount_minor END), 0) AS sold
            FROM ledger l WHERE (l.event_id, l.order_id) = (o.event_id, o.order_id)) s
         WHERE o.status = 'paid' AND o.accepted_minor IS NULL AND t.worth <> s.sold
            AND NOT EXISTS (SELECT FROM partial_refunds r WHERE r.seats = '[]'
                AND (r.event_id, r.order_id) = (o.event_id, o.order_id))"
            .to_owned(),
    ]
}

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
    let refunds = "SELECT (SELECT count(*) FROM refunds) + (SELECT count(*) FROM partial_refunds)";
    let refunds = count(snapshot, refunds).await?;
    let mut offences = offences(snapshot, &CHECKS).await?;
    let ledger_checks = ledger_checks();
    let ledger_checks: Vec<&str> = ledger_checks.iter().map(String::as_str).collect();
    offences.extend(super::check::offences(snapshot, &ledger_checks).await?);
    let entries = count(snapshot, "SELECT count(*) FROM ledger").await?;
    let mut checked =
        format!("{captured} captured payments, {refunds} refunds, {entries} ledger entries");
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
