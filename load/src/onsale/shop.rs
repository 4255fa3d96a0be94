//! The shop, up to a hold.

use std::time::Duration;

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::call::{Answer, Body, Call, Stop};
use super::checkout;
use super::fan::{Visit, is_over};
use super::plan::LeavesWhen;
use super::tally::Outcome;
use super::wire::{Admission, Availability, Hold, SeatPlan, Section};

/// How often a visitor looks for other seats when those wanted are gone.
const TRIES_MAX: u32 = 6;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Everything between admission and the way home.
pub(crate) async fn shop(visit: &mut Visit<'_>, admission: &Admission) -> Result<Outcome, Stop> {
    if visit.plan.leaves == Some(LeavesWhen::Admitted) {
        visit.journal.leaving(&visit.plan.event, admission);
        super::queue::give_up(visit).await?;
        return Ok(Outcome::Left);
    }
    if !visit.logged_in {
        visit.log_in().await?;
    }
    let hold = hold(visit, admission).await?;
    visit.journal.hold(&visit.plan.event, admission, &hold);
    let ended = with_seats(visit, admission, &hold).await;
    visit.tally.stopped_holding();
    ended
}

async fn with_seats(
    visit: &mut Visit<'_>,
    admission: &Admission,
    hold: &Hold,
) -> Result<Outcome, Stop> {
    if visit.plan.leaves == Some(LeavesWhen::Holding) {
        // One half says good-bye, the other half just goes.
        if visit.plan.rng.random_bool(0.5) {
            visit.end_session(admission).await?;
        }
        return Ok(Outcome::Left);
    }
    checkout::buy(visit, admission, hold).await
}

/// Seats set aside: by number or picked on the plan, others when those are gone.
async fn hold(visit: &mut Visit<'_>, admission: &Admission) -> Result<Hold, Stop> {
    for _ in 0..TRIES_MAX {
        if let Some(wish) = choose(visit).await? {
            let url = visit.browser.at(&["api", "v1", "holds"]);
            let call = Call::change("hold", Method::POST, url, Body::Json(wish));
            let answer = visit.browser.send(&call).await?;
            match answer.status {
                StatusCode::CREATED => {
                    let hold = answer.json()?;
                    visit.tally.held(answer.took);
                    return Ok(hold);
                }
                // Somebody was quicker.
                StatusCode::CONFLICT => {}
                _ => return Err(over_or_unexpected(&answer, admission)),
            }
        }
        visit
            .browser
            .pause(TRY_AGAIN_AFTER, "looking for seats")
            .await?;
    }
    Err(Stop::Ended(Outcome::TurnedAway))
}

/// What to ask for; nothing when there is nothing free just now.
async fn choose(visit: &mut Visit<'_>) -> Result<Option<Value>, Stop> {
    let event = visit.plan.event.clone();
    let url = visit
        .browser
        .at(&["api", "v1", "events", &event, "availability"]);
    let answer = visit.browser.send(&Call::get("availability", url)).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.unexpected());
    }
    let availability: Availability = answer.json()?;
    let quantity = visit.plan.quantity;
    let roomy: Vec<&Section> = availability
        .sections
        .iter()
        .filter(|section| section.free >= quantity)
        .collect();
    let Some(section) = roomy.choose(&mut visit.plan.rng) else {
        return Ok(None);
    };
    if visit.plan.picks_seats && section.kind.as_deref() != Some("general") {
        let url = visit.browser.at(&[
            "api",
            "v1",
            "events",
            &event,
            "sections",
            &section.section,
            "seats",
        ]);
        let answer = visit.browser.send(&Call::get("seat plan", url)).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.unexpected());
        }
        if let Some(seats) = pick(visit, &section.section, &answer.json()?) {
            return Ok(Some(json!({"event": event, "seats": seats})));
        }
    }
    Ok(Some(
        json!({"event": event, "section": section.section, "quantity": quantity}),
    ))
}

/// Free seats next to each other in the plan's order, as far as there are; nothing without
/// numbered seats.
fn pick(visit: &mut Visit<'_>, section: &str, plan: &SeatPlan) -> Option<Vec<Value>> {
    let quantity = visit.plan.quantity as usize;
    let free: Vec<Value> = plan
        .seats
        .iter()
        .filter(|seat| seat.state == "free" && seat.row.is_some() && seat.seat.is_some())
        .map(|seat| json!({"section": section, "row": seat.row, "seat": seat.seat}))
        .collect();
    let last_start = free.len().checked_sub(quantity)?;
    let start = visit.plan.rng.random_range(0..=last_start);
    Some(free[start..start + quantity].to_vec())
}

/// A refusal is fair once the session's time is over.
pub(super) fn over_or_unexpected(answer: &Answer, admission: &Admission) -> Stop {
    let refused = matches!(
        answer.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    );
    if refused && is_over(admission) {
        Stop::Ended(Outcome::RanOut)
    } else {
        answer.unexpected()
    }
}
