//! A hold: seats set aside for one shopper until a deadline.
//!
//! [`request`] says what may be asked for, [`take`] is the one transaction of a hold, [`limit`] what
//! one buyer may have, [`claim`] has the statements that allocate seats. A quantity is given to many
//! at once: requests wait in [`line`], [`batch`] is the transaction that they share, [`batch_sql`]
//! has its statements and [`plan`] what is known of a section. [`seat_lock`] spares the database a
//! crowd on one seat. [`view`] shows and releases, [`sweeper`] tidies, [`sale`] turns held seats
//! into sold ones.

mod batch;
mod batch_sql;
mod claim;
mod limit;
pub(crate) mod line;
mod plan;
pub mod request;
pub mod sale;
mod seat_lock;
pub mod sweeper;
mod take;
mod view;

pub use batch::Asked;
pub(crate) use limit::seats_of;
pub use line::{Line, Verdict};
pub use plan::Plans;
pub(crate) use view::{being_paid, free_seats};

use crate::app::App;
use axum::Router;
use axum::routing::{get, post};
use tokio::task::JoinSet;

/// Serves the line of holds until dropped.
pub(crate) fn serve(app: &App) -> JoinSet<()> {
    line::hands(app, "holds", |app| &app.hold_line, take::serve_together)
}

/// Routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/holds", post(take::take))
        .route("/api/v1/holds/{hold}", get(view::get).delete(view::release))
}
