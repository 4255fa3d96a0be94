//! The parts' output: appended to one bounded file each.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;

/// A log longer than this when its part starts is cut to [`KEPT_BYTES`].
const BYTES_MAX: u64 = 16 << 20;
const KEPT_BYTES: u64 = 1 << 20;
/// How far back the last lines are looked for.
const TAIL_BYTES: u64 = 16 << 10;

/// Opens the log for appending, cutting it first when it has grown too long.
pub fn open(path: &Path) -> anyhow::Result<File> {
    let attempt = || -> std::io::Result<File> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if std::fs::metadata(path).is_ok_and(|meta| meta.len() > BYTES_MAX) {
            std::fs::write(path, last_bytes(path, KEPT_BYTES)?)?;
        }
        OpenOptions::new().append(true).create(true).open(path)
    };
    attempt().with_context(|| format!("cannot open {}", path.display()))
}

/// The last `lines` lines; empty when there is no log.
pub fn tail(path: &Path, lines: usize) -> String {
    let bytes = last_bytes(path, TAIL_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn last_bytes(path: &Path, count: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(count)))?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}
