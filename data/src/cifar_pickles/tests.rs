//! Batches written by Python, and malicious ones.

use std::path::Path;

use tempfile::TempDir;

use crate::fixture::Files;
use crate::{DataError, Dataset, OpenOptions, open};

fn open_path(path: &Path) -> Result<Dataset, DataError> {
    open(path.to_str().expect("a path of plain characters"), &OpenOptions::default())
}

fn value(i: usize, j: usize) -> u8 {
    if j.is_multiple_of(100) { 255 } else { ((i * 50 + j * 3) % 256) as u8 }
}

#[test]
fn batches_of_every_protocol_and_of_python_2_are_read() {
    let fixture = Files::open("batches.npz");
    let writers: Vec<&str> = fixture.names.iter().filter_map(|name| name.strip_suffix("/hundred")).collect();
    assert_eq!(writers.len(), 7, "{writers:?}");
    for writer in writers {
        let folder = TempDir::new().expect("a folder");
        let put = |path: &str, file: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, fixture.file(&format!("{writer}/{file}"))).expect("a file");
        };
        for batch in ["data_batch_1", "data_batch_2", "test_batch"] {
            put(&format!("ten/cifar-10-batches-py/{batch}"), "ten");
        }
        put("ten/cifar-10-batches-py/batches.meta", "ten_meta");
        // The archive that was unpacked lies next to it.
        std::fs::write(folder.path().join("ten/cifar-10-python.tar.gz"), b"\x1F\x8B\x08").expect("a file");
        let dataset = open_path(&folder.path().join("ten")).expect(writer);
        assert_eq!(dataset.classes[..3], ["airplane", "automobile", "bird"], "{writer}");
        let train = dataset.split("train").expect("train");
        assert_eq!((train.labels(), train.identifier(2)), (vec![6, 9, 6, 9], "data_batch_2#0".to_string()));
        let test = dataset.split("test").expect("test").load(1).expect("decodes").image;
        assert_eq!((test.width(), test.height()), (32, 32));
        for (x, y) in [(0, 0), (4, 3), (31, 31)] {
            let at = |plane: usize| value(1, plane * 1024 + y * 32 + x);
            assert_eq!(test.pixel(x, y), [at(0), at(1), at(2)], "{writer}: column {x} of row {y}");
        }

        put("hundred/train", "hundred");
        put("hundred/test", "hundred");
        put("hundred/meta", "hundred_meta");
        let dataset = open_path(&folder.path().join("hundred")).expect(writer);
        assert_eq!((dataset.classes.len(), dataset.classes[19].as_str()), (100, "fine19"), "{writer}");
        assert_eq!(dataset.split("train").expect("train").labels(), [19, 99]);
        assert!(dataset.notes.iter().any(|note| note.contains("fine labels")), "{:?}", dataset.notes);
    }
}

#[test]
fn a_lone_batch_a_missing_meta_and_labels_in_an_array_do() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("data_batch_1");
    std::fs::write(&path, Files::open("batches.npz").file("numpy_labels/ten")).expect("a file");
    let dataset = open_path(&path).expect("opens");
    assert_eq!(
        (dataset.classes[9].as_str(), dataset.split("all").expect("all").labels()),
        ("truck", vec![6, 9])
    );
}

#[test]
fn other_pickles_get_a_sentence() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("data_batch_1");
    let fixture = Files::open("batches.npz");
    let whole = fixture.file("protocol4/ten");
    let complaint = |file: &[u8]| {
        std::fs::write(&path, file).expect("a file");
        open_path(&path).map(|dataset| dataset.name).expect_err("an error").to_string()
    };
    for (file, words) in [
        (&whole[..whole.len() / 2], "its pickle is broken: it is cut short"),
        (fixture.file("protocol4/ten_meta"), "needs an array `data` of 8-bit integers"),
        (b"\x80\x02]q\x00.", "its pickle holds no dictionary"),
        (b"\x80\x02}q\x00.", "and has nothing"),
        (b"\x80\x02cos\nsystem\nU\x06whoami\x85R.", "it would run `os.system`"),
    ] {
        let said = complaint(file);
        assert!(said.contains(words) && said.contains("data_batch_1: "), "{said}");
    }
    // 9 becomes -9, and one label is lost.
    let numbers = whole.windows(2).position(|pair| pair == b"K\x09").expect("the label 9");
    let mut other = whole.to_vec();
    other.splice(numbers..numbers + 2, b"J\xF7\xFF\xFF\xFF".iter().copied());
    let frame = whole.windows(1).position(|byte| byte == [0x95]).expect("a frame");
    other[frame + 1] = other[frame + 1].wrapping_add(3);
    assert!(complaint(&other).contains("image 1 has the label -9"), "{}", complaint(&other));
    other.splice(numbers..numbers + 5, std::iter::empty());
    assert!(complaint(&other).contains("for 1 labels it must be (1, 3072)"), "{}", complaint(&other));
}

#[test]
fn several_sets_and_mixed_ones_are_refused() {
    let folder = TempDir::new().expect("a folder");
    let fixture = Files::open("batches.npz");
    for (path, file) in [("a/data_batch_1", "ten"), ("b/train", "hundred")] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, fixture.file(&format!("protocol4/{file}"))).expect("a file");
    }
    let said = open_path(folder.path()).expect_err("an error").to_string();
    assert!(
        said.contains("several folders in it hold CIFAR batches") && said.contains("give one of them"),
        "{said}"
    );
    std::fs::write(folder.path().join("a/test"), fixture.file("protocol4/hundred")).expect("a file");
    let said = open_path(&folder.path().join("a")).expect_err("an error").to_string();
    assert!(said.contains("CIFAR-10 and CIFAR-100 batches lie in one folder"), "{said}");
}
