//! What a visitor must solve before a new place is given, by the room's configuration.

use super::turnstile;
use crate::runtime::random_bytes;
use crate::status_cache::Document;
use crate::visit::Visit;
use catraca_domain::challenge::{self, Puzzle, Solved};
use catraca_domain::ids::RoomName;
use catraca_domain::problem::{Kind, Problem};
use catraca_domain::room::Challenge;
use serde::Deserialize;
use serde_json::{Value, json};

/// Hashes that a puzzle takes on a calm day, as a power of two: a second at most, 95 times in 100, in
/// a phone's browser at a sixth of this machine's speed (`web/tests/measure/work.mjs`).
const BASE_DIFFICULTY: u8 = 18;

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
        Challenge::Turnstile => {
            let response = given.response.as_deref().unwrap_or_default();
            turnstile::check(visit, response).await.map(|()| None)
        }
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

/// 403 with what is to be solved.
pub(super) fn required(detail: &str, challenge: Value) -> Refused {
    let problem = Problem::new(Kind::CHALLENGE_REQUIRED, detail);
    Refused::Required(Box::new(problem.with("challenge", challenge)))
}
