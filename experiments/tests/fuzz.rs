//! A stated number of mutated inputs of every kind that comes from elsewhere: each is read or refused in one line, without a panic
//! and in bounded memory.
//!
//! The inputs are the same in every run. `ARCHAEO_FUZZ_INPUTS` asks for another number of each kind; longer hunts are cargo-fuzz's
//! (see CONTRIBUTING.md).

#[path = "../../fuzz/entry.rs"]
mod entry;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/seeds.rs"]
mod seeds;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use archaeo_random::keyed_rng;
use peak_alloc::PeakAlloc;

use self::entry::Outcome;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Inputs of each kind.
const INPUTS: usize = 3000;

/// Bytes that reading one of them may take: what the program may take without being asked, whatever it is given.
const MOST_MEMORY: usize = 2 << 30;

/// Reads `INPUTS` mutations of `seeds`; `finish` makes a mutation whole again where a checksum would give it away at once.
fn survive(
    kind: &str,
    seeds: &[Vec<u8>],
    finish: impl Fn(Vec<u8>) -> Vec<u8>,
    read: impl Fn(&[u8]) -> Outcome,
) {
    // One kind at a time, or the memory would be another's.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let count = std::env::var("ARCHAEO_FUZZ_INPUTS").map_or(INPUTS, |count| count.parse().expect("a number"));
    for (i, seed) in seeds.iter().enumerate() {
        let outcome = read(&finish(seed.clone()));
        assert_eq!(outcome, Ok(()), "{kind}: seed {i} is not sound");
    }
    let (mut refused, mut most) = (0, 0);
    for i in 0..count {
        let mut rng = keyed_rng(7, kind, i as u64, 0);
        let bytes = mutate::mutated(seeds, &mut rng);
        // Half of them with right checksums, so that both sides of the check are seen.
        let bytes = if i % 2 == 0 { finish(bytes) } else { bytes };
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let outcome = read(&bytes);
            if let Err(sentence) = &outcome {
                entry::check_sentence(sentence);
            }
            outcome
        }));
        let taken = MEMORY.peak_usage().saturating_sub(before);
        most = most.max(taken);
        assert!(taken < MOST_MEMORY, "{kind}: input {i} takes {} MiB", taken >> 20);
        match outcome {
            Ok(outcome) => refused += usize::from(outcome.is_err()),
            Err(_) => {
                panic!("{kind}: input {i} ends in a panic: {}", bytes[..bytes.len().min(4000)].escape_ascii())
            }
        }
    }
    eprintln!("{kind}: {refused} of {count} refused, at most {} KiB", most >> 10);
    assert!(refused > 0 && refused < count, "{kind}: {refused} of {count} were refused, so nothing is tried");
}

/// Reads bytes as the file `name`.
fn as_file(name: &'static str, read: fn(&Path) -> Outcome) -> impl Fn(&[u8]) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    move |bytes| {
        let path = folder.path().join(name);
        // A file that is cut to be written again is flushed to the disk by some file systems; a new one is not.
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).expect("a file");
        read(&path)
    }
}

/// Reads bytes as the file `name` in a folder with other `files`, which is read as a whole.
fn in_folder(
    name: &'static str,
    files: Vec<(String, Vec<u8>)>,
    read: fn(&Path) -> Outcome,
) -> impl Fn(&[u8]) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    for (other, bytes) in files {
        let path = folder.path().join(other);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
    move |bytes| {
        let path = folder.path().join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).expect("a file");
        read(folder.path())
    }
}

fn as_it_is(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[test]
fn images() {
    survive("image", &seeds::images(), mutate::png_checksums, entry::image);
}

#[test]
fn tar_archives() {
    survive("tar", &seeds::tars(), mutate::tar_checksums, as_file("d.tar", entry::data_set));
}

#[test]
fn zip_archives() {
    survive("zip", &seeds::zips(), as_it_is, as_file("d.zip", entry::data_set));
}

#[test]
fn parquet_files() {
    survive("parquet", &seeds::parquets(), as_it_is, as_file("d.parquet", entry::data_set));
}

#[test]
fn arrays_of_images() {
    // The arrays are mutated, not the archive around them.
    survive("npy", &seeds::image_arrays(), seeds::npz, |bytes| {
        as_file("d.npz", entry::data_set)(&if bytes.starts_with(b"PK") {
            bytes.to_vec()
        } else {
            seeds::npz(bytes.to_vec())
        })
    });
    survive(
        "npz",
        &[seeds::npz(seeds::image_arrays().remove(0))],
        as_it_is,
        as_file("d.npz", entry::data_set),
    );
}

#[test]
fn idx_files_and_batches() {
    let labels = ("train-labels-idx1-ubyte".to_string(), seeds::idx_labels());
    let read = in_folder("train-images-idx3-ubyte", vec![labels], entry::data_set);
    survive("idx", &[seeds::idx_images()], as_it_is, read);
    let read = in_folder("data_batch_1", Vec::new(), entry::data_set);
    survive("pickled batch", &[seeds::pickled_batch()], as_it_is, read);
}

#[test]
fn lists() {
    let images = || (0..6).map(|i| (format!("{i}.png"), seeds::png(i))).collect();
    survive("list", &seeds::tables(), as_it_is, in_folder("labels.csv", images(), entry::data_set));
    survive("objects", &seeds::objects(), as_it_is, in_folder("metadata.jsonl", images(), entry::data_set));
}

#[test]
fn weights() {
    survive("safetensors", &[seeds::vit_arrays()], as_it_is, as_file("w.safetensors", entry::weights));
    survive("pytorch", &seeds::checkpoints(), mutate::without_checksums, as_file("w.pth", entry::weights));
}

#[test]
fn configurations_of_weights() {
    let weights = || vec![("model.safetensors".to_string(), seeds::vit_arrays())];
    survive(
        "config",
        &seeds::configurations(),
        as_it_is,
        in_folder("config.json", weights(), entry::described_weights),
    );
}

#[test]
fn event_logs() {
    survive("event log", &[seeds::event_log()], as_it_is, as_file("events.jsonl", entry::event_log));
}

#[test]
fn recipes() {
    survive("recipe", &seeds::recipes(), as_it_is, |bytes| entry::recipe(&String::from_utf8_lossy(bytes)));
}
