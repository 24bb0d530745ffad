//! How far work has come, on one line of any terminal.

use std::time::Duration;

use archaeo_lab::Unit;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Work as it stands.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// What is done.
    pub what: &'a str,
    /// How much of it.
    pub done: u64,
    /// Of how much.
    pub total: u64,
    /// In which unit.
    pub unit: Unit,
    /// Units a second.
    pub rate: f64,
    /// Time that is left.
    pub left: Duration,
    /// Time since it began.
    pub since: Duration,
}

/// Columns that a bar has at most, and at least where there is one.
const BAR: [usize; 2] = [8, 28];

/// Columns of a name that is cut off, at least.
const NAME: usize = 8;

/// A line of fewer than `columns` columns. What there is no room for is left out: first the bar shrinks and goes, then the rate,
/// then the time, then the count; a long name loses its end.
pub fn line(columns: usize, state: &State) -> String {
    let State { what, done, total, .. } = *state;
    // The last column stays free: some terminals go on to the next line after it.
    let room = columns.saturating_sub(1);
    let width = |parts: &[String]| parts.iter().map(|part| part.width() + 2).sum::<usize>();
    let (count, time) = (count(state), format!("{:>10}", remaining(state)));
    let choices = [vec![count.clone(), rate(state), time.clone()], vec![count.clone(), time], vec![count]];
    let parts = choices.into_iter().find(|parts| 2 + NAME + width(parts) <= room).unwrap_or_default();
    let room = room.saturating_sub(2 + width(&parts));
    let with_bar = room >= NAME + 1 + BAR[0];
    let name = cut(what, if with_bar { room - 1 - BAR[0] } else { room });
    let mut text = format!("  {name}");
    if with_bar {
        let bar = (room - 1 - name.width()).min(BAR[1]);
        text += &format!(" {}", bar_of(bar, done as f64 / total.max(1) as f64));
    }
    for part in parts {
        text += &format!("  {part}");
    }
    text
}

/// The same of work that nobody counts.
pub fn waiting(columns: usize, what: &str, since: Duration) -> String {
    let time = time(since);
    format!("  {}  {time}", cut(what, columns.saturating_sub(5 + time.width())))
}

fn count(state: &State) -> String {
    let State { done, total, unit, .. } = *state;
    match unit {
        Unit::Bytes => format!("{} of {}", bytes(done as f64), bytes(total as f64)),
        Unit::Images | Unit::Classes => {
            format!("{done:>width$}/{total}", width = total.to_string().len())
        }
    }
}

/// How long it goes on; as long as nothing is known of that, how long it has taken.
fn remaining(state: &State) -> String {
    match state.done {
        0 => time(state.since),
        _ => format!("{} left", time(state.left)),
    }
}

fn rate(state: &State) -> String {
    let State { rate, unit, .. } = *state;
    if state.done == 0 {
        return " ".repeat("12345 images/s".len());
    }
    let number = if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
    match unit {
        Unit::Images => format!("{number:>5} images/s"),
        Unit::Classes => format!("{number:>5} classes/s"),
        Unit::Bytes => format!("{:>10}/s", bytes(rate)),
    }
}

fn bytes(count: f64) -> String {
    match count {
        few if few < 1e6 => format!("{:.0} kB", few / 1e3),
        some if some < 1e9 => format!("{:.1} MB", some / 1e6),
        many => format!("{:.2} GB", many / 1e9),
    }
}

/// Seconds, or minutes or hours as a clock shows them.
fn time(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        seconds @ 3600..360_000 => {
            format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        _ => "days".into(),
    }
}

fn bar_of(columns: usize, share: f64) -> String {
    let full = ((columns as f64 * share.clamp(0.0, 1.0)) as usize).min(columns);
    "━".repeat(full) + &"─".repeat(columns - full)
}

/// At most so many columns of a text, with a sign where its end is missing.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    for character in text.chars() {
        let wider = cut.width() + character.width().unwrap_or(0);
        if wider + 1 > columns {
            break;
        }
        cut.push(character);
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: State = State {
        what: "vit_tiny_patch16_224.augreg_in21k_ft_in1k epoch 3/30",
        done: 12_345,
        total: 1_281_167,
        unit: Unit::Images,
        rate: 1234.0,
        left: Duration::from_secs(754),
        since: Duration::from_secs(10),
    };

    #[test]
    fn a_line_fits_every_terminal() {
        let wide = State { what: "標本の写真を含むとても長い名前のフォルダ", ..STATE };
        let short = State { what: "heads", ..STATE };
        let bytes = State { unit: Unit::Bytes, total: 4_000_000_000, ..STATE };
        let slow = State { rate: 0.04, left: Duration::from_secs(1 << 40), ..STATE };
        let begun = State { done: 0, ..STATE };
        for state in [STATE, wide, short, bytes, slow, begun] {
            for columns in 0..200 {
                let line = line(columns, &state);
                assert!(line.width() < columns.max(3), "{columns}: {line}");
                let waiting = waiting(columns, state.what, state.left);
                assert!(waiting.width() < columns.max(18), "{columns}: {waiting}");
            }
        }
    }

    #[test]
    fn what_matters_stays_on_narrow_terminals() {
        let state = State { what: "epoch 3/30 vit_micro", total: 100_000, ..STATE };
        let at = |columns| line(columns, &state);
        assert_eq!(at(80), "  epoch 3/30 vit_micro ━────────────   12345/100000   1234 images/s  12:34 left");
        assert_eq!(at(60), "  epoch 3/30 vi…   12345/100000   1234 images/s  12:34 left");
        assert_eq!(at(40), "  epoch 3/3…   12345/100000  12:34 left");
        assert_eq!(at(20), "  epoch 3… ────────");
        let begun = State { done: 0, ..state };
        assert_eq!(line(40, &begun).trim_end(), "  epoch 3/3…       0/100000        10 s");
        assert_eq!(waiting(40, "reading a.safetensors", STATE.left), "  reading a.safetensors  12:34");
    }
}
