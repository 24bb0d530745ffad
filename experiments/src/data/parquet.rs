//! Image data sets as Hugging Face stores them: parquet files named `train-00000-of-00002.parquet`, with a
//! column of encoded images (`bytes` and `path`), a column of integer labels, and the class names in the
//! schema's `huggingface` metadata.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;
use serde_json::Value;

use super::DataError;
use super::folders::split_name;
use super::open::Layout;
use super::split::{Encoding, Record};
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
    let mut splits: BTreeMap<String, Vec<Record>> = BTreeMap::new();
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
        match shard.records()? {
            Some(records) => splits.entry(split.to_string()).or_default().extend(records),
            None => notes.push(format!("{} has no labels and was passed over", file_name(path))),
        }
    }
    if let Some(note) = missing_shards(shards) {
        notes.push(note);
    }
    let last = splits.values().flatten().map(|record| record.label).max().unwrap_or(0);
    let classes = names.unwrap_or_else(|| (0..=last).map(|class| class.to_string()).collect());
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
    images: usize,
    paths: Option<usize>,
    labels: usize,
    /// Class names, if the schema has them.
    names: Option<Vec<String>>,
}

impl<'a> Shard<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|error| DataError::read(path, error))?;
        let reader = SerializedFileReader::new(file).map_err(|error| damaged(path, &error))?;
        let metadata = reader.metadata().file_metadata();
        let features = metadata
            .key_value_metadata()
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == "huggingface"))
            .and_then(|pair| serde_json::from_str::<Value>(pair.value.as_deref()?).ok())
            .map(|info| info["info"]["features"].clone())
            .unwrap_or(Value::Null);
        let schema = metadata.schema_descr();
        let leaf =
            |wanted: &str| (0..schema.num_columns()).find(|&i| schema.column(i).path().string() == wanted);
        let images = image_column(schema, &features).ok_or_else(|| {
            DataError::malformed(path, "it has no column of encoded images (a structure of `bytes` and `path`); give an image data set")
        })?;
        let label_name = label_column(schema, &features).ok_or_else(|| {
            DataError::malformed(path, "it has no column of integer labels; name it `label`")
        })?;
        let labels = leaf(&label_name)
            .ok_or_else(|| DataError::malformed(path, format!("it has no column `{label_name}`")))?;
        let names = class_names(&features[&label_name]["names"]);
        let image_path = schema.column(images).path().string();
        let paths = image_path.strip_suffix(".bytes").and_then(|image| leaf(&format!("{image}.path")));
        Ok(Shard { path, reader, images, paths, labels, names })
    }

    /// All rows in order, or nothing if no row has a label.
    fn records(&self) -> Result<Option<Vec<Record>>, DataError> {
        let mut records = Vec::new();
        let mut labelled = false;
        let file = file_name(self.path);
        for group in 0..self.reader.num_row_groups() {
            let images = self.bytes(group, self.images)?;
            let labels = self.integers(group, self.labels)?;
            let paths = self.paths.map(|column| self.bytes(group, column)).transpose()?;
            for (i, (image, label)) in images.into_iter().zip(labels).enumerate() {
                let row = records.len();
                let inner = paths.as_ref().and_then(|paths| paths[i].as_ref()?.as_utf8().ok());
                let identifier = match inner {
                    Some(inner) => format!("{file}#{row} ({inner})"),
                    None => format!("{file}#{row}"),
                };
                let label = label.unwrap_or(-1);
                labelled |= label != -1;
                if labelled && label < 0 || label < -1 {
                    return Err(DataError::malformed(
                        self.path,
                        format!(
                            "row {row} has the label {label}; labels count from 0, so correct or remove the row"
                        ),
                    ));
                }
                records.push(Record {
                    identifier,
                    label: label.max(0) as usize,
                    storage: image.map_or(Storage::Missing("its row holds no image"), Storage::Memory),
                    encoding: Encoding::Compressed,
                });
            }
        }
        Ok((labelled || records.is_empty()).then_some(records))
    }

    fn bytes(&self, group: usize, column: usize) -> Result<Vec<Option<ByteArray>>, DataError> {
        match self.column(group, column)? {
            ColumnReader::ByteArrayColumnReader(reader) => self.values(group, column, reader),
            _ => Err(DataError::malformed(self.path, "its images are not stored as bytes")),
        }
    }

    fn integers(&self, group: usize, column: usize) -> Result<Vec<Option<i64>>, DataError> {
        match self.column(group, column)? {
            ColumnReader::Int64ColumnReader(reader) => self.values(group, column, reader),
            ColumnReader::Int32ColumnReader(reader) => {
                let narrow = self.values(group, column, reader)?;
                Ok(narrow.into_iter().map(|label| label.map(i64::from)).collect())
            }
            _ => Err(DataError::malformed(self.path, "its labels are not integers")),
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
            "the parquet file cannot be read ({error}); copy it again, or save it with snappy or no compression"
        ),
    )
}

/// The leaf that holds the encoded images: `NAME.bytes`, or a plain column that the features call an image.
fn image_column(schema: &SchemaDescriptor, features: &Value) -> Option<usize> {
    let leaves = || {
        (0..schema.num_columns()).filter(|&i| {
            let column = schema.column(i);
            column.physical_type() == Physical::BYTE_ARRAY && column.max_rep_level() == 0
        })
    };
    let path = |i: usize| schema.column(i).path().string();
    let is_image = |name: &str| features[name]["_type"] == "Image";
    leaves()
        .find(|&i| path(i).strip_suffix(".bytes").is_some_and(is_image))
        .or_else(|| leaves().find(|&i| is_image(&path(i))))
        .or_else(|| leaves().find(|&i| path(i).ends_with(".bytes")))
}

/// The name of the label column: `label`, `fine_label` or `labels` if there is one, else the first with class names.
fn label_column(schema: &SchemaDescriptor, features: &Value) -> Option<String> {
    let integers: Vec<String> = (0..schema.num_columns())
        .map(|i| schema.column(i))
        .filter(|column| {
            matches!(column.physical_type(), Physical::INT32 | Physical::INT64) && column.max_rep_level() == 0
        })
        .map(|column| column.path().string())
        .collect();
    ["label", "fine_label", "labels", "target"]
        .into_iter()
        .map(str::to_string)
        .find(|name| integers.contains(name))
        .or_else(|| integers.iter().find(|name| features[name.as_str()]["_type"] == "ClassLabel").cloned())
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
