//! Invariant 4: never more live admissions than `max_active`, never more claims in ten seconds
//! than the pace and one quantum.
//!
//! An admission's time is known to the second, cut off. So a session counts as live from the
//! next full second, which can hide an excess of under a second but never invents one; and
//! windows of ten full seconds are counted exactly. The database knows of admissions that opened
//! a session; the journal adds those that did not.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio_postgres::Transaction;
use uuid::Uuid;

use super::journal::{Journal, Line};
use super::report::Finding;

const WINDOW_SECONDS: f64 = 10.0;

/// One admission; times are unix seconds.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    pub(crate) room: String,
    pub(crate) jti: Uuid,
    pub(crate) epoch: i64,
    pub(crate) number: i64,
    admitted_at: f64,
    over_at: f64,
}

/// All admissions that anybody told us of.
#[derive(Debug)]
pub(crate) struct Admissions {
    pub(crate) all: Vec<Admission>,
    in_database: usize,
}

const SESSIONS: &str = "SELECT e.slug, s.jti, s.epoch::bigint, s.number,
        extract(epoch FROM s.admitted_at)::float8,
        extract(epoch FROM least(s.ended_at, s.expires_at))::float8
    FROM shopping_sessions s JOIN events e USING (event_id)";

const ROOMS: &str = "SELECT e.slug, r.config->>'method', (r.config->>'max_active')::bigint,
        (r.config->>'rate_per_minute')::bigint
    FROM rooms r JOIN events e USING (event_id) ORDER BY e.slug";

impl Admissions {
    /// From the database and the journal.
    ///
    /// # Errors
    /// When the database can't answer.
    pub(crate) async fn load(
        snapshot: &Transaction<'_>,
        journal: Option<&Journal>,
    ) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for row in snapshot.query(SESSIONS, &[]).await? {
            all.push(Admission {
                room: row.try_get(0)?,
                jti: row.try_get(1)?,
                epoch: row.try_get(2)?,
                number: row.try_get(3)?,
                admitted_at: row.try_get(4)?,
                over_at: row.try_get(5)?,
            });
        }
        let in_database = all.len();
        let mut seen: HashSet<Uuid> = all.iter().map(|admission| admission.jti).collect();
        let mut left: HashMap<Uuid, f64> = HashMap::new();
        for line in journal.iter().flat_map(|journal| &journal.lines) {
            match line {
                Line::Admission {
                    room,
                    jti,
                    epoch,
                    number,
                    iat,
                    exp,
                } if seen.insert(*jti) => {
                    all.push(Admission {
                        room: room.clone(),
                        jti: *jti,
                        epoch: i64::from(*epoch),
                        number: i64::try_from(*number)?,
                        admitted_at: f64::from(*iat),
                        over_at: f64::from(*exp),
                    });
                }
                Line::Leaving { jti, at } => {
                    left.insert(*jti, *at);
                }
                _ => {}
            }
        }
        for admission in &mut all {
            let left_at = left.get(&admission.jti).copied().unwrap_or(f64::INFINITY);
            admission.over_at = admission.over_at.min(left_at);
        }
        Ok(Self { all, in_database })
    }
}

/// Invariant 4.
///
/// # Errors
/// When the database can't answer.
pub(crate) async fn audit(
    snapshot: &Transaction<'_>,
    admissions: &Admissions,
    journal: Option<&Journal>,
    changed: &[String],
) -> anyhow::Result<Finding> {
    let mut by_room: BTreeMap<&str, Vec<&Admission>> = BTreeMap::new();
    for admission in &admissions.all {
        by_room.entry(&admission.room).or_default().push(admission);
    }
    let (mut offences, mut not_judged) = (Vec::new(), Vec::new());
    for row in snapshot.query(ROOMS, &[]).await? {
        let (room, method): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (max_active, rate): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        let Some(admitted) = by_room.get(room.as_str()) else {
            continue;
        };
        if changed.contains(&room) || saw_another_rate(journal, &room, rate) {
            not_judged.push(format!("{room}: its pace or size changed during the sale"));
            continue;
        }
        offences.extend(too_many_at_once(&room, admitted, max_active));
        if method != "passthrough" {
            offences.extend(too_many_in_a_window(&room, admitted, rate));
        }
    }
    let (all, rooms) = (admissions.all.len(), by_room.len());
    let unopened = all - admissions.in_database;
    Ok(Finding {
        invariant: 4,
        name: "live admissions within max_active, claims within the pace",
        checked: format!(
            "{all} admissions in {rooms} rooms ({unopened} known from the journal only), \
             by the rooms' present configuration"
        ),
        offences,
        not_judged,
    })
}

fn saw_another_rate(journal: Option<&Journal>, at: &str, rate: i64) -> bool {
    journal
        .iter()
        .flat_map(|journal| &journal.lines)
        .any(|line| {
            matches!(line, Line::Room { room, rate_per_minute }
            if room == at && i64::from(*rate_per_minute) != rate)
        })
}

fn too_many_at_once(room: &str, admitted: &[&Admission], max_active: i64) -> Option<String> {
    let mut steps: Vec<(f64, i64)> = Vec::new();
    for admission in admitted {
        let cut_off = admission.admitted_at.fract() == 0.0;
        let from = admission.admitted_at + if cut_off { 1.0 } else { 0.0 };
        if from < admission.over_at {
            steps.extend([(from, 1), (admission.over_at, -1)]);
        }
    }
    // Whoever leaves in the instant another comes has made room first.
    steps.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut live, mut peak, mut peak_at) = (0, 0, 0.0);
    for (at, step) in steps {
        live += step;
        if live > peak {
            (peak, peak_at) = (live, at);
        }
    }
    (peak > max_active)
        .then(|| format!("{room}: {peak} live admissions at unix {peak_at}, at most {max_active}"))
}

fn too_many_in_a_window(room: &str, admitted: &[&Admission], rate: i64) -> Option<String> {
    let mut times: Vec<f64> = admitted
        .iter()
        .map(|admission| admission.admitted_at)
        .collect();
    times.sort_by(f64::total_cmp);
    // Ten seconds of pace and one second's worth, rounded up.
    let allowed = rate * 10 / 60 + ((rate + 59) / 60).max(1);
    let (mut most, mut most_at) = (0, 0.0);
    let mut end = 0;
    for (start, from) in times.iter().enumerate() {
        while times
            .get(end)
            .is_some_and(|time| time - from < WINDOW_SECONDS)
        {
            end += 1;
        }
        if end - start > most {
            (most, most_at) = (end - start, *from);
        }
    }
    (i64::try_from(most).is_ok_and(|most| most > allowed)).then(|| {
        format!("{room}: {most} claims in the 10 s from unix {most_at}, at most {allowed}")
    })
}
