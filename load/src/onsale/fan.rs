//! One visit, from the door to the tickets.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};

use super::browser::Browser;
use super::call::{Body, Call, Stop};
use super::journal::Journal;
use super::plan::Plan;
use super::tally::{Outcome, Tally};
use super::wire::Admission;
use super::{queue, shop};

const LOGIN_TRIES_MAX: u32 = 5;
/// Pause after a login that went wrong in the middle.
const LOGIN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A visit under way.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) plan: Plan,
    pub(crate) browser: &'a Browser,
    pub(crate) journal: &'a Journal,
    pub(crate) tally: &'a Tally,
    pub(crate) logged_in: bool,
}

/// Lives through one visitor's plan and counts how it ended.
pub(crate) async fn visit(plan: Plan, browser: Browser, journal: &Journal, tally: &Tally) {
    tally.arrived();
    let mut visit = Visit {
        plan,
        browser: &browser,
        journal,
        tally,
        logged_in: false,
    };
    match visit.live().await {
        Ok(outcome) | Err(Stop::Ended(outcome)) => tally.ended(outcome, None),
        Err(Stop::Failed(reason)) => tally.ended(Outcome::Failed, Some(reason)),
    }
}

impl Visit<'_> {
    async fn live(&mut self) -> Result<Outcome, Stop> {
        let joined = Instant::now();
        let admission = match queue::get_in(self).await {
            Ok(admission) => admission,
            Err(stop) => {
                self.tally.stopped_waiting();
                return Err(stop);
            }
        };
        self.tally.admitted(joined.elapsed());
        let ended = shop::shop(self, &admission).await;
        // Only a purchase ends the session by itself; everybody else says good-bye, as far as
        // they were logged in, except those who planned to vanish.
        if !matches!(
            ended,
            Ok(Outcome::Bought | Outcome::Abandoned | Outcome::Left)
        ) {
            let goodbye = self.end_session(&admission).await;
            if !matches!(ended, Err(Stop::Failed(_))) {
                goodbye?;
            }
        }
        ended
    }

    /// The room's epoch, for the journal.
    pub(crate) async fn epoch(&self) -> Result<u32, Stop> {
        Ok(queue::status(self.browser, &self.plan.event).await?.epoch)
    }

    /// Logs in, landing on the room's page as a visitor does.
    pub(crate) async fn log_in(&mut self) -> Result<(), Stop> {
        log_in(
            self.browser,
            &self.plan.email,
            &format!("/e/{}", self.plan.event),
        )
        .await?;
        self.logged_in = true;
        Ok(())
    }

    /// Ends the shopping session.
    pub(crate) async fn end_session(&self, admission: &Admission) -> Result<(), Stop> {
        self.journal.leaving(&self.plan.event, admission);
        let url = self.browser.at(&["api", "v1", "session"]);
        let answer = self
            .browser
            .send(&Call::change(
                "end session",
                Method::DELETE,
                url,
                Body::None,
            ))
            .await?;
        // Over already: nothing to end.
        let over = matches!(
            answer.status,
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::GONE
        );
        if over || answer.status.is_success() {
            Ok(())
        } else {
            Err(answer.unexpected())
        }
    }
}

/// Logs `email` in with the development provider and ends at `return_to`.
///
/// # Errors
/// When the way there and back ends without a login, several times.
pub(crate) async fn log_in(browser: &Browser, email: &str, return_to: &str) -> Result<(), Stop> {
    let mut url = browser.at(&["auth", "login"]);
    url.query_pairs_mut()
        .append_pair("provider", "dev")
        .append_pair("login_hint", email)
        .append_pair("return_to", return_to);
    let call = Call::get("login", url);
    for _ in 1..LOGIN_TRIES_MAX {
        if browser.follow(&call).await.is_ok() && browser.has_cookie("__Host-login") {
            return Ok(());
        }
        // A restart in the middle loses a login under way: begin again.
        browser.pause(LOGIN_AGAIN_AFTER, "logging in").await?;
    }
    let answer = browser.follow(&call).await?;
    if browser.has_cookie("__Host-login") {
        Ok(())
    } else {
        Err(answer.unexpected())
    }
}

/// Whether the admission's time is over by this machine's clock, within two seconds.
pub(crate) fn is_over(admission: &Admission) -> bool {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    now + 2 >= admission.exp
}
