//! Invariants 1 and 2: every seat is counted once, and nobody shares one.

use tokio_postgres::Transaction;

use super::check::{count, offences};
use super::report::Finding;

const COUNTED: [&str; 3] = [
    "SELECT format('%s/%s: capacity %s, but %s free + %s held + %s sold of %s rows',
            e.slug, s.section, s.capacity, c.free, c.held, c.sold, c.rows)
     FROM sections s JOIN events e USING (event_id)
     CROSS JOIN LATERAL (
        SELECT count(*) AS rows,
            count(*) FILTER (WHERE q.state = 'free') AS free,
            count(*) FILTER (WHERE q.state = 'held') AS held,
            count(*) FILTER (WHERE q.state = 'sold') AS sold
        FROM seats q WHERE q.event_id = s.event_id AND q.section = s.section) c
     WHERE c.free + c.held + c.sold <> s.capacity OR c.rows <> s.capacity",
    "SELECT format('event %s: seats of section %s, which does not exist', q.event_id, q.section)
     FROM seats q LEFT JOIN sections s USING (event_id, section)
     WHERE s.section IS NULL GROUP BY q.event_id, q.section",
    "SELECT format('event %s: seat %s/%s is %s with hold %s until %s, order %s',
            event_id, section, ordinal, state, hold_id, held_until, order_id)
     FROM seats WHERE CASE state
        WHEN 'free' THEN num_nonnulls(hold_id, held_until, order_id) > 0
        WHEN 'held' THEN hold_id IS NULL OR held_until IS NULL OR order_id IS NOT NULL
        WHEN 'sold' THEN hold_id IS NULL OR held_until IS NOT NULL OR order_id IS NULL
        ELSE true END",
];

const SHARED: [&str; 8] = [
    // Seats as granted: a live hold's and a paid order's count, whatever the seat rows say.
    "SELECT format('event %s: seat %s/%s is in %s holds that count: %s', h.event_id,
            g.section, g.ordinal, count(*), string_agg(h.hold_id || ' ' || h.state, ', '))
     FROM holds h
     LEFT JOIN orders o USING (event_id, hold_id)
     CROSS JOIN LATERAL jsonb_to_recordset(h.seats) AS g (section text, ordinal integer)
     WHERE (h.state = 'active' AND h.expires_at > now()) OR o.status = 'paid'
     GROUP BY h.event_id, g.section, g.ordinal HAVING count(*) > 1",
    "SELECT format('event %s: live hold %s was granted %s/%s, which is %s by hold %s', h.event_id,
            h.hold_id, g.section, g.ordinal, coalesce(q.state, 'missing'), q.hold_id)
     FROM holds h
     CROSS JOIN LATERAL jsonb_to_recordset(h.seats) AS g (section text, ordinal integer)
     LEFT JOIN seats q ON (q.event_id, q.section, q.ordinal) = (h.event_id, g.section, g.ordinal)
     WHERE h.state = 'active' AND h.expires_at > now()
        AND (q.state IS DISTINCT FROM 'held' OR q.hold_id IS DISTINCT FROM h.hold_id)",
    "SELECT format('event %s: hold %s of %s seats lists %s', event_id, hold_id, quantity,
            jsonb_array_length(seats))
     FROM holds WHERE jsonb_array_length(seats) <> quantity",
    "SELECT format('event %s: seat %s/%s is held until %s by hold %s, which is %s', q.event_id,
            q.section, q.ordinal, q.held_until, q.hold_id, coalesce(h.state, 'missing'))
     FROM seats q LEFT JOIN holds h USING (event_id, hold_id)
     WHERE q.state = 'held' AND q.held_until > now()
        AND (h.state IS DISTINCT FROM 'active' OR NOT h.seats
            @> jsonb_build_array(jsonb_build_object('section', q.section, 'ordinal', q.ordinal)))",
    "SELECT format('event %s: seat %s/%s has %s live tickets: %s', event_id, section, ordinal,
            count(*), string_agg(ticket_id::text, ', '))
     FROM tickets WHERE voided_at IS NULL
     GROUP BY event_id, section, ordinal HAVING count(*) > 1",
    "SELECT format('event %s: ticket %s of order %s is for %s/%s, which is %s by order %s',
            t.event_id, t.ticket_id, t.order_id, t.section, t.ordinal, q.state, q.order_id)
     FROM tickets t LEFT JOIN seats q USING (event_id, section, ordinal)
     WHERE t.voided_at IS NULL
        AND (q.state IS DISTINCT FROM 'sold' OR q.order_id IS DISTINCT FROM t.order_id)",
    // Between taking the money and issuing tickets an open order has sold seats without any.
    "SELECT format('event %s: seat %s/%s is sold by order %s (%s), but has no ticket', q.event_id,
            q.section, q.ordinal, q.order_id, coalesce(o.status, 'missing'))
     FROM seats q LEFT JOIN orders o USING (event_id, order_id)
     WHERE q.state = 'sold' AND coalesce(o.status, '') NOT IN ('queued', 'awaiting_payment')
        AND NOT EXISTS (SELECT FROM tickets t WHERE t.voided_at IS NULL AND (t.event_id,
            t.section, t.ordinal, t.order_id) = (q.event_id, q.section, q.ordinal, q.order_id))",
    "SELECT format('event %s: order %s is paid for a hold of %s that is %s, with %s seats sold',
            o.event_id, o.order_id, h.quantity, h.state, c.sold)
     FROM orders o JOIN holds h USING (event_id, hold_id)
     CROSS JOIN LATERAL (SELECT count(*) AS sold FROM seats q WHERE q.state = 'sold'
        AND (q.event_id, q.hold_id, q.order_id) = (h.event_id, h.hold_id, o.order_id)) c
     WHERE o.status = 'paid' AND (h.state <> 'sold' OR c.sold <> h.quantity)",
];

/// Invariants 1 and 2.
///
/// # Errors
/// When the database can't answer.
pub(crate) async fn audit(snapshot: &Transaction<'_>) -> anyhow::Result<Vec<Finding>> {
    let sections = count(snapshot, "SELECT count(*) FROM sections").await?;
    let seats = count(snapshot, "SELECT count(*) FROM seats").await?;
    let holds = count(snapshot, "SELECT count(*) FROM holds").await?;
    let tickets = count(snapshot, "SELECT count(*) FROM tickets").await?;
    Ok(vec![
        Finding {
            invariant: 1,
            name: "free + held + sold = capacity",
            checked: format!("{sections} sections, {seats} seats"),
            offences: offences(snapshot, &COUNTED).await?,
            not_judged: Vec::new(),
        },
        Finding {
            invariant: 2,
            name: "no seat in two live holds, none sold twice",
            checked: format!("{seats} seats, {holds} holds, {tickets} tickets"),
            offences: offences(snapshot, &SHARED).await?,
            not_judged: Vec::new(),
        },
    ])
}
