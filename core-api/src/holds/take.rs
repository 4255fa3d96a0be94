//! `POST /api/v1/holds`: one transaction that checks the session and the buyer's limit, claims the
//! seats ([`super::claim`]) and writes the hold. All of it happens, or none. Requests for a quantity
//! share that transaction with others ([`super::line`], [`super::batch`]).

use super::batch::{self, Asked};
use super::batch_sql;
use super::claim::{self, Claim, Claimed, Patience};
use super::limit::{Terms, within_limit};
use super::line::{self, Verdict, Waiting};
use super::plan::SectionPlan;
use super::request::{HoldRequest, SeatName, Wish};
use super::sale::GrantedSeat;
use super::seat_lock::{Busy, SeatLocks};
use super::view::HoldView;
use crate::admission::{Shopper, Unseen, lock_session};
use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::idempotency::{IdempotencyKey, Once, Reply};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use catraca_domain::ids::{EventNumber, HoldId, RoomName};
use catraca_domain::money::Money;
use catraca_domain::problem::{Kind, Problem};
use catraca_domain::reservation::HoldState;
use deadpool_postgres::Transaction;
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// How often a claim by quantity passes locked seats by before it waits for them.
const SKIPS: u32 = 3;
/// How often it waits: seats chosen before they were locked may be gone by then.
const WAITS: u32 = 8;

/// Holds seats for the shopper.
pub(super) async fn take(
    State(app): State<App>,
    unseen: Unseen,
    key: IdempotencyKey,
    body: JsonBody<HoldRequest>,
) -> Result<Response, ApiError> {
    let shopper = unseen.shopper();
    same_event(&app, shopper, &body.parsed.event).await?;
    let wish = Wish::parse(body.parsed)?;
    let once = Once::new(shopper.account.id, "holds", &key, &body.value);
    let outcome = match &wish {
        Wish::Quantity { section, quantity } => {
            let asked = Asked {
                shopper: shopper.clone(),
                section: section.clone(),
                quantity: *quantity as usize,
                once: once.clone().into_owned(),
            };
            match line::ask(&app, &app.hold_line, &unseen, asked).await? {
                Verdict::Decided(outcome) => outcome,
                Verdict::Alone => until_decided(&app, shopper, &wish, &once).await,
            }
        }
        Wish::Chosen(seats) => {
            unseen.enter(&app).await?;
            let owner = once.fingerprint();
            let taken = SeatLocks::take(&app, shopper.event, seats, owner).await;
            let locks = taken
                .map_err(|Busy(busy)| seats_taken(busy.iter().filter_map(|i| seats.get(*i))))?;
            let outcome = match taken_already(&app, shopper, seats, &once).await {
                Ok(()) => until_decided(&app, shopper, &wish, &once).await,
                Err(taken) => Err(taken),
            };
            if let Some(locks) = locks {
                locks.give_back(&app).await;
            }
            outcome
        }
    };
    let outcome_name = match &outcome {
        Ok(_) => "granted",
        Err(ApiError::Problem(_)) => "refused",
        Err(_) => "failed",
    };
    metrics::counter!("catraca_hold_requests_total", "outcome" => outcome_name).increment(1);
    let (status, reply) = outcome?;
    Ok((status, Json(reply)).into_response())
}

/// The body names the event that the admission is for.
async fn same_event(app: &App, shopper: &Shopper, event: &str) -> Result<(), ApiError> {
    if event == shopper.slug.as_str() {
        return Ok(());
    }
    let known = match event.parse::<RoomName>() {
        Ok(slug) => app.catalogue.number_of(app, &slug).await?.is_some(),
        Err(_) => false,
    };
    Err(if known {
        ApiError::new(
            Kind::INVALID_ADMISSION,
            format!("The admission is for {}.", shopper.slug),
        )
    } else {
        ApiError::unknown("event", "there is no such event")
    })
}

/// One transaction for each section asked for.
pub(super) async fn serve_together(app: App, waiting: Vec<Waiting<Asked>>) {
    let mut sections: Vec<Vec<Waiting<Asked>>> = Vec::new();
    for one in waiting {
        let same = |group: &&mut Vec<Waiting<Asked>>| {
            group.first().is_some_and(|first| {
                let (first, one) = (&first.asked, &one.asked);
                first.shopper.event == one.shopper.event && first.section == one.section
            })
        };
        match sections.iter_mut().find(same) {
            Some(group) => group.push(one),
            None => sections.push(vec![one]),
        }
    }
    for group in sections {
        line::decide(&app, group, batch::hold).await;
    }
}

/// Tries by passing locked seats by, and in the end by waiting for them. Each try is a transaction
/// of its own, so that no seat is kept locked while waiting for another out of order.
async fn until_decided(
    app: &App,
    shopper: &Shopper,
    wish: &Wish,
    once: &Once<'_>,
) -> Result<Reply, ApiError> {
    if matches!(wish, Wish::Quantity { .. }) {
        for attempt in 0..SKIPS {
            if let Some(reply) = attempt_once(app, shopper, wish, once, Patience::Skip).await? {
                return Ok(reply);
            }
            metrics::counter!("catraca_hold_retries_total").increment(1);
            let jitter_ms = rand::random_range(1..=4 << attempt);
            tokio::time::sleep(Duration::from_millis(jitter_ms)).await;
        }
    }
    for _ in 0..WAITS {
        if let Some(reply) = attempt_once(app, shopper, wish, once, Patience::Wait).await? {
            return Ok(reply);
        }
    }
    Err(ApiError::new(
        Kind::UNAVAILABLE,
        "Seats change hands too quickly just now. Try again.",
    ))
}

/// One try. `None`: too few seats could be had, perhaps because others had them locked.
async fn attempt_once(
    app: &App,
    shopper: &Shopper,
    wish: &Wish,
    once: &Once<'_>,
    patience: Patience,
) -> Result<Option<Reply>, ApiError> {
    let mut db = app.db.get().await?;
    let tx = db.transaction().await?;
    if let Some(reply) = once.replay(&tx).await? {
        return Ok(Some(reply));
    }
    lock_session(&tx, shopper).await?;
    let terms = Terms::of(&tx, shopper.event).await?;
    within_limit(&tx, shopper, &terms, wish.quantity()).await?;
    let claim = Claim {
        event: shopper.event,
        hold: HoldId(shopper.event.scoped_id(rand::random())),
        hold_seconds: terms.hold_seconds,
        patience,
    };
    let claimed = match wish {
        Wish::Quantity { section, quantity } => {
            let plan = app.plans.of(&tx, shopper.event, terms.version, section);
            let plan = plan.await?;
            let plan =
                plan.ok_or_else(|| ApiError::unknown("section", "there is no such section"))?;
            by_quantity(&tx, claim, section, &plan, *quantity).await?
        }
        Wish::Chosen(seats) => Some(chosen(&tx, claim, seats).await?),
    };
    let Some(claimed) = claimed else {
        return Ok(None);
    };
    let view = write(&tx, shopper, &terms, claim.hold, claimed).await?;
    let reply = (StatusCode::CREATED, json!(view));
    once.keep(&tx, &reply).await?;
    tx.commit().await?;
    app.catalogue.hold_changed(app, shopper.event, claim.hold);
    Ok(Some(reply))
}

async fn by_quantity(
    tx: &Transaction<'_>,
    claim: Claim,
    section: &str,
    plan: &SectionPlan,
    quantity: u32,
) -> Result<Option<Vec<Claimed>>, ApiError> {
    let quantity = quantity as usize;
    let claimed = match &plan.seating {
        Some(seating) => claim::best_of(tx, claim, section, seating, quantity).await?,
        None => claim::any_of(tx, claim, section, plan.capacity, quantity).await?,
    };
    if claimed.len() == quantity {
        return Ok(Some(claimed));
    }
    if claimed.len() + batch_sql::left(tx, claim.event, section).await? < quantity {
        return Err(sold_out());
    }
    Ok(None)
}

async fn chosen(
    tx: &Transaction<'_>,
    claim: Claim,
    seats: &[SeatName],
) -> Result<Vec<Claimed>, ApiError> {
    let wanted = ordinals(tx, claim.event, seats).await?;
    let claimed = claim::these(tx, claim, &wanted).await?;
    if claimed.len() == seats.len() {
        return Ok(claimed);
    }
    let ours = |wanted: &(String, i32)| {
        claimed
            .iter()
            .any(|seat| seat.section == wanted.0 && seat.ordinal == wanted.1)
    };
    let taken = seats.iter().zip(&wanted).filter(|(_, key)| !ours(key));
    Err(seats_taken(taken.map(|(seat, _)| seat)))
}

/// Refuses what is somebody's already, by one look that locks and writes nothing: a crowd on one
/// seat costs the database reads. A repeated request, whose seats are its own, is let through.
async fn taken_already(
    app: &App,
    shopper: &Shopper,
    seats: &[SeatName],
    once: &Once<'_>,
) -> Result<(), ApiError> {
    let db = app.db.get().await?;
    let query = db
        .prepare_cached(
            "SELECT w.position - 1 FROM unnest($2::text[], $3::text[], $4::text[])
                  WITH ORDINALITY AS w (section, row_label, seat_label, position)
             JOIN seats s ON s.event_id = $1 AND s.section = w.section
                  AND s.row_label = w.row_label AND s.seat_label = w.seat_label
             WHERE s.state <> 'free' AND NOT (s.state = 'held' AND s.held_until < now())
             ORDER BY w.position",
        )
        .await?;
    let column = |part: fn(&SeatName) -> &str| seats.iter().map(part).collect::<Vec<&str>>();
    let (sections, rows) = (column(|seat| &seat.section), column(|seat| &seat.row));
    let labels = column(|seat| &seat.seat);
    let event = shopper.event.0;
    let taken = db
        .query(&query, &[&event, &sections, &rows, &labels])
        .await?;
    // Asked afterwards: they may be this very request's, which was sent twice.
    if taken.is_empty() || once.is_kept(&db).await? {
        return Ok(());
    }
    let at = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i64>(0)).ok();
    let taken = taken.iter().filter_map(at);
    Err(seats_taken(taken.filter_map(|index| seats.get(index))))
}

/// Finds chosen seats by their labels.
async fn ordinals(
    tx: &Transaction<'_>,
    event: EventNumber,
    seats: &[SeatName],
) -> Result<Vec<(String, i32)>, ApiError> {
    let query = tx
        .prepare_cached(
            "SELECT w.section, s.ordinal, c.kind
             FROM unnest($2::text[], $3::text[], $4::text[])
                  WITH ORDINALITY AS w (section, row_label, seat_label, position)
             LEFT JOIN sections c ON c.event_id = $1 AND c.section = w.section
             LEFT JOIN seats s ON s.event_id = $1 AND s.section = w.section
                  AND s.row_label = w.row_label AND s.seat_label = w.seat_label
             ORDER BY w.position",
        )
        .await?;
    let column = |part: fn(&SeatName) -> &str| seats.iter().map(part).collect::<Vec<&str>>();
    let (sections, rows) = (column(|seat| &seat.section), column(|seat| &seat.row));
    let labels = column(|seat| &seat.seat);
    let found = tx
        .query(&query, &[&event.0, &sections, &rows, &labels])
        .await?;
    let ordinal_of = |(index, row): (usize, &tokio_postgres::Row)| {
        let kind: Option<&str> = row.get(2);
        let ordinal: Option<i32> = row.get(1);
        match (kind, ordinal) {
            (_, Some(ordinal)) => Ok((row.get(0), ordinal)),
            (None, None) => Err(ApiError::unknown(
                format!("seats[{index}].section"),
                "there is no such section",
            )),
            (Some("general"), None) => Err(ApiError::field(
                format!("seats[{index}].section"),
                "has no numbered seats: ask for a quantity",
            )),
            (Some(_), None) => Err(ApiError::unknown(
                format!("seats[{index}]"),
                "there is no such seat",
            )),
        }
    };
    found.iter().enumerate().map(ordinal_of).collect()
}

/// The hold's row, and the end of those expired holds that lost seats to it.
async fn write(
    tx: &Transaction<'_>,
    shopper: &Shopper,
    terms: &Terms,
    hold: HoldId,
    claimed: Vec<Claimed>,
) -> Result<HoldView, ApiError> {
    let mut total = Money::new(0, terms.currency).map_err(money)?;
    for seat in &claimed {
        let price = Money::new(seat.price_minor, terms.currency).map_err(money)?;
        total = total.plus(price).map_err(money)?;
    }
    let expired: Vec<Uuid> = claimed
        .iter()
        .filter_map(|seat| seat.expired_hold)
        .collect();
    retire(tx, shopper.event, &expired).await?;
    let quantity = i32::try_from(claimed.len()).unwrap_or(i32::MAX);
    let granted: Vec<GrantedSeat> = claimed.into_iter().map(granted).collect();
    let insert = tx
        .prepare_cached(
            "INSERT INTO holds (event_id, hold_id, jti, account_id, quantity, amount_minor, seats,
                                expires_at)
             SELECT $1, $2, $3, $4, $5, $6, $7, max(held_until) FROM seats
             WHERE event_id = $1 AND hold_id = $2 HAVING count(*) = $5::integer
             RETURNING expires_at",
        )
        .await?;
    let rows = tx
        .query(
            &insert,
            &[
                &shopper.event.0,
                &hold.0,
                &shopper.jti.0,
                &shopper.account.id.0,
                &quantity,
                &total.amount_minor,
                &json!(granted),
            ],
        )
        .await?;
    expect_rows(rows.len() as u64, 1, "a hold and its seats")?;
    let expires_at: OffsetDateTime = rows[0].get(0);
    Ok(HoldView {
        hold,
        event: shopper.slug.clone(),
        state: HoldState::Active,
        seats: granted.into_iter().map(Into::into).collect(),
        total,
        expires_at,
    })
}

fn granted(seat: Claimed) -> GrantedSeat {
    GrantedSeat {
        section: seat.section,
        row: seat.row,
        seat: seat.seat,
        ordinal: seat.ordinal,
        price_minor: seat.price_minor,
    }
}

/// Whoever has a hold's row locked at this moment decides about it: pass it by.
pub(super) async fn retire(
    tx: &Transaction<'_>,
    event: EventNumber,
    holds: &[Uuid],
) -> Result<(), ApiError> {
    if holds.is_empty() {
        return Ok(());
    }
    let statement = tx
        .prepare_cached(
            "WITH over AS MATERIALIZED (
                 SELECT h.at FROM unnest($2::uuid[]) AS t (hold_id)
                 CROSS JOIN LATERAL (
                     SELECT ctid AS at, state = 'active' AND expires_at < now() AS over
                     FROM holds WHERE event_id = $1 AND hold_id = t.hold_id OFFSET 0
                     FOR UPDATE SKIP LOCKED) h
                 WHERE h.over)
             UPDATE holds h SET state = 'expired' FROM over WHERE h.ctid = over.at",
        )
        .await?;
    tx.execute(&statement, &[&event.0, &holds]).await?;
    Ok(())
}

fn money(error: catraca_domain::money::MoneyError) -> ApiError {
    ApiError::internal(format!("the sum of a hold: {error}"))
}

pub(super) fn sold_out() -> ApiError {
    ApiError::new(
        Kind::SOLD_OUT,
        "So many places are not left in this section.",
    )
}

fn seats_taken<'a>(seats: impl Iterator<Item = &'a SeatName>) -> ApiError {
    let seats: Vec<Value> = seats.map(|seat| json!(seat)).collect();
    let detail = format!("{} of the chosen seats cannot be had.", seats.len());
    Problem::new(Kind::SEATS_TAKEN, detail)
        .with("seats", seats)
        .into()
}
