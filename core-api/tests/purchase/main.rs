//! Purchases on real parts: PostgreSQL, Redis, and the payment sandbox through the real adapters.
//!
//! `CATRACA_TEST_DATABASE_URL` names a server on which databases may be made (and are dropped
//! again), `CATRACA_TEST_REDIS_URL` a Redis whose databases 1 to 15 may be emptied.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod buying;
mod crash;
mod dead;
mod killed;
mod kills;
mod lanes;
mod late;
mod mail;
mod orderings;
mod pace;
mod partial;
mod pix;
mod plans;
mod quarantine;
mod redis_lost;
mod refund;
mod smtp;
mod support;
mod tickets;
mod together;
mod webhooks;
