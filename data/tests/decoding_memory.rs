//! The stated memory of decoding is an upper bound, on which the waiting of threads relies.
//!
//! The only test of this file, because the counter counts every thread's memory.

mod formats;

use archaeo_data::{decode, memory_to_decode};
use formats::encoded;
use image::{DynamicImage, Rgb, RgbImage};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

#[test]
fn decoding_takes_no_more_than_it_says() {
    let picture =
        RgbImage::from_fn(1600, 900, |x, y| Rgb([(x / 7) as u8, (y / 5) as u8, (x * y / 99) as u8]));
    let colour = DynamicImage::from(picture);
    let pictures = [
        colour.clone(),
        colour.to_luma8().into(),
        colour.to_luma16().into(),
        colour.to_rgba8().into(),
        colour.to_rgb16().into(),
        colour.to_rgba16().into(),
        colour.to_rgba32f().into(),
    ];
    let mut measured = 0;
    for (what, file) in encoded(&pictures) {
        // A portable map with transparency is of a kind that is not decoded.
        let Ok(stated) = memory_to_decode(&file) else { continue };
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let image = decode(&file).expect("a picture");
        let taken = (MEMORY.peak_usage() - before) as u64;
        assert!(taken <= stated, "{what} took {taken} bytes, not {stated}");
        assert!(taken >= image.pixels().len() as u64, "{what}: {taken}");
        measured += 1;
    }
    assert!(measured >= 20, "{measured}");
}
