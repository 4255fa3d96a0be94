//! The two requests that come by the million, answered without crossing into the runtime: strings
//! in, a string out, no promise and no header objects. `quick.js` beside this calls it.
//!
//! Only what isolate memory holds is answered here; anything else takes the long way, which refreshes,
//! asks the Room and words the problems.

mod join;
mod place;

pub use join::{quick_join, quick_joined, quick_joins_call, quick_joins_reply, quick_refused};
pub use place::{quick_headers, quick_place};

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "JavaScript's times and numbers of a line are whole and far below 2^53"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
