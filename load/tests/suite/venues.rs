//! The committed seat plans are what the program writes, and what the demo promises.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Places of a plan, checking each line's shape.
fn places(csv: &str) -> anyhow::Result<u32> {
    let mut lines = csv.lines();
    ensure!(
        lines.next() == Some("section,kind,row,seat,capacity,price_minor,x,y"),
        "header"
    );
    let (mut places, mut seats, mut general) = (0, HashSet::new(), HashSet::new());
    for line in lines {
        let columns: Vec<&str> = line.split(',').collect();
        let [section, kind, row, seat, capacity, price, x, y] = columns[..] else {
            anyhow::bail!("not eight columns: {line}");
        };
        ensure!(price.parse::<u32>()? > 0, "no price: {line}");
        match kind {
            "seated" => {
                ensure!(
                    capacity.is_empty() && seats.insert((section, row, seat)),
                    "{line}"
                );
                ensure!(
                    x.parse::<f64>()? >= 0.0 && y.parse::<f64>()? >= 0.0,
                    "{line}"
                );
                places += 1;
            }
            "general" => {
                ensure!(
                    [row, seat, x, y].concat().is_empty() && general.insert(section),
                    "{line}"
                );
                places += capacity.parse::<u32>()?;
            }
            _ => anyhow::bail!("unknown kind: {line}"),
        }
    }
    Ok(places)
}

#[test]
fn the_committed_venues_are_the_generated_ones() -> anyhow::Result<()> {
    let into = std::env::temp_dir().join(format!("catraca-venues-{}", std::process::id()));
    std::fs::create_dir_all(&into)?;
    let program = env!("CARGO_BIN_EXE_catraca-load");
    let status = Command::new(program)
        .arg("venues")
        .arg("--into")
        .arg(&into)
        .status()?;
    ensure!(status.success(), "catraca-load venues: {status}");
    for (name, promised) in [("teatro.csv", 1_500), ("estadio.csv", 40_000)] {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("venues")
            .join(name);
        let committed = std::fs::read_to_string(committed).context(name)?;
        ensure!(
            committed == std::fs::read_to_string(into.join(name))?,
            "{name} differs"
        );
        ensure!(
            places(&committed)? == promised,
            "{name} has not {promised} places"
        );
    }
    std::fs::remove_dir_all(into)?;
    Ok(())
}
