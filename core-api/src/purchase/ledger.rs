//! Entering an order's money in the ledger, in the transaction that changes it. What is entered
//! follows from the totals ([`catraca_domain::ledger`]); PostgreSQL refuses an entry that does
//! not balance, is there already, or is changed afterwards.

use super::sql;
use crate::db::expect_rows;
use crate::error::ApiError;
use catraca_domain::ids::{EventNumber, OrderId};
use catraca_domain::ledger::{Entry, Kind, Totals};
use catraca_domain::money::Currency;
use deadpool_postgres::Transaction;

/// An order's page in the ledger, locked with its payment. The order is to be locked before.
pub(crate) struct Book {
    event: EventNumber,
    order: OrderId,
    provider: String,
    currency: String,
    /// What is entered.
    pub(crate) totals: Totals,
    /// What the payment says was taken and given back, in minor units.
    pub(crate) captured_minor: i64,
    pub(crate) refunded_minor: i64,
}

impl Book {
    /// Opens it.
    ///
    /// # Errors
    /// The database's; an order without a payment.
    pub(crate) async fn open(
        tx: &Transaction<'_>,
        event: EventNumber,
        order: OrderId,
    ) -> Result<Self, ApiError> {
        let row = sql::query_opt(
            tx,
            "SELECT p.provider, o.currency::text, p.captured_minor, p.refunded_minor
             FROM payments p JOIN orders o USING (event_id, order_id)
             WHERE p.event_id = $1 AND p.order_id = $2 FOR UPDATE OF p",
            &[&event.0, &order.0],
        )
        .await?
        .ok_or_else(|| ApiError::internal(format!("order {order} has no payment")))?;
        // A statement of its own: it sees what whoever had the lock before has entered.
        let entered = sql::query(
            tx,
            "SELECT kind, max(total_minor) FROM ledger WHERE event_id = $1 AND order_id = $2
             GROUP BY kind",
            &[&event.0, &order.0],
        )
        .await?;
        let mut totals = Totals::default();
        for kind in Kind::ALL {
            let found = entered
                .iter()
                .find(|row| row.get::<_, &str>(0) == kind.as_str());
            *totals.of_mut(kind) = found.map_or(0, |row| row.get(1));
        }
        Ok(Self {
            event,
            order,
            provider: row.get(0),
            currency: row.get(1),
            totals,
            captured_minor: row.get(2),
            refunded_minor: row.get(3),
        })
    }

    /// Enters what the payment says by now.
    ///
    /// # Errors
    /// As [`Book::enter`].
    pub(crate) async fn enter_seen(&mut self, tx: &Transaction<'_>) -> Result<(), ApiError> {
        let seen = self.totals.seen(self.captured_minor, self.refunded_minor);
        self.enter(tx, seen).await
    }

    /// Enters what it takes to get to these totals.
    ///
    /// # Errors
    /// The database's; totals that must not be.
    pub(crate) async fn enter(
        &mut self,
        tx: &Transaction<'_>,
        after: Totals,
    ) -> Result<(), ApiError> {
        let entries = self.totals.entries_to(&after);
        let entries = entries
            .map_err(|error| ApiError::internal(format!("ledger of {}: {error}", self.order)))?;
        for entry in entries {
            self.insert(tx, entry).await?;
        }
        self.totals = after;
        Ok(())
    }

    async fn insert(&self, tx: &Transaction<'_>, entry: Entry) -> Result<(), ApiError> {
        let (debit, credit) = entry.kind.accounts();
        let touched = sql::execute(
            tx,
            "INSERT INTO ledger (event_id, order_id, kind, total_minor, amount_minor, debit,
                                 credit, provider, currency)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                &self.event.0,
                &self.order.0,
                &entry.kind.as_str(),
                &entry.total_minor,
                &entry.amount_minor,
                &debit.as_str(),
                &credit.as_str(),
                &self.provider,
                &self.currency,
            ],
        )
        .await?;
        expect_rows(touched, 1, "ledger entry")
    }

    /// The order's currency.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn currency(&self) -> Result<Currency, ApiError> {
        let odd = |_| ApiError::internal(format!("currency of {}", self.order));
        self.currency.parse().map_err(odd)
    }
}
