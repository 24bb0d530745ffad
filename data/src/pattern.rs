//! Patterns that name many files at once, with braces as in a shell: `train-{000000..000009}.tar`, `{train,val}.parquet`.

use super::DataError;

/// Files that one pattern may name.
const MOST: usize = 100_000;

/// The names that `pattern` stands for, in its order; itself where it has no braces. A range counts up or down and keeps the width of
/// numbers that are padded with zeros. Braces do not nest.
///
/// # Errors
/// [`DataError::Option`] for a brace without its counterpart, an empty or unclear choice, or more than 100,000 names.
pub fn expand(pattern: &str) -> Result<Vec<String>, DataError> {
    let wrong = |reason: String| DataError::Option(format!("the pattern {pattern} {reason}"));
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some(start) = rest.find(['{', '}']) {
        let unpaired =
            || wrong("has a brace without its counterpart; write {000..009} or {train,val}".into());
        let inner = rest[start..].strip_prefix('{').ok_or_else(unpaired)?;
        let end = inner.find(['{', '}']).filter(|&end| inner[end..].starts_with('}')).ok_or_else(unpaired)?;
        let choices = choices(&inner[..end]).map_err(wrong)?;
        if names.len().saturating_mul(choices.len()) > MOST {
            return Err(wrong(format!("names more than {MOST} files; name fewer, or make larger shards")));
        }
        let before = &rest[..start];
        names = names
            .iter()
            .flat_map(|name| choices.iter().map(move |choice| format!("{name}{before}{choice}")))
            .collect();
        rest = &inner[end + 1..];
    }
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok(names)
}

/// What stands between two braces: a range or a list.
fn choices(text: &str) -> Result<Vec<String>, String> {
    let Some((first, last)) = text.split_once("..") else {
        let listed: Vec<String> = text.split(',').map(str::to_string).collect();
        return match listed.len() {
            0 | 1 => {
                Err(format!("has {{{text}}}, which is not a choice; write {{000..009}} or {{train,val}}"))
            }
            _ => Ok(listed),
        };
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok());
    let (Some(Some(from)), Some(Some(to))) = (number(first), number(last)) else {
        return Err(format!("has {{{text}}}, whose ends must be whole numbers, as in {{000..009}}"));
    };
    if from.abs_diff(to) >= MOST {
        return Err(format!("names more than {MOST} files; name fewer, or make larger shards"));
    }
    let is_padded = |text: &str| text.len() > 1 && text.starts_with('0');
    let width = if is_padded(first) || is_padded(last) { first.len().max(last.len()) } else { 0 };
    let padded = |number: usize| format!("{number:0width$}");
    Ok(if from <= to { (from..=to).map(padded).collect() } else { (to..=from).rev().map(padded).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What bash prints for `echo PATTERN`.
    #[test]
    fn braces_mean_what_they_mean_to_a_shell() {
        for (pattern, expected) in [
            ("plain.tar", "plain.tar"),
            ("a-{0..3}.tar", "a-0.tar a-1.tar a-2.tar a-3.tar"),
            ("a-{008..011}.tar", "a-008.tar a-009.tar a-010.tar a-011.tar"),
            ("a-{8..011}.tar", "a-008.tar a-009.tar a-010.tar a-011.tar"),
            ("a-{2..0}.tar", "a-2.tar a-1.tar a-0.tar"),
            ("{train,val}-{0..1}.tar", "train-0.tar train-1.tar val-0.tar val-1.tar"),
            ("x{,.gz}", "x x.gz"),
            ("s3://b/{1..2}/c", "s3://b/1/c s3://b/2/c"),
        ] {
            assert_eq!(expand(pattern).expect(pattern).join(" "), expected, "{pattern}");
        }
    }

    #[test]
    fn other_braces_are_refused() {
        for (pattern, reason) in [
            ("a-{0..3.tar", "brace without its counterpart"),
            ("a-0..3}.tar", "brace without its counterpart"),
            ("a-{{0..3}}.tar", "brace without its counterpart"),
            ("a-{a..c}.tar", "must be whole numbers"),
            ("a-{-1..3}.tar", "must be whole numbers"),
            ("a-{}.tar", "not a choice"),
            ("a-{7}.tar", "not a choice"),
            ("{0..999}/{0..999}.tar", "more than 100000 files"),
            ("{0..99999999999}.tar", "more than 100000 files"),
        ] {
            let sentence = expand(pattern).expect_err(pattern).to_string();
            assert!(sentence.contains(reason) && sentence.contains(pattern), "{sentence}");
        }
    }
}
