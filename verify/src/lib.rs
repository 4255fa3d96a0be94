//! What a visitor's browser runs of the domain: the check of a draw, and the search for a
//! challenge's solution. The same Rust as everywhere, so the same answers: `tests/` holds it to
//! the domain's frozen vectors.
//!
//! Built by `scripts/build-verify`. JSON text in and out, so that nothing else crosses the border.

use catraca_domain::challenge::solve;
use catraca_domain::draw::{DrawError, DrawRecord};
use serde_json::json;
use wasm_bindgen::prelude::wasm_bindgen;

/// Largest whole number that JavaScript has without gaps below it.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// Checks a draw record and finds a number's position in it.
///
/// Answers `{"verdict": "true", "count", "number", "position", "drawn"}`, where `drawn` is false
/// for a number that came after the draw; `{"verdict": "early", "reason"}` before the secret is
/// revealed; `{"verdict": "false", "reason"}` for a record that proves nothing.
#[wasm_bindgen]
pub fn verify_draw(record_json: &str, number: f64) -> String {
    answer(record_json, number).to_string()
}

fn answer(record_json: &str, number: f64) -> serde_json::Value {
    let Some(number) = whole(number) else {
        return json!({"verdict": "false", "reason": "there is no such number"});
    };
    let verified = DrawRecord::parse(record_json).and_then(|record| record.verify());
    match verified {
        Ok(draw) => json!({
            "verdict": "true",
            "count": draw.count(),
            "number": number,
            "position": draw.position(number),
            "drawn": number <= draw.count(),
        }),
        Err(error @ (DrawError::Sealed | DrawError::Frozen)) => {
            json!({"verdict": "early", "reason": error.to_string()})
        }
        Err(error) => json!({"verdict": "false", "reason": error.to_string()}),
    }
}

/// Checks that a draw record says nothing else than one kept from before the draw: the empty
/// text when it doesn't, else the reason.
#[wasm_bindgen]
pub fn contradiction(record_json: &str, earlier_json: &str) -> String {
    let compared = DrawRecord::parse(record_json)
        .and_then(|record| record.follows(&DrawRecord::parse(earlier_json)?));
    match compared {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    }
}

/// Solves a challenge: the solution, or `undefined` when the text is none, or when it took more
/// than `hashes_max` hashes. Keeps its thread busy all the while: call it from a web worker.
#[wasm_bindgen]
pub fn solve_challenge(puzzle: &str, hashes_max: f64) -> Option<String> {
    solve(puzzle, whole(hashes_max)?)
}

fn whole(value: f64) -> Option<u64> {
    let fits = (1.0..=SAFE_INTEGER_MAX).contains(&value) && value.fract() == 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "just seen to be whole, positive and below 2^53"
    )]
    fits.then_some(value as u64)
}
