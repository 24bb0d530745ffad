//! What is said on stderr: `note:`, `warning:`, `hint:` and `error:`, each once a run, in colour where that is wanted.

use std::collections::HashSet;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::ColorChoice;

use crate::printer::{broken, one_message, printable};
use crate::progress;

/// What a sentence on stderr is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that was decided or noticed; nothing is wrong.
    Note,
    /// Something that makes a result worse or narrower than was asked for.
    Warning,
    /// What to do about what was said just before.
    Hint,
    /// Why there is no result.
    Error,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Note => "note:",
            Self::Warning => "warning:",
            Self::Hint => "hint:",
            Self::Error => "error:",
        }
    }

    /// Bold, and a colour that dark and light grounds show.
    fn colour(self) -> &'static str {
        match self {
            Self::Note => "\x1b[1;36m",
            Self::Warning => "\x1b[1;33m",
            Self::Hint => "\x1b[1;32m",
            Self::Error => "\x1b[1;31m",
        }
    }
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loudness {
    /// Warnings and errors.
    Quiet,
    /// Notes and progress, too.
    #[default]
    Usual,
    /// What was decided and how long it took, too.
    Verbose,
}

struct Settings {
    loudness: Loudness,
    colour: bool,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();
static SAID: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Decides how much is said and whether in colour; the first call counts.
pub fn configure(loudness: Loudness, colour: ColorChoice) {
    let colour = match colour {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => colour_by_itself(io::stderr().is_terminal()),
    };
    // A second call would be the program's own mistake, and changes nothing.
    let _ = SETTINGS.set(Settings { loudness, colour });
}

/// Whether a stream is coloured when nobody says it (<https://no-color.org>).
fn colour_by_itself(terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// How much is said.
pub fn loudness() -> Loudness {
    SETTINGS.get().map_or(Loudness::Usual, |settings| settings.loudness)
}

/// Something that was decided or noticed.
pub fn note(text: impl Display) {
    say(Kind::Note, &text.to_string());
}

/// Something that makes a result worse or narrower than was asked for.
pub fn warning(text: impl Display) {
    say(Kind::Warning, &text.to_string());
}

/// What to do about what was said just before.
pub fn hint(text: impl Display) {
    say(Kind::Hint, &text.to_string());
}

/// What only `--verbose` tells.
pub fn detail(text: impl Display) {
    if loudness() == Loudness::Verbose {
        note(text);
    }
}

/// A line of progress that stays, such as the end of an epoch; not with `--quiet`.
pub fn progress_line(text: impl Display) {
    if loudness() != Loudness::Quiet {
        write_line(&printable(&text.to_string()));
    }
}

/// Says why there is no result: the error and its causes in one sentence; lines of it that begin with `hint:` stay hints.
pub fn error(error: &anyhow::Error) {
    write_line(&sentence(error));
}

/// The same at once, whatever holds the terminal: for a program that ends here. `before` is written first.
pub fn last_words(before: &str, error: &anyhow::Error) {
    let _ = io::stderr().write_all(format!("{before}{}\n", sentence(error)).as_bytes());
}

fn sentence(error: &anyhow::Error) -> String {
    let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    // Library errors often name their cause in their own sentence; it is not said twice.
    causes.dedup_by(|later, earlier| earlier.contains(later.as_str()));
    let text = format!("{} {}", Kind::Error.prefix(), one_message(&causes.join(": ")));
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// What is wrong with the command line, as clap says it, with this program's prefixes.
pub fn usage_error(error: &clap::Error) {
    let said = error.render().to_string();
    let said = crate::printer::printable_lines(said.trim_end());
    let said = said.replace("\n  tip: ", "\nhint: ");
    write_line(&said.lines().map(coloured).collect::<Vec<_>>().join("\n"));
}

/// A message as it is shown: broken between words where there is a terminal.
fn shown(line: &str) -> String {
    match progress::terminal_columns(io::stderr()) {
        Some(columns) => coloured(&broken(line, columns)),
        None => coloured(line),
    }
}

/// A line with its prefix, if it has one, in colour, if colour is wanted.
fn coloured(line: &str) -> String {
    let kinds = [Kind::Note, Kind::Warning, Kind::Hint, Kind::Error];
    let wanted = SETTINGS.get().is_some_and(|settings| settings.colour);
    match kinds.into_iter().find(|kind| wanted && line.starts_with(kind.prefix())) {
        Some(kind) => {
            let (prefix, rest) = line.split_at(kind.prefix().len());
            format!("{}{prefix}\x1b[0m{rest}", kind.colour())
        }
        None => line.to_owned(),
    }
}

fn say(kind: Kind, text: &str) {
    let wanted = kind == Kind::Warning || loudness() != Loudness::Quiet;
    let line = format!("{} {}", kind.prefix(), printable(text));
    if wanted && is_new(&line) {
        write_line(&shown(&line));
    }
}

/// Whether this was not said before.
fn is_new(sentence: &str) -> bool {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.get_or_insert_default().insert(sentence.to_owned())
}

/// One write for each message, so that those of several threads do not mix. Nobody may be listening any more: then nothing is said.
fn write_line(text: &str) {
    progress::without_bar(|| {
        let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_new_once() {
        assert!(is_new("note: a sentence of this test"));
        assert!(!is_new("note: a sentence of this test"));
        assert!(is_new("warning: a sentence of this test"));
    }
}
