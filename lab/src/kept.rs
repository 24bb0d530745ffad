//! Results that are kept in a file until what they were made from changes.

use std::path::Path;

use archaeo_store::{read_bytes, sha256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::LabError;

/// The longest such file that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// A result and the hash of what it was made from.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    made_from: String,
    found: T,
}

/// The result that the file at `path` holds, if it was made from the same; else what `find` finds now, which is kept there.
///
/// # Errors
/// Those of `find`; a file that cannot be written. One that cannot be read is replaced.
pub(crate) fn kept<T: Serialize + DeserializeOwned>(
    path: &Path,
    made_from: &[&str],
    find: impl FnOnce() -> Result<T, LabError>,
) -> Result<T, LabError> {
    let made_from = sha256(serde_json::to_string(made_from).expect("plain text").as_bytes());
    let there = read_bytes(path, LONGEST).ok();
    let there = there.and_then(|bytes| serde_json::from_slice::<Kept<T>>(&bytes).ok());
    if let Some(there) = there.filter(|there| there.made_from == made_from) {
        return Ok(there.found);
    }
    let text = serde_json::to_string(&Kept { made_from, found: find()? }).expect("plain data");
    archaeo_store::write(path, text.as_bytes())?;
    // Read back, so that the first time computes with the very same digits as the next.
    Ok(serde_json::from_str::<Kept<T>>(&text).expect("it was just written").found)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_result_is_found_once_for_what_it_is_made_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        let times = Cell::new(0);
        let ask = |made_from: &[&str]| {
            let find = || {
                times.set(times.get() + 1);
                Ok(vec![0.1 + 0.2, f64::from(times.get())])
            };
            kept(&path, made_from, find).unwrap()
        };
        let first = ask(&["a", "b"]);
        assert_eq!((ask(&["a", "b"]), times.get()), (first, 1));
        assert_eq!((ask(&["ab", ""]), times.get()), (vec![0.1 + 0.2, 2.0], 2), "other parts");
        std::fs::write(&path, "{").unwrap();
        assert_eq!((ask(&["ab", ""]), times.get()), (vec![0.1 + 0.2, 3.0], 3), "a damaged file");
    }
}
