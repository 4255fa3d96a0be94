//! Lines for the person at the terminal.

use std::time::Instant;

/// Prints progress with the time since the start.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    started: Instant,
    aside: bool,
}

impl Report {
    /// Starts the clock; prints to standard output.
    pub fn new(started: Instant) -> Self {
        Self {
            started,
            aside: false,
        }
    }

    /// Prints to standard error, when standard output belongs to somebody else.
    #[must_use]
    pub fn aside(mut self) -> Self {
        self.aside = true;
        self
    }

    /// One line, with the time.
    pub fn line(&self, text: impl std::fmt::Display) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.print(&format!("[{seconds:7.1}s] {text}"));
    }

    /// Lines shown as they are, set in.
    pub fn quote(&self, text: &str) {
        for line in text.lines() {
            self.print(&format!("           | {line}"));
        }
    }

    /// A line without the time.
    pub fn plain(&self, text: impl std::fmt::Display) {
        self.print(&text.to_string());
    }

    /// A closed terminal is no reason to stop, so errors are ignored.
    fn print(&self, line: &str) {
        use std::io::Write as _;
        let _ = if self.aside {
            writeln!(std::io::stderr(), "{line}")
        } else {
            writeln!(std::io::stdout(), "{line}")
        };
    }
}
