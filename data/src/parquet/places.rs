//! Whether the columns of a parquet file lie where its footer says: the library takes that for granted.

use parquet::file::metadata::ParquetMetaData;

/// Checks the positions and sizes of all columns of a file of `length` bytes.
///
/// # Errors
/// What cannot be, as a phrase.
pub(super) fn check_places(metadata: &ParquetMetaData, length: u64) -> Result<(), String> {
    for group in metadata.row_groups() {
        if group.num_rows() < 0 {
            return Err(format!("a row group has {} rows", group.num_rows()));
        }
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            let numbers = [start, column.data_page_offset(), column.compressed_size(), column.num_values()];
            let end = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
            let end = end.and_then(|(start, size)| start.checked_add(size));
            if numbers.iter().any(|&number| number < 0) || end.is_none_or(|end| end > length) {
                return Err(format!(
                    "the column `{}` lies outside of the file",
                    column.column_path().string()
                ));
            }
        }
    }
    Ok(())
}
