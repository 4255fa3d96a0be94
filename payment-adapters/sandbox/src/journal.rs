//! The journal: one line of JSON a transaction, on disk before anybody is answered.
//!
//! A thread writes; whatever queued up while it waited for the disk goes out under one `fdatasync`.
//! A last line torn by a crash was never acknowledged, and is cut off on opening.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::sync::oneshot;

use crate::world::Change;

/// How long to wait for a predecessor to let go of the journal.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Most transactions under one sync.
const BATCH_MAX: usize = 1_024;

/// The journal can't be written any more; nothing further is acknowledged.
#[derive(Debug, thiserror::Error)]
#[error("the journal can't be written")]
pub(crate) struct JournalBroken;

/// Resolves once the transaction is on disk.
pub(crate) struct Receipt(Option<oneshot::Receiver<()>>);

impl Receipt {
    pub(crate) async fn durable(self) -> Result<(), JournalBroken> {
        match self.0 {
            Some(receiver) => receiver.await.map_err(|_| JournalBroken),
            None => Ok(()),
        }
    }
}

struct Entry {
    line: Vec<u8>,
    done: oneshot::Sender<()>,
}

/// The writing end. Unbounded, but each waiting request holds at most one entry.
pub(crate) struct Journal(mpsc::Sender<Entry>);

impl Journal {
    /// Opens (or creates) the journal in `folder` and hands every recorded change to `apply`.
    pub(crate) fn open(folder: &Path, mut apply: impl FnMut(Change)) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join("journal.jsonl");
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        lock(&file)?;
        let kept = replay(&mut file, &mut apply)?;
        file.set_len(kept)?;
        file.sync_all()?;
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write_all(&file, &receiver))?;
        Ok(Self(sender))
    }

    /// Queues a transaction; to be called in the order in which the changes were made.
    pub(crate) fn append(&self, changes: &[Change]) -> Result<Receipt, JournalBroken> {
        if changes.is_empty() {
            return Ok(Receipt(None));
        }
        let mut line = serde_json::to_vec(changes).map_err(|_| JournalBroken)?;
        line.push(b'\n');
        let (done, receiver) = oneshot::channel();
        self.0
            .send(Entry { line, done })
            .map_err(|_| JournalBroken)?;
        Ok(Receipt(Some(receiver)))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "runs once, on a blocking thread, before anything is served"
)]
fn lock(file: &File) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => bail!("another sandbox has this journal open"),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// Replays the whole lines; gives the length up to and including the last of them.
fn replay(file: &mut File, apply: &mut impl FnMut(Change)) -> anyhow::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(&*file);
    let mut kept: u64 = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 || line.last() != Some(&b'\n') {
            return Ok(kept);
        }
        let changes: Vec<Change> = serde_json::from_slice(&line)
            .with_context(|| format!("journal unreadable at byte {kept}"))?;
        changes.into_iter().for_each(&mut *apply);
        kept += length as u64;
    }
}

/// Ends when the senders are gone, or at the first error: waiting requests then see their receipts
/// dropped.
fn write_all(mut file: &File, receiver: &mpsc::Receiver<Entry>) {
    while let Ok(first) = receiver.recv() {
        let mut batch = vec![first];
        batch.extend(receiver.try_iter().take(BATCH_MAX - 1));
        let bytes: Vec<u8> = batch
            .iter()
            .flat_map(|entry| entry.line.iter().copied())
            .collect();
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            tracing::error!(%error, "journal write failed");
            return;
        }
        for entry in batch {
            // The request may have been cut off meanwhile; it is recorded all the same.
            let _ = entry.done.send(());
        }
    }
}
