//! One worker at an order at a time, and one at a lane.
//!
//! A lease is a PostgreSQL advisory lock on one connection that this process keeps for all its
//! leases: no transaction stays open while a provider is asked, and a process that dies lets go
//! at once. Should that connection be lost, a second worker may come to the same order while the
//! first is still at it; [`super::settle`] says why that does no harm.

use super::outbox::Lane;
use super::sql;
use crate::error::ApiError;
use catraca_domain::ids::OrderId;
use deadpool_postgres::{Object, Pool};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps these locks apart from others in the same database.
const SEED: i64 = 0x0070_7572_6368_6173;

/// This process's leases.
pub(super) struct Leases {
    pool: Pool,
    held: Mutex<HashSet<OrderId>>,
    connection: tokio::sync::Mutex<Option<Link>>,
}

/// The connection, and the lanes that it has.
struct Link {
    connection: Arc<Object>,
    lanes: HashSet<Lane>,
}

/// The right to settle an order, until dropped.
pub(super) struct Lease {
    leases: Arc<Leases>,
    order: OrderId,
    connection: Option<Arc<Object>>,
}

impl Leases {
    pub(super) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self {
            pool,
            held: Mutex::default(),
            connection: tokio::sync::Mutex::default(),
        })
    }

    /// The lease, or nothing while another has it.
    pub(super) async fn take(self: &Arc<Self>, order: OrderId) -> Result<Option<Lease>, ApiError> {
        if !self.held().insert(order) {
            return Ok(None);
        }
        // From here on dropping the lease takes the order out of `held` again.
        let mut lease = Lease {
            leases: Arc::clone(self),
            order,
            connection: None,
        };
        let connection = self.connection().await?;
        let row = sql::query_opt(
            &*connection,
            "SELECT pg_try_advisory_lock(hashtextextended($1, $2))",
            &[&order.to_string(), &SEED],
        )
        .await?;
        if !row.is_some_and(|row| row.get(0)) {
            return Ok(None);
        }
        lease.connection = Some(connection);
        Ok(Some(lease))
    }

    /// Makes the lane this process's for as long as the connection lasts; false while it is
    /// another's.
    pub(super) async fn own(&self, lane: &Lane) -> Result<bool, ApiError> {
        let connection = self.connection().await?;
        if self.owns(lane).await {
            return Ok(true);
        }
        let row = sql::query_opt(
            &*connection,
            "SELECT pg_try_advisory_lock(hashtextextended($1, $2))",
            &[&format!("{}:{}", lane.event.0, lane.provider), &SEED],
        )
        .await?;
        let taken = row.is_some_and(|row| row.get(0));
        let mut slot = self.connection.lock().await;
        match slot.as_mut() {
            Some(link) if taken && Arc::ptr_eq(&link.connection, &connection) => {
                link.lanes.insert(lane.clone());
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether the lane is this process's.
    pub(super) async fn owns(&self, lane: &Lane) -> bool {
        let slot = self.connection.lock().await;
        slot.as_ref()
            .is_some_and(|link| !link.connection.is_closed() && link.lanes.contains(lane))
    }

    /// Lets go of everything: the connection goes back to the pool.
    pub(super) async fn let_go(&self) {
        let Some(link) = self.connection.lock().await.take() else {
            return;
        };
        let unlocked = sql::query_opt(&*link.connection, "SELECT pg_advisory_unlock_all()", &[]);
        if let Err(error) = unlocked.await {
            tracing::debug!(?error, "leases went with their connection");
        }
    }

    async fn connection(&self) -> Result<Arc<Object>, ApiError> {
        let mut slot = self.connection.lock().await;
        if let Some(link) = slot.as_ref().filter(|link| !link.connection.is_closed()) {
            return Ok(Arc::clone(&link.connection));
        }
        let connection = Arc::new(self.pool.get().await?);
        *slot = Some(Link {
            connection: Arc::clone(&connection),
            lanes: HashSet::new(),
        });
        Ok(connection)
    }

    fn held(&self) -> MutexGuard<'_, HashSet<OrderId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            self.leases.held().remove(&self.order);
            return;
        };
        let (leases, order) = (Arc::clone(&self.leases), self.order);
        tokio::spawn(async move {
            let unlocked = sql::execute(
                &*connection,
                "SELECT pg_advisory_unlock(hashtextextended($1, $2))",
                &[&order.to_string(), &SEED],
            )
            .await;
            if let Err(error) = unlocked {
                tracing::debug!(?error, "a lease went with its connection");
            }
            leases.held().remove(&order);
        });
    }
}
