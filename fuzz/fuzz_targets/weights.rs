//! Checkpoints: safetensors, PyTorch's two containers, `.npz`.
#![no_main]

use std::sync::LazyLock;

#[path = "../entry.rs"]
#[allow(dead_code)]
mod entry;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("weights");
    std::fs::write(&path, bytes).expect("a file");
    if let Err(sentence) = entry::weights(&path) {
        entry::check_sentence(&sentence);
    }
});
