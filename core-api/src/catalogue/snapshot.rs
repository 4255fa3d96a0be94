//! What is known of an event at one moment, and the documents made of it, each once.

use axum::body::Bytes;
use axum::http::HeaderValue;
use catraca_domain::ids::EventNumber;
use catraca_domain::money::{Currency, Money};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What changes only when an operator changes it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) number: EventNumber,
    pub(super) version: i64,
    pub(super) slug: String,
    pub(super) title: String,
    pub(super) venue: String,
    pub(super) starts_at: OffsetDateTime,
    pub(super) currency: Currency,
    pub(super) max_seats_per_buyer: i32,
    pub(super) hold_seconds: i32,
    pub(super) sections: Vec<SectionPlan>,
}

/// A section of the plan. `seats` is empty in general admission.
#[derive(Debug)]
pub(super) struct SectionPlan {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) capacity: i32,
    pub(super) price_minor: i64,
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

/// State of a seat, one byte each: as PostgreSQL gathers them and Redis keeps them.
pub(super) const FREE: u8 = b'f';
pub(super) const HELD: u8 = b'h';
pub(super) const SOLD: u8 = b's';

/// An event at a moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) plan: Arc<Plan>,
    /// One text a section, one byte a seat, in the plan's order.
    pub(super) states: Vec<String>,
    pub(super) as_of: OffsetDateTime,
    /// The same moment, for ages.
    pub(super) taken_at: Instant,
    /// The changes heard of before it was taken.
    pub(super) generation: u64,
    event: OnceLock<Document>,
    availability: OnceLock<Document>,
    seats: Vec<OnceLock<Document>>,
}

/// A body, ready to be sent, and its tag.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) body: Bytes,
    pub(super) etag: HeaderValue,
}

impl Document {
    /// `tagged` is what the tag stands for: the content less the time at which it was looked up.
    pub(super) fn new(body: &impl Serialize, tagged: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in tagged {
            hash.update(part);
            hash.update([0]);
        }
        let tag = hex::encode(&hash.finalize()[..12]);
        Self {
            body: Bytes::from(serde_json::to_vec(body).unwrap_or_default()),
            etag: HeaderValue::from_str(&format!("W/\"{tag}\""))
                .unwrap_or(HeaderValue::from_static("W/\"\"")),
        }
    }
}

#[derive(Serialize)]
struct SeatView<'a> {
    row: Option<&'a str>,
    seat: Option<&'a str>,
    x: Option<f64>,
    y: Option<f64>,
    state: &'static str,
    price: Money,
}

impl Snapshot {
    /// `None` when the states don't fit the plan.
    pub(super) fn new(
        plan: Arc<Plan>,
        states: Vec<String>,
        as_of: OffsetDateTime,
        taken_at: Instant,
        generation: u64,
    ) -> Option<Self> {
        let fits = plan.sections.len() == states.len()
            && plan.sections.iter().zip(&states).all(|(section, states)| {
                usize::try_from(section.capacity) == Ok(states.len())
                    && states.bytes().all(|s| matches!(s, FREE | HELD | SOLD))
            });
        let seats = plan.sections.iter().map(|_| OnceLock::new()).collect();
        fits.then_some(Self {
            plan,
            states,
            as_of,
            taken_at,
            generation,
            event: OnceLock::new(),
            availability: OnceLock::new(),
            seats,
        })
    }

    pub(super) fn age(&self) -> Duration {
        self.taken_at.elapsed()
    }

    fn as_of(&self) -> String {
        self.as_of.format(&Rfc3339).unwrap_or_default()
    }

    fn money(&self, amount_minor: i64) -> Money {
        Money {
            amount_minor,
            currency: self.plan.currency,
        }
    }

    /// `GET /api/v1/events/{event}`.
    pub(super) fn event(&self) -> &Document {
        self.event.get_or_init(|| {
            let plan = &self.plan;
            let sections = plan.sections.iter().map(|section| {
                json!({"section": section.name, "kind": section.kind,
                    "capacity": section.capacity, "price": self.money(section.price_minor)})
            });
            let body = json!({"event": plan.slug, "title": plan.title, "venue": plan.venue,
                "starts_at": plan.starts_at.format(&Rfc3339).unwrap_or_default(),
                "currency": plan.currency, "max_seats_per_buyer": plan.max_seats_per_buyer,
                "hold_seconds": plan.hold_seconds, "sections": sections.collect::<Vec<_>>()});
            Document::new(&body, &[body.to_string().as_bytes()])
        })
    }

    /// `GET /api/v1/events/{event}/availability`.
    pub(super) fn availability(&self) -> &Document {
        self.availability.get_or_init(|| {
            let sections = self.plan.sections.iter().zip(&self.states);
            let sections: Vec<_> = sections
                .map(|(section, states)| {
                    json!({"section": section.name, "capacity": section.capacity,
                        "free": states.bytes().filter(|state| *state == FREE).count(),
                        "price": self.money(section.price_minor)})
                })
                .collect();
            let tagged = json!(sections).to_string();
            let body = json!({"sections": sections, "as_of": self.as_of()});
            Document::new(&body, &[tagged.as_bytes()])
        })
    }

    /// `GET /api/v1/events/{event}/sections/{section}/seats`, if there is such a section.
    pub(super) fn seats(&self, name: &str) -> Option<&Document> {
        let mut sections = self.plan.sections.iter();
        let index = sections.position(|section| section.name == name)?;
        let section = &self.plan.sections[index];
        Some(self.seats[index].get_or_init(|| {
            let seats = section.seats.iter().zip(self.states[index].bytes());
            let seats: Vec<SeatView<'_>> = seats
                .map(|(seat, state)| SeatView {
                    row: seat.row.as_deref(),
                    seat: seat.seat.as_deref(),
                    x: seat.x,
                    y: seat.y,
                    state: match state {
                        FREE => "free",
                        HELD => "held",
                        _ => "sold",
                    },
                    price: self.money(seat.price_minor),
                })
                .collect();
            let body = json!({"section": name, "kind": section.kind, "seats": seats,
                "as_of": self.as_of()});
            let version = self.plan.version.to_be_bytes();
            let number = self.plan.number.0.to_be_bytes();
            let tagged: [&[u8]; 4] = [
                &number,
                &version,
                name.as_bytes(),
                self.states[index].as_bytes(),
            ];
            Document::new(&body, &tagged)
        }))
    }
}
