//! The core up to the hold, on real parts.
//!
//! `CATRACA_TEST_DATABASE_URL` names a server on which databases may be made (and are dropped
//! again), `CATRACA_TEST_REDIS_URL` a Redis whose databases 1 to 15 may be used.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;

mod admission;
mod availability;
mod bad_input;
mod bad_operator_input;
mod best;
mod catalogue;
mod chosen;
mod constraints;
mod contention;
mod expiry;
mod import;
mod line;
mod login;
mod migrations;
mod openapi;
mod rooms;
mod together;
