//! Reading what a reference implementation left for the tests.

use std::io::{Read, Seek};

use crate::data::Image;

/// The pictures of `tests/fixtures/pillow.npz`, by name.
pub(crate) struct Pillow(zip::ZipArchive<std::io::BufReader<std::fs::File>>);

impl Pillow {
    pub(crate) fn open() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pillow.npz");
        let file = std::fs::File::open(path).expect("the fixture is in the repository");
        Pillow(zip::ZipArchive::new(std::io::BufReader::new(file)).expect("an archive"))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.file_names().flatten().map(|name| name.trim_end_matches(".npy").to_string()).collect()
    }

    pub(crate) fn image(&mut self, name: &str) -> Image {
        let mut member = self.0.by_name(&format!("{name}.npy")).expect(name);
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).expect("readable");
        let mut cursor = std::io::Cursor::new(bytes);
        let header = npyz::NpyHeader::from_reader(&mut cursor).expect("an array");
        let start = cursor.stream_position().expect("a place") as usize;
        let (height, width) = (header.shape()[0] as usize, header.shape()[1] as usize);
        Image { width, height, pixels: cursor.into_inner()[start..].to_vec() }
    }
}

/// Largest difference of two pictures of one size in grey levels, and the share of equal values.
pub(crate) fn difference(a: &Image, b: &Image) -> (u8, f64) {
    assert_eq!((a.width, a.height), (b.width, b.height), "sizes");
    let pairs = || a.pixels.iter().zip(&b.pixels);
    let largest = pairs().map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    (largest, pairs().filter(|(a, b)| a == b).count() as f64 / a.pixels.len() as f64)
}
