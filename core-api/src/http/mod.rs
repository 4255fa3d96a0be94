//! What every handler needs of HTTP: input read at the border, and POSTs that happen once.

pub mod body;
pub mod cookies;
pub mod idempotency;
pub mod params;
