//! What the crowd was told, read back.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use uuid::Uuid;

/// One line of it. Times are unix seconds.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Line {
    Run {},
    Room {
        room: String,
        rate_per_minute: u32,
    },
    Number {
        run: Uuid,
        visitor: u32,
        room: String,
        epoch: u32,
        number: u64,
    },
    Admission {
        room: String,
        jti: Uuid,
        epoch: u32,
        number: u64,
        iat: u32,
        exp: u32,
    },
    Leaving {
        jti: Uuid,
        at: f64,
    },
    Hold {
        hold: Uuid,
        jti: Uuid,
        seats: Vec<Seat>,
        amount: i64,
    },
    Order {
        order: Uuid,
        hold: Uuid,
        amount: i64,
    },
    Paid {
        order: Uuid,
        tickets: Vec<Uuid>,
    },
}

/// A seat's name; row and seat are null in general admission.
#[expect(clippy::struct_field_names, reason = "these names are the contract's")]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Seat {
    pub(crate) section: String,
    pub(crate) row: Option<String>,
    pub(crate) seat: Option<String>,
}

/// The whole file.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) lines: Vec<Line>,
    /// Whether the last line was cut off.
    cut_off: bool,
}

impl Journal {
    /// Reads a journal. A last line that was cut off is left out: its writer was killed.
    ///
    /// # Errors
    /// When the file can't be read or another line is not understood.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = || format!("the journal {}", path.display());
        let text = std::fs::read_to_string(path).with_context(name)?;
        let (whole, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
        let mut lines = Vec::new();
        for (index, line) in whole.lines().enumerate() {
            let at = || format!("{}, line {}", name(), index + 1);
            lines.push(serde_json::from_str(line).with_context(at)?);
        }
        Ok(Self {
            lines,
            cut_off: !rest.is_empty(),
        })
    }

    /// What to say about the file itself.
    pub(crate) fn note(&self) -> Option<String> {
        self.cut_off
            .then(|| "the journal's last line was cut off and left out".to_owned())
    }
}
