//! What an answer looks like, and how it is read.

use std::fmt;
use std::path::{Path, PathBuf};

use archaeo_store::arrays::read_numbers;
use serde_json::Value;

/// Most bytes of an answer.
const MOST_BYTES: u64 = 16 << 20;

/// What the file of an answer holds.
pub enum Form {
    /// An array of this shape, as `.npy`, `.safetensors` or nested lists in `.json`.
    Array(&'static [usize]),
    /// Numbers under these names, as `.json`.
    Numbers(&'static [&'static str]),
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Array(shape) => write!(f, "an array of shape {}", tuple(shape)),
            Self::Numbers(names) => write!(
                f,
                "{{{}}}",
                names.iter().map(|name| format!("\"{name}\": …")).collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

impl Form {
    /// The file that holds it, in the most common of its formats.
    pub fn file(&self, stem: &str) -> String {
        match self {
            Self::Array(_) => format!("{stem}.npy"),
            Self::Numbers(_) => format!("{stem}.json"),
        }
    }

    /// An answer that says nothing yet.
    pub fn template(&self) -> String {
        match self {
            Self::Array(_) => "null\n".into(),
            Self::Numbers(names) => {
                let lines: Vec<String> = names.iter().map(|name| format!("  \"{name}\": null")).collect();
                format!("{{\n{}\n}}\n", lines.join(",\n"))
            }
        }
    }

    /// The values of an answer in order; `None` where there is none yet.
    ///
    /// # Errors
    /// A sentence about a file that is not of this form.
    pub fn read(&self, folder: &Path, stem: &str) -> Result<Option<Vec<f64>>, String> {
        match self {
            Self::Array(shape) => read_array(folder, stem, shape),
            Self::Numbers(names) => read_named(&folder.join(format!("{stem}.json")), names),
        }
    }
}

fn read_array(folder: &Path, stem: &str, expected: &[usize]) -> Result<Option<Vec<f64>>, String> {
    let of = |ending: &str| Some(folder.join(format!("{stem}.{ending}"))).filter(|file| file.exists());
    let json = of("json").map(|file| read_json(&file)).transpose()?.filter(|value| !value.is_null());
    let binary: Vec<PathBuf> = ["npy", "safetensors"].into_iter().filter_map(of).collect();
    let (shape, values) = match (&binary[..], json) {
        ([], None) => return Ok(None),
        ([file], None) => one_array(file, stem)?,
        ([], Some(value)) => nested(&value).ok_or_else(|| {
            format!("{stem}.json is to hold nested lists of numbers of the shape {}", tuple(expected))
        })?,
        _ => return Err(format!("there are several files {stem}; keep the one that counts")),
    };
    match shape == expected {
        true => Ok(Some(values)),
        false => Err(format!("it has the shape {}, and {} is asked for", tuple(&shape), tuple(expected))),
    }
}

/// The array of a file that holds one, or that is called as the file is.
fn one_array(file: &Path, stem: &str) -> Result<(Vec<usize>, Vec<f64>), String> {
    let mut arrays = read_numbers(file, MOST_BYTES).map_err(|error| error.to_string())?;
    let place = match arrays.iter().position(|array| array.name == stem) {
        Some(place) => place,
        None if arrays.len() == 1 => 0,
        None => return Err(format!("the file holds {} arrays, and none is called {stem}", arrays.len())),
    };
    let array = arrays.swap_remove(place);
    Ok((array.shape, array.values))
}

fn read_named(file: &Path, names: &[&str]) -> Result<Option<Vec<f64>>, String> {
    if !file.exists() {
        return Ok(None);
    }
    let given = match read_json(file)? {
        Value::Null => return Ok(None),
        Value::Object(given) => given,
        _ => return Err("the file is to hold an object: names and their numbers".into()),
    };
    let number = |name: &&str| match given.get(*name) {
        None => Err(format!("`{name}` is missing")),
        Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("`{name}` is not a number")),
    };
    let numbers: Vec<Option<f64>> = names.iter().map(number).collect::<Result<_, _>>()?;
    match numbers.iter().flatten().count() {
        0 => Ok(None),
        all if all == names.len() => Ok(Some(numbers.into_iter().flatten().collect())),
        _ => {
            let open = names.iter().zip(&numbers).filter(|(_, number)| number.is_none());
            let open: Vec<String> = open.map(|(name, _)| format!("`{name}`")).collect();
            Err(format!("{} {} still null", open.join(", "), if open.len() == 1 { "is" } else { "are" }))
        }
    }
}

fn read_json(file: &Path) -> Result<Value, String> {
    let text = archaeo_store::read_text(file, MOST_BYTES)
        .map_err(|error| format!("the file cannot be read: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("the file is not JSON: {error}"))
}

/// Shape and values of nested lists; `None` where rows differ in length or something is not a number.
fn nested(value: &Value) -> Option<(Vec<usize>, Vec<f64>)> {
    match value {
        Value::Array(rows) => {
            let mut shape = None;
            let mut values = Vec::new();
            for row in rows {
                let (of_row, more) = nested(row)?;
                if *shape.get_or_insert_with(|| of_row.clone()) != of_row {
                    return None;
                }
                values.extend(more);
            }
            Some(([vec![rows.len()], shape.unwrap_or_default()].concat(), values))
        }
        Value::Bool(flag) => Some((Vec::new(), vec![f64::from(u8::from(*flag))])),
        value => value.as_f64().map(|number| (Vec::new(), vec![number])),
    }
}

/// A shape as NumPy writes it.
fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use archaeo_store::arrays::{NamedArray, write_export};

    use super::*;

    const TWO: Form = Form::Array(&[2, 1]);
    const NAMED: Form = Form::Numbers(&["a", "b"]);

    #[test]
    fn a_template_is_no_answer_and_an_array_next_to_it_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(TWO.read(folder, "x"), Ok(None));
        fs::write(folder.join("x.json"), TWO.template()).unwrap();
        assert_eq!(TWO.read(folder, "x"), Ok(None));
        write_export(
            &folder.join("x.safetensors"),
            &[NamedArray::floats("any", &[2, 1], vec![0.5, 2.0])],
            &[],
        )
        .unwrap();
        assert_eq!(TWO.read(folder, "x"), Ok(Some(vec![0.5, 2.0])));
        fs::write(folder.join("x.json"), "[[1], [2]]").unwrap();
        assert!(TWO.read(folder, "x").unwrap_err().contains("several files"));
    }

    #[test]
    fn lists_need_the_shape() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(folder.path().join("x.json"), text).unwrap();
            TWO.read(folder.path(), "x")
        };
        assert_eq!(read("[[1], [true]]"), Ok(Some(vec![1.0, 1.0])));
        assert_eq!(read("[1, 2]"), Err("it has the shape (2,), and (2, 1) is asked for".into()));
        assert!(read("[[1], [2, 3]]").unwrap_err().contains("nested lists"));
        assert!(read("[[1], [\"2\"]]").unwrap_err().contains("nested lists"));
        assert!(read("[[1], ").unwrap_err().contains("not JSON"));
    }

    #[test]
    fn numbers_need_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            fs::write(folder.path().join("x.json"), text).unwrap();
            NAMED.read(folder.path(), "x")
        };
        assert_eq!(read(&NAMED.template()), Ok(None));
        assert_eq!(read("{\"b\": 2, \"a\": 1, \"c\": 3}"), Ok(Some(vec![1.0, 2.0])));
        assert_eq!(read("{\"a\": 1}"), Err("`b` is missing".into()));
        assert_eq!(read("{\"a\": 1, \"b\": null}"), Err("`b` is still null".into()));
        assert_eq!(read("{\"a\": 1, \"b\": \"2\"}"), Err("`b` is not a number".into()));
        assert!(read("[1, 2]").unwrap_err().contains("object"));
    }
}
