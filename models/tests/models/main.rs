//! The integration tests of models: one program, which is linked once. `hostile` stays alone, because it measures memory.

#[path = "../common/mod.rs"]
mod common;

mod catalogue;
mod checkpoints;
mod clip;
mod cut_short;
mod describe;
mod efficientvit;
mod features;
mod full_size;
mod parity;
mod precision;
mod presets;
mod probe;
mod randomness;
mod read_out;
mod recompute;
mod resnets;
mod second_device;
mod swin;
mod training_files;
mod vit_comer;
mod vits;
mod weights;

/// A file that nobody lists would not run.
#[test]
fn every_file_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let unlisted = files.filter_map(|file| {
        let name = file.strip_suffix(".rs")?.to_owned();
        (name != "main" && !include_str!("main.rs").contains(&format!("\nmod {name};\n"))).then_some(file)
    });
    assert_eq!(unlisted.collect::<Vec<_>>(), Vec::<String>::new());
}
