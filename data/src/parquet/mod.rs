//! Image data sets as Hugging Face stores them: parquet files named `train-00000-of-00002.parquet`, with a
//! column of encoded images (bytes, or `bytes` and `path`), a column of labels (integers or texts), and the class names in the
//! schema's `huggingface` metadata.

mod classes;
mod columns;
mod places;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use self::classes::{Label, MAX_CLASS, Row, classify};
use self::columns::Columns;
use self::places::check_places;
use super::DataError;
use super::folders::split_name;
use super::open::Layout;
use super::storage::Storage;

/// All parquet files below `folder`, sorted.
pub(super) fn shards_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut shards = Vec::new();
    for entry in walkdir::WalkDir::new(folder).max_depth(3).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_path_buf();
            DataError::read(path, error.into())
        })?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|end| end == "parquet") {
            shards.push(entry.into_path());
        }
    }
    Ok(shards)
}

/// Reads all rows of `shards`; the images stay in memory as they are encoded.
pub(super) fn read(shards: &[PathBuf]) -> Result<Layout, DataError> {
    let mut splits: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut notes = Vec::new();
    let mut names: Option<Vec<String>> = None;
    for path in shards {
        let shard = Shard::open(path)?;
        let split = split_of(path);
        let first = shard.names.clone().or_else(|| names.clone());
        if let (Some(ours), Some(theirs)) = (&names, &shard.names)
            && ours != theirs
        {
            return Err(DataError::ClassMismatch {
                origin: path.display().to_string(),
                split: split.to_string(),
                difference: "names other classes than the files before it".to_string(),
            });
        }
        names = first;
        match shard.rows()? {
            Some(rows) => splits.entry(split.to_string()).or_default().extend(rows),
            None => notes.push(format!("{} has no labels and was passed over", file_name(path))),
        }
        for note in shard.columns.notes {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    if let Some(note) = missing_shards(shards) {
        notes.push(note);
    }
    let (classes, splits) = classify(shards, names, splits)?;
    Ok(Layout { classes, splits, notes, complete: false })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The split a file belongs to, by the first word of its name or else its folder's name.
fn split_of(path: &Path) -> &'static str {
    let file = file_name(path);
    let word = file.split(['-', '.', '_']).next().unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    split_name(word).or_else(|| split_name(&folder)).unwrap_or("all")
}

/// `train-00000-of-00002.parquet` promises a second file.
fn missing_shards(shards: &[PathBuf]) -> Option<String> {
    let mut families: BTreeMap<(String, usize), usize> = BTreeMap::new();
    for path in shards {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some((start, total)) = stem.rsplit_once("-of-") else { continue };
        let Some((split, _)) = start.rsplit_once('-') else { continue };
        if let Ok(total) = total.parse() {
            *families.entry((split.to_string(), total)).or_default() += 1;
        }
    }
    let ((split, total), found) = families.into_iter().find(|((_, total), found)| found < total)?;
    Some(format!("only {found} of the {total} files of `{split}` are there"))
}

struct Shard<'a> {
    path: &'a Path,
    reader: SerializedFileReader<File>,
    columns: Columns,
    /// Class names, if the schema has them.
    names: Option<Vec<String>>,
}

impl<'a> Shard<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let file = archaeo_store::open(path).map_err(|error| DataError::read(path, error))?;
        let length = file.metadata().map_err(|error| DataError::read(path, error))?.len();
        let reader = SerializedFileReader::new(file).map_err(|error| damaged(path, &error))?;
        check_places(reader.metadata(), length).map_err(|reason| damaged(path, &reason))?;
        let metadata = reader.metadata().file_metadata();
        let features = metadata
            .key_value_metadata()
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == "huggingface"))
            .and_then(|pair| serde_json::from_str::<Value>(pair.value.as_deref()?).ok())
            .map(|info| info["info"]["features"].clone())
            .unwrap_or(Value::Null);
        let columns = Columns::choose(metadata.schema_descr(), &features)
            .map_err(|reason| DataError::malformed(path, reason))?;
        let names = class_names(&features[&columns.label_name]["names"]);
        Ok(Shard { path, reader, columns, names })
    }

    /// All rows in order, or nothing if no row has a label.
    fn rows(&self) -> Result<Option<Vec<Row>>, DataError> {
        let mut rows = Vec::new();
        let mut unlabelled = None;
        let file = file_name(self.path);
        for group in 0..self.reader.num_row_groups() {
            let images = self.bytes(group, self.columns.images)?;
            let labels = self.labels(group)?;
            let paths = self.columns.paths.map(|column| self.bytes(group, column)).transpose()?;
            for (i, (image, label)) in images.into_iter().zip(labels).enumerate() {
                let row = rows.len() + unlabelled.map_or(0, |(count, _)| count);
                let inner = paths.as_ref().and_then(|paths| paths[i].as_ref()?.as_utf8().ok());
                let identifier = match inner {
                    Some(inner) => format!("{file}#{row} ({inner})"),
                    None => format!("{file}#{row}"),
                };
                let Some(label) = label else {
                    unlabelled = Some(unlabelled.map_or((1, row), |(count, first)| (count + 1, first)));
                    continue;
                };
                let storage = image.map_or(Storage::Missing("its row holds no image"), Storage::Memory);
                rows.push(Row { identifier, label, storage });
            }
        }
        match unlabelled {
            Some(_) if rows.is_empty() => Ok(None),
            Some((count, row)) => Err(DataError::malformed(
                self.path,
                format!("{count} of its rows have no label, the first is row {row}; correct or remove them"),
            )),
            None => Ok(Some(rows)),
        }
    }

    /// One label a row; `None` for a null, for -1 and for an empty text, which stand for no label.
    fn labels(&self, group: usize) -> Result<Vec<Option<Label>>, DataError> {
        let column = self.columns.labels;
        let number = |label: i64| match usize::try_from(label) {
            Ok(label) if label <= MAX_CLASS => Ok(Some(Label::Number(label))),
            _ if label == -1 => Ok(None),
            _ => Err(DataError::malformed(
                self.path,
                format!(
                    "a row has the label {label} in the column `{}`; labels count from 0, so correct or remove the row",
                    self.columns.label_name
                ),
            )),
        };
        let numbers = |labels: Vec<Option<i64>>| {
            labels.into_iter().map(|label| label.map_or(Ok(None), number)).collect::<Result<Vec<_>, _>>()
        };
        match self.column(group, column)? {
            ColumnReader::Int64ColumnReader(reader) => numbers(self.values(group, column, reader)?),
            ColumnReader::Int32ColumnReader(reader) => {
                let narrow = self.values(group, column, reader)?;
                numbers(narrow.into_iter().map(|label| label.map(i64::from)).collect())
            }
            ColumnReader::DoubleColumnReader(reader) => {
                numbers(self.whole(self.values(group, column, reader)?)?)
            }
            ColumnReader::FloatColumnReader(reader) => {
                let floats = self.values(group, column, reader)?;
                numbers(self.whole(floats.into_iter().map(|label| label.map(f64::from)).collect())?)
            }
            ColumnReader::BoolColumnReader(reader) => {
                let truths = self.values(group, column, reader)?;
                Ok(truths
                    .into_iter()
                    .map(|label| label.map(|truth| Label::Text(truth.to_string())))
                    .collect())
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                let text = |label: Option<ByteArray>| {
                    let text = label.map(|bytes| String::from_utf8_lossy(bytes.data()).trim().to_string());
                    text.filter(|text| !text.is_empty()).map(Label::Text)
                };
                Ok(self.values(group, column, reader)?.into_iter().map(text).collect())
            }
            _ => Err(DataError::malformed(self.path, "its labels are neither integers nor texts")),
        }
    }

    /// Floats that are whole numbers; what is not a number stands for no label.
    fn whole(&self, labels: Vec<Option<f64>>) -> Result<Vec<Option<i64>>, DataError> {
        let whole = |label: f64| match label {
            label if label.is_nan() => Ok(None),
            label if label.fract() == 0.0 => Ok(Some(label as i64)),
            label => Err(DataError::malformed(
                self.path,
                format!(
                    "a row has the label {label} in the column `{}`; labels are whole numbers or texts",
                    self.columns.label_name
                ),
            )),
        };
        labels.into_iter().map(|label| label.map_or(Ok(None), whole)).collect()
    }

    fn bytes(&self, group: usize, column: usize) -> Result<Vec<Option<ByteArray>>, DataError> {
        match self.column(group, column)? {
            ColumnReader::ByteArrayColumnReader(reader) => self.values(group, column, reader),
            _ => Err(DataError::malformed(self.path, "its images are not stored as bytes")),
        }
    }

    fn column(&self, group: usize, column: usize) -> Result<ColumnReader, DataError> {
        let group = self.reader.get_row_group(group).map_err(|error| damaged(self.path, &error))?;
        group.get_column_reader(column).map_err(|error| damaged(self.path, &error))
    }

    /// One value a row, `None` where the value or anything around it is null.
    fn values<T: DataType>(
        &self,
        group: usize,
        column: usize,
        mut reader: ColumnReaderImpl<T>,
    ) -> Result<Vec<Option<T::T>>, DataError> {
        let metadata = self.reader.metadata().row_group(group);
        let rows = usize::try_from(metadata.num_rows()).unwrap_or(0);
        let full = metadata.column(column).column_descr().max_def_level();
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let (read, _, _) = reader
            .read_records(rows, Some(&mut levels), None, &mut values)
            .map_err(|error| damaged(self.path, &error))?;
        if read != rows {
            return Err(damaged(self.path, &format!("{read} of {rows} rows could be read")));
        }
        let mut values = values.into_iter();
        if full == 0 {
            return Ok(values.map(Some).collect());
        }
        Ok(levels.into_iter().map(|level| if level == full { values.next() } else { None }).collect())
    }
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> DataError {
    DataError::malformed(
        path,
        format!(
            "the parquet file cannot be read ({error}); copy it again, or save it with snappy, zstd or no compression"
        ),
    )
}

/// A list of names, or a table from "0", "1", … to names.
fn class_names(names: &Value) -> Option<Vec<String>> {
    match names {
        Value::Array(names) => names.iter().map(|name| name.as_str().map(str::to_string)).collect(),
        Value::Object(table) => {
            (0..table.len()).map(|i| table.get(&i.to_string())?.as_str().map(str::to_string)).collect()
        }
        _ => None,
    }
}
