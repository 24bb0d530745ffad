//! Where words go: results to stdout, talk to stderr, errors as one sentence.

use std::io::{self, Write};

use serde::Serialize;

/// Prints results for a person or for a program.
pub struct Printer {
    json: bool,
}

impl Printer {
    /// With `json`, results are JSON on stdout.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a result: as JSON, or as the lines that `human` makes of it.
    ///
    /// # Errors
    /// When stdout cannot be written to.
    pub fn result<T: Serialize>(&self, result: &T, human: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(result)? } else { human(result) };
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{}", text.trim_end()) {
            // The reader has had enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Says something to the person, never on stdout.
    pub fn say(&self, text: &str) {
        eprintln!("{text}");
    }

    /// Says what went wrong.
    pub fn error(&self, error: &anyhow::Error) {
        let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        // Library errors often name their cause in their own sentence; it is not said twice.
        causes.dedup_by(|later, earlier| earlier.contains(later.as_str()));
        eprintln!("error: {}", causes.join(": "));
    }
}
