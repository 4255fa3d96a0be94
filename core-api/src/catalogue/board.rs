//! An event as this process knows it: the plan, who has which seat, and the documents made of both.

use super::document::{Document, Slot, Template};
use super::plan::{Plan, SectionPlan};
use super::states::{Change, Stamp, States};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// Most changes kept while every seat is being read; beyond it, all are read again.
const FRESH_MAX: usize = 10_000;
/// A change that claims to be so much later than anything this process has seen is not believed.
const AHEAD_MAX: Duration = Duration::from_secs(2);

/// Every seat of an event, as read at one moment.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) plan: Arc<Plan>,
    /// One list a section, in the plan's order, each as long as the section's capacity.
    pub(super) states: Vec<Vec<u8>>,
    pub(super) stamp: Stamp,
    pub(super) as_of: OffsetDateTime,
    /// The same moment, for ages.
    pub(super) taken_at: Instant,
    /// PostgreSQL's word, against which nothing stands; else Redis'.
    pub(super) decides: bool,
}

/// When every seat was last read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verified {
    pub(super) taken_at: Instant,
    as_of: OffsetDateTime,
    stamp: Stamp,
    /// How long that took.
    pub(super) took: Duration,
    /// The news of unknown changes that had been heard before.
    pub(super) generation: u64,
}

/// See above.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) plan: Arc<Plan>,
    sections: Vec<Section>,
    verified: RwLock<Verified>,
    /// Grows with every change.
    revision: AtomicU64,
    /// What was heard while all seats are being read.
    fresh: Mutex<Option<Vec<Change>>>,
    event: OnceLock<Document>,
    availability: Slot,
}

#[derive(Debug)]
struct Section {
    states: Mutex<States>,
    revision: AtomicU64,
    template: OnceLock<Template>,
    map: Slot,
}

impl Section {
    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    pub(super) fn new(reading: Reading, took: Duration, generation: u64) -> Self {
        let verified = Verified::of(&reading, took, generation);
        let stamp = reading.stamp;
        let section = |states| Section {
            states: Mutex::new(States::new(states, stamp)),
            revision: AtomicU64::new(0),
            template: OnceLock::new(),
            map: Slot::default(),
        };
        Self {
            plan: reading.plan,
            sections: reading.states.into_iter().map(section).collect(),
            verified: RwLock::new(verified),
            revision: AtomicU64::new(0),
            fresh: Mutex::new(None),
            event: OnceLock::new(),
            availability: Slot::default(),
        }
    }

    pub(super) fn verified(&self) -> Verified {
        *self.verified.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every seat is about to be read.
    pub(super) fn begin_reading(&self) {
        *self.fresh() = Some(Vec::new());
    }

    /// Every seat was read, of this same plan. Changes heard meanwhile and read later stay.
    pub(super) fn take_over(&self, reading: &Reading, took: Duration, generation: u64) {
        let mut kept = self.fresh();
        let fresh = kept.take().unwrap_or_default();
        for (section, states) in self.sections.iter().zip(&reading.states) {
            let mut here = section.states();
            if reading.decides {
                *here = States::new(states.clone(), reading.stamp);
            } else {
                here.merge(states, reading.stamp);
            }
        }
        for change in &fresh {
            self.write(change);
        }
        let mut verified = self
            .verified
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *verified = Verified::of(reading, took, generation);
        drop(verified);
        // All documents say as of when they are.
        for section in &self.sections {
            section.revision.fetch_add(1, Ordering::AcqRel);
        }
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes changes in. False when that can't be done: every seat has to be read again.
    pub(super) fn apply(&self, changes: Vec<Change>) -> bool {
        let known = self.verified();
        let ahead = known.taken_at.elapsed() + AHEAD_MAX;
        let ahead = Stamp::try_from(ahead.as_micros()).unwrap_or(Stamp::MAX);
        let latest = known.stamp.saturating_add(ahead);
        if changes.iter().any(|change| change.stamp > latest) {
            return false;
        }
        let mut fresh = self.fresh();
        let mut any = false;
        for change in &changes {
            any |= self.write(change);
        }
        if any {
            self.revision.fetch_add(1, Ordering::AcqRel);
        }
        let Some(kept) = fresh.as_mut() else {
            return true;
        };
        if kept.len() + changes.len() > FRESH_MAX {
            return false;
        }
        kept.extend(changes);
        true
    }

    fn write(&self, change: &Change) -> bool {
        let Some(section) = self.sections.get(change.section) else {
            return false;
        };
        let changed = section
            .states()
            .apply(change.ordinal, change.state, change.stamp);
        if changed {
            section.revision.fetch_add(1, Ordering::AcqRel);
        }
        changed
    }

    fn fresh(&self) -> MutexGuard<'_, Option<Vec<Change>>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `GET /api/v1/events/{event}`.
    pub(super) fn event(&self) -> &Document {
        self.event.get_or_init(|| {
            let body = self.plan.view();
            Document::json(&body, &[body.to_string().as_bytes()])
        })
    }

    /// `GET /api/v1/events/{event}/availability`.
    pub(super) fn availability(&self, answer: impl FnOnce(&Document) -> Response) -> Response {
        let revision = self.revision.load(Ordering::Acquire);
        self.availability
            .read(revision, || self.encode_availability(), answer)
    }

    fn encode_availability(&self) -> Document {
        let as_of = super::document::timestamp(self.verified().as_of);
        let sections = self.plan.sections.iter().zip(&self.sections);
        let sections: Vec<Value> = sections
            .map(|(plan, section)| self.plan.section_view(plan, section.states().free()))
            .collect();
        let tagged = json!(sections).to_string();
        let body = json!({"sections": sections, "as_of": as_of});
        Document::json(&body, &[tagged.as_bytes()])
    }

    /// `GET /api/v1/events/{event}/sections/{section}/seats`, if there is such a section.
    pub(super) fn seats(
        &self,
        name: &str,
        answer: impl FnOnce(&Document) -> Response,
    ) -> Option<Response> {
        let index = self.plan.index_of(name)?;
        let (plan, section) = (self.plan.sections.get(index)?, self.sections.get(index)?);
        let revision = section.revision.load(Ordering::Acquire);
        Some(
            section
                .map
                .read(revision, || self.encode_seats(plan, section), answer),
        )
    }

    fn encode_seats(&self, plan: &SectionPlan, section: &Section) -> Document {
        // Before the states, so that they are no older than it says.
        let as_of = self.verified().as_of;
        let template = section
            .template
            .get_or_init(|| Template::new(&self.plan, plan));
        let states = section.states();
        template.fill(&self.plan, plan, states.all(), as_of)
    }
}

impl Verified {
    fn of(reading: &Reading, took: Duration, generation: u64) -> Self {
        Self {
            taken_at: reading.taken_at,
            as_of: reading.as_of,
            stamp: reading.stamp,
            took,
            generation,
        }
    }
}
