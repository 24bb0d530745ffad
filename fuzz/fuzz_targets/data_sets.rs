//! Data sets of one file: tar and zip archives, parquet, `.npz`, idx, CIFAR's batches. The first byte chooses the ending of its name.
#![no_main]

use std::sync::LazyLock;

#[path = "../entry.rs"]
#[allow(dead_code)]
mod entry;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

const ENDINGS: [&str; 5] = ["tar", "zip", "npz", "parquet", "bin"];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let path = FOLDER.path().join(format!("d.{}", ENDINGS[usize::from(*first) % ENDINGS.len()]));
    std::fs::write(&path, rest).expect("a file");
    if let Err(sentence) = entry::data_set(&path) {
        entry::check_sentence(&sentence);
    }
});
