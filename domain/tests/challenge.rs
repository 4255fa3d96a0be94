//! The proof of work, against vectors that `vectors/make.py` computed, and against cheats.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catraca_domain::challenge::{
    CALM_JOINS_PER_SECOND, ChallengeError, DIFFICULTY, LIFE_MS, PARTS, Puzzle, Solving, check,
    difficulty, solve,
};
use catraca_domain::ids::RoomName;
use catraca_domain::keyring::Keyring;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Vectors {
    keys: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    room: RoomName,
    difficulty: u8,
    issued_at_ms: u64,
    nonce: String,
    puzzle: String,
    solution: String,
}

fn vectors() -> (Keyring, Vec<Case>) {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/challenge.json")).unwrap();
    let keys = Keyring::from_json(&vectors.keys.to_string()).unwrap();
    (keys, vectors.cases)
}

fn bytes(hex: &str) -> [u8; 16] {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    std::array::from_fn(|index| digit(2 * index))
}

/// Whether every part of `solution` solves its search, by the module's own description.
fn solves(case: &Case, solution: &str) -> bool {
    let Ok(counters) = URL_SAFE_NO_PAD.decode(solution) else {
        return false;
    };
    let seed = Sha256::digest(&case.puzzle);
    counters.len() == 64
        && (0_u8..).zip(counters.chunks(4)).all(|(part, counter)| {
            let digest = Sha256::new()
                .chain_update(seed)
                .chain_update([part])
                .chain_update(counter)
                .finalize();
            let zeros = u32::from_be_bytes(digest[..4].try_into().unwrap()).leading_zeros();
            zeros >= u32::from(case.difficulty) - 4
        })
}

#[test]
fn frozen_vectors() {
    let (keys, cases) = vectors();
    for case in cases {
        let puzzle = Puzzle::new(case.difficulty, case.issued_at_ms, bytes(&case.nonce));
        assert_eq!(puzzle.mint(&case.room, &keys), case.puzzle);
        assert_eq!(Puzzle::read(&case.puzzle), Some(puzzle));
        assert_eq!(solve(&case.puzzle, u64::MAX), Some(case.solution.clone()));
        let now_ms = case.issued_at_ms + 1;
        let solved = check(&case.puzzle, &case.solution, &case.room, &keys, now_ms).unwrap();
        assert_eq!(solved.nonce, bytes(&case.nonce));
        assert_eq!(solved.expires_at_ms, case.issued_at_ms + LIFE_MS);
    }
}

#[test]
fn good_for_one_room_and_a_while() {
    let (keys, cases) = vectors();
    let case = &cases[0];
    let at = |room: &RoomName, now_ms| check(&case.puzzle, &case.solution, room, &keys, now_ms);
    let other = "other".parse().unwrap();
    assert_eq!(at(&other, case.issued_at_ms), Err(ChallengeError::Puzzle));
    let issued = case.issued_at_ms;
    assert!(at(&case.room, issued + LIFE_MS - 1).is_ok());
    assert!(at(&case.room, issued - 5_000).is_ok());
    for now_ms in [issued + LIFE_MS, u64::MAX, issued - 5_001, 0] {
        assert_eq!(at(&case.room, now_ms), Err(ChallengeError::Expired));
    }
}

#[test]
fn nothing_but_the_solution() {
    let (keys, cases) = vectors();
    let case = &cases[0];
    let foreign = &cases[1].solution;
    let none = "A".repeat(86);
    let long = "A".repeat(300);
    let short = &case.solution[..80];
    let longer = format!("{}AAAAAA", case.solution);
    for solution in ["", ".", foreign, &none, &long, short, &longer] {
        let answer = check(&case.puzzle, solution, &case.room, &keys, case.issued_at_ms);
        assert_eq!(answer, Err(ChallengeError::Unsolved), "{solution}");
    }
}

#[test]
fn too_little_time_solves_nothing() {
    let (_, cases) = vectors();
    assert_eq!(solve(&cases[0].puzzle, 0), None);
    assert_eq!(solve(&cases[0].puzzle, 100), None);
    assert_eq!(solve("", 100), None);
}

#[test]
fn dearer_the_more_come() {
    let calm = CALM_JOINS_PER_SECOND;
    let base = *DIFFICULTY.start() + 1;
    for (joins, expected) in [
        (0, base),
        (calm, base),
        (2 * calm - 1, base),
        (2 * calm, base + 1),
        (4 * calm, base + 2),
        (16 * calm, base + 4),
        (u64::MAX, *DIFFICULTY.end()),
    ] {
        assert_eq!(difficulty(joins, base), expected, "{joins}");
    }
    assert_eq!(difficulty(0, 0), *DIFFICULTY.start());
    assert_eq!(difficulty(0, u8::MAX), *DIFFICULTY.end());
    assert_eq!(difficulty(u64::MAX, u8::MAX), *DIFFICULTY.end());
}

#[test]
fn step_by_step_is_the_same_search() {
    let (_, cases) = vectors();
    for case in &cases {
        let mut solving = Solving::of(&case.puzzle).unwrap();
        let (mut steps, mut parts) = (0, 0);
        let solution = loop {
            steps += 1;
            assert_eq!(solving.step(0), None, "nothing without a hash");
            if let Some(solution) = solving.step(777) {
                break solution;
            }
            assert!(solving.parts() >= parts && solving.parts() < PARTS);
            assert_eq!(solving.hashes(), steps * 777);
            parts = solving.parts();
        };
        assert_eq!(solution, case.solution);
        assert_eq!(solving.parts(), PARTS);
        assert!(solving.hashes() <= steps * 777 && steps > 3);
        assert_eq!(solve(&case.puzzle, solving.hashes() - 1), None);
        assert_eq!(
            solve(&case.puzzle, solving.hashes()).as_ref(),
            Some(&solution)
        );
    }
    assert!(Solving::of("c1.x").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_solved_is_accepted(nonce: [u8; 16], issued_at_ms in 0..1_u64 << 42) {
        let (keys, _) = vectors();
        let room = "r".parse().unwrap();
        let puzzle = Puzzle::new(*DIFFICULTY.start(), issued_at_ms, nonce).mint(&room, &keys);
        let solution = solve(&puzzle, 1 << 24).unwrap();
        prop_assert!(check(&puzzle, &solution, &room, &keys, issued_at_ms).is_ok());
    }

    #[test]
    fn one_changed_character_of_the_puzzle(at in 0..86_usize, to in "[A-Za-z0-9_.-]") {
        let (keys, cases) = vectors();
        let case = &cases[0];
        let mut puzzle = case.puzzle.clone();
        let at = at % puzzle.len();
        puzzle.replace_range(at..=at, &to);
        prop_assume!(puzzle != case.puzzle);
        let answer = check(&puzzle, &case.solution, &case.room, &keys, case.issued_at_ms);
        prop_assert_eq!(answer, Err(ChallengeError::Puzzle));
    }

    /// A puzzle has many solutions, so one in 2^(difficulty - 4) of those changed at one counter
    /// is another one: an accepted answer is one whose every part solves its search.
    #[test]
    fn one_changed_character_of_the_solution(at in 0..86_usize, to in "[A-Za-z0-9_.-]") {
        let (keys, cases) = vectors();
        let case = &cases[0];
        let mut solution = case.solution.clone();
        solution.replace_range(at..=at, &to);
        let answer = check(&case.puzzle, &solution, &case.room, &keys, case.issued_at_ms);
        if solves(case, &solution) {
            prop_assert_eq!(answer.unwrap().nonce, bytes(&case.nonce));
        } else {
            prop_assert_eq!(answer, Err(ChallengeError::Unsolved));
        }
    }

    #[test]
    fn any_text_is_looked_at_without_harm(puzzle in ".{0,300}", solution in ".{0,300}") {
        let (keys, _) = vectors();
        let room = "r".parse().unwrap();
        prop_assert!(check(&puzzle, &solution, &room, &keys, 0).is_err());
        prop_assert!(Puzzle::read(&puzzle).is_none());
    }
}
