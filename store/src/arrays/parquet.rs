//! Tables as Parquet.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::{Column, Table};

impl Column {
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

impl Table {
    /// One row group, all values required, uncompressed.
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

    use super::super::table::tests::table;

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
