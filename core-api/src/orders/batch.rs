//! Many orders in one transaction: one request each of as many shoppers as were in line.
//!
//! As with holds (`crate::holds`), everything is looked at and locked in one go, locks that somebody
//! else has are passed by, and whatever can't be decided so goes the long way alone. An order that
//! costs nothing has no payment to wait for: its seats are sold and its tickets issued here, by the
//! same checks that the purchase worker makes for those that do.
//!
//! Rows are looked up one by one, in sub-selects with `OFFSET 0`, and changed by the place that was
//! found: PostgreSQL may neither turn the join round nor use an index for anything but the whole key,
//! however wrong its idea of the tables is (`migrations/V5__plans.sql`).

use crate::admission::Shopper;
use crate::app::App;
use crate::db::{by_key, expect_rows};
use crate::error::ApiError;
use crate::holds::line::Verdict;
use crate::http::idempotency::{self, Once};
use crate::mail;
use axum::http::StatusCode;
use catraca_domain::ids::{AccountId, HoldId, Jti, OrderId};
use catraca_domain::problem::{Kind, Problem};
use catraca_domain::settlement::{OrderStatus, Payment};
use deadpool_postgres::{Object, Transaction};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use tokio_postgres::Row;
use uuid::Uuid;

/// Sessions that are open: kept so, or ended by a purchase that is paid at once.
const SESSIONS: &str = "
    SELECT s.* FROM unnest($2::uuid[]) AS t (jti)
    CROSS JOIN LATERAL (
        SELECT jti, account_id, ended_at IS NULL AND expires_at > now() AS open
        FROM shopping_sessions WHERE event_id = $1 AND jti = t.jti OFFSET 0
        FOR NO KEY UPDATE SKIP LOCKED) s WHERE s.open";

const HOLDS: &str = "
    SELECT h.* FROM unnest($2::uuid[]) AS t (hold_id)
    CROSS JOIN LATERAL (
        SELECT hold_id, account_id, state = 'active' AND expires_at > now(), quantity, amount_minor
        FROM holds WHERE event_id = $1 AND hold_id = t.hold_id OFFSET 0 FOR UPDATE SKIP LOCKED) h";

/// To be asked once the holds are locked.
const ORDERS: &str = "
    SELECT o.* FROM unnest($2::uuid[]) AS t (hold_id)
    CROSS JOIN LATERAL (
        SELECT hold_id, order_id FROM orders
        WHERE event_id = $1 AND hold_id = t.hold_id OFFSET 0) o";

const PLACE: &str = "
    INSERT INTO orders (event_id, order_id, hold_id, jti, account_id, provider, status,
                        amount_minor, currency, next_look_at)
    SELECT $1::integer, t.order_id, t.hold_id, t.jti, t.account_id, t.provider, t.status,
           t.amount_minor, e.currency,
           CASE WHEN t.status = 'queued' THEN now() + interval '5 seconds' END
    FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::bigint[])
         AS t (order_id, hold_id, jti, account_id, provider, status, amount_minor)
    JOIN events e ON e.event_id = $1";

const PAYMENTS: &str = "
    INSERT INTO payments (event_id, order_id, provider, state)
    SELECT $1::integer, t.order_id, t.provider, t.state
    FROM unnest($2::uuid[], $3::text[], $4::text[]) AS t (order_id, provider, state)";

const ASK: &str = "
    INSERT INTO outbox (event_id, order_id) SELECT $1::integer, t.id FROM unnest($2::uuid[]) AS t (id)";

/// Only seats that are sold to an order get a ticket; the count then says whether all were.
const SELL: &str = "
    WITH held AS MATERIALIZED (
        SELECT s.at, t.order_id FROM unnest($2::uuid[], $3::uuid[]) AS t (hold_id, order_id)
        CROSS JOIN LATERAL (
            SELECT ctid AS at, state FROM seats
            WHERE event_id = $1 AND hold_id = t.hold_id OFFSET 0 FOR UPDATE) s
        WHERE s.state = 'held'),
    sold AS (
        UPDATE seats s SET state = 'sold', held_until = NULL, order_id = held.order_id
        FROM held WHERE s.ctid = held.at
        RETURNING s.section, s.ordinal, s.order_id)
    INSERT INTO tickets (event_id, ticket_id, order_id, section, ordinal)
    SELECT $1::integer, ($4::uuid[])[row_number() OVER ()], order_id, section, ordinal FROM sold";

/// Locked, and active when they were.
const HOLDS_SOLD: &str = "
    WITH ours AS MATERIALIZED (
        SELECT h.at FROM unnest($2::uuid[]) AS t (hold_id)
        CROSS JOIN LATERAL (
            SELECT ctid AS at, state FROM holds
            WHERE event_id = $1 AND hold_id = t.hold_id OFFSET 0 FOR UPDATE) h
        WHERE h.state <> 'sold')
    UPDATE holds h SET state = 'sold' FROM ours WHERE h.ctid = ours.at";

/// Locked, and open when they were.
const SESSIONS_PURCHASED: &str = "
    WITH ours AS MATERIALIZED (
        SELECT s.at FROM unnest($2::uuid[]) AS t (jti)
        CROSS JOIN LATERAL (
            SELECT ctid AS at FROM shopping_sessions
            WHERE event_id = $1 AND jti = t.jti OFFSET 0 FOR UPDATE) s)
    UPDATE shopping_sessions s SET ended_at = now(), end_reason = 'purchased'
    FROM ours WHERE s.ctid = ours.at";

/// An order for a hold, by somebody, through a provider that there is.
#[derive(Clone)]
pub struct Asked {
    pub(super) shopper: Shopper,
    pub(super) hold: HoldId,
    pub(super) provider: &'static str,
    pub(super) once: Once<'static>,
}

struct Looks {
    keys: HashSet<usize>,
    replies: HashMap<usize, Result<idempotency::Reply, ApiError>>,
    sessions: HashMap<Jti, AccountId>,
    holds: HashMap<HoldId, Hold>,
    orders: HashMap<HoldId, OrderId>,
}

struct Hold {
    account: AccountId,
    live: bool,
    quantity: i32,
    amount_minor: i64,
}

/// An order to be written.
struct Placed<'a> {
    asked: &'a Asked,
    order: OrderId,
    hold: Hold,
    body: Value,
}

impl Placed<'_> {
    /// Nothing to pay.
    fn free(&self) -> bool {
        self.hold.amount_minor == 0
    }

    fn status(&self) -> OrderStatus {
        if self.free() {
            OrderStatus::Paid
        } else {
            OrderStatus::Queued
        }
    }
}

/// A verdict for each, in the order of `asked`; all of one event.
///
/// # Errors
/// The database's; seats that are not as they must be. Nothing was changed then.
pub(super) async fn order(
    app: &App,
    db: &mut Object,
    asked: &[&Asked],
) -> Result<Vec<Verdict>, ApiError> {
    let tx = db.transaction().await?;
    let mut looks = look(&tx, asked).await?;
    let (mut verdicts, mut placed) = (Vec::new(), Vec::new());
    for (index, one) in asked.iter().enumerate() {
        verdicts.push(match decide(&mut looks, index, one) {
            Ok(order) => {
                let reply = (StatusCode::ACCEPTED, order.body.clone());
                placed.push(order);
                Verdict::Decided(Ok(reply))
            }
            Err(verdict) => verdict,
        });
    }
    let Some(event) = placed.first().map(|one| one.asked.shopper.event) else {
        return Ok(verdicts);
    };
    write(&tx, &placed).await?;
    for one in placed.iter().filter(|one| one.free()) {
        mail::queue::tickets(app, &tx, one.order).await?;
    }
    tx.commit().await?;
    for one in &placed {
        metrics::counter!("catraca_orders_placed_total", "provider" => one.asked.provider)
            .increment(1);
        if one.free() {
            app.sessions.ended(one.asked.shopper.jti);
            app.catalogue.hold_changed(app, event, one.asked.hold);
        }
    }
    Ok(verdicts)
}

async fn look(tx: &Transaction<'_>, asked: &[&Asked]) -> Result<Looks, ApiError> {
    let event = asked.first().map_or(0, |one| one.shopper.event.0);
    let keys: Vec<_> = asked.iter().map(|one| &one.once).collect();
    let jtis: Vec<Uuid> = asked.iter().map(|one| one.shopper.jti.0).collect();
    let ids: Vec<Uuid> = asked.iter().map(|one| one.hold.0).collect();
    by_key(tx).await?;
    let (sessions, holds) = (
        tx.prepare_cached(SESSIONS).await?,
        tx.prepare_cached(HOLDS).await?,
    );
    let orders = tx.prepare_cached(ORDERS).await?;
    for statement in idempotency::TOGETHER {
        tx.prepare_cached(statement).await?;
    }
    let of_sessions: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&event, &jtis];
    let of_holds: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&event, &ids];
    let queries = async {
        let queries = futures::try_join!(
            tx.query(&sessions, &of_sessions),
            tx.query(&holds, &of_holds),
            tx.query(&orders, &of_holds),
        );
        queries.map_err(ApiError::from)
    };
    let (keys, replies, (sessions, holds, orders)) = futures::try_join!(
        idempotency::try_lock(tx, &keys),
        idempotency::replies(tx, &keys),
        queries,
    )?;
    let hold = |row: &Row| {
        let hold = Hold {
            account: AccountId(row.get(1)),
            live: row.get(2),
            quantity: row.get(3),
            amount_minor: row.get(4),
        };
        (HoldId(row.get(0)), hold)
    };
    Ok(Looks {
        keys,
        replies,
        sessions: sessions
            .iter()
            .map(|row| (Jti(row.get(0)), AccountId(row.get(1))))
            .collect(),
        holds: holds.iter().map(hold).collect(),
        orders: orders
            .iter()
            .map(|row| (HoldId(row.get(0)), OrderId(row.get(1))))
            .collect(),
    })
}

/// The order of the questions is that of a request that goes alone. What is not there, or locked by
/// somebody else, is left to that.
fn decide<'a>(looks: &mut Looks, index: usize, one: &'a Asked) -> Result<Placed<'a>, Verdict> {
    if !looks.keys.contains(&index) {
        return Err(Verdict::Alone);
    }
    if let Some(reply) = looks.replies.remove(&index) {
        return Err(Verdict::Decided(reply));
    }
    let account = one.shopper.account.id;
    // A session's second order may find it ended by the first.
    if looks.sessions.remove(&one.shopper.jti) != Some(account) {
        return Err(Verdict::Alone);
    }
    let hold = looks.holds.remove(&one.hold);
    let Some(hold) = hold.filter(|hold| hold.account == account) else {
        return Err(Verdict::Alone);
    };
    let refused = |refused: ApiError| Verdict::Decided(Err(refused));
    if let Some(order) = looks.orders.get(&one.hold) {
        return Err(refused(has_order(*order)));
    }
    if !hold.live {
        return Err(refused(hold_expired()));
    }
    let order = OrderId(one.shopper.event.scoped_id(rand::random()));
    let mut placed = Placed {
        asked: one,
        order,
        hold,
        body: Value::Null,
    };
    placed.body = json!({ "order": order, "status": placed.status().as_str() });
    Ok(placed)
}

pub(super) fn has_order(order: OrderId) -> ApiError {
    let problem = Problem::new(Kind::HOLD_HAS_ORDER, "This hold is being paid for already.");
    problem.with("order", order.to_string()).into()
}

pub(super) fn hold_expired() -> ApiError {
    ApiError::new(Kind::HOLD_EXPIRED, "The hold is over. Choose seats again.")
}

/// All of it in one round trip; each statement sees what those before it wrote.
async fn write(tx: &Transaction<'_>, placed: &[Placed<'_>]) -> Result<(), ApiError> {
    let kept: Vec<_> = placed
        .iter()
        .map(|one| (&one.asked.once, &one.body))
        .collect();
    let free: Vec<&Placed<'_>> = placed.iter().filter(|one| one.free()).collect();
    for statement in [PLACE, PAYMENTS, ASK, SELL, HOLDS_SOLD, SESSIONS_PURCHASED] {
        tx.prepare_cached(statement).await?;
    }
    let (kept, (), ()) = futures::try_join!(
        idempotency::keep_all(tx, StatusCode::ACCEPTED, &kept),
        place(tx, placed),
        sell(tx, &free),
    )?;
    expect_rows(kept, placed.len() as u64, "replies kept together")
}

async fn place(tx: &Transaction<'_>, placed: &[Placed<'_>]) -> Result<(), ApiError> {
    let event = placed.first().map_or(0, |one| one.asked.shopper.event.0);
    let orders: Vec<Uuid> = placed.iter().map(|one| one.order.0).collect();
    let holds: Vec<Uuid> = placed.iter().map(|one| one.asked.hold.0).collect();
    let jtis: Vec<Uuid> = placed.iter().map(|one| one.asked.shopper.jti.0).collect();
    let accounts: Vec<Uuid> = placed
        .iter()
        .map(|one| one.asked.shopper.account.id.0)
        .collect();
    let providers: Vec<&str> = placed.iter().map(|one| one.asked.provider).collect();
    let statuses: Vec<&str> = placed.iter().map(|one| one.status().as_str()).collect();
    let amounts: Vec<i64> = placed.iter().map(|one| one.hold.amount_minor).collect();
    let payments: Vec<&str> = placed
        .iter()
        .map(|one| {
            if one.free() {
                Payment::Captured
            } else {
                Payment::NotStarted
            }
        })
        .map(Payment::as_str)
        .collect();
    let to_pay = placed.iter().filter(|one| !one.free());
    let to_pay: Vec<Uuid> = to_pay.map(|one| one.order.0).collect();
    let (insert, pay) = (
        tx.prepare_cached(PLACE).await?,
        tx.prepare_cached(PAYMENTS).await?,
    );
    let ask = tx.prepare_cached(ASK).await?;
    let rows: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
        &event, &orders, &holds, &jtis, &accounts, &providers, &statuses, &amounts,
    ];
    let pays: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&event, &orders, &providers, &payments];
    let asks: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&event, &to_pay];
    let (written, paid, asked) = futures::try_join!(
        tx.execute(&insert, &rows),
        tx.execute(&pay, &pays),
        tx.execute(&ask, &asks),
    )?;
    expect_rows(written, placed.len() as u64, "orders placed together")?;
    expect_rows(paid, placed.len() as u64, "payments placed together")?;
    expect_rows(asked, to_pay.len() as u64, "looks asked for together")
}

/// Orders that cost nothing: paid as they are placed.
async fn sell(tx: &Transaction<'_>, free: &[&Placed<'_>]) -> Result<(), ApiError> {
    let Some(first) = free.first() else {
        return Ok(());
    };
    let event = first.asked.shopper.event;
    let orders: Vec<Uuid> = free.iter().map(|one| one.order.0).collect();
    let holds: Vec<Uuid> = free.iter().map(|one| one.asked.hold.0).collect();
    let jtis: Vec<Uuid> = free.iter().map(|one| one.asked.shopper.jti.0).collect();
    let seats: u64 = free
        .iter()
        .map(|one| u64::try_from(one.hold.quantity).unwrap_or(0))
        .sum();
    let tickets: Vec<Uuid> = (0..seats)
        .map(|_| event.scoped_id(rand::random()))
        .collect();
    let (sell, sold) = (
        tx.prepare_cached(SELL).await?,
        tx.prepare_cached(HOLDS_SOLD).await?,
    );
    let end = tx.prepare_cached(SESSIONS_PURCHASED).await?;
    let of_seats: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&event.0, &holds, &orders, &tickets];
    let of_holds: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&event.0, &holds];
    let of_sessions: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&event.0, &jtis];
    let (issued, changed, ended) = futures::try_join!(
        tx.execute(&sell, &of_seats),
        tx.execute(&sold, &of_holds),
        tx.execute(&end, &of_sessions),
    )?;
    expect_rows(issued, seats, "tickets issued together")?;
    expect_rows(changed, free.len() as u64, "holds sold together")?;
    expect_rows(ended, free.len() as u64, "sessions ended together")
}
