//! Tables: columns of one length, as text; as Parquet, see `parquet.rs`.

/// Values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Text.
    Text(Vec<String>),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Numbers; NaN is an empty field in text.
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
}

/// Columns by name, of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub(super) columns: Vec<(String, Column)>,
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
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn table() -> Table {
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
}
