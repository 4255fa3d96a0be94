//! Which seats of a section are the best to offer a group: the rule for numbered seats.
//!
//! 1. Side by side in one row, if any row still has so many open seats in a stretch.
//! 2. Of such places those that leave the fewest single seats beside the group: open seats with no
//!    open neighbour any more. None is left where a place can be had that leaves none.
//! 3. Of those the nearest to the stage: the distance of the group's centre from the middle of the
//!    section's first row, by the plan's positions, or by row and seat where the plan has none.
//! 4. Of those the first in the plan.
//!
//! A group for which no stretch is long enough is split into as few pieces as can be: the longest
//! stretches, whole, the nearest of equally long ones; what is left of the group takes the best
//! place in the last of them. Where that would leave a single seat, and a stretch one seat shorter
//! can take the place of one, it does.
//!
//! Seats are neighbours when they follow each other in the plan within one row.

use std::cmp::Ordering;
use std::ops::Range;

/// A seat, as the plan describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// Label of its row. Rows are told apart by a change of label.
    pub row: String,
    /// Where it is, if the plan says so; in any unit.
    pub position: Option<(f64, f64)>,
}

/// A section's seats, in the order of the plan: a seat's index is its ordinal.
#[derive(Debug, Clone)]
pub struct Seating {
    /// Where each row begins; and, last, the number of seats.
    row_ends: Vec<usize>,
    /// Sums of the positions of all seats before: the centre of a group is two subtractions.
    sums: Vec<(f64, f64)>,
    stage: (f64, f64),
}

/// A place for a group, as it is compared with others.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    seats: Range<usize>,
    /// Single seats that it leaves.
    singles: u8,
    /// Square of the distance.
    distance: f64,
}

impl Place {
    fn better(&self, other: &Self) -> Ordering {
        self.singles
            .cmp(&other.singles)
            .then(self.distance.total_cmp(&other.distance))
            .then(self.seats.start.cmp(&other.seats.start))
    }
}

impl Seating {
    /// From the seats of a section, in the order of the plan. The row that comes first is the one
    /// before the stage.
    pub fn new(seats: &[Seat]) -> Self {
        let rows: Vec<&[Seat]> = seats.chunk_by(|one, next| one.row == next.row).collect();
        // Positions count only where every seat has one.
        let placed = seats.iter().all(|seat| seat.position.is_some());
        let (mut row_ends, mut sums) = (Vec::new(), vec![(0.0, 0.0)]);
        let (mut sum, mut count) = ((0.0, 0.0), 0);
        for (depth, row) in rows.iter().enumerate() {
            for (index, seat) in row.iter().enumerate() {
                let by_count = (number(index) - number(row.len() - 1) / 2.0, number(depth));
                let (x, y) = seat.position.filter(|_| placed).unwrap_or(by_count);
                sum = (sum.0 + x, sum.1 + y);
                sums.push(sum);
            }
            count += row.len();
            row_ends.push(count);
        }
        let mut seating = Self {
            row_ends,
            sums,
            stage: (0.0, 0.0),
        };
        let first_row = seating.row_ends.first().copied().unwrap_or(0);
        seating.stage = seating.centre(&(0..first_row));
        seating
    }

    /// Number of seats.
    pub fn len(&self) -> usize {
        self.row_ends.last().copied().unwrap_or(0)
    }

    /// Whether the section has no seat.
    pub fn is_empty(&self) -> bool {
        self.row_ends.is_empty()
    }

    /// The best `quantity` seats out of those that are open, by index and in order; `None` when
    /// fewer are open. Seats beyond the end of `open` are not.
    pub fn best(&self, open: &[bool], quantity: usize) -> Option<Vec<usize>> {
        if quantity == 0 {
            return Some(Vec::new());
        }
        let stretches = self.stretches(open);
        let together = stretches
            .iter()
            .filter_map(|stretch| self.place(stretch, quantity))
            .min_by(Place::better);
        let mut chosen: Vec<usize> = match together {
            Some(place) => place.seats.collect(),
            None => self.pieces(stretches, quantity)?,
        };
        chosen.sort_unstable();
        Some(chosen)
    }

    /// Open seats with no open neighbour.
    pub fn singles(&self, open: &[bool]) -> usize {
        let stretches = self.stretches(open);
        stretches
            .iter()
            .filter(|stretch| stretch.len() == 1)
            .count()
    }

    /// Runs of open neighbours, as long as they go.
    fn stretches(&self, open: &[bool]) -> Vec<Range<usize>> {
        let mut stretches = Vec::new();
        let mut first = 0;
        for end in &self.row_ends {
            let mut begun = None;
            for seat in first..*end {
                let is_open = open.get(seat).copied().unwrap_or(false);
                match (begun, is_open) {
                    (None, true) => begun = Some(seat),
                    (Some(start), false) => {
                        stretches.push(start..seat);
                        begun = None;
                    }
                    (None, false) | (Some(_), true) => {}
                }
            }
            stretches.extend(begun.map(|start| start..*end));
            first = *end;
        }
        stretches
    }

    /// The best place for a group within one stretch.
    fn place(&self, stretch: &Range<usize>, quantity: usize) -> Option<Place> {
        let last = stretch.end.checked_sub(quantity)?;
        (stretch.start..=last)
            .map(|start| {
                let seats = start..start + quantity;
                let (before, after) = (start - stretch.start, stretch.end - seats.end);
                Place {
                    singles: u8::from(before == 1) + u8::from(after == 1),
                    distance: self.distance(&seats),
                    seats,
                }
            })
            .min_by(Place::better)
    }

    /// For a group that no stretch can take.
    fn pieces(&self, mut stretches: Vec<Range<usize>>, quantity: usize) -> Option<Vec<usize>> {
        stretches.sort_by(|one, other| {
            other
                .len()
                .cmp(&one.len())
                .then(self.distance(one).total_cmp(&self.distance(other)))
                .then(one.start.cmp(&other.start))
        });
        let mut seats = 0;
        let count = 1 + stretches.iter().position(|stretch| {
            seats += stretch.len();
            seats >= quantity
        })?;
        let rest = stretches.split_off(count);
        let mut over = seats - quantity;
        if over == 1 {
            // The longest have a seat too many. All other choices of as many stretches have fewer
            // seats; one with one fewer differs in one stretch, by one seat.
            let shorter = |long: &Range<usize>| {
                let fits = |short: &&Range<usize>| short.len() + 1 == long.len();
                rest.iter().find(fits).cloned()
            };
            let swap = stretches
                .iter()
                .enumerate()
                .find_map(|(index, long)| Some((index, shorter(long)?)));
            if let Some((index, short)) = swap {
                stretches.remove(index);
                stretches.push(short);
                over = 0;
            }
        }
        // Fewer than are in the shortest: else that one would not have been needed.
        let last = stretches.pop()?;
        let place = self.place(&last, last.len() - over)?;
        Some(stretches.into_iter().flatten().chain(place.seats).collect())
    }

    /// Square of a group's distance from the stage.
    fn distance(&self, seats: &Range<usize>) -> f64 {
        let (x, y) = self.centre(seats);
        (x - self.stage.0).powi(2) + (y - self.stage.1).powi(2)
    }

    fn centre(&self, seats: &Range<usize>) -> (f64, f64) {
        let at = |index: usize| self.sums.get(index).copied().unwrap_or_default();
        let ((x0, y0), (x1, y1)) = (at(seats.start), at(seats.end));
        let count = number(seats.len().max(1));
        ((x1 - x0) / count, (y1 - y0) / count)
    }
}

/// Sections have some thousands of seats.
fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
