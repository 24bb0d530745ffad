//! The little linear algebra that exercises are judged by, in 64-bit floats.

/// The numbers that exercises are about: `sin(k · i²)` for i = 1, 2, ….
pub fn numbers(k: f64, count: usize) -> Vec<f64> {
    (1..=count).map(|i| (k * (i as f64).powi(2)).sin()).collect()
}

/// `a` `[rows, inner]` times `b` `[inner, columns]`.
pub fn product(a: &[f64], b: &[f64], inner: usize) -> Vec<f64> {
    let columns = b.len() / inner;
    let row = |row: &[f64]| -> Vec<f64> {
        let sum =
            |column: usize| row.iter().enumerate().map(|(i, value)| value * b[i * columns + column]).sum();
        (0..columns).map(sum).collect()
    };
    a.chunks_exact(inner).flat_map(row).collect()
}

/// Rows become columns.
pub fn transposed(a: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|column| a.chunks_exact(columns).map(move |row| row[column])).collect()
}

/// Every row turned into weights.
pub fn softmax(scores: &[f64], columns: usize) -> Vec<f64> {
    let weights = |row: &[f64]| -> Vec<f64> {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let raised: Vec<f64> = row.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = raised.iter().sum();
        raised.iter().map(|value| value / sum).collect()
    };
    scores.chunks_exact(columns).flat_map(weights).collect()
}

/// Every row divided by its sum.
pub fn normalised(rows: &[f64], columns: usize) -> Vec<f64> {
    rows.chunks_exact(columns)
        .flat_map(|row| row.iter().map(|value| value / row.iter().sum::<f64>()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_rows() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(product(&a, &[1.0, 0.0, -1.0], 3), [-2.0, -2.0]);
        assert_eq!(product(&[1.0, 10.0], &a, 2), [41.0, 52.0, 63.0]);
        assert_eq!(transposed(&a, 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(softmax(&[0.0, 0.0, 1000.0, 0.0], 2), [0.5, 0.5, 1.0, 0.0]);
        assert_eq!(normalised(&[1.0, 3.0], 2), [0.25, 0.75]);
    }
}
