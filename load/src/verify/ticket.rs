//! `verify-ticket`: are these codes genuine tickets, and still good?

use std::collections::HashSet;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use catraca_domain::ids::{RoomName, TicketId};
use catraca_domain::ticket_code::{Payload, TicketKeys};
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::draw::read;

/// Exit status when every code is a good ticket's.
const GOOD: u8 = 0;
/// Exit status when one is not.
const REFUSED: u8 = 1;
/// Exit status when something is missing to tell.
const NO_VERDICT: u8 = 2;

/// Which codes, and what is known of the tickets.
///
/// Exit status: 0 when every code is a good ticket's, 1 when one is not, 2 when nothing can be said.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The codes; `-` reads them from standard input, one a line, and answers each at once.
    #[arg(required = true)]
    codes: Vec<String>,
    /// The published keys: a file with what `/api/v1/ticket-keys` answered.
    #[arg(long)]
    keys: PathBuf,
    /// The event at this door; a ticket for another is refused.
    #[arg(long)]
    event: Option<RoomName>,
    /// The void tickets: a file with what `/api/v1/door/{event}` answered.
    #[arg(long)]
    void: Option<PathBuf>,
    /// Print a JSON document for each code instead of text.
    #[arg(long)]
    json: bool,
}

/// What a door keeps of an event.
#[derive(Debug, Deserialize)]
struct DoorList {
    event: RoomName,
    void: Vec<TicketId>,
}

/// Judges every code and prints the verdicts, in the order in which they came.
pub(crate) fn main(options: &Options) -> ExitCode {
    match judge_all(options) {
        Ok(true) => GOOD.into(),
        Ok(false) => REFUSED.into(),
        Err(error) => {
            eprintln!("no verdict: {error:#}");
            NO_VERDICT.into()
        }
    }
}

fn judge_all(options: &Options) -> anyhow::Result<bool> {
    let mut door = Door::read(options)?;
    let (mut judged, mut all_good) = (0_u64, true);
    let mut judge = |code: &str| -> anyhow::Result<()> {
        let verdict = door.judge(code);
        println!("{}", verdict.line(options.json));
        judged += 1;
        all_good &= verdict.is_good();
        Ok(())
    };
    for code in &options.codes {
        if code != "-" {
            judge(code.trim())?;
            continue;
        }
        for line in std::io::stdin().lock().lines() {
            let line = line.context("reading standard input")?;
            if !line.trim().is_empty() {
                judge(line.trim())?;
            }
        }
    }
    ensure!(judged > 0, "there is no code");
    Ok(all_good)
}

/// What is known here, and who was here.
struct Door {
    keys: TicketKeys,
    event: Option<RoomName>,
    void: HashSet<TicketId>,
    seen: HashSet<TicketId>,
}

impl Door {
    fn read(options: &Options) -> anyhow::Result<Self> {
        let keys = TicketKeys::from_jwks(&read(&options.keys)?).context("--keys")?;
        let mut event = options.event.clone();
        let mut void = HashSet::new();
        if let Some(path) = &options.void {
            let list: DoorList = serde_json::from_str(&read(path)?).context("--void")?;
            let guarded = event.get_or_insert_with(|| list.event.clone());
            ensure!(
                *guarded == list.event,
                "--void is of the event {}",
                list.event.as_str()
            );
            void.extend(list.void);
        }
        Ok(Self {
            keys,
            event,
            void,
            seen: HashSet::new(),
        })
    }

    fn judge(&mut self, code: &str) -> Verdict {
        let payload = match self.keys.verify(code) {
            Ok(payload) => payload,
            Err(error) => return Verdict::Refused(error.as_str(), error.to_string(), None),
        };
        let refused = |name, reason: String| Verdict::Refused(name, reason, Some(payload.clone()));
        if let Some(event) = &self.event
            && *event != payload.event
        {
            let reason = format!("a ticket for {}", payload.event.as_str());
            return refused("other_event", reason);
        }
        if self.void.contains(&payload.ticket) {
            return refused("void", "the ticket has been refunded".to_owned());
        }
        if !self.seen.insert(payload.ticket) {
            return refused("repeated", "the same ticket was shown before".to_owned());
        }
        Verdict::Good(payload)
    }
}

enum Verdict {
    Good(Payload),
    /// Name, reason, and what the code says if it is genuine.
    Refused(&'static str, String, Option<Payload>),
}

impl Verdict {
    fn is_good(&self) -> bool {
        matches!(self, Self::Good(_))
    }

    fn line(&self, as_json: bool) -> String {
        match (self, as_json) {
            (Self::Good(payload), true) => json!({"verdict": "good", "says": payload}).to_string(),
            (Self::Refused(name, reason, payload), true) => {
                json!({"verdict": name, "reason": reason, "says": payload}).to_string()
            }
            (Self::Good(payload), false) => format!("good: {}", in_words(payload)),
            (Self::Refused(name, reason, payload), false) => {
                let of = payload.as_ref().map(in_words);
                let of = of.map_or(String::new(), |of| format!("; {of}"));
                format!("refused ({name}): {reason}{of}")
            }
        }
    }
}

fn in_words(payload: &Payload) -> String {
    let part = |word: &str, value: &Option<String>| {
        let value = value.as_ref();
        value.map_or(String::new(), |value| format!(", {word} {value}"))
    };
    format!(
        "{}, section {}{}{}, ticket {}",
        payload.event.as_str(),
        payload.section,
        part("row", &payload.row),
        part("seat", &payload.seat),
        payload.ticket
    )
}
