//! Tables: columns of one length, as text or as Parquet.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

/// Values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Text.
    Text(Vec<String>),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Numbers; what is not a number is an empty field in text.
    Numbers(Vec<f64>),
    /// True or false.
    Flags(Vec<bool>),
}

impl Column {
    /// A column of indices.
    pub fn indices(values: &[usize]) -> Self {
        Self::Integers(values.iter().map(|&value| value as i64).collect())
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Numbers(values) => values.len(),
            Self::Flags(values) => values.len(),
        }
    }

    fn field(&self, row: usize) -> String {
        match self {
            Self::Text(values) => values[row].clone(),
            Self::Integers(values) => values[row].to_string(),
            Self::Numbers(values) if values[row].is_nan() => String::new(),
            Self::Numbers(values) => values[row].to_string(),
            Self::Flags(values) => values[row].to_string(),
        }
    }

    fn schema(&self, name: &str) -> Type {
        let (kind, logical) = match self {
            Self::Text(_) => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Integers(_) => (PhysicalType::INT64, None),
            Self::Numbers(_) => (PhysicalType::DOUBLE, None),
            Self::Flags(_) => (PhysicalType::BOOLEAN, None),
        };
        Type::primitive_type_builder(name, kind)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical)
            .build()
            .expect("a plain type")
    }

    fn write(&self, column: &mut SerializedColumnWriter) {
        let written = match self {
            Self::Text(values) => {
                let values: Vec<ByteArray> = values.iter().map(|text| text.as_str().into()).collect();
                column.typed::<ByteArrayType>().write_batch(&values, None, None)
            }
            Self::Integers(values) => column.typed::<Int64Type>().write_batch(values, None, None),
            Self::Numbers(values) => column.typed::<DoubleType>().write_batch(values, None, None),
            Self::Flags(values) => column.typed::<BoolType>().write_batch(values, None, None),
        };
        written.expect("memory takes it");
    }
}

/// Columns by name, of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    columns: Vec<(String, Column)>,
}

impl Table {
    /// The table with one more column.
    ///
    /// # Panics
    /// If it is not as long as the others.
    pub fn with(mut self, name: impl Into<String>, column: Column) -> Self {
        let rows = self.columns.first().map_or(column.len(), |(_, first)| first.len());
        let name = name.into();
        assert_eq!(column.len(), rows, "`{name}` must be as long as the other columns");
        self.columns.push((name, column));
        self
    }

    fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, first)| first.len())
    }

    /// Comma-separated values with a line of names first, in UTF-8.
    pub(super) fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|(name, _)| name)).expect("memory takes it");
        for row in 0..self.rows() {
            let fields = self.columns.iter().map(|(_, column)| column.field(row));
            writer.write_record(fields).expect("memory takes it");
        }
        writer.into_inner().expect("memory takes it")
    }

    /// One group of rows, every value required, not compressed.
    pub(super) fn parquet(&self) -> Vec<u8> {
        let fields = self.columns.iter().map(|(name, column)| Arc::new(column.schema(name))).collect();
        let schema = Type::group_type_builder("table").with_fields(fields).build().expect("plain types");
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer =
            SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties).expect("memory takes it");
        let mut group = writer.next_row_group().expect("memory takes it");
        for (_, values) in &self.columns {
            let mut column = group.next_column().expect("memory takes it").expect("as many as in the schema");
            values.write(&mut column);
            column.close().expect("memory takes it");
        }
        group.close().expect("memory takes it");
        writer.into_inner().expect("memory takes it")
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    fn table() -> Table {
        Table::default()
            .with("image", Column::Text(vec!["a, b.png".into(), "ü.png".into()]))
            .with("label", Column::indices(&[4, 0]))
            .with("p", Column::Numbers(vec![0.25, f64::NAN]))
            .with("correct", Column::Flags(vec![true, false]))
    }

    #[test]
    fn text_is_quoted_where_it_must_be() {
        let text = String::from_utf8(table().csv()).unwrap();
        assert_eq!(text, "image,label,p,correct\n\"a, b.png\",4,0.25,true\nü.png,0,,false\n");
    }

    #[test]
    fn parquet_is_read_back() {
        let reader = SerializedFileReader::new(parquet_bytes(table().parquet())).unwrap();
        let rows: Vec<Vec<(String, Field)>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                row.unwrap().get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect()
            })
            .collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][0], ("image".into(), Field::Str("a, b.png".into())));
        assert_eq!(rows[0][1], ("label".into(), Field::Long(4)));
        assert_eq!(rows[1][3], ("correct".into(), Field::Bool(false)));
        assert!(matches!(rows[1][2].1, Field::Double(value) if value.is_nan()));
    }

    /// What the reader takes: a file.
    fn parquet_bytes(bytes: Vec<u8>) -> std::fs::File {
        use std::io::{Seek, Write};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        file
    }
}
