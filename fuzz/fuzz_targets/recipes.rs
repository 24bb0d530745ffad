//! Recipes.
#![no_main]

#[path = "../entry.rs"]
#[allow(dead_code)]
mod entry;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(sentence) = entry::recipe(text) {
        entry::check_sentence(&sentence);
    }
});
