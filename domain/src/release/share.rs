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

/// Divides `total` among (share, demand): by share, nobody more than the demand, what they leave to
/// the others by share. If all have enough, what is over goes to the first that wants anything.
pub fn divide(total: f64, demands: &[(f64, f64)]) -> Vec<f64> {
    let mut parts = vec![0.0; demands.len()];
    let mut open: Vec<usize> = (0..demands.len())
        .filter(|index| demands[*index].1 > 0.0)
        .collect();
    let first = open.first().copied();
    let mut rest = total;
    while !open.is_empty() {
        let shares: f64 = open.iter().map(|index| demands[*index].0).sum();
        let (served, wanting): (Vec<usize>, Vec<usize>) = open
            .iter()
            .partition(|index| demands[**index].1 <= rest * demands[**index].0 / shares);
        if served.is_empty() {
            for index in open {
                parts[index] = rest * demands[index].0 / shares;
            }
            return parts;
        }
        for index in served {
            parts[index] = demands[index].1;
            rest -= demands[index].1;
        }
        rest = rest.max(0.0);
        open = wanting;
    }
    if let Some(first) = first {
        parts[first] += rest;
    }
    parts
}
