//! Which of a section's open seats to offer a group: side by side in one row, if there is a choice
//! without leaving a single seat alone, and else in as few pieces as can be.

use std::cmp::Reverse;

/// An open seat: its ordinal and its row.
pub type Open = (i32, String);

/// `quantity` ordinals out of `open`, which is in the order of preference; fewer than `quantity`
/// only when `open` has fewer. Seats are neighbours when their ordinals and rows are.
pub fn pick(open: &[Open], quantity: usize) -> Vec<i32> {
    let mut runs = runs(open);
    let whole = runs.iter().filter(|run| run.len() >= quantity);
    // The first that leaves no single seat; `min_by_key` keeps the earliest of equals.
    if let Some(run) = whole.min_by_key(|run| run.len() - quantity == 1) {
        return run.iter().take(quantity).copied().collect();
    }
    runs.sort_by_key(|run| Reverse(run.len()));
    runs.into_iter().flatten().take(quantity).collect()
}

/// Whether `pick` would keep these together.
pub fn together(open: &[Open], quantity: usize) -> bool {
    runs(open).iter().any(|run| run.len() >= quantity)
}

fn runs(open: &[Open]) -> Vec<Vec<i32>> {
    let mut runs: Vec<Vec<i32>> = Vec::new();
    let mut before: Option<&Open> = None;
    for seat in open {
        let neighbour =
            before.is_some_and(|(ordinal, row)| *ordinal + 1 == seat.0 && *row == seat.1);
        match runs.last_mut() {
            Some(run) if neighbour => run.push(seat.0),
            _ => runs.push(vec![seat.0]),
        }
        before = Some(seat);
    }
    runs
}
