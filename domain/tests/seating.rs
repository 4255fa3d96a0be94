//! The rule for the best seats, against a second opinion that tries every place there is.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod dice;

use catraca_domain::seating::{Seat, Seating};
use dice::Dice;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;

impl Dice {
    fn pick(&mut self, below: usize) -> usize {
        usize::try_from(self.roll(u64::try_from(below).unwrap())).unwrap()
    }
}

fn rows(lengths: &[usize]) -> Vec<Seat> {
    let row = |(row, length): (usize, &usize)| {
        let seat = Seat {
            row: row.to_string(),
            position: None,
        };
        vec![seat; *length]
    };
    lengths.iter().enumerate().flat_map(row).collect()
}

/// `.` is open, anything else is not; a blank begins another row.
fn plan(text: &str) -> (Seating, Vec<bool>) {
    let lengths: Vec<usize> = text.split(' ').map(str::len).collect();
    let open = text.chars().filter(|c| *c != ' ').map(|c| c == '.');
    (Seating::new(&rows(&lengths)), open.collect())
}

fn best(text: &str, quantity: usize) -> Option<Vec<usize>> {
    let (seating, open) = plan(text);
    seating.best(&open, quantity)
}

#[test]
fn the_middle_of_the_first_row_is_best() {
    assert_eq!(best("....... .......", 3).unwrap(), [2, 3, 4]);
    // A seat off the middle rather than one alone on either side.
    assert_eq!(best(".....", 3).unwrap(), [0, 1, 2]);
    assert_eq!(best("..... .....", 1).unwrap(), [2]);
}

#[test]
fn nobody_is_left_alone_where_there_is_a_choice() {
    assert_eq!(best("...x..", 2).unwrap(), [4, 5]);
    assert_eq!(
        best("...x... ....", 2).unwrap(),
        [7, 8],
        "not beside a third"
    );
    assert_eq!(best(".x.. ....", 1).unwrap(), [0], "the one that is alone");
    assert_eq!(best("...", 2).unwrap(), [0, 1], "no choice");
}

#[test]
fn a_group_sits_together_or_in_few_pieces() {
    assert_eq!(best("..x..x ...", 3).unwrap(), [6, 7, 8]);
    assert_eq!(best("..x. ...", 4).unwrap(), [3, 4, 5, 6], "three and one");
    assert_eq!(
        best("..x.. ...", 4).unwrap(),
        [0, 1, 3, 4],
        "two and two: nobody is left alone"
    );
    assert_eq!(best("x.x", 2), None);
    assert_eq!(best("", 1), None);
}

#[test]
fn positions_say_what_is_near() {
    let seat = |row: &str, x: f64, y: f64| Seat {
        row: row.to_owned(),
        position: Some((x, y)),
    };
    // The second row stands where the first one's end is.
    let seats = [
        seat("A", 0.0, 0.0),
        seat("A", 9.0, 0.0),
        seat("B", 4.0, 1.0),
        seat("B", 5.0, 1.0),
    ];
    let seating = Seating::new(&seats);
    assert_eq!(seating.best(&[true; 4], 2).unwrap(), [0, 1]);
    assert_eq!(seating.best(&[true, true, true, true], 1).unwrap(), [2]);
}

type Seats = BTreeSet<(usize, usize)>;

/// Single seats, counted another way.
fn alone(open: &Seats) -> Seats {
    let before = |(row, seat): (usize, usize)| seat > 0 && open.contains(&(row, seat - 1));
    let after = |(row, seat): (usize, usize)| open.contains(&(row, seat + 1));
    let single = |seat: &&(usize, usize)| !before(**seat) && !after(**seat);
    open.iter().filter(single).copied().collect()
}

/// Single seats that were none before this group left.
fn left_alone(open: &Seats, group: &Seats) -> usize {
    (&alone(&(open - group)) - &alone(open)).len()
}

/// Row and place in it, of each seat.
fn named(lengths: &[usize]) -> Vec<(usize, usize)> {
    let row = |(row, length): (usize, &usize)| (0..*length).map(move |seat| (row, seat));
    lengths.iter().enumerate().flat_map(row).collect()
}

/// Fewest seats that a group side by side can leave alone; none when it can't sit so.
fn fewest_alone(open: &Seats, quantity: usize) -> Option<usize> {
    let places = open.iter().filter_map(|(row, first)| {
        let sits = (0..quantity).all(|n| open.contains(&(*row, first + n)));
        let is_open = |seat: Option<usize>| seat.is_some_and(|seat| open.contains(&(*row, seat)));
        let (before, after) = (first.checked_sub(1), Some(first + quantity));
        let left = is_open(before) && !is_open(first.checked_sub(2));
        let right = is_open(after) && !is_open(Some(first + quantity + 1));
        sits.then_some(usize::from(left) + usize::from(right))
    });
    places.min()
}

fn pieces(chosen: &[(usize, usize)]) -> usize {
    let follow =
        |pair: &&[(usize, usize)]| matches!(pair, [(a, b), (c, d)] if a == c && b + 1 == *d);
    chosen.len() - chosen.windows(2).filter(follow).count()
}

/// Every set of so many open seats: the fewest pieces, and the fewest single seats that as many leave.
fn fewest_pieces(open: &Seats, quantity: usize) -> (usize, usize) {
    let seats: Vec<_> = open.iter().copied().collect();
    let choices = (0_u32..1 << seats.len()).filter(|set| set.count_ones() as usize == quantity);
    let each = choices.map(|set| {
        let taken = seats
            .iter()
            .enumerate()
            .filter(|(bit, _)| set & (1 << bit) != 0);
        let taken: Vec<_> = taken.map(|(_, seat)| *seat).collect();
        (
            pieces(&taken),
            left_alone(open, &taken.iter().copied().collect()),
        )
    });
    each.min().unwrap()
}

proptest! {
    #[test]
    fn any_plan_keeps_the_rule(
        lengths in prop::collection::vec(1_usize..9, 1..6),
        shut in prop::collection::vec(any::<bool>(), 48),
        quantity in 1_usize..6,
    ) {
        let names = named(&lengths);
        let open: Vec<bool> = names.iter().zip(&shut).map(|(_, shut)| !shut).collect();
        let seats: BTreeSet<_> = names.iter().zip(&open).filter(|(_, open)| **open)
            .map(|(name, _)| *name).collect();
        let seating = Seating::new(&rows(&lengths));
        prop_assert_eq!(seating.singles(&open), alone(&seats).len());
        let Some(chosen) = seating.best(&open, quantity) else {
            prop_assert!(seats.len() < quantity);
            return Ok(());
        };
        let chosen: Vec<_> = chosen.iter().map(|index| names[*index]).collect();
        let group: BTreeSet<_> = chosen.iter().copied().collect();
        prop_assert!(group.len() == quantity && group.is_subset(&seats));
        match fewest_alone(&seats, quantity) {
            Some(fewest) => {
                prop_assert_eq!(pieces(&chosen), 1);
                prop_assert_eq!(left_alone(&seats, &group), fewest);
            }
            None => prop_assert!(pieces(&chosen) > 1),
        }
    }

    #[test]
    fn a_split_group_keeps_the_rule(
        lengths in prop::collection::vec(1_usize..6, 1..5),
        shut in prop::collection::vec(prop::bool::weighted(0.35), 20),
        quantity in 2_usize..9,
    ) {
        let names = named(&lengths);
        let open: Vec<bool> = names.iter().zip(&shut).map(|(_, shut)| !shut).collect();
        let seats: BTreeSet<_> = names.iter().zip(&open).filter(|(_, open)| **open)
            .map(|(name, _)| *name).collect();
        prop_assume!(seats.len() >= quantity && seats.len() <= 12);
        prop_assume!(fewest_alone(&seats, quantity).is_none());
        let chosen = Seating::new(&rows(&lengths)).best(&open, quantity).unwrap();
        let chosen: Vec<_> = chosen.iter().map(|index| names[*index]).collect();
        let left = left_alone(&seats, &chosen.iter().copied().collect());
        prop_assert_eq!((pieces(&chosen), left), fewest_pieces(&seats, quantity));
    }
}

/// The theatre that the load tool sells, section by section.
fn theatre() -> Vec<Vec<Seat>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../load/venues/teatro.csv");
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let sections = lines.chunk_by(|one, next| one[0] == next[0]);
    let seat = |line: &Vec<&str>| Seat {
        row: line[2].to_owned(),
        position: Some((line[6].parse().unwrap(), line[7].parse().unwrap())),
    };
    sections
        .map(|section| section.iter().map(seat).collect())
        .collect()
}

/// 10,000 sales of one to eight seats, some given back, until the theatre is full, over and over.
/// Each leaves just as many seats alone as the rule could not avoid.
#[test]
fn ten_thousand_sales_leave_no_more_single_seats_than_the_rule_allows() {
    let mut dice = Dice(0x5eed_ca7a_c0de_0001);
    let sections = theatre();
    let seatings: Vec<Seating> = sections.iter().map(|seats| Seating::new(seats)).collect();
    let names: Vec<_> = sections
        .iter()
        .map(|seats| {
            let rows = seats.chunk_by(|one, next| one.row == next.row);
            named(&rows.map(<[Seat]>::len).collect::<Vec<_>>())
        })
        .collect();
    let (mut sales, mut unavoidable, mut split) = (0, 0, 0);
    while sales < 10_000 {
        let mut open: Vec<_> = sections
            .iter()
            .map(|seats| vec![true; seats.len()])
            .collect();
        let mut sold: Vec<(usize, Vec<usize>)> = Vec::new();
        while open.iter().flatten().any(|open| *open) {
            let section = dice.pick(sections.len());
            let quantity = 1 + dice.pick(8).min(dice.pick(8));
            let seats = names[section].iter().zip(&open[section]);
            let before: Seats = seats
                .filter(|(_, open)| **open)
                .map(|(name, _)| *name)
                .collect();
            let Some(chosen) = seatings[section].best(&open[section], quantity) else {
                assert!(before.len() < quantity, "sale {sales}");
                continue;
            };
            let group = chosen.iter().map(|seat| names[section][*seat]).collect();
            let left = left_alone(&before, &group);
            if let Some(fewest) = fewest_alone(&before, quantity) {
                assert_eq!(left, fewest, "sale {sales} of {quantity} in {section}");
                unavoidable += fewest;
            } else {
                assert!(left <= 1, "sale {sales}: a split group leaves {left} alone");
                split += 1;
            }
            for seat in &chosen {
                open[section][*seat] = false;
            }
            sold.push((section, chosen));
            sales += 1;
            if dice.pick(6) == 0 {
                let (section, seats) = sold.swap_remove(dice.pick(sold.len()));
                for seat in seats {
                    open[section][seat] = true;
                }
            }
        }
    }
    println!("{sales} sales: {unavoidable} seats left alone, unavoidably; {split} groups split");
}
