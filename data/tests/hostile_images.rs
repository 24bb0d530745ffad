//! Very many broken images: each gives a picture or one sentence, without a panic and in bounded memory.
//!
//! `ARCHAEO_FUZZ_CASES` sets the number of inputs, 2,000 by default.

mod formats;

use std::io::{Cursor, Read};

use archaeo_data::{MAX_PIXELS, decode, dimensions};
use formats::encoded;
use image::{DynamicImage, ImageFormat, RgbImage};
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes that decoding may take: the decoder's eight per pixel of the largest image, and the result next to them.
const MOST_MEMORY: usize = MAX_PIXELS as usize * 12;

fn originals() -> Vec<Vec<u8>> {
    let picture =
        RgbImage::from_fn(23, 17, |x, y| image::Rgb([(x * 11) as u8, (y * 15) as u8, (x * y) as u8]));
    let colour = DynamicImage::from(picture);
    let pictures = [colour.clone(), colour.to_luma8().into(), colour.to_rgba8().into()];
    let mut files: Vec<Vec<u8>> = encoded(&pictures).into_iter().map(|(_, file)| file).collect();
    // Of all that libjpeg has to read: scans for each component, progressive ones, restarts, four inks, arithmetic coding.
    files.extend(jpegs());
    let mut deep = Cursor::new(Vec::new());
    DynamicImage::from(colour.to_rgba16()).write_to(&mut deep, ImageFormat::Png).expect("PNG has 16 bits");
    files.push(deep.into_inner());
    files
}

/// Every fifth of the JPEG files in `fixtures/jpeg.npz`.
fn jpegs() -> Vec<Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/jpeg.npz");
    let mut archive =
        zip::ZipArchive::new(std::fs::File::open(path).expect("the fixture")).expect("an archive");
    let mut array = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).expect(name).read_to_end(&mut bytes).expect("readable");
        bytes
    };
    let (lengths, files) = (array("lengths.npy"), array("files.npy"));
    let lengths = npyz::NpyFile::new(&lengths[..]).expect("an array").into_vec::<u32>().expect("numbers");
    let mut rest = npyz::NpyFile::new(&files[..]).expect("an array").into_vec::<u8>().expect("bytes");
    let files: Vec<Vec<u8>> = lengths.iter().map(|length| rest.drain(..*length as usize).collect()).collect();
    files.into_iter().step_by(5).collect()
}

/// PNG's checksums cover everything: without valid ones, nothing behind them is reached.
fn mended(mut file: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(length) = file.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let Some(end) = at.checked_add(8 + length).filter(|end| end + 4 <= file.len()) else { break };
        let checksum = crc32fast::hash(&file[at + 4..end]);
        file[end..end + 4].copy_from_slice(&checksum.to_be_bytes());
        at = end + 4;
    }
    file
}

#[test]
fn mutated_images() {
    let cases = std::env::var("ARCHAEO_FUZZ_CASES").map_or(2000, |cases| cases.parse().expect("a number"));
    let change = (any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(255)], 0..4u8);
    let strategy = (
        prop::sample::select(originals()),
        prop::collection::vec(change, 1..6),
        any::<bool>(),
        any::<Index>(),
    );
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcomes = std::cell::RefCell::new([0; 2]);
    let result = TestRunner::new(config).run(&strategy, |(mut file, changes, mend, other)| {
        for (at, value, kind) in changes {
            let at = at.index(file.len());
            match kind {
                0 | 1 => file[at] = value,
                2 if file.len() > 30 => drop(file.remove(at)),
                _ => {
                    let from = other.index(file.len());
                    let copy = file[from..file.len().min(from + usize::from(value))].to_vec();
                    file.splice(at..at, copy);
                }
            }
        }
        if mend && file.starts_with(b"\x89PNG") {
            file = mended(file);
        }
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let size = dimensions(&file);
        let decoded = decode(&file);
        let taken = MEMORY.peak_usage().saturating_sub(before);
        prop_assert!(taken < MOST_MEMORY, "decoding took {} MiB", taken >> 20);
        outcomes.borrow_mut()[usize::from(decoded.is_ok())] += 1;
        match decoded {
            Ok(image) => {
                prop_assert_eq!(image.pixels().len(), image.width() * image.height() * 3);
                prop_assert_eq!(size, Ok((image.width(), image.height())));
            }
            Err(reason) => {
                prop_assert!(reason.starts_with("it") && reason.lines().count() == 1, "{}", reason)
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let [refused, decoded] = outcomes.into_inner();
    assert!(refused > cases / 10 && decoded > cases / 10, "{refused} refused, {decoded} decoded");
}
