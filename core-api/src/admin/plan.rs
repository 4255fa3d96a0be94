//! A seating plan from CSV: every line checked, every bad one named.

use catraca_domain::money::AMOUNT_MINOR_MAX;
use std::collections::{HashMap, HashSet};

/// The columns, in any order.
pub const COLUMNS: [&str; 8] = [
    "section",
    "kind",
    "row",
    "seat",
    "capacity",
    "price_minor",
    "x",
    "y",
];
/// Most places of an event.
pub const PLACES_MAX: usize = 250_000;
/// Most sections of an event.
pub const SECTIONS_MAX: usize = 500;
/// Most bad lines named; the count says how many there are.
pub const BAD_LINES_MAX: usize = 100;
/// Longest label, in characters.
const LABEL_CHARS_MAX: usize = crate::holds::request::LABEL_CHARS_MAX;

/// A bad line. Line 1 is the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number in the file.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a file was refused.
#[derive(Debug, PartialEq, Eq)]
pub struct BadPlan {
    /// The first [`BAD_LINES_MAX`].
    pub lines: Vec<BadLine>,
    /// All of them.
    pub count: usize,
}

/// A section and its places.
#[derive(Debug, Default, PartialEq)]
pub struct Section {
    /// Name.
    pub name: String,
    /// The numbered seats; none in general admission.
    pub seats: Vec<Seat>,
    /// Places in general admission; 0 when seated.
    pub general_capacity: i32,
    /// Lowest price, in minor units.
    pub price_minor: i64,
    first_line: u64,
}

/// A numbered seat.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// Row label.
    pub row: String,
    /// Seat label.
    pub seat: String,
    /// Position on the plan.
    pub x: Option<f64>,
    /// Position on the plan.
    pub y: Option<f64>,
    /// Price, in minor units.
    pub price_minor: i64,
}

impl Section {
    /// `seated` or `general`.
    pub fn kind(&self) -> &'static str {
        if self.general_capacity > 0 {
            "general"
        } else {
            "seated"
        }
    }

    /// Places.
    pub fn capacity(&self) -> i32 {
        if self.general_capacity > 0 {
            self.general_capacity
        } else {
            i32::try_from(self.seats.len()).unwrap_or(i32::MAX)
        }
    }
}

/// Reads a whole file. Sections keep the order in which they appear.
///
/// # Errors
/// [`BadPlan`], with every bad line.
pub fn read(bytes: &[u8]) -> Result<Vec<Section>, BadPlan> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let positions = match reader.headers().map(positions) {
        Ok(Ok(positions)) => positions,
        Ok(Err(reason)) => return Err(BadPlan::whole(reason)),
        Err(_) => return Err(BadPlan::whole("is not CSV in UTF-8")),
    };
    let mut plan = Plan::default();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                if let Err(reason) = plan.take(
                    line,
                    &Line {
                        record: &record,
                        positions,
                    },
                ) {
                    plan.bad.add(line, reason);
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                plan.bad.add(line, "is not CSV in UTF-8");
            }
        }
    }
    if plan.sections.is_empty() && plan.bad.count == 0 {
        plan.bad.add(1, "no place follows the header");
    }
    if plan.bad.count > 0 {
        return Err(plan.bad);
    }
    Ok(plan.sections)
}

fn positions(header: &csv::StringRecord) -> Result<[usize; 8], String> {
    let mut positions = [0; 8];
    for (column, position) in COLUMNS.iter().zip(&mut positions) {
        *position = header
            .iter()
            .position(|name| name == *column)
            .ok_or_else(|| {
                format!(
                    "the header lacks {column}; it must have {}",
                    COLUMNS.join(",")
                )
            })?;
    }
    if header.len() == COLUMNS.len() {
        Ok(positions)
    } else {
        Err(format!("the header must have just {}", COLUMNS.join(",")))
    }
}

impl BadPlan {
    fn whole(reason: impl Into<String>) -> Self {
        let mut bad = Self {
            lines: Vec::new(),
            count: 0,
        };
        bad.add(1, reason);
        bad
    }

    fn add(&mut self, line: u64, reason: impl Into<String>) {
        self.count += 1;
        if self.lines.len() < BAD_LINES_MAX {
            self.lines.push(BadLine {
                line,
                reason: reason.into(),
            });
        }
    }
}

struct Line<'a> {
    record: &'a csv::StringRecord,
    positions: [usize; 8],
}

impl Line<'_> {
    fn field(&self, column: usize) -> &str {
        self.record.get(self.positions[column]).unwrap_or("")
    }

    fn label(&self, column: usize) -> Result<String, String> {
        let text = self.field(column);
        let fits = (1..=LABEL_CHARS_MAX).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) {
            return Ok(text.to_owned());
        }
        Err(format!(
            "{} must be 1 to {LABEL_CHARS_MAX} characters",
            COLUMNS[column]
        ))
    }

    fn number(&self, column: usize, range: std::ops::RangeInclusive<i64>) -> Result<i64, String> {
        let number = self
            .field(column)
            .parse()
            .ok()
            .filter(|n| range.contains(n));
        number.ok_or_else(|| {
            let (low, high) = range.into_inner();
            format!(
                "{} must be a whole number from {low} to {high}",
                COLUMNS[column]
            )
        })
    }

    fn position(&self, column: usize) -> Result<Option<f64>, String> {
        let text = self.field(column);
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse().ok().filter(|n: &f64| n.abs() <= 1e6);
        number.map(Some).ok_or_else(|| {
            format!(
                "{} must be empty or a number within a million",
                COLUMNS[column]
            )
        })
    }

    fn empty(&self, columns: &[usize], kind: &str) -> Result<(), String> {
        match columns
            .iter()
            .find(|column| !self.field(**column).is_empty())
        {
            Some(column) => Err(format!("{} must be empty for {kind}", COLUMNS[*column])),
            None => Ok(()),
        }
    }
}

struct Plan {
    sections: Vec<Section>,
    index: HashMap<String, usize>,
    seen: HashSet<(usize, String, String)>,
    places: usize,
    bad: BadPlan,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            sections: Vec::new(),
            index: HashMap::new(),
            seen: HashSet::new(),
            places: 0,
            bad: BadPlan {
                lines: Vec::new(),
                count: 0,
            },
        }
    }
}

impl Plan {
    fn take(&mut self, number: u64, line: &Line<'_>) -> Result<(), String> {
        if line.record.len() != COLUMNS.len() {
            return Err(format!(
                "has {} fields, not {}",
                line.record.len(),
                COLUMNS.len()
            ));
        }
        let name = line.label(0)?;
        let price_minor = line.number(5, 0..=AMOUNT_MINOR_MAX / 100)?;
        match line.field(1) {
            "seated" => {
                line.empty(&[4], "seated")?;
                let seat = Seat {
                    row: line.label(2)?,
                    seat: line.label(3)?,
                    x: line.position(6)?,
                    y: line.position(7)?,
                    price_minor,
                };
                self.grow(1)?;
                self.seat(number, name, seat)
            }
            "general" => {
                line.empty(&[2, 3, 6, 7], "general")?;
                let most = i64::try_from(PLACES_MAX).unwrap_or(i64::MAX);
                let capacity = line.number(4, 1..=most)?;
                if let Some(index) = self.index.get(&name) {
                    let first = self.sections[*index].first_line;
                    return Err(format!("section {name} was given at line {first}"));
                }
                self.grow(usize::try_from(capacity).unwrap_or(usize::MAX))?;
                let index = self.section(number, name, price_minor)?;
                self.sections[index].general_capacity = i32::try_from(capacity).unwrap_or(0);
                Ok(())
            }
            _ => Err("kind must be seated or general".to_owned()),
        }
    }

    fn seat(&mut self, number: u64, name: String, seat: Seat) -> Result<(), String> {
        let index = self.section(number, name, seat.price_minor)?;
        let section = &mut self.sections[index];
        if section.general_capacity > 0 {
            let first = section.first_line;
            return Err(format!(
                "section {} is general since line {first}",
                section.name
            ));
        }
        if !self
            .seen
            .insert((index, seat.row.clone(), seat.seat.clone()))
        {
            return Err(format!(
                "row {} seat {} was given before",
                seat.row, seat.seat
            ));
        }
        section.price_minor = section.price_minor.min(seat.price_minor);
        section.seats.push(seat);
        Ok(())
    }

    fn section(&mut self, line: u64, name: String, price_minor: i64) -> Result<usize, String> {
        if let Some(index) = self.index.get(&name) {
            return Ok(*index);
        }
        if self.sections.len() >= SECTIONS_MAX {
            return Err(format!("more than {SECTIONS_MAX} sections"));
        }
        let index = self.sections.len();
        self.index.insert(name.clone(), index);
        self.sections.push(Section {
            name,
            price_minor,
            first_line: line,
            ..Section::default()
        });
        Ok(index)
    }

    fn grow(&mut self, places: usize) -> Result<(), String> {
        self.places = self.places.saturating_add(places);
        if self.places > PLACES_MAX {
            return Err(format!("more than {PLACES_MAX} places"));
        }
        Ok(())
    }
}
