//! The sample venues: a theatre of 1,500 numbered seats and a stadium of 40,000 places, each the
//! same on every run. Positions are metres on a plan whose stage or pitch is at the top left.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

const HEADER: &str = "section,kind,row,seat,capacity,price_minor,x,y\n";

/// Where to write them.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder for `teatro.csv` and `estadio.csv`.
    #[arg(long, default_value = "load/venues")]
    into: PathBuf,
}

/// Rows of seats on arcs around the stage.
struct Arc {
    section: &'static str,
    rows: u32,
    seats_per_row: u32,
    price_minor: u32,
    /// Distance of the first row from the middle of the stage, metres.
    radius: f64,
}

const TEATRO: [Arc; 5] = [
    arc("Plateia", 16, 30, 32_000, 10.0),
    arc("Plateia-Alta", 12, 34, 24_000, 26.0),
    arc("Camarotes", 2, 42, 42_000, 38.5),
    arc("Balcao", 8, 36, 16_000, 41.0),
    arc("Galeria", 6, 40, 8_000, 50.0),
];

const fn arc(
    section: &'static str,
    rows: u32,
    seats_per_row: u32,
    price_minor: u32,
    radius: f64,
) -> Arc {
    Arc {
        section,
        rows,
        seats_per_row,
        price_minor,
        radius,
    }
}

/// Section, capacity, price in minor units.
const ESTADIO_GENERAL: [(&str, u32, u32); 4] = [
    ("Pista-Premium", 4_000, 58_000),
    ("Pista", 16_000, 34_000),
    ("Arquibancada-Norte", 6_000, 18_000),
    ("Arquibancada-Sul", 6_000, 18_000),
];
/// Side, price in minor units of the blocks at midfield, and which way its rows climb.
const ESTADIO_STANDS: [(&str, u32, f64); 2] = [("Leste", 46_000, 1.0), ("Oeste", 52_000, -1.0)];
const BLOCKS_PER_STAND: u32 = 8;
const ROWS_PER_BLOCK: u32 = 20;
const SEATS_PER_BLOCK_ROW: u32 = 25;

/// Writes both files.
///
/// # Errors
/// When the folder can't be written.
pub(crate) fn write(options: &Options) -> anyhow::Result<()> {
    for (name, csv) in [("teatro.csv", teatro()), ("estadio.csv", estadio())] {
        let path = options.into.join(name);
        std::fs::write(&path, csv).with_context(|| format!("writing {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// `A`, `B`, … as rows are named in a theatre.
fn row_letter(row: u32) -> char {
    char::from_u32(u32::from(b'A') + row).unwrap_or('Z')
}

fn teatro() -> String {
    let mut csv = HEADER.to_owned();
    for arc in &TEATRO {
        for row in 0..arc.rows {
            let radius = arc.radius + f64::from(row);
            for seat in 0..arc.seats_per_row {
                // A fan of 100 degrees, the middle seat straight in front of the stage.
                let share = (f64::from(seat) + 0.5) / f64::from(arc.seats_per_row) - 0.5;
                let angle = share * 100_f64.to_radians();
                let (x, y) = (50.0 + radius * angle.sin(), radius * angle.cos());
                let (section, letter, number) = (arc.section, row_letter(row), seat + 1);
                line(&mut csv, section, letter, number, arc.price_minor, (x, y));
            }
        }
    }
    csv
}

fn estadio() -> String {
    let mut csv = HEADER.to_owned();
    for (section, capacity, price_minor) in ESTADIO_GENERAL {
        // Writing to a String can't fail.
        let _ = writeln!(csv, "{section},general,,,{capacity},{price_minor},,");
    }
    for (side, price_minor, outwards) in ESTADIO_STANDS {
        for block in 0..BLOCKS_PER_STAND {
            let section = format!("{side}-{}", block + 1);
            let midfield = (2..6).contains(&block);
            let price_minor = if midfield {
                price_minor
            } else {
                price_minor - 14_000
            };
            for row in 0..ROWS_PER_BLOCK {
                for seat in 0..SEATS_PER_BLOCK_ROW {
                    let x = 70.0 + outwards * (45.0 + 0.8 * f64::from(row));
                    let along = f64::from(block * (SEATS_PER_BLOCK_ROW + 2) + seat);
                    let at = (x, 0.5 * along);
                    line(&mut csv, &section, row + 1, seat + 1, price_minor, at);
                }
            }
        }
    }
    csv
}

fn line(
    csv: &mut String,
    section: &str,
    row: impl std::fmt::Display,
    seat: u32,
    price_minor: u32,
    (x, y): (f64, f64),
) {
    let _ = writeln!(
        csv,
        "{section},seated,{row},{seat},,{price_minor},{x:.2},{y:.2}"
    );
}
