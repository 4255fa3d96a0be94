//! The verdict, for people and for programs.

use std::fmt;

use serde::Serialize;
use tokio_postgres::Transaction;

use super::check::count;
use super::journal::Journal;

/// Most offences printed of one invariant.
const PRINTED_MAX: usize = 20;

/// What is known of one invariant.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    /// Its number in ARCHITECTURE.md.
    pub(crate) invariant: u8,
    pub(crate) name: &'static str,
    /// What was looked at.
    pub(crate) checked: String,
    /// What breaks it; empty when it held.
    pub(crate) offences: Vec<String>,
    /// What could not be judged, and why.
    pub(crate) not_judged: Vec<String>,
}

impl Finding {
    pub(crate) fn is_broken(&self) -> bool {
        !self.offences.is_empty()
    }
}

/// The whole audit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// `ok`, `broken`, or `empty` when nothing was sold.
    pub(crate) verdict: &'static str,
    pub(crate) paid_orders: i64,
    pub(crate) live_tickets: i64,
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<String>,
}

const OPEN_ORDERS: &str = "SELECT count(*) FROM orders o JOIN holds h USING (event_id, hold_id)
    WHERE o.status IN ('queued', 'awaiting_payment')";

impl Report {
    pub(crate) async fn over(
        snapshot: &Transaction<'_>,
        findings: Vec<Finding>,
        with_ledger: bool,
        journal: Option<&Journal>,
    ) -> anyhow::Result<Self> {
        let paid = "SELECT count(*) FROM orders WHERE status = 'paid'";
        let live = "SELECT count(*) FROM tickets WHERE voided_at IS NULL";
        let (paid_orders, live_tickets) =
            (count(snapshot, paid).await?, count(snapshot, live).await?);
        let mut notes = Vec::new();
        let open_orders = count(snapshot, OPEN_ORDERS).await?;
        if open_orders > 0 {
            notes.push(format!("{open_orders} orders are still open"));
        }
        if !with_ledger {
            notes.push("the providers' own books were not compared (no --sandbox)".to_owned());
        }
        match journal {
            None => {
                notes.push("what the crowd was told was not compared (no --journal)".to_owned());
            }
            Some(journal) => notes.extend(journal.note()),
        }
        let broken = findings.iter().any(Finding::is_broken);
        let verdict = match (broken, live_tickets) {
            (true, _) => "broken",
            (false, 0) => "empty",
            (false, _) => "ok",
        };
        Ok(Self {
            verdict,
            paid_orders,
            live_tickets,
            findings,
            notes,
        })
    }

    /// Whether this is good enough.
    pub(crate) fn passes(&self, require_sales: bool) -> bool {
        match self.verdict {
            "ok" => true,
            "empty" => !require_sales,
            _ => false,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "audit: {} paid orders, {} tickets",
            self.paid_orders, self.live_tickets
        )?;
        for finding in &self.findings {
            let word = if finding.is_broken() { "BROKEN" } else { "ok" };
            let (number, name) = (finding.invariant, finding.name);
            writeln!(f, "  {word:<7} {number} {name}: {}", finding.checked)?;
            for offence in finding.offences.iter().take(PRINTED_MAX) {
                writeln!(f, "            {offence}")?;
            }
            if let Some(more) = finding.offences.len().checked_sub(PRINTED_MAX + 1) {
                writeln!(f, "            and {} more", more + 1)?;
            }
            for reason in &finding.not_judged {
                writeln!(f, "          not judged: {reason}")?;
            }
        }
        for note in &self.notes {
            writeln!(f, "  note    {note}")?;
        }
        match self.verdict {
            "empty" => writeln!(f, "audit: nothing was sold, so this proves nothing"),
            verdict => writeln!(f, "audit: {verdict}"),
        }
    }
}
