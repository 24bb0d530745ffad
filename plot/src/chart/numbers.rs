//! The numbers that a chart draws, as a table that other programs read.

use std::fmt::Write;

/// The numbers of a chart: one row per drawn thing, in full precision.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartNumbers {
    /// Which kind of chart draws them: `lines`, `bars`, `matrix`, `estimates`, `histogram` or `scatter`.
    pub kind: &'static str,
    /// Heading of the chart.
    pub title: String,
    /// What stands along its horizontal axis.
    pub x: String,
    /// What stands along its vertical axis, or what the colours of a matrix are.
    pub y: String,
    /// Names of the columns.
    pub columns: &'static [&'static str],
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of [`ChartNumbers`].
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A name.
    Name(String),
    /// A number.
    Number(f64),
    /// Nothing: a gap, or an interval that is not there.
    Empty,
}

impl From<&str> for Cell {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Option<f64>> for Cell {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Empty, Self::Number)
    }
}

/// The ends of an interval, where there is one.
pub(super) fn ends(interval: Option<(f64, f64)>) -> [Cell; 2] {
    match interval {
        Some((low, high)) => [low.into(), high.into()],
        None => [Cell::Empty, Cell::Empty],
    }
}

impl ChartNumbers {
    /// As a CSV file (RFC 4180), whose first row names the columns.
    pub fn to_csv(&self) -> String {
        let mut out = self.columns.join(",") + "\r\n";
        for row in &self.rows {
            for (place, cell) in row.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                match cell {
                    Cell::Name(name) if name.contains([',', '"', '\n', '\r']) => {
                        write!(out, "\"{}\"", name.replace('"', "\"\"")).expect("a string takes everything");
                    }
                    Cell::Name(name) => out.push_str(name),
                    Cell::Number(number) => write!(out, "{number}").expect("a string takes everything"),
                    Cell::Empty => {}
                }
            }
            out.push_str("\r\n");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    #[test]
    fn names_are_quoted_and_gaps_are_empty() {
        let chart = BarChart {
            title: "Bars".into(),
            description: String::new(),
            value: Axis::new("accuracy", Scale::Linear),
            categories: vec!["a, \"b\"".into(), "c".into()],
            series: vec![BarSeries {
                name: "ViT".into(),
                bars: vec![Some(Measure { value: 0.1, interval: Some((0.05, 1.0 / 3.0)) }), None],
            }],
        };
        let expected =
            "category,series,value,low,high\r\n\"a, \"\"b\"\"\",ViT,0.1,0.05,0.3333333333333333\r\n";
        assert_eq!(chart.numbers().to_csv(), expected);
    }

    #[test]
    fn a_matrix_has_a_row_per_cell() {
        let chart = MatrixChart {
            title: "M".into(),
            description: String::new(),
            row_label: "layer".into(),
            column_label: "head".into(),
            value_label: "nats".into(),
            rows: vec!["1".into(), "2".into()],
            columns: vec!["1".into()],
            values: vec![Some(2.5), None],
            format: ValueFormat::Decimals(1),
            range: None,
        };
        assert_eq!(chart.numbers().to_csv(), "row,column,value\r\n1,1,2.5\r\n2,1,\r\n");
        assert_eq!((chart.numbers().x.as_str(), chart.numbers().y.as_str()), ("head", "layer"));
    }
}
