//! NumPy's `.npz`: a zip archive with one `.npy` file per array.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Export, NamedArray, Values};

/// The bytes of the file; `image_names` and `notes` (JSON, without axes) are arrays of text.
pub(super) fn encode(export: &Export) -> Vec<u8> {
    let mut files: Vec<(String, Vec<u8>)> =
        export.arrays.iter().map(|array| (array.name.clone(), npy(array))).collect();
    let notes: std::collections::BTreeMap<_, _> = export.notes.iter().cloned().collect();
    let notes = serde_json::to_string(&notes).expect("plain data");
    files.push(("image_names".into(), npy_of_text(&export.images, &[export.images.len()])));
    files.push(("notes".into(), npy_of_text(&[notes], &[])));
    files.sort();
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        archive.start_file(format!("{name}.npy"), options).expect("memory takes it");
        archive.write_all(&bytes).expect("memory takes it");
    }
    archive.finish().expect("memory takes it").into_inner()
}

fn npy(NamedArray { name, shape, values }: &NamedArray) -> Vec<u8> {
    let (kind, data): (_, Vec<u8>) = match values {
        Values::F32(values) => ("<f4", values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::I64(values) => ("<i8", values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    };
    let width = if kind == "<f4" { 4 } else { 8 };
    let count = shape.iter().product::<usize>();
    assert_eq!(data.len(), count * width, "`{name}` must have as many values as its shape says");
    [header(kind, shape), data].concat()
}

/// Text as in NumPy: code points of 32 bits, all texts as long as the longest.
fn npy_of_text(texts: &[String], shape: &[usize]) -> Vec<u8> {
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let padded = |text: &String| -> Vec<u8> {
        let points = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(longest);
        points.flat_map(u32::to_le_bytes).collect()
    };
    let data: Vec<u8> = texts.iter().flat_map(padded).collect();
    [header(&format!("<U{longest}"), shape), data].concat()
}

/// Version 1.0 of the format: the data begin at a multiple of 64 bytes.
fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let shape: String = shape.iter().map(|length| format!("{length},")).collect();
    let mut text =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}").into_bytes();
    const BEFORE: usize = 10;
    text.resize((BEFORE + text.len() + 1).next_multiple_of(64) - BEFORE - 1, b' ');
    text.push(b'\n');
    let length = u16::try_from(text.len()).expect("a shape has few axes").to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, &text].concat()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn arrays_are_read_back_as_numpy_reads_them() {
        let export = Export {
            arrays: vec![
                NamedArray::floats("logits", &[2, 1], vec![0.5, -2.0]),
                NamedArray::indices("labels", &[7, 3]),
            ],
            images: vec!["a.png".into(), "ärger.png".into()],
            ..Export::default()
        };
        let mut archive = zip::ZipArchive::new(Cursor::new(encode(&export))).unwrap();
        let mut read = |name: &str| {
            let mut bytes = Vec::new();
            archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        let logits = npyz::NpyFile::new(Cursor::new(read("logits.npy"))).unwrap();
        assert_eq!(logits.shape(), [2, 1]);
        assert_eq!(logits.into_vec::<f32>().unwrap(), [0.5, -2.0]);
        let labels = npyz::NpyFile::new(Cursor::new(read("labels.npy"))).unwrap();
        assert_eq!(labels.into_vec::<i64>().unwrap(), [7, 3]);
        let names = read("image_names.npy");
        assert_eq!(names.len() % 64, 2 * 9 * 4 % 64, "the data begin at a multiple of 64");
        let points: Vec<u32> = names[names.len() - 72..]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&word| u32::from_le_bytes(word))
            .collect();
        let text =
            |points: &[u32]| points.iter().filter_map(|&point| char::from_u32(point)).collect::<String>();
        assert_eq!(text(&points[..9]), "a.png\0\0\0\0");
        assert_eq!(text(&points[9..]), "ärger.png");
    }
}
