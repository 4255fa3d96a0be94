//! What an operator has to see of purchases: the backlog of each lane, dead letters, orders in
//! quarantine, and whether the ledger agrees with the orders.

use super::outbox::{self, Lane};
use super::sql;
use crate::error::ApiError;
use deadpool_postgres::GenericClient;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

/// How often the whole ledger is compared; what was entered lately is at every count.
const WHOLE_EVERY: Duration = Duration::from_mins(10);

/// Orders at rest whose entries are not what their payments say. `$1`: only those with an entry of
/// the last minutes.
const IMBALANCE: &str = "
    SELECT count(*) FROM (
        SELECT l.event_id, l.order_id,
            sum(CASE kind WHEN 'captured' THEN amount_minor WHEN 'refunded' THEN -amount_minor
                ELSE 0 END) AS held,
            sum(CASE kind WHEN 'captured' THEN -amount_minor WHEN 'revoked' THEN -amount_minor
                ELSE amount_minor END) AS owed
        FROM ledger l
        WHERE NOT $1 OR (event_id, order_id) IN (
            SELECT event_id, order_id FROM ledger WHERE posted_at > now() - interval '5 minutes')
        GROUP BY l.event_id, l.order_id) b
    JOIN payments p USING (event_id, order_id)
    JOIN orders o USING (event_id, order_id)
    WHERE b.held <> p.captured_minor - p.refunded_minor
        OR (b.owed <> 0 AND o.status NOT IN ('queued', 'awaiting_payment')
            AND o.quarantined IS NULL
            AND o.updated_at < now() - interval '1 minute'
            AND NOT EXISTS (SELECT FROM partial_refunds r WHERE r.state <> 'completed'
                AND r.event_id = o.event_id AND r.order_id = o.order_id))";

/// What was shown last, so that what is gone is shown as nothing.
#[derive(Default)]
pub(super) struct Gauges {
    backlog: HashSet<Lane>,
    counted: HashSet<(&'static str, String)>,
    whole_at: Option<Instant>,
}

impl Gauges {
    /// Counts and shows.
    pub(super) async fn count<C: GenericClient>(&mut self, client: &C) -> Result<(), ApiError> {
        let backlog = outbox::backlog(client).await?;
        for lane in self.backlog.drain() {
            show_lane(&lane, 0, 0.0);
        }
        for (lane, rows, oldest_seconds) in backlog {
            show_lane(&lane, rows, oldest_seconds);
            self.backlog.insert(lane);
        }
        self.by_event(
            client,
            "catraca_dead_letters",
            "SELECT event_id, count(*) FROM dead_letters WHERE resolution IS NULL GROUP BY event_id",
        )
        .await?;
        self.by_event(
            client,
            "catraca_orders_quarantined",
            "SELECT event_id, count(*) FROM orders WHERE quarantined IS NOT NULL GROUP BY event_id",
        )
        .await?;
        let whole = self.whole_at.is_none_or(|at| at.elapsed() >= WHOLE_EVERY);
        if whole {
            self.whole_at = Some(Instant::now());
        }
        let row = sql::query_opt(client, IMBALANCE, &[&!whole]).await?;
        let off: i64 = row.map_or(0, |row| row.get(0));
        if off > 0 {
            tracing::error!(off, whole, "the ledger does not agree with the orders");
        }
        metrics::gauge!("catraca_ledger_imbalance").set(float(off));
        Ok(())
    }

    async fn by_event<C: GenericClient>(
        &mut self,
        client: &C,
        name: &'static str,
        counts: &str,
    ) -> Result<(), ApiError> {
        let rows = sql::query(client, counts, &[]).await?;
        for (_, event) in self.counted.extract_if(|(known, _)| *known == name) {
            metrics::gauge!(name, "event" => event).set(0.0);
        }
        for row in rows {
            let event = row.get::<_, i32>(0).to_string();
            metrics::gauge!(name, "event" => event.clone()).set(float(row.get(1)));
            self.counted.insert((name, event));
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of rows is far below 2^52"
)]
fn float(count: i64) -> f64 {
    count as f64
}

fn show_lane(lane: &Lane, rows: i64, oldest_seconds: f64) {
    let labels = [
        ("event", lane.event.0.to_string()),
        ("provider", lane.provider.clone()),
    ];
    metrics::gauge!("catraca_purchase_backlog", &labels).set(float(rows));
    metrics::gauge!("catraca_purchase_oldest_seconds", &labels).set(oldest_seconds);
}
