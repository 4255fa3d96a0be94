//! What changes only when an operator changes it.

use crate::error::ApiError;
use catraca_domain::ids::EventNumber;
use catraca_domain::money::{Currency, Money};
use deadpool_postgres::Transaction;
use serde_json::{Value, json};
use std::collections::HashMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An event, less who has which seat.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) number: EventNumber,
    /// Grows with every change of it.
    pub(super) version: i64,
    slug: String,
    title: String,
    venue: String,
    starts_at: OffsetDateTime,
    currency: Currency,
    max_seats_per_buyer: i32,
    hold_seconds: i32,
    pub(super) sections: Vec<SectionPlan>,
    by_name: HashMap<String, usize>,
}

/// A section of the plan. `seats` is empty in general admission.
#[derive(Debug)]
pub(super) struct SectionPlan {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) capacity: i32,
    price_minor: i64,
    pub(super) seats: Vec<SeatPlan>,
}

/// A numbered seat, in the order of its ordinal.
#[derive(Debug)]
pub(super) struct SeatPlan {
    pub(super) row: Option<String>,
    pub(super) seat: Option<String>,
    pub(super) x: Option<f64>,
    pub(super) y: Option<f64>,
    pub(super) price_minor: i64,
}

impl Plan {
    /// Where a section stands in [`Plan::sections`].
    pub(super) fn index_of(&self, section: &str) -> Option<usize> {
        self.by_name.get(section).copied()
    }

    pub(super) fn money(&self, amount_minor: i64) -> Money {
        Money {
            amount_minor,
            currency: self.currency,
        }
    }

    /// `GET /api/v1/events/{event}`.
    pub(super) fn view(&self) -> Value {
        let sections = self.sections.iter().map(|section| {
            json!({"section": section.name, "kind": section.kind,
                "capacity": section.capacity, "price": self.money(section.price_minor)})
        });
        json!({"event": self.slug, "title": self.title, "venue": self.venue,
            "starts_at": self.starts_at.format(&Rfc3339).unwrap_or_default(),
            "currency": self.currency, "max_seats_per_buyer": self.max_seats_per_buyer,
            "hold_seconds": self.hold_seconds, "sections": sections.collect::<Vec<_>>()})
    }

    /// A section of `GET …/availability`.
    pub(super) fn section_view(&self, section: &SectionPlan, free: usize) -> Value {
        json!({"section": section.name, "capacity": section.capacity, "free": free,
            "price": self.money(section.price_minor)})
    }

    /// Reads it; the transaction's other reads see the same moment.
    pub(super) async fn read(tx: &Transaction<'_>, event: EventNumber) -> Result<Self, ApiError> {
        let row = tx
            .query_one(
                "SELECT version, slug, title, venue, starts_at, currency::text,
                        max_seats_per_buyer, hold_seconds
                 FROM events WHERE event_id = $1",
                &[&event.0],
            )
            .await?;
        let currency = row.get::<_, &str>(5).parse();
        let sections = sections(tx, event).await?;
        let by_name = sections
            .iter()
            .enumerate()
            .map(|(index, section)| (section.name.clone(), index));
        Ok(Self {
            number: event,
            version: row.get(0),
            slug: row.get(1),
            title: row.get(2),
            venue: row.get(3),
            starts_at: row.get(4),
            currency: currency.map_err(|e| ApiError::internal(format!("stored currency: {e}")))?,
            max_seats_per_buyer: row.get(6),
            hold_seconds: row.get(7),
            by_name: by_name.collect(),
            sections,
        })
    }
}

async fn sections(tx: &Transaction<'_>, event: EventNumber) -> Result<Vec<SectionPlan>, ApiError> {
    let rows = tx
        .query(
            "SELECT section, kind, capacity, price_minor FROM sections
             WHERE event_id = $1 ORDER BY position, section",
            &[&event.0],
        )
        .await?;
    let seats = tx
        .query(
            "SELECT s.section, s.row_label, s.seat_label, s.x, s.y, s.price_minor
             FROM seats s JOIN sections c USING (event_id, section)
             WHERE s.event_id = $1 AND c.kind = 'seated' ORDER BY s.section, s.ordinal",
            &[&event.0],
        )
        .await?;
    let mut by_section: HashMap<String, Vec<SeatPlan>> = HashMap::new();
    for row in &seats {
        by_section.entry(row.get(0)).or_default().push(SeatPlan {
            row: row.get(1),
            seat: row.get(2),
            x: row.get(3),
            y: row.get(4),
            price_minor: row.get(5),
        });
    }
    let section = |row: &tokio_postgres::Row| {
        let name: String = row.get(0);
        SectionPlan {
            seats: by_section.remove(&name).unwrap_or_default(),
            name,
            kind: row.get(1),
            capacity: row.get(2),
            price_minor: row.get(3),
        }
    };
    Ok(rows.iter().map(section).collect())
}
