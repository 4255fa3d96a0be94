//! What every handler shares, and the one way to change anything: [`App::transact`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};

use crate::config::Config;
use crate::faults::{Call, Fault, Faults, Subject};
use crate::journal::{Journal, JournalBroken};
use crate::payment::{Payment, Provider};
use crate::traffic::Traffic;
use crate::world::{Change, Event, StoredReply, World};
use crate::{paypal, stripe};

#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    config: Config,
    /// Without a slash at the end.
    base: String,
    world: Mutex<World>,
    journal: Journal,
    /// Woken when there may be something to deliver.
    outbox: Notify,
    /// `PayPal`'s access tokens, newest last. Not journalled: a restart ends them all, as an outage
    /// at the provider may.
    tokens: Mutex<VecDeque<String>>,
    faults: Mutex<Faults>,
    traffic: Mutex<Traffic>,
    /// True once the program is to end.
    stopping: watch::Sender<bool>,
}

/// The last so many access tokens are good.
const TOKENS_MAX: usize = 1_000;

/// Milliseconds of Unix time.
pub(crate) fn now_ms() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// What a provider's call is answered, and whether an idempotency key remembered it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) replayed: bool,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            body,
            replayed: false,
        }
    }
}

/// What came of looking for an idempotency key.
pub(crate) enum Remembered {
    Nothing,
    Answer(Answer),
    OtherRequest,
}

/// A change in the making: sees its own effects at once, others see them when it is done.
pub(crate) struct Txn<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) now_ms: i64,
    base: &'a str,
    changes: Vec<Change>,
}

impl Txn<'_> {
    pub(crate) fn base(&self) -> &str {
        self.base
    }

    pub(crate) fn apply(&mut self, change: Change) {
        self.world.apply(change.clone());
        self.changes.push(change);
    }

    pub(crate) fn put(&mut self, payment: &Payment) {
        self.apply(Change::Payment(Box::new(payment.clone())));
    }

    /// Stores the payment and queues webhooks that show it as it is now.
    pub(crate) fn put_and_tell(&mut self, payment: &Payment, kinds: &[&str]) {
        self.put(payment);
        for kind in kinds {
            let event: Event = match payment.provider {
                Provider::Card | Provider::Pix => {
                    stripe::view::event(payment, kind, self.now_ms, self.base)
                }
                Provider::PayPal => paypal::view::event(payment, kind, self.now_ms, self.base),
            };
            self.apply(Change::Event(event));
        }
    }

    pub(crate) fn remembered(&self, key: &str, fingerprint: &str) -> Remembered {
        match self.world.reply(key, self.now_ms) {
            None => Remembered::Nothing,
            Some(reply) if reply.fingerprint == fingerprint => Remembered::Answer(Answer {
                status: StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK),
                body: serde_json::from_str(reply.body.get()).unwrap_or_default(),
                replayed: true,
            }),
            Some(_) => Remembered::OtherRequest,
        }
    }

    pub(crate) fn remember(&mut self, key: String, fingerprint: String, answer: &Answer) {
        self.apply(Change::Reply(StoredReply {
            at_ms: self.now_ms,
            key,
            fingerprint,
            status: answer.status.as_u16(),
            body: raw(&answer.body),
        }));
    }
}

/// JSON as its text: takes a tenth of the memory.
pub(crate) fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// What makes two requests the same under one key.
pub(crate) fn fingerprint(path: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(path.as_bytes());
    hash.update([0]);
    hash.update(body);
    hash.finalize()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

impl App {
    pub(crate) async fn open(config: Config, address: SocketAddr) -> anyhow::Result<Self> {
        let folder = config.data.clone();
        let delivers = config.webhook_base.is_some();
        let (journal, world) = tokio::task::spawn_blocking(move || {
            let mut world = World::new(delivers);
            let journal = Journal::open(&folder, |change| world.apply(change))?;
            anyhow::Ok((journal, world))
        })
        .await??;
        let base = match &config.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{address}"),
        };
        let inner = Inner {
            config,
            base,
            world: Mutex::new(world),
            journal,
            outbox: Notify::new(),
            tokens: Mutex::new(VecDeque::new()),
            faults: Mutex::default(),
            traffic: Mutex::default(),
            stopping: watch::Sender::new(false),
        };
        Ok(Self(Arc::new(inner)))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn base(&self) -> &str {
        &self.0.base
    }

    /// Resolves when events were queued since the last call.
    pub(crate) async fn outbox_changed(&self) {
        self.0.outbox.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock())
    }

    /// Runs `work` alone, and gives its result once everything it changed is on disk.
    pub(crate) async fn transact<T>(
        &self,
        work: impl FnOnce(&mut Txn<'_>) -> T,
    ) -> Result<T, JournalBroken> {
        let (result, receipt) = {
            let mut world = self.lock();
            let mut txn = Txn {
                world: &mut world,
                now_ms: now_ms(),
                base: &self.0.base,
                changes: Vec::new(),
            };
            let result = work(&mut txn);
            let changes = txn.changes;
            (result, self.0.journal.append(&changes)?)
        };
        receipt.durable().await?;
        self.0.outbox.notify_one();
        Ok(result)
    }

    pub(crate) fn with_faults<T>(&self, work: impl FnOnce(&mut Faults) -> T) -> T {
        work(&mut self.0.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn take_fault(&self, subject: &Subject) -> Option<Fault> {
        self.with_faults(|faults| faults.take(subject))
    }

    pub(crate) fn with_traffic<T>(&self, work: impl FnOnce(&mut Traffic) -> T) -> T {
        work(
            &mut self
                .0
                .traffic
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Counts a request; false: refuse it.
    pub(crate) fn arrives(&self, provider: Provider, call: Call) -> bool {
        self.with_traffic(|traffic| traffic.arrives(provider, call, Instant::now()))
    }

    /// Says that the program is to end.
    pub(crate) fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Resolves then.
    pub(crate) async fn stopping(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.stopping.subscribe().wait_for(|stop| *stop).await;
    }

    pub(crate) fn issue_token(&self) -> String {
        let token = crate::payment::new_id("A21AA");
        let mut tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.push_back(token.clone());
        if tokens.len() > TOKENS_MAX {
            tokens.pop_front();
        }
        token
    }

    pub(crate) fn knows_token(&self, token: &str) -> bool {
        let tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.iter().any(|known| known == token)
    }
}
