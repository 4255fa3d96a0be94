//! What anyone can check of a room without trusting it: `verify-draw` recomputes the order of a
//! draw, `verify-log` reads the admission log. Offline, from what was published and kept.
//!
//! Alone in this program it runs the product's own rules (`catraca-domain`): the same code as in
//! the visitor's browser. `domain/tests/vectors/make.py` is the second opinion.

mod draw;
mod keys;
mod log;
mod ticket;

pub(crate) use draw::{Options as DrawOptions, main as verify_draw};
pub(crate) use log::{Options as LogOptions, main as verify_log};
pub(crate) use ticket::{Options as TicketOptions, main as verify_ticket};
