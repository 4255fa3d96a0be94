//! What a claim has to know of a section's plan, kept in memory by the event's version, which grows
//! with every import. It only serves to choose: a chosen seat's label and price are read with its lock.

use crate::cache::TtlCache;
use crate::error::ApiError;
use catraca_domain::ids::EventNumber;
use catraca_domain::seating::{Seat, Seating};
use deadpool_postgres::Transaction;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Kept for its size alone.
const PLAN_TTL: Duration = Duration::from_mins(10);
const PLANS_MAX: usize = 2_000;

/// A section's plan.
pub(super) struct SectionPlan {
    /// The event's, when it was read.
    version: i64,
    pub(super) capacity: i32,
    /// Where its seats are, if they are numbered.
    pub(super) seating: Option<Seating>,
}

/// The plans that this process has seen.
pub struct Plans(TtlCache<(EventNumber, String), Arc<SectionPlan>>);

impl Default for Plans {
    fn default() -> Self {
        Self(TtlCache::new(PLAN_TTL, PLANS_MAX))
    }
}

impl Plans {
    /// A section's plan at a version of its event; `None` when there is no such section.
    pub(super) async fn of(
        &self,
        tx: &Transaction<'_>,
        event: EventNumber,
        version: i64,
        section: &str,
    ) -> Result<Option<Arc<SectionPlan>>, ApiError> {
        let key = (event, section.to_owned());
        if let Some(plan) = self.0.get(&key).filter(|plan| plan.version == version) {
            return Ok(Some(plan));
        }
        let asked_at = Instant::now();
        let Some(plan) = load(tx, event, version, section).await? else {
            return Ok(None);
        };
        let plan = Arc::new(plan);
        self.0.put(key, Arc::clone(&plan), asked_at);
        Ok(Some(plan))
    }
}

async fn load(
    tx: &Transaction<'_>,
    event: EventNumber,
    version: i64,
    section: &str,
) -> Result<Option<SectionPlan>, ApiError> {
    let query = tx
        .prepare_cached(
            "SELECT kind = 'seated', capacity FROM sections WHERE event_id = $1 AND section = $2",
        )
        .await?;
    let Some(row) = tx.query_opt(&query, &[&event.0, &section]).await? else {
        return Ok(None);
    };
    let capacity = row.get(1);
    let seating = if row.get(0) {
        let query = tx
            .prepare_cached(
                "SELECT coalesce(row_label, ''), x, y FROM seats
                 WHERE event_id = $1 AND section = $2 ORDER BY ordinal",
            )
            .await?;
        let rows = tx.query(&query, &[&event.0, &section]).await?;
        let seat = |row: &tokio_postgres::Row| Seat {
            row: row.get(0),
            position: row.get::<_, Option<f64>>(1).zip(row.get(2)),
        };
        Some(Seating::new(&rows.iter().map(seat).collect::<Vec<_>>()))
    } else {
        None
    };
    Ok(Some(SectionPlan {
        version,
        capacity,
        seating,
    }))
}
