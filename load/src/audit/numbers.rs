//! Invariant 5: a number is given once per epoch, whatever restarts.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Transaction;

use super::check::offences;
use super::journal::{Journal, Line};
use super::report::Finding;
use super::room::Admissions;

const CHECKS: [&str; 2] = [
    "SELECT format('event %s, epoch %s: number %s has %s sessions: %s', event_id, epoch, number,
            count(*), string_agg(jti::text, ', '))
     FROM shopping_sessions GROUP BY event_id, epoch, number HAVING count(*) > 1",
    "SELECT format('event %s: admission %s opened %s sessions', event_id, jti, count(*))
     FROM shopping_sessions GROUP BY event_id, jti HAVING count(*) > 1",
];

/// Invariant 5.
///
/// # Errors
/// When the database can't answer.
pub(crate) async fn audit(
    snapshot: &Transaction<'_>,
    admissions: &Admissions,
    journal: Option<&Journal>,
) -> anyhow::Result<Finding> {
    let mut offences = offences(snapshot, &CHECKS).await?;
    // A number as given at the door, and a number as let in: in a draw these are not the same.
    let mut given: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for line in journal.iter().flat_map(|journal| &journal.lines) {
        if let Line::Number {
            run,
            visitor,
            room,
            epoch,
            number,
        } = line
        {
            let holder = format!("visitor {visitor} of run {run}");
            given
                .entry((room, *epoch, *number))
                .or_default()
                .insert(holder);
        }
    }
    let mut admitted: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for admission in &admissions.all {
        let number = (&admission.room, admission.epoch, admission.number);
        admitted
            .entry(number)
            .or_default()
            .insert(admission.jti.to_string());
    }
    for ((room, epoch, number), holders) in given.iter().filter(|(_, holders)| holders.len() > 1) {
        let holders = join(holders);
        offences.push(format!(
            "{room}, epoch {epoch}: number {number} was given to {holders}"
        ));
    }
    for ((room, epoch, number), jtis) in admitted.iter().filter(|(_, jtis)| jtis.len() > 1) {
        let jtis = join(jtis);
        offences.push(format!(
            "{room}, epoch {epoch}: number {number} was let in as {jtis}"
        ));
    }
    Ok(Finding {
        invariant: 5,
        name: "a number is given once per epoch",
        checked: format!("{} numbers given, {} let in", given.len(), admitted.len()),
        offences,
        not_judged: Vec::new(),
    })
}

fn join(holders: &BTreeSet<String>) -> String {
    holders
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" and ")
}
