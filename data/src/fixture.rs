//! Reading stored outputs of reference implementations, for tests.

use std::io::{Read, Seek};

use crate::Image;

/// The pictures of an archive of `tests/fixtures`, by name.
pub(crate) struct Pillow(zip::ZipArchive<std::io::BufReader<std::fs::File>>);

impl Pillow {
    pub(crate) fn open() -> Self {
        Self::of("pillow.npz")
    }

    pub(crate) fn of(fixture: &str) -> Self {
        let path = format!("{}/tests/fixtures/{fixture}", env!("CARGO_MANIFEST_DIR"));
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
        Image::new(width, height, cursor.into_inner()[start..].to_vec())
    }
}

/// Largest difference of two pictures of one size in grey levels, and the share of equal values.
pub(crate) fn difference(a: &Image, b: &Image) -> (u8, f64) {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()), "sizes");
    let pairs = || a.pixels().iter().zip(b.pixels());
    let largest = pairs().map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    (largest, pairs().filter(|(a, b)| a == b).count() as f64 / a.pixels().len() as f64)
}

/// Files that a script has put into one archive, each with its name and a reference implementation's output.
pub(crate) struct Files {
    pub(crate) names: Vec<String>,
    pub(crate) files: Vec<Vec<u8>>,
    /// One for each file, or none at all.
    pub(crate) images: Vec<Image>,
}

impl Files {
    /// Reads `tests/fixtures/FIXTURE`.
    pub(crate) fn open(fixture: &str) -> Self {
        let path = format!("{}/tests/fixtures/{fixture}", env!("CARGO_MANIFEST_DIR"));
        let file = std::fs::File::open(path).expect("the fixture is in the repository");
        let mut archive = zip::ZipArchive::new(file).expect("an archive");
        let mut array = |name: &str| {
            let mut bytes = Vec::new();
            archive.by_name(&format!("{name}.npy")).ok()?.read_to_end(&mut bytes).expect("readable");
            Some(bytes)
        };
        let bytes = |array: Vec<u8>| {
            npyz::NpyFile::new(&array[..]).expect("an array").into_vec::<u8>().expect("bytes")
        };
        let numbers = |array: Vec<u8>| {
            let numbers =
                npyz::NpyFile::new(&array[..]).expect("an array").into_vec::<u32>().expect("numbers");
            numbers.into_iter().map(|number| number as usize).collect::<Vec<_>>()
        };
        let names = String::from_utf8(bytes(array("names").expect("names"))).expect("a text");
        let lengths = numbers(array("lengths").expect("lengths"));
        let mut rest = bytes(array("files").expect("files"));
        let files = lengths.into_iter().map(|length| rest.drain(..length).collect()).collect();
        let sizes = array("sizes").map(numbers).unwrap_or_default();
        let mut rest = array("pixels").map(bytes).unwrap_or_default();
        let image = |size: &[usize; 2]| {
            let [width, height] = *size;
            Image::new(width, height, rest.drain(..width * height * 3).collect())
        };
        let images = sizes.as_chunks::<2>().0.iter().map(image).collect();
        Files { names: names.lines().map(str::to_string).collect(), files, images }
    }

    /// The file `name`.
    pub(crate) fn file(&self, name: &str) -> &[u8] {
        let place = self.names.iter().position(|candidate| candidate == name).expect(name);
        &self.files[place]
    }
}
