//! The admission log, for anyone who wants to check it: pages of entries and a signed head.

use crate::answer;
use crate::client::{Unreachable, ask_room};
use crate::contract::{AskLog, LogPage};
use crate::visit::Visit;
use catraca_domain::admission_log::Page;
use catraca_domain::ids::RoomName;
use catraca_domain::problem::{Kind, Problem};
use std::cell::RefCell;
use std::collections::HashMap;
use worker::{Response, Result};

/// How long a page is given again without asking the Room, in milliseconds.
const KEPT_MS: u64 = 1_000;
/// Most pages kept.
const PAGES_MAX: usize = 64;

type Pages = HashMap<(RoomName, u64), (u64, Vec<u8>)>;
thread_local!(static PAGES: RefCell<Pages> = RefCell::default());

/// `GET /queue/v1/{room}/log?after={index}`: the entries behind that one.
pub(super) async fn answer(visit: &Visit, room: &RoomName) -> Result<Response> {
    let Some(key) = &visit.settings.log_key else {
        return answer::problem(Kind::NOT_FOUND, "This log is not published.");
    };
    let url = visit.request.url()?;
    let after = url.query_pairs().find(|(name, _)| name == "after");
    let Ok(after) = after.map_or(Ok(0), |(_, value)| value.parse::<u32>()) else {
        let problem = Problem::field("after", "must be the index of an entry, or 0");
        return answer::problem_document(&problem);
    };
    let after = u64::from(after);
    if let Some(json) = kept(room, after, visit.now_ms) {
        return published(json);
    }
    let LogPage {
        log,
        entries,
        chain,
    } = match ask_room(&visit.env, room, &AskLog { after }).await {
        Ok(Some(page)) => page,
        Ok(None) => return answer::no_such_room(),
        Err(Unreachable) => return answer::unavailable(),
    };
    let head = key.sign(&log, &chain, visit.now_ms);
    let json = serde_json::to_vec(&Page { log, entries, head })?;
    keep(room, after, visit.now_ms, &json);
    published(json)
}

fn published(json: Vec<u8>) -> Result<Response> {
    answer::json_text(200, json, "public, max-age=1")
}

fn kept(room: &RoomName, after: u64, now_ms: u64) -> Option<Vec<u8>> {
    PAGES.with_borrow(|pages| {
        let (at_ms, json) = pages.get(&(room.clone(), after))?;
        (now_ms.abs_diff(*at_ms) < KEPT_MS).then(|| json.clone())
    })
}

fn keep(room: &RoomName, after: u64, now_ms: u64, json: &[u8]) {
    PAGES.with_borrow_mut(|pages| {
        if pages.len() >= PAGES_MAX {
            pages.clear();
        }
        pages.insert((room.clone(), after), (now_ms, json.to_vec()));
    });
}
