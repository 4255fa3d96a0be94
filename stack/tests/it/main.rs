//! The supervisor with made-up parts, and with the real servers.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;
mod edge;
mod servers;
mod supervisor;
