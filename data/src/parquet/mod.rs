//! Image data sets as Hugging Face stores them: parquet files named `train-00000-of-00002.parquet`, with a
//! column of encoded images (bytes, or `bytes` and `path`), a column of labels (integers or texts), and the class names in the
//! schema's `huggingface` metadata.

mod claims;
mod columns;
mod places;
#[cfg(test)]
mod tests;

/// A value of a column, a view into its decompressed page.
pub(super) use parquet::data_type::ByteArray as Bytes;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archaeo_store::memory::{Budget, TooMuch};
use parquet::basic::{ConvertedType, LogicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use serde_json::Value;

use self::claims::Claims;
use self::columns::Columns;
use self::places::check_places;
use super::DataError;
use super::folders::split_name;
use super::labels::{Label, MAX_CLASS, Row, classify};
use super::open::Layout;
use super::storage::Storage;

/// Reads all rows of `shards`; the images stay in memory as they are encoded.
pub(super) fn read(shards: &[PathBuf]) -> Result<Layout, DataError> {
    let mut splits: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut notes = Vec::new();
    let mut names: Option<Vec<String>> = None;
    for path in shards {
        let (shard, mut budget) = Shard::open(path)?;
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
        match shard.rows(&mut budget)? {
            Some(rows) => {
                // The images' memory stays reserved as long as one of them exists.
                let budget = Arc::new(budget);
                let row = |(identifier, label, image): (String, Label, Option<ByteArray>)| Row {
                    identifier,
                    label,
                    storage: image.map_or(Storage::Missing("its row holds no image"), |bytes| {
                        Storage::Memory { bytes, _budget: budget.clone() }
                    }),
                };
                splits.entry(split.to_string()).or_default().extend(rows.into_iter().map(row));
            }
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

/// Bytes in memory for an element of the footer, for an entry of a dictionary, and for a row besides its texts.
const ELEMENT: u64 = 128;
const ENTRY: u64 = 48;
const ROW: u64 = 320;

/// Bytes in memory for each byte of JSON, at most.
const JSON: u64 = 96;

/// A row's name, label and image.
type StoredRow = (String, Label, Option<ByteArray>);

struct Shard<'a> {
    path: &'a Path,
    reader: SerializedFileReader<File>,
    columns: Columns,
    /// Class names, if the schema has them.
    names: Option<Vec<String>>,
}

impl<'a> Shard<'a> {
    /// The file, and its budget, of which its metadata have been taken.
    fn open(path: &'a Path) -> Result<(Self, Budget), DataError> {
        let mut file = archaeo_store::open(path).map_err(|error| DataError::read(path, error))?;
        let length = file.metadata().map_err(|error| DataError::read(path, error))?.len();
        let mut budget = Budget::of_file(length);
        let too_much = |refused: TooMuch| DataError::malformed(path, format!("for its metadata {refused}"));
        let footer = footer(&mut file, length, &mut budget).map_err(|error| damaged(path, &error))?;
        let elements = claims::elements(&footer).map_err(|error| damaged(path, &error))?;
        budget.take(elements, ELEMENT).map_err(too_much)?;
        drop(footer);
        // Without fallback to other decoders, one of which does not check sizes.
        let properties = ReaderProperties::builder().set_backward_compatible_lz4(false).build();
        let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
        let reader =
            SerializedFileReader::new_with_options(file, options).map_err(|error| damaged(path, &error))?;
        check_places(reader.metadata(), length).map_err(|reason| damaged(path, &reason))?;
        let metadata = reader.metadata().file_metadata();
        let pairs = metadata.key_value_metadata().into_iter().flatten();
        let json =
            pairs.filter(|pair| pair.key == "huggingface").filter_map(|pair| pair.value.as_deref()).next();
        budget.take(json.map_or(0, str::len) as u64, JSON).map_err(too_much)?;
        let features = json
            .and_then(|json| serde_json::from_str::<Value>(json).ok())
            .map(|info| info["info"]["features"].clone())
            .unwrap_or(Value::Null);
        let columns = Columns::choose(metadata.schema_descr(), &features)
            .map_err(|reason| DataError::malformed(path, reason))?;
        let names = class_names(&features[&columns.label_name]["names"]);
        budget.give_back(json.map_or(0, str::len) as u64 * JSON);
        Ok((Shard { path, reader, columns, names }, budget))
    }

    /// All rows in order, or nothing if no row has a label.
    fn rows(&self, budget: &mut Budget) -> Result<Option<Vec<StoredRow>>, DataError> {
        let mut rows = Vec::new();
        let mut unlabelled = None;
        let file = file_name(self.path);
        for group in 0..self.reader.num_row_groups() {
            let claimed = self.reader.metadata().row_group(group).num_rows().max(0) as u64;
            let too_much = |refused: TooMuch| {
                DataError::malformed(self.path, format!("for its {claimed} rows {refused}"))
            };
            budget.take(claimed, ROW).map_err(too_much)?;
            let first = rows.len() + unlabelled.map_or(0, |(count, _)| count);
            let images = self.bytes(group, self.columns.images, budget)?;
            let labels = self.labels(group, first, budget)?;
            let paths = self.columns.paths.map(|column| self.bytes(group, column, budget)).transpose()?;
            for (i, (image, label)) in images.into_iter().zip(labels).enumerate() {
                let row = rows.len() + unlabelled.map_or(0, |(count, _)| count);
                let inner = paths.as_ref().and_then(|paths| paths[i].as_ref()?.as_utf8().ok());
                let identifier = match inner {
                    Some(inner) => format!("{file}#{row} ({inner})"),
                    None => format!("{file}#{row}"),
                };
                let texts =
                    identifier.len() + if let Some(Label::Text(text)) = &label { text.len() } else { 0 };
                budget.take(texts as u64, 1).map_err(too_much)?;
                let Some(label) = label else {
                    unlabelled = Some(unlabelled.map_or((1, row), |(count, first)| (count + 1, first)));
                    continue;
                };
                rows.push((identifier, label, image));
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

    /// One label per row; `None` for a null, for -1 and for an empty text, which mean no label.
    fn labels(
        &self,
        group: usize,
        first: usize,
        budget: &mut Budget,
    ) -> Result<Vec<Option<Label>>, DataError> {
        let column = self.columns.labels;
        let name = &self.columns.label_name;
        let wrong = |i: usize, label: &dyn std::fmt::Display, why: &str| {
            let row = first + i;
            DataError::malformed(
                self.path,
                format!("row {row} has the label {label} in the column `{name}`; {why}"),
            )
        };
        let number = |(i, label): (usize, Option<i128>)| match label {
            None | Some(-1) => Ok(None),
            Some(label) => match usize::try_from(label) {
                Ok(label) if label <= MAX_CLASS => Ok(Some(Label::Number(label))),
                _ => Err(wrong(
                    i,
                    &label,
                    &format!(
                        "labels count from 0 to {MAX_CLASS} at most, so correct it, or give the labels as texts"
                    ),
                )),
            },
        };
        let numbers = |labels: Vec<Option<i128>>| {
            labels.into_iter().enumerate().map(number).collect::<Result<Vec<_>, _>>()
        };
        // NaN means no label.
        let whole = |(i, label): (usize, Option<f64>)| match label {
            None => Ok(None),
            Some(label) if label.is_nan() => Ok(None),
            Some(label) if label.fract() == 0.0 && label.abs() < 1e15 => Ok(Some(label as i128)),
            Some(label) => Err(wrong(i, &label, "labels are whole numbers from 0 on, or texts")),
        };
        let floats = |labels: Vec<Option<f64>>| {
            labels.into_iter().enumerate().map(whole).collect::<Result<Vec<_>, _>>().and_then(numbers)
        };
        match self.column(group, column, budget)? {
            (ColumnReader::Int64ColumnReader(reader), _) => {
                let unsigned = self.is_unsigned(column);
                let wide = |label: i64| if unsigned { i128::from(label as u64) } else { label.into() };
                let labels = self.values(group, column, reader)?;
                numbers(labels.into_iter().map(|label| label.map(wide)).collect())
            }
            (ColumnReader::Int32ColumnReader(reader), _) => {
                let unsigned = self.is_unsigned(column);
                let wide = |label: i32| if unsigned { i128::from(label as u32) } else { label.into() };
                let labels = self.values(group, column, reader)?;
                numbers(labels.into_iter().map(|label| label.map(wide)).collect())
            }
            (ColumnReader::DoubleColumnReader(reader), _) => floats(self.values(group, column, reader)?),
            (ColumnReader::FloatColumnReader(reader), _) => {
                let labels = self.values(group, column, reader)?;
                floats(labels.into_iter().map(|label| label.map(f64::from)).collect())
            }
            (ColumnReader::BoolColumnReader(reader), _) => {
                let truths = self.values(group, column, reader)?;
                Ok(truths
                    .into_iter()
                    .map(|label| label.map(|truth| Label::Text(truth.to_string())))
                    .collect())
            }
            (ColumnReader::ByteArrayColumnReader(reader), incremental) => {
                let text = |label: Option<ByteArray>| {
                    let text = label.map(|bytes| String::from_utf8_lossy(bytes.data()).trim().to_string());
                    text.filter(|text| !text.is_empty()).map(Label::Text)
                };
                let texts = self.byte_arrays(group, column, reader, incremental, budget)?;
                Ok(texts.into_iter().map(text).collect())
            }
            _ => Err(DataError::malformed(self.path, "its labels are neither integers nor texts")),
        }
    }

    fn is_unsigned(&self, column: usize) -> bool {
        let descriptor = self.reader.metadata().file_metadata().schema_descr().column(column);
        matches!(descriptor.logical_type_ref(), Some(LogicalType::Integer(integer)) if !integer.is_signed)
            || matches!(
                descriptor.converted_type(),
                ConvertedType::UINT_8
                    | ConvertedType::UINT_16
                    | ConvertedType::UINT_32
                    | ConvertedType::UINT_64
            )
    }

    fn bytes(
        &self,
        group: usize,
        column: usize,
        budget: &mut Budget,
    ) -> Result<Vec<Option<ByteArray>>, DataError> {
        match self.column(group, column, budget)? {
            (ColumnReader::ByteArrayColumnReader(reader), incremental) => {
                self.byte_arrays(group, column, reader, incremental, budget)
            }
            _ => Err(DataError::malformed(self.path, "its images are not stored as bytes")),
        }
    }

    /// The reader of a column, for whose pages there is room, and whether its values may be longer than these.
    fn column(
        &self,
        group: usize,
        column: usize,
        budget: &mut Budget,
    ) -> Result<(ColumnReader, bool), DataError> {
        let reader = self.reader.get_row_group(group).map_err(|error| damaged(self.path, &error))?;
        let metadata = self.reader.metadata().row_group(group).column(column);
        let start = metadata.dictionary_page_offset().unwrap_or(metadata.data_page_offset());
        let (Ok(start), Ok(length)) = (u64::try_from(start), u64::try_from(metadata.compressed_size()))
        else {
            return Err(damaged(self.path, &"a column has a negative place"));
        };
        let mut file = archaeo_store::open(self.path).map_err(|error| DataError::read(self.path, error))?;
        let place = start..start.saturating_add(length);
        let claims = Claims::of_pages(&mut file, place, metadata.compression())
            .map_err(|reason| damaged(self.path, &reason))?;
        let taken = budget
            .take(claims.unpacked, 1)
            .and_then(|()| budget.take(claims.longest, 1))
            .and_then(|()| budget.take(claims.entries, ENTRY));
        taken.map_err(|refused| {
            let name = metadata.column_path().string();
            DataError::malformed(self.path, format!("for its column `{name}` {refused}"))
        })?;
        budget.give_back(claims.longest);
        let reader = reader.get_column_reader(column).map_err(|error| damaged(self.path, &error))?;
        Ok((reader, claims.incremental))
    }

    /// As [`Shard::values`]. If each value may be as long as all previous ones, they are read one by one, and their memory is
    /// taken from the budget.
    fn byte_arrays(
        &self,
        group: usize,
        column: usize,
        mut reader: ColumnReaderImpl<ByteArrayType>,
        incremental: bool,
        budget: &mut Budget,
    ) -> Result<Vec<Option<ByteArray>>, DataError> {
        if !incremental {
            return self.values(group, column, reader);
        }
        let metadata = self.reader.metadata().row_group(group);
        let full = metadata.column(column).column_descr().max_def_level();
        let mut all = Vec::new();
        for row in 0..metadata.num_rows() {
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            let (read, _, _) = reader
                .read_records(1, Some(&mut levels), None, &mut values)
                .map_err(|error| damaged(self.path, &error))?;
            if read != 1 {
                return Err(damaged(
                    self.path,
                    &format!("{row} of {} rows could be read", metadata.num_rows()),
                ));
            }
            let value = values.pop().filter(|_| full == 0 || levels.first() == Some(&full));
            let length = value.as_ref().map_or(0, ByteArray::len) as u64;
            budget.take(length, 1).map_err(|refused| DataError::malformed(self.path, refused.to_string()))?;
            all.push(value);
        }
        Ok(all)
    }

    /// One value per row, `None` if the value or any enclosing group is null.
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

/// The metadata at the end of a file, for which there is room.
fn footer(file: &mut File, length: u64, budget: &mut Budget) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| error.to_string();
    let mut end = [0; 8];
    if length < 12 {
        return Err("it is too short".to_string());
    }
    file.seek(SeekFrom::Start(length - 8)).map_err(unreadable)?;
    file.read_exact(&mut end).map_err(unreadable)?;
    let [a, b, c, d, magic @ ..] = end;
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *b"PAR1" || size > length - 8 {
        return Err("it is cut short or encrypted".to_string());
    }
    budget.take(size, 4).map_err(|refused| format!("for its metadata {refused}"))?;
    let mut footer = vec![0; size as usize];
    file.seek(SeekFrom::Start(length - 8 - size)).map_err(unreadable)?;
    file.read_exact(&mut footer).map_err(unreadable)?;
    Ok(footer)
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
