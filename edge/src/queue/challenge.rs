//! What a visitor must solve before a new place is given, by the room's configuration.
//!
//! Fails closed: with Turnstile's service away nobody new gets a place.

use crate::runtime::{random_bytes, within};
use crate::status_cache::Document;
use crate::visit::Visit;
use catraca_domain::challenge::{self, Puzzle, Solved};
use catraca_domain::ids::RoomName;
use catraca_domain::problem::{Kind, Problem};
use catraca_domain::room::Challenge;
use serde::Deserialize;
use serde_json::{Value, json};
use worker::{Fetch, Headers, Method, Request, RequestInit, console_error};

/// Hashes that a puzzle takes on a calm day, as a power of two: a second at most, 95 times in 100, in
/// a phone's browser at a sixth of this machine's speed (`web/tests/measure/work.mjs`).
const BASE_DIFFICULTY: u8 = 18;
/// Longest wait for Turnstile, in milliseconds.
const TURNSTILE_MS_MAX: u64 = 4_000;
/// Longest Turnstile response, in bytes: theirs are at most 2048 characters.
const RESPONSE_BYTES_MAX: usize = 2_048;

/// What the visitor sends back.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Given {
    /// The puzzle, as it was given.
    puzzle: Option<String>,
    /// Its solution.
    solution: Option<String>,
    /// Turnstile's token.
    response: Option<String>,
}

/// Why there is no place yet.
pub(crate) enum Refused {
    /// This is to be solved first, or was not solved.
    Required(Box<Problem>),
    /// Nobody can tell just now.
    Unavailable,
}

/// Checks what was given; a solution that is good once comes back, to be remembered.
pub(crate) async fn check(
    visit: &Visit,
    room: &RoomName,
    document: &Document,
    given: &Given,
) -> Result<Option<Solved>, Refused> {
    match document.challenge {
        Challenge::None => Ok(None),
        Challenge::ProofOfWork => work(visit, room, document, given).map(Some),
        Challenge::Turnstile => turnstile(visit, given).await.map(|()| None),
    }
}

fn work(
    visit: &Visit,
    room: &RoomName,
    document: &Document,
    given: &Given,
) -> Result<Solved, Refused> {
    let (Some(puzzle), Some(solution)) = (&given.puzzle, &given.solution) else {
        return Err(puzzle_required(visit, room, document, "Solve the puzzle."));
    };
    let keys = &visit.settings.place_keys;
    challenge::check(puzzle, solution, room, keys, visit.now_ms)
        .map_err(|error| puzzle_required(visit, room, document, &error.to_string()))
}

/// 403 with a fresh puzzle. Nothing is stored for it.
pub(super) fn puzzle_required(
    visit: &Visit,
    room: &RoomName,
    document: &Document,
    detail: &str,
) -> Refused {
    let difficulty = challenge::difficulty(document.joins_last_second, BASE_DIFFICULTY);
    let puzzle = Puzzle::new(difficulty, visit.now_ms, random_bytes());
    let text = puzzle.mint(room, &visit.settings.place_keys);
    let challenge = json!({
        "kind": "proof_of_work", "puzzle": text, "difficulty": puzzle.difficulty,
    });
    required(detail, challenge)
}

fn required(detail: &str, challenge: Value) -> Refused {
    let problem = Problem::new(Kind::CHALLENGE_REQUIRED, detail);
    Refused::Required(Box::new(problem.with("challenge", challenge)))
}

async fn turnstile(visit: &Visit, given: &Given) -> Result<(), Refused> {
    let Some(settings) = &visit.settings.turnstile else {
        console_error!("a room asks for Turnstile and its bindings are missing");
        return Err(Refused::Unavailable);
    };
    let again = |detail| {
        let challenge = json!({ "kind": "turnstile", "site_key": settings.site_key });
        required(detail, challenge)
    };
    let response = given.response.as_deref().unwrap_or_default();
    if response.is_empty() || response.len() > RESPONSE_BYTES_MAX {
        return Err(again("Solve the challenge."));
    }
    match within(TURNSTILE_MS_MAX, site_verify(visit, response)).await {
        Some(Ok(true)) => Ok(()),
        Some(Ok(false)) => Err(again(
            "The challenge was not solved, or its answer was used.",
        )),
        Some(Err(error)) => {
            console_error!("Turnstile: {error}");
            Err(Refused::Unavailable)
        }
        None => {
            console_error!("Turnstile took over {TURNSTILE_MS_MAX} ms");
            Err(Refused::Unavailable)
        }
    }
}

/// Asks Turnstile, which accepts a response once:
/// <https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>.
async fn site_verify(visit: &Visit, response: &str) -> worker::Result<bool> {
    #[derive(Deserialize)]
    struct Verdict {
        success: bool,
    }
    let settings = visit.settings.turnstile.as_ref().ok_or("no Turnstile")?;
    let secret = settings
        .secret
        .expose_str()
        .map_err(|_| "secret is no text")?;
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    let body = json!({ "secret": secret, "response": response }).to_string();
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(body.into()));
    let request = Request::new_with_init(&settings.url, &init)?;
    let mut reply = Fetch::Request(request).send().await?;
    if reply.status_code() >= 500 {
        return Err(format!("status {}", reply.status_code()).into());
    }
    let verdict: Verdict = serde_json::from_slice(&reply.bytes().await?)?;
    Ok(verdict.success)
}
