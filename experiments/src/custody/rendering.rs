//! Whether a report says what the findings are: it is written once more, and compared letter by letter.

use std::path::Path;

use archaeo_store::run_folder::Build;

use super::{Check, Manifest, Part};
use crate::findings::Investigation;
use crate::report::{Rendered, rendered};

/// Letters that are shown around a difference.
const AROUND: usize = 40;

/// Compares every file of the report with what the findings render to.
pub(super) fn check(
    folder: &Path,
    investigation: &Investigation,
    manifest: &Manifest,
    checked_by: &Build,
) -> Vec<Check> {
    let files = match rendered(investigation, folder) {
        Ok(files) => files,
        Err(error) => {
            let reason = format!("it cannot be written once more: {error}");
            return vec![Check::unchecked(Part::Report, "report.html", reason)];
        }
    };
    let mut count = 0;
    let mut checks = Vec::new();
    for Rendered { file, texts } in files {
        let Ok(there) = archaeo_store::read(&folder.join(&file)) else {
            // That it is missing is said where hashes are compared, and some forms are there only where they were asked for.
            continue;
        };
        count += 1;
        let is_sealed = manifest.files.get(&file) == Some(&archaeo_store::sha256(&there));
        let there = String::from_utf8_lossy(&there);
        let different: Option<Vec<String>> =
            texts.iter().map(|text| first_difference(&there, text)).collect();
        let Some(place) = different.and_then(|places| places.into_iter().next()) else { continue };
        // Another build may say the same in other words, but not in a file that is not even the sealed one.
        checks.push(match manifest.build != *checked_by && is_sealed {
            true => {
                let by = format!(
                    "{} wrote it, and this is {checked_by}: check it with that build",
                    manifest.build
                );
                Check::unchecked(Part::Report, file, format!("{place}; {by}"))
            }
            false => Check::differs(Part::Report, file, place),
        });
    }
    if checks.is_empty() {
        let detail = "the findings and pictures render to them, letter by letter";
        checks.push(Check::agrees(Part::Report, format!("{count} files written again"), detail));
    }
    checks
}

/// Where two texts first differ, in words.
fn first_difference(there: &str, again: &str) -> Option<String> {
    if there == again {
        return None;
    }
    let same = there.chars().zip(again.chars()).take_while(|(one, other)| one == other);
    let bytes: usize = same.map(|(one, _)| one.len_utf8()).sum();
    let line = 1 + there[..bytes].matches('\n').count();
    let [is, should] = [there, again].map(|text| excerpt(text, bytes));
    Some(format!("line {line} says «{is}» where the findings give «{should}»"))
}

/// The letters around a place, on one line.
fn excerpt(text: &str, place: usize) -> String {
    let before: Vec<char> = text[..place].chars().rev().take(AROUND).collect();
    let after = text[place..].chars().take(AROUND);
    let letters: String = before.into_iter().rev().chain(after).collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_with_what_is_around_it() {
        assert_eq!(first_difference("a\nbö 93.5 %\n", "a\nbö 93.5 %\n"), None);
        assert_eq!(
            first_difference("a\nbö 93.5 %\n", "a\nbö 93.4 %\n").unwrap(),
            "line 2 says «a bö 93.5 %» where the findings give «a bö 93.4 %»"
        );
        assert!(first_difference("a", "a\nmore").unwrap().contains("«a more»"));
    }
}
