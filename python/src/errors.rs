//! Errors as Python has them: the lab's sentences, with the names of arguments in the place of options.

use std::error::Error;
use std::io;

use archaeo_lab::LabError;
use archaeo_lab::direct::DirectError;
use archaeo_models::WeightsError;
use pyo3::PyErr;
use pyo3::exceptions::{PyFileNotFoundError, PyOSError, PyValueError};

/// `OSError` where the system or the network refused, else `ValueError`.
pub fn raised(error: &DirectError) -> PyErr {
    let sentence = in_python(&error.to_string());
    if is_missing(error) {
        return PyFileNotFoundError::new_err(sentence);
    }
    match refused_by_system(error) {
        Some(io::ErrorKind::NotFound) => PyFileNotFoundError::new_err(sentence),
        Some(_) => PyOSError::new_err(sentence),
        None => PyValueError::new_err(sentence),
    }
}

fn is_missing(error: &DirectError) -> bool {
    let DirectError::Lab(error) = error else { return false };
    matches!(&**error, LabError::Weights(error) if matches!(**error, WeightsError::Missing(_)))
}

/// The kind of the system's error that this goes back to.
fn refused_by_system(error: &DirectError) -> Option<io::ErrorKind> {
    #[cfg(feature = "hub")]
    if matches!(error, DirectError::Lab(error) if matches!(**error, LabError::Hub(_))) {
        return Some(io::ErrorKind::Other);
    }
    #[cfg(feature = "cloud")]
    if let DirectError::Lab(error) = error
        && let LabError::Remote(error) = &**error
        && !matches!(error, archaeo_lab::RemoteError::Address { .. })
    {
        return Some(io::ErrorKind::Other);
    }
    let mut at: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        at = error.source();
    }
    None
}

/// A sentence in which every option of the command line is the argument of that name: `--class-map` becomes `class_map=`, with its value
/// where one follows. Commands of cargo stay what they are.
fn in_python(sentence: &str) -> String {
    let quoted = sentence.split('`').enumerate();
    let said = quoted.map(|(place, part)| match place % 2 == 1 && part.starts_with("cargo ") {
        true => part.to_owned(),
        false => arguments_in(part, place % 2 == 1),
    });
    said.collect::<Vec<_>>().join("`")
}

/// Quotes an argument unless it is `quoted` already, where the option's value is part of the quotation: `--device cpu`.
fn arguments_in(sentence: &str, quoted: bool) -> String {
    let mut said = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some(at) = rest.find("--") {
        let (before, option) = rest.split_at(at);
        let name: &str = &option[2..];
        let length = name.find(|c: char| !(c.is_ascii_lowercase() || c == '-')).unwrap_or(name.len());
        let starts_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '-');
        said.push_str(before);
        if length == 0 || !starts_word {
            said.push_str("--");
            rest = name;
            continue;
        }
        let argument = name[..length].replace('-', "_");
        let after = &name[length..];
        let word = after
            .strip_prefix(' ')
            .map_or("", |after| after.split([' ', ';', ',', ')']).next().unwrap_or(""));
        // The option's value, and not the rest of the sentence: `--attack wish: …`, `--class-map FILE`, `--heads 6`.
        let (value, is_value) = match word.strip_suffix(':') {
            Some(value) => (format!("'{value}'"), !value.is_empty()),
            None if word.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()) => {
                (word.to_owned(), true)
            }
            None => (format!("'{word}'"), quoted && !word.is_empty()),
        };
        if is_value {
            said.push_str(&format!("{argument}={value}"));
            rest = &after[1 + word.trim_end_matches(':').len()..];
        } else {
            let quote = if quoted { "" } else { "`" };
            said.push_str(&format!("{quote}{argument}={quote}"));
            rest = after;
        }
    }
    said + rest
}
