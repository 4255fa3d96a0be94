//! Writing down what came of a step. Each write is one transaction that first locks the order and
//! sees that it still is what the step was decided on; each says how many rows it must touch.

use super::facts::Facts;
use super::ledger::Book;
use super::provider::Known;
use super::sql;
use crate::admission::{End, end_session};
use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use crate::fail_point;
use crate::holds::sale::{self, Sale};
use crate::mail;
use crate::orders::display;
use catraca_domain::settlement::{OrderStatus, Payment};
use catraca_payments::Started;
use deadpool_postgres::Transaction;
use std::time::Duration;
use uuid::Uuid;

/// Longest pause between two looks at an order that waits, in seconds.
const LOOK_SECONDS_MAX: f64 = 30.0;
/// Longest failure text kept, in characters.
const TEXT_CHARS_MAX: usize = 500;

/// Whether the write was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It was.
    Yes,
    /// The order is no longer what it was: decide anew.
    Changed,
}

/// Locks the order for the rest of the transaction.
async fn lock(tx: &Transaction<'_>, facts: &Facts) -> Result<Written, ApiError> {
    let row = sql::query_opt(
        tx,
        "SELECT status = $3 AND quarantined IS NULL FROM orders
         WHERE event_id = $1 AND order_id = $2 FOR UPDATE",
        &[
            &facts.deal.event.0,
            &facts.deal.order.0,
            &facts.status.as_str(),
        ],
    )
    .await?;
    match row {
        Some(row) if row.get(0) => Ok(Written::Yes),
        _ => Ok(Written::Changed),
    }
}

async fn set_status(
    tx: &Transaction<'_>,
    facts: &Facts,
    status: OrderStatus,
    failure: Option<&str>,
) -> Result<(), ApiError> {
    let touched = sql::execute(
        tx,
        "UPDATE orders SET status = $4, failure = $5, looks = 0, updated_at = now()
         WHERE event_id = $1 AND order_id = $2 AND status = $3",
        &[
            &facts.deal.event.0,
            &facts.deal.order.0,
            &facts.status.as_str(),
            &status.as_str(),
            &failure,
        ],
    )
    .await?;
    expect_rows(touched, 1, "order changes status")
}

/// The provider has opened the payment.
pub(super) async fn started(
    app: &App,
    facts: &Facts,
    started: &Started,
) -> Result<Written, ApiError> {
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    if lock(&tx, facts).await? == Written::Changed {
        return Ok(Written::Changed);
    }
    let touched = sql::execute(
        &tx,
        "UPDATE payments SET provider_ref = $3, redirect_url = $4, display = $5, state = 'open',
                updated_at = now()
         WHERE event_id = $1 AND order_id = $2 AND state = 'not_started'",
        &[
            &facts.deal.event.0,
            &facts.deal.order.0,
            &started.provider_ref.as_str(),
            &started.redirect_url.as_str(),
            &started.display.as_ref().map(display::stored),
        ],
    )
    .await?;
    expect_rows(touched, 1, "payment opened")?;
    set_status(&tx, facts, OrderStatus::AwaitingPayment, None).await?;
    fail_point::pass("step written, not committed");
    tx.commit().await?;
    fail_point::pass("step committed");
    Ok(Written::Yes)
}

/// What the provider says of the payment.
pub(super) async fn payment(app: &App, facts: &Facts, known: &Known) -> Result<(), ApiError> {
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    // Before the payment, as everywhere: what is written below refers to the order.
    sql::query_opt(
        &tx,
        "SELECT 1 FROM orders WHERE event_id = $1 AND order_id = $2 FOR UPDATE",
        &[&facts.deal.event.0, &facts.deal.order.0],
    )
    .await?;
    write_payment(&tx, facts, known).await?;
    mail::queue::parts(app, &tx, facts.deal.order).await?;
    fail_point::pass("step written, not committed");
    tx.commit().await?;
    fail_point::pass("step committed");
    Ok(())
}

/// Money once seen to be taken is not unsaid by an older or emptier answer. The order is locked.
async fn write_payment(
    tx: &Transaction<'_>,
    facts: &Facts,
    known: &Known,
) -> Result<Book, ApiError> {
    let detail = known.detail.as_deref().map(shorten);
    let touched = sql::execute(
        tx,
        "UPDATE payments SET state = CASE
                    WHEN captured_minor > 0 AND $3 NOT IN ('captured', 'refunded', 'mismatched')
                    THEN state ELSE $3 END,
                captured_minor = GREATEST(captured_minor, $4),
                refunded_minor = GREATEST(refunded_minor, $5), detail = coalesce($6, detail),
                updated_at = now()
         WHERE event_id = $1 AND order_id = $2",
        &[
            &facts.deal.event.0,
            &facts.deal.order.0,
            &known.payment.as_str(),
            &known.captured_minor,
            &known.refunded_minor,
            &detail,
        ],
    )
    .await?;
    expect_rows(touched, 1, "payment written")?;
    let mut book = Book::open(tx, facts.deal.event, facts.deal.order).await?;
    book.enter_seen(tx).await?;
    let unasked = book.totals.given_back_unasked();
    if facts.status == OrderStatus::Paid && known.payment == Payment::Captured && unasked > 0 {
        given_back_at_desk(tx, facts, &mut book, unasked).await?;
    }
    if known.payment == Payment::Refunded && known.refunded_minor > 0 {
        // Also where somebody gave the money back at the provider's own desk. What went back in
        // parts before has rows of its own.
        let id = facts.deal.event.scoped_id(rand::random());
        sql::execute(
            tx,
            "INSERT INTO refunds (event_id, refund_id, order_id, amount_minor, reason, state,
                                  completed_at)
             SELECT $1, $3, $2, $4 - given.back, 'given back at the provider', 'completed', now()
             FROM (SELECT coalesce(sum(amount_minor), 0)::bigint AS back FROM partial_refunds
                   WHERE event_id = $1 AND order_id = $2) AS given
             WHERE $4 > given.back
             ON CONFLICT (event_id, order_id) DO UPDATE
                 SET state = 'completed', completed_at = coalesce(refunds.completed_at, now())",
            &[
                &facts.deal.event.0,
                &facts.deal.order.0,
                &id,
                &known.refunded_minor,
            ],
        )
        .await?;
    }
    Ok(book)
}

/// Somebody gave a part back at the provider's own desk: the tickets stay good, the price is less.
async fn given_back_at_desk(
    tx: &Transaction<'_>,
    facts: &Facts,
    book: &mut Book,
    amount_minor: i64,
) -> Result<(), ApiError> {
    let after = book.totals.revoke(amount_minor);
    book.enter(tx, after).await?;
    let id = facts.deal.event.scoped_id(rand::random());
    let touched = sql::execute(
        tx,
        "INSERT INTO partial_refunds (event_id, refund_id, order_id, amount_minor, reason, state,
                                      completed_at)
         VALUES ($1, $2, $3, $4, 'given back at the provider', 'completed', now())",
        &[&facts.deal.event.0, &id, &facts.deal.order.0, &amount_minor],
    )
    .await?;
    expect_rows(touched, 1, "part given back at the provider")?;
    let touched = sql::execute(
        tx,
        "UPDATE payments SET promised_minor = LEAST(captured_minor, promised_minor + $3)
         WHERE event_id = $1 AND order_id = $2",
        &[&facts.deal.event.0, &facts.deal.order.0, &amount_minor],
    )
    .await?;
    expect_rows(touched, 1, "part promised")
}

/// Sells the seats, by the live hold or, once that is over, by taking them again. Seats that
/// can't be taken again are written down as gone, so that it is not tried forever.
pub(super) async fn sell(app: &App, facts: &Facts, again: bool) -> Result<Written, ApiError> {
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    if lock(&tx, facts).await? == Written::Changed {
        return Ok(Written::Changed);
    }
    let sale = if again {
        sale::retake(&tx, facts.deal, &facts.granted).await?
    } else {
        sale::sell(&tx, facts.deal).await?
    };
    match (sale, again) {
        (Sale::Sold, _) => {}
        // The hold ended a moment ago: the next look says so.
        (Sale::NotOurs, false) => return Ok(Written::Changed),
        (Sale::NotOurs, true) => {
            let touched = sql::execute(
                &tx,
                "UPDATE orders SET seats_gone_at = now(), updated_at = now()
                 WHERE event_id = $1 AND order_id = $2 AND seats_gone_at IS NULL",
                &[&facts.deal.event.0, &facts.deal.order.0],
            )
            .await?;
            expect_rows(touched, 1, "seats gone")?;
        }
    }
    fail_point::pass("step written, not committed");
    tx.commit().await?;
    fail_point::pass("step committed");
    app.catalogue
        .hold_changed(app, facts.deal.event, facts.deal.hold);
    Ok(Written::Yes)
}

/// Paid: tickets, order and session in one go.
pub(super) async fn finish_paid(
    app: &App,
    facts: &Facts,
    known: &Known,
) -> Result<Written, ApiError> {
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    if lock(&tx, facts).await? == Written::Changed {
        return Ok(Written::Changed);
    }
    let mut book = write_payment(&tx, facts, known).await?;
    let issued = book.totals.issue();
    book.enter(&tx, issued).await?;
    let quantity = facts.granted.len() as u64;
    let event = facts.deal.event;
    let ids: Vec<Uuid> = (0..quantity)
        .map(|_| event.scoped_id(rand::random()))
        .collect();
    // Only seats that are sold to this order get a ticket; the count then says whether all were.
    let issued = sql::execute(
        &tx,
        "INSERT INTO tickets (event_id, ticket_id, order_id, section, ordinal)
         SELECT s.event_id, i.id, s.order_id, s.section, s.ordinal
         FROM (SELECT *, row_number() OVER (ORDER BY section, ordinal) AS place FROM seats
               WHERE event_id = $1 AND hold_id = $2 AND order_id = $3 AND state = 'sold') s
         JOIN unnest($4::uuid[]) WITH ORDINALITY AS i(id, place) USING (place)",
        &[&event.0, &facts.deal.hold.0, &facts.deal.order.0, &ids],
    )
    .await?;
    expect_rows(issued, quantity, "tickets issued")?;
    set_status(&tx, facts, OrderStatus::Paid, None).await?;
    mail::queue::tickets(app, &tx, facts.deal.order).await?;
    // None when the buyer left, or the session ran out, while the payment was under way.
    end_session(&tx, event, facts.jti, End::Purchased).await?;
    fail_point::pass("step written, not committed");
    tx.commit().await?;
    fail_point::pass("step committed");
    app.sessions.ended(facts.jti);
    Ok(Written::Yes)
}

/// The order ends unpaid, or refunded: its tickets are void and its seats on sale again.
pub(super) async fn close(
    app: &App,
    facts: &Facts,
    status: OrderStatus,
    failure: Option<&str>,
) -> Result<Written, ApiError> {
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    if lock(&tx, facts).await? == Written::Changed {
        return Ok(Written::Changed);
    }
    let voided = sql::execute(
        &tx,
        "UPDATE tickets SET voided_at = now()
         WHERE event_id = $1 AND order_id = $2 AND voided_at IS NULL",
        &[&facts.deal.event.0, &facts.deal.order.0],
    )
    .await?;
    let issued = match facts.status {
        OrderStatus::Paid => facts.granted.len() as u64,
        OrderStatus::Queued
        | OrderStatus::AwaitingPayment
        | OrderStatus::Failed
        | OrderStatus::Expired
        | OrderStatus::Refunded => 0,
    };
    expect_rows(voided, issued, "tickets voided")?;
    sale::give_back(&tx, facts.deal).await?;
    let mut book = Book::open(&tx, facts.deal.event, facts.deal.order).await?;
    let revoked = book.totals.revoke_all();
    book.enter(&tx, revoked).await?;
    set_status(&tx, facts, status, failure).await?;
    mail::queue::refunds(app, &tx, facts.deal.order).await?;
    fail_point::pass("step written, not committed");
    tx.commit().await?;
    fail_point::pass("step committed");
    app.catalogue
        .hold_changed(app, facts.deal.event, facts.deal.hold);
    Ok(Written::Yes)
}

/// A refund as it is written down before the provider is asked.
pub(super) struct RefundRow {
    pub(super) id: Uuid,
    pub(super) amount_minor: i64,
    pub(super) failed: bool,
}

/// The order's one refund: made at the first call, found at every other.
pub(super) async fn refund_row(
    app: &App,
    facts: &Facts,
    amount_minor: i64,
) -> Result<RefundRow, ApiError> {
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    let id = facts.deal.event.scoped_id(rand::random());
    let reason = if facts.status == OrderStatus::Paid {
        "asked for by an operator"
    } else {
        "paid after the order had ended"
    };
    sql::execute(
        &tx,
        "INSERT INTO refunds (event_id, refund_id, order_id, amount_minor, reason)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_id, order_id) DO NOTHING",
        &[
            &facts.deal.event.0,
            &id,
            &facts.deal.order.0,
            &amount_minor,
            &reason,
        ],
    )
    .await?;
    let row = sql::query_opt(
        &tx,
        "SELECT refund_id, amount_minor, state = 'failed' FROM refunds
         WHERE event_id = $1 AND order_id = $2",
        &[&facts.deal.event.0, &facts.deal.order.0],
    )
    .await?
    .ok_or_else(|| ApiError::internal("a refund that was just written is not there"))?;
    fail_point::pass("step written, not committed");
    tx.commit().await?;
    fail_point::pass("step committed");
    Ok(RefundRow {
        id: row.get(0),
        amount_minor: row.get(1),
        failed: row.get(2),
    })
}

/// The provider could not give the money back.
pub(super) async fn refund_failed(app: &App, facts: &Facts, id: Uuid) -> Result<(), ApiError> {
    let client = app.db.get().await?;
    let touched = sql::execute(
        &client,
        "UPDATE refunds SET state = 'failed'
         WHERE event_id = $1 AND refund_id = $2 AND state <> 'completed'",
        &[&facts.deal.event.0, &id],
    )
    .await?;
    expect_rows(touched, 1, "refund failed")
}

/// The oldest part that is still to go back.
pub(super) async fn next_part(app: &App, facts: &Facts) -> Result<Option<RefundRow>, ApiError> {
    let row = sql::query_opt(
        &app.db.get().await?,
        "SELECT refund_id, amount_minor FROM partial_refunds
         WHERE event_id = $1 AND order_id = $2 AND state = 'requested'
         ORDER BY created_at, refund_id LIMIT 1",
        &[&facts.deal.event.0, &facts.deal.order.0],
    )
    .await?;
    Ok(row.map(|row| RefundRow {
        id: row.get(0),
        amount_minor: row.get(1),
        failed: false,
    }))
}

/// The provider gave a part back. What all parts done so far add up to is the least that has gone
/// back; the provider's own figure follows with the next look.
pub(super) async fn part_completed(app: &App, facts: &Facts, id: Uuid) -> Result<(), ApiError> {
    let mut client = app.db.get().await?;
    let tx = client.transaction().await?;
    sql::query_opt(
        &tx,
        "SELECT 1 FROM orders WHERE event_id = $1 AND order_id = $2 FOR UPDATE",
        &[&facts.deal.event.0, &facts.deal.order.0],
    )
    .await?;
    let touched = sql::execute(
        &tx,
        "UPDATE partial_refunds SET state = 'completed', failure = NULL,
                completed_at = coalesce(completed_at, now())
         WHERE event_id = $1 AND refund_id = $2",
        &[&facts.deal.event.0, &id],
    )
    .await?;
    expect_rows(touched, 1, "part completed")?;
    let touched = sql::execute(
        &tx,
        "UPDATE payments SET updated_at = now(), refunded_minor = GREATEST(refunded_minor,
             (SELECT sum(amount_minor) FROM partial_refunds
              WHERE event_id = $1 AND order_id = $2 AND state = 'completed')::bigint)
         WHERE event_id = $1 AND order_id = $2",
        &[&facts.deal.event.0, &facts.deal.order.0],
    )
    .await?;
    expect_rows(touched, 1, "part written")?;
    let mut book = Book::open(&tx, facts.deal.event, facts.deal.order).await?;
    book.enter_seen(&tx).await?;
    mail::queue::parts(app, &tx, facts.deal.order).await?;
    fail_point::pass("step written, not committed");
    tx.commit().await?;
    fail_point::pass("step committed");
    Ok(())
}

/// The provider could not give a part back.
pub(super) async fn part_failed(
    app: &App,
    facts: &Facts,
    id: Uuid,
    why: &str,
) -> Result<(), ApiError> {
    let touched = sql::execute(
        &app.db.get().await?,
        "UPDATE partial_refunds SET state = 'failed', failure = $3
         WHERE event_id = $1 AND refund_id = $2 AND state <> 'completed'",
        &[&facts.deal.event.0, &id, &shorten(why)],
    )
    .await?;
    expect_rows(touched, 1, "part failed")
}

/// Stops the order until a person has looked.
pub(super) async fn quarantine(app: &App, facts: &Facts, why: &str) -> Result<(), ApiError> {
    tracing::error!(order = %facts.deal.order, why, "order needs an operator");
    metrics::counter!("catraca_orders_quarantined_total").increment(1);
    let client = app.db.get().await?;
    let touched = sql::execute(
        &client,
        "UPDATE orders SET quarantined = coalesce(quarantined, $3), next_look_at = NULL,
                quarantined_at = coalesce(quarantined_at, now()), updated_at = now()
         WHERE event_id = $1 AND order_id = $2",
        &[&facts.deal.event.0, &facts.deal.order.0, &shorten(why)],
    )
    .await?;
    expect_rows(touched, 1, "order quarantined")
}

/// Nothing to do now: looks again after 2 s, then ever later up to 30 s, and in any case just
/// after the hold's deadline.
pub(super) async fn wait(
    app: &App,
    facts: &Facts,
    at_least: Option<Duration>,
) -> Result<(), ApiError> {
    let at_least = at_least.map_or(0.0, |pause| pause.as_secs_f64());
    let client = app.db.get().await?;
    let touched = sql::execute(
        &client,
        "UPDATE orders SET looks = looks + 1, next_look_at = LEAST(
             now() + make_interval(secs => (0.75 + 0.5 * random())
                 * GREATEST($3, LEAST($4, 2 * power(2, LEAST(looks, 4))))),
             CASE WHEN $5 > now() THEN $5 + interval '50 milliseconds' END)
         WHERE event_id = $1 AND order_id = $2",
        &[
            &facts.deal.event.0,
            &facts.deal.order.0,
            &at_least,
            &LOOK_SECONDS_MAX,
            &facts.hold_expires_at,
        ],
    )
    .await?;
    expect_rows(touched, 1, "order waits")
}

/// Nothing to do any more, unless a refund was asked for meanwhile.
pub(super) async fn rest(app: &App, facts: &Facts) -> Result<(), ApiError> {
    let client = app.db.get().await?;
    sql::execute(
        &client,
        "UPDATE orders SET next_look_at = NULL
         WHERE event_id = $1 AND order_id = $2
           AND (refund_requested_at IS NOT NULL) = $3 AND next_look_at IS NOT NULL",
        &[
            &facts.deal.event.0,
            &facts.deal.order.0,
            &facts.refund_requested,
        ],
    )
    .await?;
    Ok(())
}

/// Something of ours failed: looks again in half a minute.
pub(super) async fn look_later(
    app: &App,
    event: catraca_domain::ids::EventNumber,
    order: catraca_domain::ids::OrderId,
) -> Result<(), ApiError> {
    let client = app.db.get().await?;
    sql::execute(
        &client,
        "UPDATE orders SET next_look_at = now() + interval '30 seconds'
         WHERE event_id = $1 AND order_id = $2",
        &[&event.0, &order.0],
    )
    .await?;
    Ok(())
}

fn shorten(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}
