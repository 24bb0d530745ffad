//! Images of every format.
#![no_main]

#[path = "../entry.rs"]
#[allow(dead_code)]
mod entry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(sentence) = entry::image(bytes) {
        entry::check_sentence(&sentence);
    }
});
