//! Everything the sandbox knows, in memory, made of the changes in the journal.
//!
//! Nothing is ever dropped but delivered events beyond the last [`EVENTS_MAX`] and idempotency keys
//! a day old: about 5 kB a payment, so a million payments take about 5 GB. A sandbox is started afresh long before that.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::payment::{Payment, Provider};

/// Delivered events kept for `GET /v1/events`.
const EVENTS_MAX: usize = 1_000;

/// How long an idempotency key is remembered: Stripe's 24 hours. PayPal's are between 6 hours
/// (orders) and 45 days (payments).
const KEY_MS: i64 = 24 * 3_600_000;

/// One line of the journal is a list of these.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Payment(Box<Payment>),
    Event(Event),
    Reply(StoredReply),
    /// A delivery failed and is tried again at `next_ms`.
    Retry {
        event: String,
        tries: u32,
        next_ms: i64,
    },
    /// Delivered, or given up.
    Done {
        event: String,
    },
}

/// An event, with its body as it is sent.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) provider: Provider,
    pub(crate) kind: String,
    pub(crate) created_ms: i64,
    pub(crate) body: Box<RawValue>,
}

/// What a request under an idempotency key was answered.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredReply {
    #[serde(default)]
    pub(crate) at_ms: i64,
    pub(crate) key: String,
    /// Method, path and body.
    pub(crate) fingerprint: String,
    pub(crate) status: u16,
    pub(crate) body: Box<RawValue>,
}

/// An event still to be delivered.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) event: Event,
    pub(crate) tries: u32,
    pub(crate) next_ms: i64,
}

#[derive(Default)]
pub(crate) struct World {
    payments: HashMap<String, Payment>,
    /// In order of creation.
    order: Vec<String>,
    aliases: HashMap<String, String>,
    deadlines: BTreeSet<(i64, String)>,
    replies: HashMap<String, StoredReply>,
    /// Keys in the order of their use.
    ages: VecDeque<(i64, String)>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) deliveries: HashMap<String, Delivery>,
    /// Whether there is anywhere to deliver to.
    delivers: bool,
}

impl World {
    pub(crate) fn new(delivers: bool) -> Self {
        Self {
            delivers,
            ..Self::default()
        }
    }

    /// By its id, or by that of its intent, charge, authorisation, capture or refund.
    pub(crate) fn payment(&self, id: &str) -> Option<&Payment> {
        self.payments
            .get(id)
            .or_else(|| self.payments.get(self.aliases.get(id)?))
    }

    /// All payments, oldest first.
    pub(crate) fn payments(&self) -> impl DoubleEndedIterator<Item = &Payment> {
        self.order.iter().filter_map(|id| self.payments.get(id))
    }

    /// What was answered under an idempotency key that isn't too old.
    pub(crate) fn reply(&self, key: &str, now_ms: i64) -> Option<&StoredReply> {
        let reply = self.replies.get(key)?;
        (now_ms - reply.at_ms < KEY_MS).then_some(reply)
    }

    fn forget_replies(&mut self, now_ms: i64) {
        while let Some((at_ms, key)) = self.ages.front() {
            if now_ms - at_ms < KEY_MS {
                return;
            }
            // It may have been used anew since.
            if self
                .replies
                .get(key)
                .is_some_and(|reply| reply.at_ms == *at_ms)
            {
                self.replies.remove(key);
            }
            self.ages.pop_front();
        }
    }

    /// Payments to which something happens by now.
    pub(crate) fn due(&self, now_ms: i64) -> Vec<Payment> {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= now_ms);
        due.filter_map(|(_, id)| self.payments.get(id).cloned())
            .collect()
    }

    /// The only way anything changes, live as in replay.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Payment(payment) => self.put(*payment),
            Change::Event(event) => {
                if self.delivers {
                    let delivery = Delivery {
                        event: event.clone(),
                        tries: 0,
                        next_ms: 0,
                    };
                    self.deliveries.insert(event.id.clone(), delivery);
                }
                self.events.push_back(event);
                if self.events.len() > EVENTS_MAX {
                    self.events.pop_front();
                }
            }
            Change::Reply(reply) => {
                self.forget_replies(reply.at_ms);
                self.ages.push_back((reply.at_ms, reply.key.clone()));
                self.replies.insert(reply.key.clone(), reply);
            }
            Change::Retry {
                event,
                tries,
                next_ms,
            } => {
                if let Some(delivery) = self.deliveries.get_mut(&event) {
                    (delivery.tries, delivery.next_ms) = (tries, next_ms);
                }
            }
            Change::Done { event } => {
                self.deliveries.remove(&event);
            }
        }
    }

    fn put(&mut self, payment: Payment) {
        for alias in payment.aliases() {
            self.aliases.insert(alias.clone(), payment.id.clone());
        }
        if let Some(at) = payment.deadline_ms() {
            self.deadlines.insert((at, payment.id.clone()));
        }
        let id = payment.id.clone();
        let now = payment.deadline_ms();
        match self.payments.insert(id.clone(), payment) {
            None => self.order.push(id),
            Some(old) => {
                if let Some(at) = old.deadline_ms().filter(|at| Some(*at) != now) {
                    self.deadlines.remove(&(at, id));
                }
            }
        }
    }
}
