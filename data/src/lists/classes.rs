//! The classes of a list: names, or numbers, which `classes.txt` may name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::DataError;
use super::super::images::Images;
use super::super::listing::Listing;
use super::Row;

/// The classes, and each row's.
pub(super) fn classes(
    origin: &str,
    listing: &Listing,
    images: &Images,
    rows: &[Row],
    list: &str,
    notes: &mut Vec<String>,
) -> Result<(Vec<String>, Vec<usize>), DataError> {
    let named = listing.text("classes.txt").or_else(|| listing.text("class_names.txt")).transpose()?;
    let named = named.map(|text| class_names(&text)).filter(|names| !names.is_empty());
    let numbers = whole_numbers(rows.iter().map(|row| row.label));
    let out_of_range = |row: &Row, label: i64, classes: usize| DataError::LabelOutOfRange {
        origin: origin.to_string(),
        identifier: images.files[row.image].0.to_string(),
        label,
        classes,
    };
    match (numbers, named) {
        (Some(numbers), Some(names)) => {
            let last = names.len() as i64;
            let from_one =
                numbers.iter().all(|&label| (1..=last).contains(&label)) && numbers.contains(&last);
            if from_one {
                notes.push(format!("the labels in {list} count from 1: 1 is `{}`", names[0]));
            }
            let label = |(row, &number): (&Row, &i64)| {
                let label =
                    usize::try_from(number - i64::from(from_one)).ok().filter(|&label| label < names.len());
                label.ok_or_else(|| out_of_range(row, number, names.len()))
            };
            let labels: Result<Vec<usize>, _> = rows.iter().zip(&numbers).map(label).collect();
            let labels = labels?;
            Ok((names, labels))
        }
        (Some(numbers), None) => {
            let present: BTreeSet<i64> = numbers.iter().copied().collect();
            let at = |label: i64| numbers.iter().position(|&number| number == label);
            if let Some((label, row)) =
                present.first().filter(|&&label| label < 0).and_then(|&label| Some((label, at(label)?)))
            {
                return Err(out_of_range(&rows[row], label, present.len()));
            }
            if let (Some(first), Some(last)) = (present.first(), present.last())
                && *last >= present.len() as i64
            {
                notes.push(format!(
                    "the labels in {list} are {} different numbers from {first} to {last}: each is a class by its number",
                    present.len()
                ));
            }
            let index: BTreeMap<i64, usize> =
                present.iter().enumerate().map(|(i, &label)| (label, i)).collect();
            let labels = numbers.iter().map(|label| index[label]).collect();
            Ok((present.iter().map(ToString::to_string).collect(), labels))
        }
        (None, names) => {
            let listed = names.is_some();
            let names =
                names.unwrap_or_else(|| in_order(rows.iter().map(|row| row.label.to_string()).collect()));
            let index: HashMap<&str, usize> =
                names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
            let label = |row: &Row| {
                index.get(row.label).copied().ok_or_else(|| {
                    let file = if listed { "classes.txt" } else { list };
                    DataError::malformed(
                        format!("{list} of {origin}"),
                        format!(
                            "{} has the class `{}`, which {file} lacks; add it there",
                            images.files[row.image].0, row.label
                        ),
                    )
                })
            };
            let labels: Result<Vec<usize>, _> = rows.iter().map(label).collect();
            let labels = labels?;
            Ok((names, labels))
        }
    }
}

/// One name per line, or a number and a name, by the number.
fn class_names(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let numbered = |line: &&str| {
        let (number, name) = line.split_once(|c: char| c.is_whitespace() || c == ',' || c == ':')?;
        Some((number.parse::<usize>().ok()?, name.trim().to_string()))
    };
    let mut pairs: Vec<(usize, String)> = lines.iter().filter_map(numbered).collect();
    pairs.sort_by_key(|(number, _)| *number);
    let start = pairs.first().map_or(0, |(number, _)| *number);
    let counts = pairs.iter().enumerate().all(|(i, (number, _))| *number == start + i);
    if pairs.len() == lines.len() && start <= 1 && counts {
        return pairs.into_iter().map(|(_, name)| name).collect();
    }
    lines.into_iter().map(str::to_string).collect()
}

/// The values of `fields` that are whole numbers, if all are.
fn whole_numbers<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<Vec<i64>> {
    let number = |field: &str| {
        field.parse::<i64>().ok().or_else(|| {
            // As in tables saved with missing values.
            let value: f64 = field.parse().ok()?;
            (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i64)
        })
    };
    fields.try_fold(Vec::new(), |mut numbers, field| {
        numbers.push(number(field)?);
        Some(numbers)
    })
}

/// Names sorted alphabetically, or by number if all are whole numbers.
pub(crate) fn in_order(names: BTreeSet<String>) -> Vec<String> {
    match whole_numbers(names.iter().map(String::as_str)) {
        None => names.into_iter().collect(),
        Some(numbers) => {
            let mut numbered: Vec<(i64, String)> = numbers.into_iter().zip(names).collect();
            numbered.sort();
            numbered.into_iter().map(|(_, name)| name).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_numbers_are_in_the_order_of_numbers() {
        let order = |names: &[&str]| in_order(names.iter().map(ToString::to_string).collect());
        assert_eq!(order(&["10", "2", "1"]), ["1", "2", "10"]);
        assert_eq!(order(&["10", "2", "x"]), ["10", "2", "x"]);
        assert_eq!(order(&["2", "02", "1"]), ["1", "02", "2"]);
    }
}
