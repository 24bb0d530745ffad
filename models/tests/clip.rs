//! CLIP against open_clip and transformers (`fixtures/make_clip_tokens.py`, `fixtures/make_clip.py`).

mod common;

use archaeo_models::clip;
use common::fixture_path;

#[test]
fn texts_become_the_tokens_of_open_clip() {
    let json = std::fs::read_to_string(fixture_path("clip_tokens.json")).unwrap();
    let rows: Vec<(String, Vec<u32>)> = serde_json::from_str(&json).unwrap();
    assert!(rows.len() > 800);
    let differing: Vec<_> = rows
        .iter()
        .filter(|(text, tokens)| {
            let mut padded = tokens.clone();
            padded.resize(clip::CONTEXT, 0);
            clip::tokenize(text).as_slice() != padded
        })
        .collect();
    assert!(
        differing.is_empty(),
        "{} differ, such as {:?}",
        differing.len(),
        &differing[..differing.len().min(8)]
    );
}
