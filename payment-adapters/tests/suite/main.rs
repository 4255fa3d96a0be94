//! The adapters over real HTTP: against the sandbox, and against providers that misbehave.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod conformance;
mod fault_matrix;
mod faults;
mod peers;
mod schemas;
mod support;
