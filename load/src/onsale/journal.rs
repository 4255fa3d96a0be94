//! What the crowd was told, line by line as it was told: the auditor checks that the database
//! still knows all of it, whatever was killed in between.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::wire::{Admission, Hold, Status};

/// The journal; without a file it writes nowhere.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Option<Mutex<Written>>,
    /// Tells the visitors of one run from those of another in the same file.
    run: Uuid,
}

#[derive(Debug)]
struct Written {
    file: File,
    /// The first line that could not be written.
    error: Option<std::io::Error>,
}

impl Journal {
    pub(crate) fn open(path: Option<&Path>, seed: u64) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("opening the journal {}", path.display()))
        };
        let file = path.map(open).transpose()?;
        let journal = Self {
            file: file.map(|file| Mutex::new(Written { file, error: None })),
            run: Uuid::new_v4(),
        };
        journal.write(json!({"kind": "run", "seed": seed}));
        Ok(journal)
    }

    /// The room as it presents itself.
    pub(crate) fn room(&self, room: &str, status: &Status) {
        self.write(json!({"kind": "room", "room": room, "epoch": status.epoch,
            "rate_per_minute": status.rate_per_minute}));
    }

    /// A place in line was given.
    pub(crate) fn number(&self, room: &str, epoch: u32, number: u64, visitor: u32) {
        self.write(
            json!({"kind": "number", "room": room, "epoch": epoch, "number": number,
            "visitor": visitor}),
        );
    }

    pub(crate) fn admission(&self, room: &str, admission: &Admission) {
        self.write(
            json!({"kind": "admission", "room": room, "jti": admission.jti,
            "sub": admission.sub, "epoch": admission.epoch, "number": admission.num,
            "iat": admission.iat, "exp": admission.exp}),
        );
    }

    /// The visitor is about to say good-bye: from here on the slot may be somebody else's.
    pub(crate) fn leaving(&self, room: &str, admission: &Admission) {
        self.write(
            json!({"kind": "leaving", "room": room, "jti": admission.jti,
            "at": unix_seconds()}),
        );
    }

    pub(crate) fn hold(&self, room: &str, admission: &Admission, hold: &Hold) {
        self.write(
            json!({"kind": "hold", "room": room, "jti": admission.jti, "hold": hold.hold,
            "seats": hold.seats, "amount": hold.total.amount_minor}),
        );
    }

    pub(crate) fn order(&self, room: &str, order: Uuid, hold: &Hold) {
        self.write(
            json!({"kind": "order", "room": room, "order": order, "hold": hold.hold,
            "amount": hold.total.amount_minor}),
        );
    }

    pub(crate) fn paid(&self, room: &str, order: Uuid, tickets: &[Uuid]) {
        self.write(json!({"kind": "paid", "room": room, "order": order, "tickets": tickets}));
    }

    /// Reports a line that was lost.
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        let lost = self
            .file
            .as_ref()
            .and_then(|file| file.lock().ok()?.error.take());
        lost.map_or(Ok(()), |error| Err(error).context("writing the journal"))
    }

    fn write(&self, mut line: Value) {
        let Some(file) = &self.file else { return };
        line["run"] = json!(self.run);
        // One write a line: a killed crowd leaves whole lines behind.
        let text = format!("{line}\n");
        if let Ok(mut written) = file.lock()
            && let Err(error) = written.file.write_all(text.as_bytes())
        {
            written.error.get_or_insert(error);
        }
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
