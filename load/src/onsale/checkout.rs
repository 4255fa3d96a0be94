//! From a hold to tickets: order, pay page, tickets.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::call::{Body, Call, Stop};
use super::fan::Visit;
use super::plan::Pays;
use super::shop::over_or_unexpected;
use super::tally::Outcome;
use super::wire::{Accepted, Admission, Hold, Order, TicketRef};

const ORDER_POLL_FIRST: Duration = Duration::from_millis(250);
const ORDER_POLL_MAX: Duration = Duration::from_secs(2);
/// How long someone whose card was declined keeps looking at the page.
const DECLINED_LOOKS_FOR: Duration = Duration::from_secs(15);

/// Orders the hold's seats and does at the pay page whatever was planned.
pub(super) async fn buy(
    visit: &Visit<'_>,
    admission: &Admission,
    hold: &Hold,
) -> Result<Outcome, Stop> {
    let order = order(visit, admission, hold).await?;
    let url = visit
        .browser
        .at(&["api", "v1", "orders", &order.to_string()]);
    let look = Call::get("order", url);
    let Some(pay_page) = await_pay_page(visit, &look).await? else {
        return Ok(Outcome::RanOut);
    };
    pay(visit, pay_page).await?;
    match visit.plan.pays {
        Pays::Abandon => Ok(Outcome::Abandoned),
        Pays::Decline => await_decline(visit, &look).await,
        Pays::Approve => await_tickets(visit, order, &look).await,
    }
}

async fn order(visit: &Visit<'_>, admission: &Admission, hold: &Hold) -> Result<Uuid, Stop> {
    let url = visit.browser.at(&["api", "v1", "orders"]);
    let body = Body::Json(json!({"hold": hold.hold, "provider": visit.plan.provider}));
    let answer = visit
        .browser
        .send(&Call::change("new order", Method::POST, url, body))
        .await?;
    match answer.status {
        StatusCode::ACCEPTED => {
            let Accepted { order } = answer.json()?;
            visit.tally.ordered(answer.took);
            visit.journal.order(&visit.plan.event, order, hold);
            Ok(order)
        }
        StatusCode::GONE => Err(Stop::Ended(Outcome::RanOut)),
        _ => Err(over_or_unexpected(&answer, admission)),
    }
}

/// Where to pay; nothing when the order ran out before there was a page.
async fn await_pay_page(visit: &Visit<'_>, look: &Call) -> Result<Option<Url>, Stop> {
    let mut poll = ORDER_POLL_FIRST;
    loop {
        let order = look_at(visit, look).await?;
        if let Some(next) = order.next_action {
            return next
                .redirect_url
                .parse()
                .map(Some)
                .map_err(|error| Stop::Failed(format!("order: unreadable redirect_url: {error}")));
        }
        match order.status.as_str() {
            "queued" | "awaiting_payment" => {}
            "expired" => return Ok(None),
            other => return Err(Stop::Failed(format!("order: {other} before it was paid"))),
        }
        visit
            .browser
            .pause(poll, "waiting for the pay page")
            .await?;
        poll = (poll * 3 / 2).min(ORDER_POLL_MAX);
    }
}

/// Opens the provider's page and answers it; where that leads is looked at, but not needed.
async fn pay(visit: &Visit<'_>, page: Url) -> Result<(), Stop> {
    let shown = visit
        .browser
        .send(&Call::get("pay page", page.clone()))
        .await?;
    if shown.status != StatusCode::OK {
        return Err(shown.unexpected());
    }
    let mut form = vec![("outcome", visit.plan.pays.outcome().to_owned())];
    if visit.plan.pay_delay_seconds > 0 {
        form.push(("delay_seconds", visit.plan.pay_delay_seconds.to_string()));
    }
    // No idempotency key: a browser's form has none, and a second post of it must do no harm.
    let answer = visit
        .browser
        .follow(&Call::post_form("pay", page, form))
        .await?;
    if !answer.status.is_success() {
        let stop = answer.unexpected();
        visit.tally.odd(format!("after paying: {stop:?}"));
    }
    Ok(())
}

async fn await_decline(visit: &Visit<'_>, look: &Call) -> Result<Outcome, Stop> {
    let since = Instant::now();
    while since.elapsed() < DECLINED_LOOKS_FOR {
        match look_at(visit, look).await?.status.as_str() {
            "failed" | "expired" => break,
            "paid" | "refunded" => {
                return Err(Stop::Failed(
                    "order: paid though the payment was declined".into(),
                ));
            }
            _ => {
                visit
                    .browser
                    .pause(ORDER_POLL_MAX, "waiting for the decline")
                    .await?;
            }
        }
    }
    Ok(Outcome::Declined)
}

async fn await_tickets(visit: &Visit<'_>, order: Uuid, look: &Call) -> Result<Outcome, Stop> {
    let mut poll = ORDER_POLL_FIRST;
    let tickets = loop {
        let order = look_at(visit, look).await?;
        match order.status.as_str() {
            "paid" => break order.tickets,
            // Too late, and the money went back or was never taken.
            "expired" | "refunded" => return Ok(Outcome::RanOut),
            "failed" => {
                return Err(Stop::Failed(
                    "order: failed though the payment was approved".into(),
                ));
            }
            _ => visit.browser.pause(poll, "waiting for the payment").await?,
        }
        poll = (poll * 3 / 2).min(ORDER_POLL_MAX);
    };
    let tickets: Vec<Uuid> = tickets.into_iter().map(TicketRef::id).collect();
    visit.journal.paid(&visit.plan.event, order, &tickets);
    if tickets.len() != visit.plan.quantity as usize {
        return Err(Stop::Failed(
            "order: paid with another number of tickets".into(),
        ));
    }
    for ticket in &tickets {
        fetch(visit, "ticket", &ticket.to_string(), "{").await?;
        fetch(visit, "ticket image", &format!("{ticket}.svg"), "<svg").await?;
    }
    visit.tally.bought(tickets.len());
    Ok(Outcome::Bought)
}

async fn fetch(visit: &Visit<'_>, name: &'static str, file: &str, holds: &str) -> Result<(), Stop> {
    let url = visit.browser.at(&["api", "v1", "tickets", file]);
    let answer = visit.browser.send(&Call::get(name, url)).await?;
    if answer.status == StatusCode::OK && answer.body.contains(holds) {
        return Ok(());
    }
    Err(answer.unexpected())
}

async fn look_at(visit: &Visit<'_>, look: &Call) -> Result<Order, Stop> {
    let answer = visit.browser.send(look).await?;
    match answer.status {
        StatusCode::OK => answer.json(),
        _ => Err(answer.unexpected()),
    }
}
