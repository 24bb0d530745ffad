//! Where words go: results to stdout, talk to stderr. Names come from files and from the network, so that nothing is printed here
//! that a terminal would take for a command.

use std::fmt::Write as _;
use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::progress::terminal_columns;

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
        let text = match self.json {
            true => escaped_json(&serde_json::to_string_pretty(result)?),
            false => match terminal_columns(io::stdout()) {
                Some(columns) => paragraphs(&printable_lines(&human(result)), columns),
                None => printable_lines(&human(result)),
            },
        };
        self.raw(format!("{}\n", text.trim_end()).as_bytes())
    }

    /// Prints bytes as they are: a text that the program itself is made with.
    ///
    /// # Errors
    /// When stdout cannot be written to.
    pub fn raw(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            // The reader has had enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("cannot write the result to stdout"),
        }
    }
}

/// Lines with those that are prose, which are those of a list, broken between words.
fn paragraphs(text: &str, columns: usize) -> String {
    let broken = |line: &str| match line.starts_with("- ") {
        true => broken(line, columns),
        false => line.to_owned(),
    };
    text.lines().map(broken).collect::<Vec<_>>().join("\n")
}

/// A line of prose in lines of fewer than `columns` columns, as far as its words allow; those after the first are indented.
pub fn broken(line: &str, columns: usize) -> String {
    let mut text = String::new();
    let mut width = 0;
    for word in line.split(' ') {
        let further = word.width() + 1;
        if width == 0 {
            width = word.width();
        } else if width + further < columns {
            text.push(' ');
            width += further;
        } else {
            text.push_str("\n  ");
            width = 2 + word.width();
        }
        text.push_str(word);
    }
    text
}

/// A text on one line, without what moves the cursor, changes colours or turns the direction of writing.
pub fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same of a text that has several lines.
pub fn printable_lines(text: &str) -> String {
    escaped(text, |character| character == '\n')
}

/// A message of several lines in which no line but the first can be taken for a message of its own; hints stay hints.
pub fn one_message(text: &str) -> String {
    let mut lines = printable_lines(text);
    while lines.ends_with('\n') {
        lines.pop();
    }
    let line =
        |line: &str| match line.starts_with([' ', '\t']) || line.starts_with("hint: ") || line.is_empty() {
            true => line.to_owned(),
            false => format!("  {line}"),
        };
    let mut all = lines.split('\n');
    let first = all.next().unwrap_or_default().to_owned();
    all.fold(first, |text, next| text + "\n" + &line(next))
}

fn escaped(text: &str, allowed: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            character if allowed(character) || !is_command(character) => shown.push(character),
            character => shown.extend(character.escape_default()),
        }
    }
    shown
}

/// Control characters, and those that embed or override a direction of writing.
fn is_command(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON in which what serde leaves as it is, though a terminal would obey it, is escaped too; it only stands in strings.
fn escaped_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\n' => shown.push('\n'),
            character if is_command(character) => {
                // All of them are of the plane that has four digits.
                write!(shown, "\\u{:04x}", u32::from(character)).expect("a string grows");
            }
            character => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNED: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{202e}x\r\nerror: fake";

    #[test]
    fn nothing_that_is_printed_moves_the_cursor() {
        assert_eq!(
            printable(OWNED),
            "\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{9b}31m\\u{7f}\\u{202e}x\\r\\nerror: fake"
        );
        assert!(printable_lines(OWNED).ends_with("x\\r\nerror: fake"));
        assert_eq!(printable("größe 5×5 – ε ≤ 8/255"), "größe 5×5 – ε ≤ 8/255");
        let json = escaped_json(&serde_json::to_string_pretty(&[OWNED]).unwrap());
        assert!(json.chars().all(|character| character == '\n' || !is_command(character)), "{json}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [OWNED]);
    }

    #[test]
    fn prose_is_broken_between_words() {
        let text = "note: größe of the déjà vu averylongwordthatfitsnowhere and on";
        let lines = broken(text, 16);
        assert_eq!(lines, "note: größe of\n  the déjà vu\n  averylongwordthatfitsnowhere\n  and on");
        assert_eq!(broken(text, 1000), text);
        let table = "- one two three four\n1  2  3  4  5  6  7";
        assert_eq!(paragraphs(table, 13), "- one two\n  three four\n1  2  3  4  5  6  7");
    }

    #[test]
    fn a_line_within_a_message_is_no_message() {
        assert_eq!(
            one_message("a\nerror: fake\n  listed\nhint: help\n"),
            "a\n  error: fake\n  listed\nhint: help"
        );
    }
}
