//! The integration tests of training: one program, which is linked once.

#[path = "../common/mod.rs"]
mod common;

mod adversarial;
mod data_parallel;
mod distillation;
mod fitted;
mod processors;
mod representations;
mod reverse_sequence;
mod seeds;
mod segmentation;
mod tracking;
mod training;
mod transfer;

/// A file that nobody lists would not run.
#[test]
fn every_file_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/training");
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let unlisted = files.filter_map(|file| {
        let name = file.strip_suffix(".rs")?.to_owned();
        (name != "main" && !include_str!("main.rs").contains(&format!("\nmod {name};\n"))).then_some(file)
    });
    assert_eq!(unlisted.collect::<Vec<_>>(), Vec::<String>::new());
}
