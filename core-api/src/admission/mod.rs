//! Admission: the token from the edge is verified here again ([`token`]), and its first use opens
//! the one shopping session that it is good for ([`session`]). [`Shopper`] is both, as an extractor.

mod session;
mod token;

pub use session::{Shopper, ShoppingSessions, lock_session};
