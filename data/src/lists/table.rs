//! A list as a table, with any common separator.

use std::collections::HashMap;

use archaeo_store::memory::{Budget, TooMuch};
use serde_json::Value;

/// Separators of fields. The last of equally good ones is taken, so the most common comes last.
const SEPARATORS: [u8; 4] = [b'|', b'\t', b';', b','];

/// Number of lines used to find the separator.
const LOOKED_AT: usize = 100;

/// Most fields per given value in a table of objects.
const SPARSEST: usize = 64;

/// Rows of fields, each with its line number.
pub(crate) struct Table {
    pub(crate) rows: Vec<(u64, Vec<String>)>,
    /// Whether the first row is certainly a header, as are the keys of objects.
    pub(crate) has_names: bool,
    /// What its rows take.
    _budget: Budget,
}

/// Bytes in memory for a row and for each of its fields, besides their texts.
const ROW: u64 = 64;
const FIELD: u64 = 56;
/// The same for a field whose texts are short, as long as it is not taken into the table.
const PLACE: u64 = 24;

/// Longest line that is an object: in memory it may take a hundred times as much.
const LONGEST_OBJECT: usize = 1 << 20;

impl Table {
    /// Fields separated by commas, semicolons, tabs, bars or spaces, or one JSON object per line.
    ///
    /// # Errors
    /// Why it is not a table, as the end of a sentence.
    pub(crate) fn parse(text: &str, ending: &str) -> Result<Self, String> {
        let mut budget = Budget::of_file(text.len() as u64);
        if ending == "jsonl" {
            return Self::of_objects(text, budget);
        }
        let too_much = |refused: TooMuch| format!("of its rows and columns {refused}");
        let count = |found: &dyn Fn(u8) -> bool| text.bytes().filter(|&byte| found(byte)).count() as u64;
        let lines = count(&|byte| byte == b'\n') + 1;
        // A line of separators has one field for each of them.
        let most = SEPARATORS.iter().map(|&separator| count(&|byte| byte == separator)).max().unwrap_or(0);
        budget.take(most, PLACE).map_err(too_much)?;
        let separator = separator(text);
        budget.give_back(most * PLACE);
        let fields = lines
            + match separator {
                Some(separator) => count(&|byte| byte == separator),
                None => count(&|byte| byte.is_ascii_whitespace()),
            };
        let taken = budget.take(lines, ROW).and_then(|()| budget.take(fields, FIELD + PLACE));
        taken.and_then(|()| budget.take(text.len() as u64, 1)).map_err(too_much)?;
        match separator {
            Some(separator) => Self::separated(text, separator, budget),
            None => Ok(Self::of_words(text, budget)),
        }
    }

    fn separated(text: &str, separator: u8, budget: Budget) -> Result<Self, String> {
        let mut rows = Vec::new();
        for row in reader(text, separator).records() {
            let row = row.map_err(|error| format!("it cannot be read ({error}); correct it"))?;
            let line = row.position().map_or(0, |position| position.line());
            rows.push((line, row.iter().map(str::to_string).collect()));
        }
        Ok(Table { rows, has_names: false, _budget: budget })
    }

    /// Words, if every line has the same number; otherwise a path, which may contain spaces, and a last word.
    fn of_words(text: &str, budget: Budget) -> Self {
        let lines = || (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let words = |line: &str| line.split_whitespace().count();
        let first = lines().next().map_or(0, |(_, line)| words(line));
        let even = lines().all(|(_, line)| words(line) == first);
        let rows = lines().map(|(number, line)| {
            let line = line.trim();
            let fields = match line.rsplit_once(char::is_whitespace) {
                Some((path, label)) if !even => vec![path.trim_end().to_string(), label.to_string()],
                _ => line.split_whitespace().map(str::to_string).collect(),
            };
            (number, fields)
        });
        Table { rows: rows.collect(), has_names: false, _budget: budget }
    }

    /// The plain values of objects; nested values are skipped.
    fn of_objects(text: &str, mut budget: Budget) -> Result<Self, String> {
        let mut names: HashMap<String, usize> = HashMap::new();
        let mut rows = Vec::new();
        // Objects with all different keys would make a table with as many columns as rows.
        let (mut given, mut room) = (0usize, 0usize);
        for (number, line) in (1u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            if line.len() > LONGEST_OBJECT {
                let (has, most) = (line.len() >> 20, LONGEST_OBJECT >> 20);
                return Err(format!(
                    "line {number} has {has} MiB, and lines of it at most {most}; correct it"
                ));
            }
            // The row has a field for every name so far.
            let needed = ROW + names.len() as u64 * size_of::<String>() as u64 + 3 * line.len() as u64;
            budget.take(needed, 1).map_err(|refused| format!("of its first {number} lines {refused}"))?;
            let object = match serde_json::from_str(line) {
                Ok(Value::Object(object)) => object,
                Ok(_) => return Err(format!("line {number} is not a JSON object; correct it")),
                Err(error) => return Err(format!("line {number} is not JSON ({error}); correct it")),
            };
            let mut fields = Vec::new();
            for (name, value) in object {
                let text = match value {
                    Value::String(text) => text,
                    Value::Number(number) => number.to_string(),
                    Value::Bool(truth) => truth.to_string(),
                    Value::Null | Value::Array(_) | Value::Object(_) => continue,
                };
                given += 1;
                let next = names.len();
                let place = *names.entry(name).or_insert(next);
                if place >= fields.len() {
                    fields.resize(place + 1, String::new());
                }
                fields[place] = text;
            }
            room += fields.len();
            if room > SPARSEST * (given + 1000) {
                return Err(format!(
                    "its objects have {} different keys, of which each has few; give all of them the same keys",
                    names.len()
                ));
            }
            rows.push((number, fields));
        }
        let mut header = vec![String::new(); names.len()];
        names.into_iter().for_each(|(name, place)| header[place] = name);
        rows.insert(0, (0, header));
        Ok(Table { rows, has_names: true, _budget: budget })
    }

    /// The field in `column` of a row; empty where the row is short.
    pub(crate) fn field(row: &[String], column: usize) -> &str {
        row.get(column).map_or("", String::as_str)
    }

    /// The most fields of a row.
    pub(crate) fn columns(&self) -> usize {
        self.rows.iter().map(|(_, row)| row.len()).max().unwrap_or(0)
    }
}

fn reader(text: &str, separator: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .trim(csv::Trim::All)
        .delimiter(separator)
        .from_reader(text.as_bytes())
}

/// The separator that splits the most lines into as many fields as the first line; more fields are better.
fn separator(text: &str) -> Option<u8> {
    let fits = |separator: u8| {
        let counts: Vec<usize> = reader(text, separator)
            .records()
            .take(LOOKED_AT)
            .filter_map(|row| Some(row.ok()?.len()))
            .collect();
        let first = *counts.first().filter(|&&first| first > 1)?;
        let even = counts.iter().filter(|&&count| count == first).count();
        (10 * even >= 9 * counts.len()).then_some((even, first))
    };
    SEPARATORS
        .into_iter()
        .filter_map(|separator| Some((fits(separator)?, separator)))
        .max_by_key(|(fit, _)| *fit)
        .map(|(_, separator)| separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, ending: &str) -> Vec<Vec<String>> {
        Table::parse(text, ending).expect("a table").rows.into_iter().map(|(_, row)| row).collect()
    }

    #[test]
    fn fields_are_separated_by_what_cuts_all_lines_alike() {
        for text in [
            "file,label\na.png,\"b, c\"\n",
            "file;label\na.png;b, c\n",
            "file\tlabel\na.png\tb, c\n",
            "file|label\r\na.png|b, c\r\n",
        ] {
            assert_eq!(rows(text, "csv"), [["file", "label"], ["a.png", "b, c"]], "{text}");
        }
        assert_eq!(rows("a/1.png 3\nb/2.png 0\n", "txt"), [["a/1.png", "3"], ["b/2.png", "0"]]);
        assert_eq!(
            rows("my pictures/1.png 3\nb/2.png 0\n", "txt"),
            [["my pictures/1.png", "3"], ["b/2.png", "0"]]
        );
        assert_eq!(rows("apple pie/1\nsoup/2\n", "txt").len(), 2);
        assert_eq!(rows("one\ntwo\n", "csv"), [["one"], ["two"]]);
        // A comma in most of the texts is not a separator that the first line has.
        assert_eq!(rows("file;text\n1.png;a, b\n2.png;a, b\n", "csv")[1], ["1.png", "a, b"]);
    }

    #[test]
    fn objects_are_rows_of_their_plain_values() {
        let text = "{\"file_name\": \"a.png\", \"label\": 3, \"boxes\": [1]}\n{\"label\": 0, \"file_name\": \"b.png\"}\n";
        let mut rows = rows(text, "jsonl");
        rows.iter_mut().for_each(|row| row.sort());
        assert_eq!(rows, [["file_name", "label"], ["3", "a.png"], ["0", "b.png"]]);
        assert!(
            Table::parse("[1]\n", "jsonl").err().expect("an error").contains("line 1 is not a JSON object")
        );
    }
}
