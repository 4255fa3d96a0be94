//! Lines for the person at the terminal.

use std::time::Instant;

/// Prints progress with the time since the start.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    started: Instant,
}

impl Report {
    /// Starts the clock.
    pub fn new(started: Instant) -> Self {
        Self { started }
    }

    /// One line. A closed terminal is no reason to stop.
    pub fn line(&self, text: impl std::fmt::Display) {
        use std::io::Write as _;
        let seconds = self.started.elapsed().as_secs_f64();
        let _ = writeln!(std::io::stdout(), "[{seconds:7.1}s] {text}");
    }

    /// Lines shown as they are, set in.
    pub fn quote(&self, text: &str) {
        use std::io::Write as _;
        for line in text.lines() {
            let _ = writeln!(std::io::stdout(), "           | {line}");
        }
    }
}
