//! Catraca's rules: what a place, an admission, a hold and a payment are, and how they change.
//!
//! No I/O, no clock, no randomness: time, keys and random bytes are arguments, so the same code
//! runs in the Worker (wasm32), in the core and in a test, and gives the same answer.
//!
//! In the order in which a visitor meets them: [`challenge`], [`lane_pass`], [`lease`] and [`place`] (arrival),
//! [`draw`], [`room`] and [`release`] (waiting), [`admission`] and [`admission_log`] (entry),
//! [`seating`] and [`reservation`] (a hold), [`settlement`] and [`ledger`] (money),
//! [`ticket_code`] (the door).

pub mod admission;
pub mod admission_log;
pub mod challenge;
pub mod draw;
pub mod feistel;
pub mod hex32;
pub mod ids;
pub mod keyring;
pub mod lane;
pub mod lane_pass;
pub mod lease;
pub mod ledger;
pub mod money;
pub mod place;
pub mod problem;
pub mod release;
pub mod reservation;
pub mod room;
pub mod seating;
pub mod secret;
pub mod settlement;
pub mod signature;
pub mod ticket_code;
