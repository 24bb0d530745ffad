//! Pictures as files of every supported format.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};

const FORMATS: [ImageFormat; 7] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Gif,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
    ImageFormat::Pnm,
];

/// Each of `pictures` in every format that has its colours: what it is, and the file.
pub fn encoded(pictures: &[DynamicImage]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for format in FORMATS {
        for picture in pictures {
            let mut file = Cursor::new(Vec::new());
            if picture.write_to(&mut file, format).is_ok() {
                files.push((format!("{format:?} of {:?}", picture.color()), file.into_inner()));
            }
        }
    }
    files
}
