//! A hold: seats set aside for one shopper until a deadline.
//!
//! [`request`] says what may be asked for, [`take`] is the one transaction of a hold, [`limit`] what
//! one buyer may have, [`claim`] has the statements that allocate seats and [`adjacent`] the rule
//! for a group. [`seat_lock`] spares the database a crowd on one seat. [`view`] shows and releases,
//! [`sweeper`] tidies, [`sale`] turns held seats into sold ones.

pub mod adjacent;
mod claim;
mod limit;
pub mod request;
pub mod sale;
mod seat_lock;
pub mod sweeper;
mod take;
mod view;

pub(crate) use limit::seats_of;
pub(crate) use view::{being_paid, free_seats};

use crate::app::App;
use axum::Router;
use axum::routing::{get, post};

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/holds", post(take::take))
        .route("/api/v1/holds/{hold}", get(view::get).delete(view::release))
}
