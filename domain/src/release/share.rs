//! What several lanes have in common, divided by their declared shares. A share that nobody is
//! there for goes to the others; nobody who is there waits for ever.

/// A lane at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Its part, relative to the others; from 1.
    pub share: u64,
    /// Admissions on its account.
    pub served: u64,
    /// People of it who are there to be let in.
    pub at_the_door: u64,
}

/// The lane that is let in next: of those with anybody at the door the one furthest behind its share.
/// Each admission counts at its middle (Webster's method), which favours neither large nor small lanes.
fn next(turns: &[Turn]) -> Option<usize> {
    let mut best: Option<(usize, &Turn)> = None;
    for (index, turn) in turns.iter().enumerate() {
        let sooner = |than: &Turn| {
            u128::from(2 * turn.served + 1) * u128::from(than.share)
                < u128::from(2 * than.served + 1) * u128::from(turn.share)
        };
        if turn.at_the_door > 0 && best.is_none_or(|(_, than)| sooner(than)) {
            best = Some((index, turn));
        }
    }
    best.map(|(index, _)| index)
}

/// Whether one of the next `open` admissions falls to lane `slot`.
pub fn is_turn_of(slot: usize, open: u64, turns: &[Turn]) -> bool {
    let there: u64 = turns.iter().map(|turn| turn.at_the_door).sum();
    if there <= open {
        return true;
    }
    let mut turns = turns.to_vec();
    for _ in 0..open {
        match next(&turns) {
            Some(index) if index == slot => return true,
            Some(index) => {
                turns[index].served += 1;
                turns[index].at_the_door -= 1;
            }
            None => return false,
        }
    }
    false
}

/// What a lane could use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// Its part, relative to the others; from 1.
    pub share: f64,
    /// Admissions on its account.
    pub served: f64,
    /// People it has.
    pub people: f64,
}

/// Divides `total` places at the door: so that with them every lane's account would stand at the same
/// level for its share, nobody getting more than there are people. If all have enough, what is over
/// goes to the first with anybody.
pub fn divide(total: f64, demands: &[Demand]) -> Vec<f64> {
    let people: f64 = demands.iter().map(|demand| demand.people).sum();
    if people <= total {
        let mut parts: Vec<f64> = demands.iter().map(|demand| demand.people).collect();
        if let Some(part) = parts.iter_mut().find(|part| **part > 0.0) {
            *part += total - people;
        }
        return parts;
    }
    let at = |level: f64| {
        demands
            .iter()
            .map(move |demand| (demand.share * level - demand.served).clamp(0.0, demand.people))
    };
    // The sum grows with the level in straight pieces, which end where a lane begins or has all.
    let mut ends: Vec<f64> = demands
        .iter()
        .flat_map(|demand| [demand.served, demand.served + demand.people].map(|n| n / demand.share))
        .collect();
    ends.sort_unstable_by(f64::total_cmp);
    let (mut low, mut below) = (0.0, 0.0);
    for high in ends {
        let sum: f64 = at(high).sum();
        if sum >= total {
            let part = if sum > below {
                (total - below) / (sum - below)
            } else {
                1.0
            };
            return at(low + (high - low) * part).collect();
        }
        (low, below) = (high, sum);
    }
    at(low).collect()
}
