//! Small versions of MNIST's files, and faulty ones.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use crate::{DataError, Dataset, OpenOptions, open};

fn open_path(path: &Path) -> Result<Dataset, DataError> {
    open(path.to_str().expect("a path of plain characters"), &OpenOptions::default())
}

fn complaint(path: &Path) -> String {
    open_path(path).map(|dataset| dataset.name).expect_err("an error").to_string()
}

fn idx(extents: &[u32], values: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, extents.len() as u8];
    extents.iter().for_each(|extent| file.extend(extent.to_be_bytes()));
    file.extend(values);
    file
}

/// Images of 3 × 2 pixels, each filled with its number.
fn images(numbers: &[u8]) -> Vec<u8> {
    let pixels: Vec<u8> = numbers.iter().flat_map(|&n| (0..6).map(move |i| n * 10 + i)).collect();
    idx(&[numbers.len() as u32, 2, 3], &pixels)
}

fn labels(labels: &[u8]) -> Vec<u8> {
    idx(&[labels.len() as u32], labels)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(bytes).expect("compresses");
    writer.finish().expect("compressed")
}

fn put(folder: &Path, files: &[(&str, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
}

#[test]
fn files_are_read_plain_and_compressed_under_all_their_names() {
    let train = (images(&[0, 1, 2]), labels(&[5, 0, 5]));
    let test = (images(&[7, 8]), labels(&[1, 5]));
    let plain = [
        ("train-images-idx3-ubyte", train.0.clone()),
        ("train-labels-idx1-ubyte", train.1.clone()),
        ("t10k-images-idx3-ubyte", test.0.clone()),
        ("t10k-labels-idx1-ubyte", test.1.clone()),
    ];
    let named = |change: &dyn Fn(&str) -> String, compress: bool| {
        let file = |(name, bytes): &(&str, Vec<u8>)| {
            (change(name), if compress { gzip(bytes) } else { bytes.clone() })
        };
        plain.iter().map(file).collect::<Vec<_>>()
    };
    for (what, files) in [
        ("plain", named(&|name| name.to_string(), false)),
        ("dots", named(&|name| name.replace("-idx", ".idx"), false)),
        ("compressed", named(&|name| format!("{name}.gz"), true)),
        ("torchvision", named(&|name| format!("FashionMNIST/raw/{name}"), false)),
        ("Kaggle", named(&|name| format!("{name}/{name}"), false)),
        // As torchvision leaves them: what was downloaded next to what it was unpacked to.
        (
            "both",
            [named(&|name| name.to_string(), false), named(&|name| format!("{name}.gz"), true)].concat(),
        ),
    ] {
        let folder = TempDir::new().expect("a folder");
        put(
            folder.path(),
            &files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect::<Vec<_>>(),
        );
        let dataset = open_path(folder.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(dataset.classes, ["0", "1", "2", "3", "4", "5"], "{what}");
        assert_eq!(dataset.split("train").expect("train").labels(), [5, 0, 5], "{what}");
        let test = dataset.split("test").expect("test");
        let image = test.load(1).expect("decodes").image;
        assert_eq!((image.width(), image.height(), image.pixel(2, 1)), (3, 2, [85; 3]), "{what}");
        assert_eq!(test.len(), 2, "{what}");
    }
}

#[test]
fn a_single_file_finds_its_labels() {
    let folder = TempDir::new().expect("a folder");
    let many: Vec<u8> = (0..20).collect();
    let labelled: Vec<u8> = many.iter().map(|n| n % 2).collect();
    put(
        folder.path(),
        &[
            ("images-idx3-ubyte.gz", gzip(&images(&many))),
            ("labels-idx1-ubyte", labels(&labelled)),
            ("other-train-images-idx3-ubyte", images(&many)),
        ],
    );
    let dataset = open_path(&folder.path().join("images-idx3-ubyte.gz")).expect("opens");
    assert_eq!(dataset.split("all").expect("all").len(), 20);
    let said = complaint(&folder.path().join("other-train-images-idx3-ubyte"));
    assert!(said.contains("put `other-train-labels-idx1-ubyte` (or"), "{said}");
}

#[test]
fn emnist_takes_its_classes_from_its_mapping() {
    let folder = TempDir::new().expect("a folder");
    put(
        folder.path(),
        &[
            ("emnist-letters-train-images-idx3-ubyte", images(&[0, 1, 2, 3])),
            ("emnist-letters-train-labels-idx1-ubyte", labels(&[1, 2, 2, 1])),
            ("emnist-letters-test-images-idx3-ubyte", images(&[4])),
            ("emnist-letters-test-labels-idx1-ubyte", labels(&[2])),
            ("emnist-letters-mapping.txt", b"1 65 97\n2 66 98\n".to_vec()),
        ],
    );
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["Aa", "Bb"]);
    assert_eq!(dataset.split("train").expect("train").labels(), [0, 1, 1, 0]);
    assert!(
        dataset.notes.iter().any(|note| note.contains("rows and columns exchanged")),
        "{:?}",
        dataset.notes
    );
    put(
        folder.path(),
        &[
            ("emnist-digits-train-images-idx3-ubyte", images(&[0])),
            ("emnist-digits-train-labels-idx1-ubyte", labels(&[1])),
        ],
    );
    let said = complaint(folder.path());
    assert!(said.contains("2 sets of idx files") && said.contains("emnist-digits-"), "{said}");
}

#[test]
fn faulty_files_get_a_sentence_and_no_memory() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path();
    let whole = images(&[0, 1, 2]);
    let mut short = gzip(&whole);
    short.truncate(short.len() - 9);
    // 200 MiB of zeros in less than one.
    let bomb = {
        let mut writer = GzEncoder::new(Vec::new(), Compression::best());
        writer.write_all(&idx(&[3, 2, 3], &[])).expect("compresses");
        (0..200).for_each(|_| writer.write_all(&[0; 1 << 20]).expect("compresses"));
        writer.finish().expect("compressed")
    };
    for (images, labelled, words) in [
        (
            whole[..whole.len() - 1].to_vec(),
            labels(&[0, 1, 0]),
            "should hold [3, 2, 3] = 18 values but holds 17",
        ),
        ([&whole[..], &[9]].concat(), labels(&[0, 1, 0]), "= 18 values but holds 19"),
        (gzip(&whole[..whole.len() - 1]), labels(&[0, 1, 0]), "= 18 values but holds 17"),
        (short, labels(&[0, 1, 0]), "damaged or cut short"),
        (bomb, labels(&[0, 1, 0]), "= 18 values but holds more"),
        (whole.clone(), labels(&[0, 1]), "it has 3 images, but train-labels-idx1-ubyte has 2 labels"),
        (whole.clone(), whole.clone(), "its shape is [3, 2, 3]; labels have one axis"),
        (labels(&[1]), labels(&[1]), "its shape is [1]; images have three axes"),
        (idx(&[u32::MAX, u32::MAX, u32::MAX], &[]), labels(&[]), "but holds 0"),
        (gzip(&idx(&[u32::MAX, 28, 28], &[0; 99])), labels(&[]), "more than the 64.0 MiB that a file of"),
        (idx(&[3, 0, 3], &[]), labels(&[0, 1, 0]), "its images have 3 × 0 pixels"),
        (b"\0\0\x0D\x03".to_vec(), labels(&[]), "does not begin as an idx file of 8-bit values"),
        (b"\0\0".to_vec(), labels(&[]), "its header cannot be read"),
    ] {
        put(path, &[("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labelled)]);
        let said = complaint(path);
        assert!(said.contains(words), "{said}");
    }
}
