//! Matrices as strided views of slices, checked when made.

/// A read-only matrix: element (row, column) is `data[row · row_stride + column · column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T = f32> {
    pub(crate) data: &'a [T],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// A row-major matrix that fills `data`.
    ///
    /// # Panics
    /// If `data` does not have `rows · columns` elements.
    pub fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "a {rows}×{columns} matrix needs rows · columns elements");
        Matrix { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// A view with any strides.
    ///
    /// # Panics
    /// If the last element lies outside `data`.
    pub fn strided(
        data: &'a [T],
        [rows, columns]: [usize; 2],
        [row_stride, column_stride]: [usize; 2],
    ) -> Self {
        check_extent(data.len(), [rows, columns], [row_stride, column_stride]);
        Matrix { data, rows, columns, row_stride, column_stride }
    }

    /// The same elements with rows and columns exchanged; nothing is copied.
    pub fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Some of the rows.
    pub(crate) fn row_range(self, rows: std::ops::Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.rows);
        let data = self.data.get(rows.start * self.row_stride..).unwrap_or_default();
        Matrix { data, rows: rows.len(), ..self }
    }

    /// A pointer to element (row, column), which need not exist.
    #[inline(always)]
    pub(crate) fn at(&self, row: usize, column: usize) -> *const T {
        self.data.as_ptr().wrapping_add(row * self.row_stride + column * self.column_stride)
    }
}

/// A writable matrix whose rows are contiguous.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// A row-major matrix that fills `data`.
    ///
    /// # Panics
    /// If `data` does not have `rows · columns` elements.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "a {rows}×{columns} matrix needs rows · columns elements");
        MatrixMut { data, rows, columns, row_stride: columns }
    }

    /// A view whose rows begin `row_stride` elements apart.
    ///
    /// # Panics
    /// If rows would overlap or the last element lies outside `data`.
    pub fn strided(data: &'a mut [f32], [rows, columns]: [usize; 2], row_stride: usize) -> Self {
        assert!(rows <= 1 || row_stride >= columns, "rows of {columns} overlap at stride {row_stride}");
        check_extent(data.len(), [rows, columns], [row_stride, 1]);
        MatrixMut { data, rows, columns, row_stride }
    }
}

fn check_extent(length: usize, [rows, columns]: [usize; 2], strides: [usize; 2]) {
    if rows == 0 || columns == 0 {
        return;
    }
    let last = (rows - 1)
        .checked_mul(strides[0])
        .and_then(|row| (columns - 1).checked_mul(strides[1])?.checked_add(row))
        .unwrap_or(usize::MAX);
    assert!(
        last < length,
        "a {rows}×{columns} matrix with strides {strides:?} reaches beyond {length} elements"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "reaches beyond 5 elements")]
    fn a_view_beyond_its_slice_is_refused() {
        Matrix::strided(&[0.0; 5], [2, 3], [3, 1]);
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn overlapping_rows_are_refused_for_writing() {
        MatrixMut::strided(&mut [0.0; 9], [2, 3], 2);
    }

    #[test]
    fn empty_views_need_no_elements() {
        Matrix::<f32>::strided(&[], [0, 3], [3, 1]);
        MatrixMut::strided(&mut [], [4, 0], 0);
    }
}
