//! `.local/run.json`: where the parts are, for other programs.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::layout::write_atomically;

/// Addresses of a run and its processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunFile {
    /// Where visitors come in.
    pub edge: String,
    /// The core behind it.
    pub core: String,
    /// Where the worker shows its metrics.
    pub worker: String,
    /// Connection string of the database.
    pub postgres: String,
    /// Connection string of Redis.
    pub redis: String,
    /// The payment sandbox.
    pub sandbox: String,
    /// The development OpenID provider.
    pub issuer: String,
    /// The development mail server.
    pub mail: String,
    /// Where it keeps the messages, one `.eml` file each.
    pub mail_folder: String,
    /// The process of each part; `kill -9` of it kills the part.
    pub pids: BTreeMap<String, i32>,
}

impl RunFile {
    /// Replaces the file in one step.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        write_atomically(path, &serde_json::to_vec_pretty(self)?)
    }
}
