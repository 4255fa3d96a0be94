//! What a visitor's browser runs of the domain: the check of a draw, and the search for a
//! challenge's solution. The same Rust as everywhere, so the same answers: `tests/` holds it to
//! the domain's frozen vectors.
//!
//! Built by `scripts/build-verify`. JSON text in and out, so that nothing else crosses the border.

use catraca_domain::challenge;
use catraca_domain::draw::{Draw, DrawError, DrawRecord};
use catraca_domain::ticket_code::TicketKeys;
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
    challenge::solve(puzzle, whole(hashes_max)?)
}

/// A challenge being solved, step by step, so that the page can show how far it is.
#[wasm_bindgen]
pub struct Solving(challenge::Solving);

#[wasm_bindgen]
impl Solving {
    /// `undefined` when the text is no puzzle.
    pub fn of(puzzle: &str) -> Option<Self> {
        challenge::Solving::of(puzzle).map(Self)
    }

    /// Goes on for at most so many hashes; the solution, once there is one.
    pub fn step(&mut self, hashes_max: f64) -> Option<String> {
        self.0.step(whole(hashes_max)?)
    }

    /// How many of the puzzle's 16 parts are solved.
    pub fn parts(&self) -> u8 {
        self.0.parts()
    }

    /// Hashes so far. Exact below 2^53.
    #[expect(clippy::cast_precision_loss, reason = "a puzzle takes some million")]
    pub fn hashes(&self) -> f64 {
        self.0.hashes() as f64
    }
}

/// A whole draw being checked, step by step: that its places are a permutation, each position
/// taken once and by one number.
#[wasm_bindgen]
pub struct Census {
    draw: Draw,
    checked: u64,
    taken: Vec<u64>,
    fault: Option<String>,
}

/// Most places that are checked one by one: what a phone can remember without noticing.
const CENSUS_MAX: u64 = 20_000_000;

#[wasm_bindgen]
impl Census {
    /// `undefined` when the record proves nothing ([`verify_draw`] says why), or is too large.
    pub fn of(record_json: &str) -> Option<Self> {
        let draw = DrawRecord::parse(record_json).ok()?.verify().ok()?.tabled();
        let count = usize::try_from(draw.count()).ok()?;
        (draw.count() <= CENSUS_MAX).then(|| Self {
            draw,
            checked: 0,
            taken: vec![0; count.div_ceil(64)],
            fault: None,
        })
    }

    /// Checks some more places; true when there is nothing left to check, or a fault was found.
    pub fn step(&mut self, places: f64) -> bool {
        let until = whole(places).map_or(self.checked, |places| self.checked + places);
        while self.fault.is_none() && self.checked < until.min(self.draw.count()) {
            self.checked += 1;
            self.check(self.checked);
        }
        self.fault.is_some() || self.checked == self.draw.count()
    }

    fn check(&mut self, number: u64) {
        let position = self.draw.position(number);
        let at = usize::try_from(position.wrapping_sub(1)).unwrap_or(usize::MAX);
        let bit = 1 << (at % 64);
        match self.taken.get_mut(at / 64) {
            Some(word) if position <= self.draw.count() && *word & bit == 0 => *word |= bit,
            _ => {
                let fault = format!("number {number} stands at {position} twice or nowhere");
                self.fault = Some(fault);
            }
        }
    }

    /// Places checked so far.
    #[expect(clippy::cast_precision_loss, reason = "at most `CENSUS_MAX`")]
    pub fn checked(&self) -> f64 {
        self.checked as f64
    }

    /// What is wrong with the order, if anything.
    pub fn fault(&self) -> Option<String> {
        self.fault.clone()
    }
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

/// Checks a ticket's code with the published keys, a JSON Web Key Set.
///
/// Answers `{"verdict": "genuine", "says": {"e", "t", "s", "r"?, "n"?}}`, or a verdict of
/// `malformed`, `unknown_key` or `forged`; `no_keys` when the set is none.
#[wasm_bindgen]
pub fn verify_ticket(keys_json: &str, code: &str) -> String {
    let Ok(keys) = TicketKeys::from_jwks(keys_json) else {
        return json!({"verdict": "no_keys"}).to_string();
    };
    match keys.verify(code) {
        Ok(payload) => json!({"verdict": "genuine", "says": payload}),
        Err(error) => json!({"verdict": error.as_str()}),
    }
    .to_string()
}
