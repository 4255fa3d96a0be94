//! `GET /api/v1/orders/{order}/events`: the order at once and at every change, until it is final.

use super::changes;
use super::view::{self, OrderView};
use crate::app::App;
use crate::error::ApiError;
use crate::login::Account;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use catraca_domain::ids::{AccountId, OrderId};
use futures::Stream;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How often the order is read when nothing is heard of it.
const POLL: Duration = Duration::from_secs(1);
/// A comment this often, so that nothing in between takes the silence for an end.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(super) async fn events(
    State(app): State<App>,
    account: Account,
    Path(order): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let order = view::parse(&order)?;
    // Watch first, read second: no change falls in between.
    let heard = changes::watch(&app);
    let first = view::load(&app, account.id, order).await?;
    let watcher = Watcher {
        app,
        account: account.id,
        order,
        heard,
        told: None,
        next: Some(first),
    };
    let stream = futures::stream::unfold(watcher, Watcher::tell);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("waiting")))
}

struct Watcher {
    app: App,
    account: AccountId,
    order: OrderId,
    heard: broadcast::Receiver<OrderId>,
    told: Option<OrderView>,
    next: Option<OrderView>,
}

impl Watcher {
    /// The next event; none after a final state.
    async fn tell(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if self
            .told
            .as_ref()
            .is_some_and(|told| told.status.is_final())
        {
            return None;
        }
        let view = match self.next.take() {
            Some(view) => view,
            None => self.changed().await?,
        };
        let event = Event::default().event("order").json_data(&view).ok()?;
        self.told = Some(view);
        Some((Ok(event), self))
    }

    /// Waits until the order differs from what was told. A database that is away is waited for.
    async fn changed(&mut self) -> Option<OrderView> {
        loop {
            self.hint().await;
            match view::load(&self.app, self.account, self.order).await {
                Ok(view) if Some(&view) != self.told.as_ref() => return Some(view),
                Ok(_) | Err(ApiError::Unavailable(_)) => {}
                Err(ApiError::Problem(_) | ApiError::Internal(_)) => return None,
            }
        }
    }

    /// Until something is heard of this order, or it is time to look anyway.
    async fn hint(&mut self) {
        let (order, heard) = (self.order, &mut self.heard);
        let hint = async move {
            loop {
                match heard.recv().await {
                    Ok(changed) if changed == order => return,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let _ = tokio::time::timeout(POLL, hint).await;
    }
}
