//! Features of images as rows of one matrix.

use std::ops::Range;

use archaeo_ops::{Precision, in_pool, linear};
use burn::tensor::{Device, Tensor, TensorData};

use crate::statistics::{Result, StatisticsError};
use crate::tensors::values;

/// Rows of one product at a time, so that a large one does not need all of its memory at once.
const ROWS_AT_ONCE: usize = 1024;

/// Features of images: one row per image.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    width: usize,
    values: Vec<f32>,
}

impl Features {
    /// `values` row by row, `(n, width)`.
    ///
    /// # Panics
    /// A width of 0, or values that do not fill the last row.
    pub fn new(width: usize, values: Vec<f32>) -> Self {
        assert!(width > 0 && values.len().is_multiple_of(width), "rows of features have one width");
        Self { width, values }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Features per image.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Every value, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The features of an image.
    pub fn row(&self, image: usize) -> &[f32] {
        &self.values[image * self.width..][..self.width]
    }

    /// The features of every image, in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width)
    }

    /// Those of some images, in the order of `images`.
    pub fn select(&self, images: &[usize]) -> Self {
        let values = images.iter().flat_map(|&image| self.row(image).iter().copied()).collect();
        Self { width: self.width, values }
    }

    /// Each row followed by that of `other`.
    ///
    /// # Panics
    /// Different numbers of images.
    pub fn joined(&self, other: &Self) -> Self {
        assert_eq!(self.len(), other.len(), "features of the same images are joined");
        let rows = self.rows().zip(other.rows());
        let values = rows.flat_map(|(own, others)| own.iter().chain(others).copied()).collect();
        Self { width: self.width + other.width, values }
    }

    /// These rows and then those of `other`.
    ///
    /// # Panics
    /// Different widths.
    pub fn followed_by(&self, other: &Self) -> Self {
        assert_eq!(self.width, other.width, "rows of features have one width");
        Self { width: self.width, values: [&self.values[..], &other.values].concat() }
    }

    /// Every row divided by its Euclidean length; a row of zeros stays as it is.
    pub fn of_unit_length(&self) -> Self {
        let unit = |row: &[f32]| {
            let length = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
            row.iter().map(|&value| (f64::from(value) * scale) as f32).collect::<Vec<_>>()
        };
        Self { width: self.width, values: self.rows().flat_map(unit).collect() }
    }

    /// Every column minus its mean.
    pub fn centred(&self) -> Self {
        let mean = self.means();
        let centred = self
            .rows()
            .flat_map(|row| row.iter().zip(&mean).map(|(&value, mean)| (f64::from(value) - mean) as f32));
        Self { width: self.width, values: centred.collect() }
    }

    /// Mean of every column.
    pub(super) fn means(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.width];
        for row in self.rows() {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        sums.iter().map(|sum| sum / self.len().max(1) as f64).collect()
    }

    /// The matrix with rows and columns exchanged.
    pub(super) fn transposed(&self) -> Self {
        let n = self.len();
        let mut values = vec![0.0; self.values.len()];
        for (image, row) in self.rows().enumerate() {
            row.iter().enumerate().for_each(|(column, &value)| values[column * n + image] = value);
        }
        Self { width: n, values }
    }

    /// Refuses values that are not finite.
    ///
    /// # Errors
    /// The first such value.
    pub fn check_finite(&self) -> Result<()> {
        match self.values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(index) => {
                let value = f64::from(self.values[index]);
                Err(StatisticsError::NotFinite { what: "a matrix of features", index, value })
            }
        }
    }

    fn tensor(&self, rows: Range<usize>) -> Tensor<2> {
        let values = self.values[rows.start * self.width..rows.end * self.width].to_vec();
        Tensor::from_data(TensorData::new(values, [rows.len(), self.width]), &Device::flex())
    }
}

/// Rows that are multiplied by many others.
pub(super) struct Factor(Tensor<2>);

impl Factor {
    pub fn of(features: &Features) -> Self {
        Self(features.tensor(0..features.len()))
    }

    /// The product of these rows with those of `other`: `self · otherᵀ`, row by row.
    pub fn with(&self, other: &Features) -> Vec<f32> {
        multiplied(self.0.clone(), &other.tensor(0..other.len()))
    }
}

fn multiplied(rows: Tensor<2>, weight: &Tensor<2>) -> Vec<f32> {
    values(in_pool(|| linear(rows, weight.clone(), None, Precision::F32)))
}

/// Calls `visit` with the inner products of each row of `first` with all rows of `second`, in order.
pub(super) fn for_each_product(first: &Features, second: &Features, mut visit: impl FnMut(usize, &[f32])) {
    let second = Factor::of(second);
    for start in (0..first.len()).step_by(ROWS_AT_ONCE) {
        let rows = start..first.len().min(start + ROWS_AT_ONCE);
        let products = multiplied(first.tensor(rows.clone()), &second.0);
        let columns = products.len() / rows.len();
        rows.zip(products.chunks_exact(columns.max(1))).for_each(|(row, products)| visit(row, products));
    }
}

/// Squared Euclidean distance, in eight sums so that the compiler may compute several at once.
pub(super) fn squared_distance(first: &[f32], second: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0f32; LANES];
    let whole = first.len() / LANES * LANES;
    for (a, b) in first[..whole].chunks_exact(LANES).zip(second[..whole].chunks_exact(LANES)) {
        for lane in 0..LANES {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    let rest = first[whole..].iter().zip(&second[whole..]).map(|(a, b)| (a - b) * (a - b));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}
