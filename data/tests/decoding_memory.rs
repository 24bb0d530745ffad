//! What decoding is said to take is what it takes at most: that is what threads wait for each other by.
//!
//! One test in a file of its own, for the counter counts every thread's memory.

use std::io::Cursor;

use archaeo_data::{decode, memory_to_decode};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
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
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Pnm,
    ] {
        for picture in &pictures {
            let mut file = Cursor::new(Vec::new());
            if picture.write_to(&mut file, format).is_err() {
                continue;
            }
            let file = file.into_inner();
            // A portable map with transparency is of a kind that is not decoded.
            let Ok(stated) = memory_to_decode(&file) else { continue };
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let image = decode(&file).expect("a picture");
            let taken = (MEMORY.peak_usage() - before) as u64;
            let what = format!("{format:?} of {:?}", picture.color());
            assert!(taken <= stated, "{what} took {taken} bytes, not {stated}");
            assert!(taken >= image.pixels.len() as u64, "{what}: {taken}");
            measured += 1;
        }
    }
    assert!(measured >= 20, "{measured}");
}
