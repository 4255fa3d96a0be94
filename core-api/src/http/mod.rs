//! What every handler needs of HTTP: bodies read at the border, and POSTs that happen once.

pub mod body;
pub mod cookies;
pub mod idempotency;
