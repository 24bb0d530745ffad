//! Small versions of every layout in a temporary folder, and every error. Real data: `app/tests/needs/`.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use ::image::{ImageFormat, RgbImage};
use tempfile::TempDir;

use super::storage::Storage;
use super::*;

mod archives;
mod bombs;
mod copies;
mod layouts;
mod lists;
mod many;
mod masks;
mod special;
mod unlabelled;
mod webdataset;

fn options() -> OpenOptions {
    OpenOptions::default()
}

fn open_path(path: &Path) -> Result<Dataset, DataError> {
    open(path.to_str().expect("a path of plain characters"), &options())
}

fn complaint(path: &Path) -> String {
    open_path(path).map(|dataset| dataset.name).expect_err("an error").to_string()
}

/// A 6 × 4 picture with its number in every pixel.
fn numbered(number: u8) -> RgbImage {
    RgbImage::from_fn(6, 4, |x, y| ::image::Rgb([number, x as u8, y as u8]))
}

fn png(number: u8) -> Vec<u8> {
    encoded(&numbered(number).into(), ImageFormat::Png)
}

fn encoded(picture: &::image::DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

fn write(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
}

fn tar(path: &Path, prefix: &str, files: &BTreeMap<String, Vec<u8>>) {
    let mut builder = tar::Builder::new(std::fs::File::create(path).expect("a file"));
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("{prefix}{name}"), bytes.as_slice()).expect("a member");
    }
    builder.finish().expect("an archive");
}

fn zip(path: &Path, prefix: &str, files: &BTreeMap<String, Vec<u8>>) {
    let mut writer = zip::ZipWriter::new(std::fs::File::create(path).expect("a file"));
    for (i, (name, bytes)) in files.iter().enumerate() {
        let method =
            if i % 2 == 0 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{prefix}{name}"), options).expect("a member");
        writer.write_all(bytes).expect("its bytes");
    }
    writer.finish().expect("an archive");
}

/// `count` numbered pictures in each of `classes` below `prefix`.
fn class_folders(prefix: &str, classes: &[&str], count: u8) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (label, class) in classes.iter().enumerate() {
        for i in 0..count {
            files.insert(format!("{prefix}{class}/{i:03}.png"), png(label as u8 * 100 + i));
        }
    }
    files
}

fn with(
    mut files: BTreeMap<String, Vec<u8>>,
    others: BTreeMap<String, Vec<u8>>,
) -> BTreeMap<String, Vec<u8>> {
    files.extend(others);
    files
}

fn first_pixels(split: &Split) -> Vec<u8> {
    let indices: Vec<usize> = (0..split.len()).collect();
    split
        .batch(&indices, |image| image)
        .expect("decodes")
        .iter()
        .map(|sample| sample.image.pixels()[0])
        .collect()
}

fn named(dataset: &Dataset) -> Vec<&str> {
    dataset.splits().keys().map(String::as_str).collect()
}

#[test]
fn class_folders_with_splits_are_read_alike_from_a_folder_a_tar_and_a_zip() {
    let folder = TempDir::new().expect("a folder");
    let files =
        with(class_folders("train/", &["ant", "bee"], 3), class_folders("validation/", &["ant", "bee"], 2));
    let files = with(files, class_folders("test/", &["ant", "bee"], 1));
    let files = with(
        files,
        BTreeMap::from([("README.txt".into(), b"x".to_vec()), ("train/ant/.DS_Store".into(), b"x".to_vec())]),
    );
    write(&folder.path().join("set"), &files);
    tar(&folder.path().join("set.tar"), "", &files);
    tar(&folder.path().join("nested.tar"), "./some/root/", &files);
    zip(&folder.path().join("set.zip"), "root/", &files);
    let mut fingerprints = std::collections::BTreeSet::new();
    for source in ["set", "set.tar", "nested.tar", "set.zip"] {
        let dataset = open_path(&folder.path().join(source)).expect(source);
        assert_eq!(dataset.classes, ["ant", "bee"], "{source}");
        assert_eq!(named(&dataset), ["test", "train", "val"], "{source}");
        let train = dataset.split("train").expect("train");
        assert_eq!(train.labels(), [0, 0, 0, 1, 1, 1]);
        assert_eq!(first_pixels(train), [0, 1, 2, 100, 101, 102], "{source}");
        assert_eq!(train.identifier(4), "train/bee/001.png");
        let sample = train.load(5).expect("decodes");
        assert_eq!((sample.image.width(), sample.image.height(), sample.label), (6, 4, 1));
        assert_eq!(sample.image.pixel(5, 3), [102, 5, 3]);
        assert_eq!(dataset.split("val").expect("val").len(), 4);
        assert_eq!(dataset.evaluation_split(), "test");
        assert_eq!(dataset.selection_split(), Some("val"));
        fingerprints.insert(dataset.fingerprint());
    }
    assert_eq!(fingerprints.len(), 1, "one content, one fingerprint");
}

#[test]
fn without_splits_some_are_made_by_seed_stratified_and_in_order() {
    let folder = TempDir::new().expect("a folder");
    let files = class_folders("", &["ant", "bee"], 50);
    write(&folder.path().join("set"), &files);
    tar(&folder.path().join("set.tar"), "set/", &files);
    let dataset = open_path(&folder.path().join("set")).expect("opens");
    assert_eq!(named(&dataset), ["all", "test", "train", "val"]);
    let sizes = |name: &str| {
        let labels = dataset.split(name).expect(name).labels();
        (
            labels.iter().filter(|&&label| label == 0).count(),
            labels.iter().filter(|&&label| label == 1).count(),
        )
    };
    assert_eq!(
        (sizes("all"), sizes("train"), sizes("val"), sizes("test")),
        ((50, 50), (35, 35), (5, 5), (10, 10))
    );
    let numbers = |dataset: &Dataset, name: &str| first_pixels(dataset.split(name).expect(name));
    let mut parts: Vec<u8> =
        ["train", "val", "test"].iter().flat_map(|name| numbers(&dataset, name)).collect();
    for name in ["train", "val", "test"] {
        assert!(numbers(&dataset, name).is_sorted(), "{name} keeps the source's order");
    }
    parts.sort_unstable();
    assert_eq!(parts, numbers(&dataset, "all"), "the parts are the whole");
    assert!(dataset.notes[0].contains("70, 10 and 20 %"), "{:?}", dataset.notes);

    let again = open_path(&folder.path().join("set.tar")).expect("opens");
    assert_eq!(numbers(&again, "test"), numbers(&dataset, "test"), "an archive is split as its folder");
    let source = folder.path().join("set");
    let other =
        open(source.to_str().expect("plain"), &OpenOptions { split_seed: 1, ..options() }).expect("opens");
    assert_ne!(numbers(&other, "test"), numbers(&dataset, "test"));
}

#[test]
fn a_validation_split_is_held_out_of_train_when_asked_and_test_stays() {
    let folder = TempDir::new().expect("a folder");
    let files =
        with(class_folders("train/", &["ant", "bee"], 20), class_folders("test/", &["ant", "bee"], 3));
    write(folder.path(), &files);
    let source = folder.path().to_str().expect("plain");
    let plain = open(source, &options()).expect("opens");
    assert_eq!((named(&plain), plain.selection_split()), (vec!["test", "train"], None));
    let held = open(source, &OpenOptions { validation: Some(0.1), ..options() }).expect("opens");
    assert_eq!(named(&held), ["test", "train", "val"]);
    assert_eq!(held.split("train").expect("train").len(), 36);
    assert_eq!(held.split("val").expect("val").labels(), [0, 0, 1, 1]);
    assert_eq!(
        first_pixels(held.split("test").expect("test")),
        first_pixels(plain.split("test").expect("test"))
    );
    let wrong = open(source, &OpenOptions { validation: Some(1.5), ..options() }).expect_err("an error");
    assert_eq!(wrong.to_string(), "the validation share must lie between 0 and 1, not 1.5");
}

#[test]
fn where_val_is_the_test_checkpoints_are_chosen_on_a_holdout() {
    let folder = TempDir::new().expect("a folder");
    write(
        folder.path(),
        &with(class_folders("train/", &["a", "b"], 20), class_folders("val/", &["a", "b"], 3)),
    );
    let source = folder.path().to_str().expect("plain");
    let dataset = open(source, &OpenOptions { validation: Some(0.1), ..options() }).expect("opens");
    assert_eq!((dataset.evaluation_split(), dataset.selection_split()), ("val", Some("holdout")));
    assert_eq!(dataset.split("val").expect("val").len(), 6);
}

#[test]
fn labelled_lists_keep_their_order_and_take_numbers_names_and_splits() {
    let folder = TempDir::new().expect("a folder");
    let mut files: BTreeMap<String, Vec<u8>> = (0..4).map(|i| (format!("images/{i}.png"), png(i))).collect();
    files
        .insert("labels.csv".into(), b"file,label,author\n2.png,7,\"a, b\"\n0.png,1,c\n3.png,0,d\n".to_vec());
    tar(&folder.path().join("set.tar"), "", &files);
    let dataset = open_path(&folder.path().join("set.tar")).expect("opens");
    assert_eq!(named(&dataset), ["all"]);
    assert_eq!(dataset.evaluation_split(), "all");
    let all = dataset.split("all").expect("all");
    assert_eq!((all.labels(), first_pixels(all)), (vec![2, 1, 0], vec![2, 0, 3]));
    assert_eq!(dataset.classes, ["0", "1", "7"], "the numbers that occur, in their order");
    let has = |note: &str| assert!(dataset.notes.iter().any(|n| n == note), "{:?}", dataset.notes);
    has("labels.csv: column `file` names the images, `label` the classes");
    has("1 image is not in labels.csv and was passed over");
    has("the labels in labels.csv are 3 different numbers from 0 to 7: each is a class by its number");

    files.insert("classes.txt".into(), b"zero\none\n".to_vec());
    write(&folder.path().join("named"), &files);
    assert_eq!(
        complaint(&folder.path().join("named")).split(" in ").next(),
        Some("images/2.png"),
        "label 7 is out of the range of two named classes"
    );

    files.remove("classes.txt");
    let list = b"image,class,split\n2.png,cat,test\n0.png,dog,train\n1.png,cat,train\n3.png,dog,test\n";
    files.insert("labels.csv".into(), list.to_vec());
    zip(&folder.path().join("set.zip"), "", &files);
    let dataset = open_path(&folder.path().join("set.zip")).expect("opens");
    assert_eq!(
        (dataset.classes.as_slice(), named(&dataset)),
        (["cat", "dog"].map(String::from).as_slice(), vec!["test", "train"])
    );
    assert_eq!(first_pixels(dataset.split("test").expect("test")), [2, 3]);
}

#[test]
fn tiny_imagenet_takes_its_val_labels_from_the_annotations() {
    let folder = TempDir::new().expect("a folder");
    let mut files = BTreeMap::new();
    for (label, wnid) in ["n02", "n01"].iter().enumerate() {
        for i in 0..2 {
            files.insert(format!("train/{wnid}/images/{wnid}_{i}.JPEG"), png(label as u8 * 10 + i));
        }
        files.insert(format!("train/{wnid}/{wnid}_boxes.txt"), b"x".to_vec());
    }
    for i in 0..3 {
        files.insert(format!("val/images/val_{i}.JPEG"), png(50 + i));
        files.insert(format!("test/images/test_{i}.JPEG"), png(90 + i));
    }
    files.insert("wnids.txt".into(), b"n02\nn01\n".to_vec());
    files.insert("words.txt".into(), b"n01\tcrane\nn02\tcrane, bird\nn03\tother\n".to_vec());
    files.insert(
        "val/val_annotations.txt".into(),
        b"val_2.JPEG\tn01\t0\t0\t1\t1\nval_0.JPEG\tn02\t0\t0\t1\t1\n".to_vec(),
    );
    tar(&folder.path().join("tiny.tar"), "tiny-imagenet-200/", &files);
    let dataset = open_path(&folder.path().join("tiny.tar")).expect("opens");
    assert_eq!(dataset.classes, ["crane (n01)", "crane (n02)"]);
    assert_eq!(dataset.split("train").expect("train").labels(), [0, 0, 1, 1]);
    let val = dataset.split("val").expect("val");
    assert_eq!((val.labels(), first_pixels(val)), (vec![0, 1], vec![52, 50]));
    assert_eq!(dataset.notes.len(), 1, "the unlabelled test is mentioned");
}

fn cifar_record(header: &[u8], seed: u8) -> Vec<u8> {
    let mut record = header.to_vec();
    record.extend(
        (0..3072u32)
            .map(|i| (i as u8).wrapping_mul(7).wrapping_add(seed).wrapping_add((i / 1024) as u8 * 80)),
    );
    record
}

#[test]
fn cifar_batches_are_planar_records() {
    let folder = TempDir::new().expect("a folder");
    let ten = folder.path().join("ten");
    std::fs::create_dir(&ten).expect("a folder");
    let records = |labels: &[u8]| {
        labels.iter().enumerate().flat_map(|(i, &label)| cifar_record(&[label], i as u8)).collect::<Vec<u8>>()
    };
    std::fs::write(ten.join("data_batch_1.bin"), records(&[3, 9])).expect("a file");
    std::fs::write(ten.join("data_batch_2.bin"), records(&[0])).expect("a file");
    std::fs::write(ten.join("test_batch.bin"), records(&[5, 1, 1])).expect("a file");
    let dataset = open_path(&ten).expect("opens");
    assert_eq!(dataset.classes[3], "cat");
    assert_eq!(dataset.split("train").expect("train").labels(), [3, 9, 0]);
    let test = dataset.split("test").expect("test");
    let image = test.load(2).expect("decodes").image;
    assert_eq!((image.width(), image.height()), (32, 32));
    let at = |x: usize, y: usize, plane: u32| {
        let i = plane * 1024 + y as u32 * 32 + x as u32;
        (i as u8).wrapping_mul(7).wrapping_add(2).wrapping_add(plane as u8 * 80)
    };
    assert_eq!(image.pixel(5, 9), [at(5, 9, 0), at(5, 9, 1), at(5, 9, 2)]);

    let hundred = folder.path().join("hundred");
    std::fs::create_dir(&hundred).expect("a folder");
    std::fs::write(hundred.join("train.bin"), [cifar_record(&[4, 77], 0), cifar_record(&[1, 2], 1)].concat())
        .expect("a file");
    std::fs::write(hundred.join("test.bin"), cifar_record(&[4, 99], 0)).expect("a file");
    let dataset = open_path(&hundred).expect("opens");
    assert_eq!((dataset.classes.len(), dataset.split("train").expect("train").labels()), (100, vec![77, 2]));

    let lone = ten.join("data_batch_1.bin");
    assert_eq!(open_path(&lone).expect("opens").split("all").expect("all").len(), 2);
    std::fs::write(&lone, &records(&[3])[..3000]).expect("a file");
    assert!(
        complaint(&ten).contains("data_batch_1.bin: 3000 bytes are not a whole number of CIFAR-10 records")
    );
    std::fs::write(&lone, records(&[11])).expect("a file");
    assert!(complaint(&ten).contains("data_batch_1.bin#0 in ") && complaint(&ten).contains("has label 11"));
}

#[test]
fn medmnist_arrays_are_grey_or_rgb() {
    use npyz::WriterBuilder;
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("set.npz");
    let array = |shape: &[u64], values: Vec<u8>| {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(shape)
            .writer(&mut bytes)
            .begin_nd()
            .expect("an array");
        writer.extend(values).expect("values");
        writer.finish().expect("finished");
        bytes
    };
    let mut files = BTreeMap::from([
        ("train_images.npy".to_string(), array(&[4, 2, 3], (0..24).collect())),
        ("train_labels.npy".to_string(), array(&[4, 1], vec![0, 1, 1, 0])),
        ("test_images.npy".to_string(), array(&[1, 2, 3, 3], (100..118).collect())),
        ("test_labels.npy".to_string(), array(&[1], vec![1])),
    ]);
    zip(&path, "", &files);
    let dataset = open_path(&path).expect("opens");
    assert_eq!(dataset.classes, ["0", "1"]);
    let image = dataset.split("train").expect("train").load(1).expect("decodes").image;
    assert_eq!((image.width(), image.height(), image.pixel(2, 1)), (3, 2, [11; 3]));
    assert_eq!(
        dataset.split("test").expect("test").load(0).expect("decodes").image.pixel(0, 1),
        [109, 110, 111]
    );

    files.insert("train_labels.npy".into(), array(&[3, 1], vec![0, 1, 1]));
    zip(&path, "", &files);
    assert!(complaint(&path).contains("`train` has 4 images but 3 labels"));
    files.insert("train_labels.npy".into(), array(&[4, 2], vec![0; 8]));
    zip(&path, "", &files);
    assert!(complaint(&path).contains("only one label per image"));
    let whole = array(&[4, 2, 3], (0..24).collect());
    files.insert("train_images.npy".into(), whole[..whole.len() - 5].to_vec());
    zip(&path, "", &files);
    assert!(complaint(&path).contains("`train_images` should hold 24 values"));

    // Headers that a complaint must not repeat whole, and those that ask for more memory than there is.
    let made = |version: u8, header: &str| {
        let length = header.len() as u32;
        let length = if version == 1 { &length.to_le_bytes()[..2] } else { &length.to_le_bytes()[..] };
        [b"\x93NUMPY", &[version, 0][..], length, header.as_bytes(), &[0; 16]].concat()
    };
    let labels = |shape: &str| format!("{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}");
    for (header, reason) in [
        ("(".repeat(60_000), "its header is too long"),
        ("[".repeat(4000), "its header is nested too deeply"),
        (labels("(1099511627776,)"), "train_labels"),
        (labels("(1099511627776, 1099511627776)"), "train_labels"),
        (labels("(-1,)"), "train_labels"),
    ] {
        files.insert("train_images.npy".into(), array(&[4, 2, 3], (0..24).collect()));
        files.insert("train_labels.npy".into(), made(1, &header));
        zip(&path, "", &files);
        let said = complaint(&path);
        assert!(said.contains(reason) && said.len() < 1000, "{said}");
    }
    files.insert("train_labels.npy".into(), made(2, &"(".repeat(100_000)));
    zip(&path, "", &files);
    assert!(complaint(&path).contains("its header is too long"));
}

/// Writes a file as the `datasets` library does: image {bytes, path}, label, names in the metadata.
#[cfg(feature = "parquet")]
fn parquet_file(path: &Path, rows: &[(Option<Vec<u8>>, i64)], names: Option<&str>, groups: usize) {
    use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    let schema = "message schema { optional group img { optional binary bytes; optional binary path (UTF8); } optional int64 label; }";
    let schema = Arc::new(::parquet::schema::parser::parse_message_type(schema).expect("a schema"));
    let features = names.map(|names| format!(r#"{{"info":{{"features":{{"img":{{"_type":"Image"}},"label":{{"names":{names},"_type":"ClassLabel"}}}}}}}}"#));
    let metadata = features.map(|text| vec![KeyValue::new("huggingface".to_string(), text)]);
    let properties = WriterProperties::builder()
        .set_compression(::parquet::basic::Compression::SNAPPY)
        .set_key_value_metadata(metadata)
        .build();
    let mut writer =
        SerializedFileWriter::new(std::fs::File::create(path).expect("a file"), schema, Arc::new(properties))
            .expect("a writer");
    for rows in rows.chunks(rows.len().div_ceil(groups)) {
        let mut group = writer.next_row_group().expect("a group");
        let images: Vec<ByteArray> =
            rows.iter().filter_map(|(image, _)| image.clone()).map(ByteArray::from).collect();
        let levels: Vec<i16> = rows.iter().map(|(image, _)| if image.is_some() { 2 } else { 1 }).collect();
        let mut column = group.next_column().expect("ok").expect("a column");
        column.typed::<ByteArrayType>().write_batch(&images, Some(&levels), None).expect("images");
        column.close().expect("closed");
        let paths: Vec<ByteArray> =
            (0..rows.len()).map(|i| ByteArray::from(format!("{i}.png").into_bytes())).collect();
        let mut column = group.next_column().expect("ok").expect("a column");
        column.typed::<ByteArrayType>().write_batch(&paths, Some(&vec![2; rows.len()]), None).expect("paths");
        column.close().expect("closed");
        let labels: Vec<i64> = rows.iter().map(|(_, label)| *label).collect();
        let mut column = group.next_column().expect("ok").expect("a column");
        column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; rows.len()]), None).expect("labels");
        column.close().expect("closed");
        group.close().expect("closed");
    }
    writer.close().expect("closed");
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_shards_are_joined_in_order_with_their_class_names() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let rows =
        |numbers: std::ops::Range<u8>| numbers.map(|i| (Some(png(i)), i64::from(i % 3))).collect::<Vec<_>>();
    let names = r#"["red","green","blue"]"#;
    parquet_file(&data.join("train-00000-of-00002.parquet"), &rows(0..7), Some(names), 3);
    parquet_file(&data.join("train-00001-of-00002.parquet"), &rows(7..9), Some(names), 1);
    let mut test = rows(20..23);
    test[1].0 = None;
    parquet_file(&data.join("test-00000-of-00001.parquet"), &test, Some(names), 1);
    let mut dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["red", "green", "blue"]);
    let train = dataset.split("train").expect("train");
    assert_eq!(first_pixels(train), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(train.labels(), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    assert_eq!(train.identifier(8), "train-00001-of-00002.parquet#1 (1.png)");
    let skipped = dataset.verify(&["test"]).expect("a test may lose a class");
    assert_eq!(skipped[0].reason, "its row holds no image");
    assert_eq!(first_pixels(dataset.split("test").expect("test")), [20, 22]);

    parquet_file(&data.join("test-00000-of-00001.parquet"), &[(Some(png(0)), -1)], Some(names), 1);
    let dataset = open_path(folder.path()).expect("opens");
    assert!(
        dataset
            .notes
            .iter()
            .any(|note| note == "test-00000-of-00001.parquet has no labels and was passed over")
    );
    std::fs::remove_file(data.join("train-00001-of-00002.parquet")).expect("removed");
    let dataset = open_path(folder.path()).expect("opens");
    assert!(dataset.notes.iter().any(|note| note == "only 1 of the 2 files of `train` are there"));

    let lone = data.join("train-00000-of-00002.parquet");
    parquet_file(&lone, &rows(0..7), Some(r#"["red","green"]"#), 1);
    let error = complaint(&lone);
    assert!(
        error.contains("#2 (2.png)")
            && error.contains("has label 2, but there are 2 classes (labels 0 to 1)"),
        "{error}"
    );
    parquet_file(&lone, &rows(0..7), None, 1);
    assert_eq!(open_path(&lone).expect("opens").classes, ["0", "1", "2"]);
    let bytes = std::fs::read(&lone).expect("read");
    std::fs::write(&lone, &bytes[..bytes.len() - 20]).expect("written");
    assert!(complaint(&lone).contains("the parquet file cannot be read"));
}

#[test]
fn grey_palette_alpha_and_deep_images_become_rgb() {
    let grey = ::image::DynamicImage::ImageLuma8(::image::GrayImage::from_pixel(3, 2, ::image::Luma([77])));
    assert_eq!(decode(&encoded(&grey, ImageFormat::Png)).expect("decodes").pixel(2, 1), [77; 3]);
    let alpha =
        ::image::DynamicImage::ImageRgba8(::image::RgbaImage::from_pixel(3, 2, ::image::Rgba([1, 2, 3, 0])));
    assert_eq!(decode(&encoded(&alpha, ImageFormat::Png)).expect("decodes").pixel(0, 0), [1, 2, 3]);
    let deep =
        ::image::DynamicImage::ImageLuma16(::image::ImageBuffer::from_pixel(3, 2, ::image::Luma([0xABCD])));
    assert_eq!(decode(&encoded(&deep, ImageFormat::Png)).expect("decodes").pixel(0, 0), [0xAB; 3]);
    let webp = encoded(&numbered(9).into(), ImageFormat::WebP);
    assert_eq!(decode(&webp).expect("decodes").pixel(5, 3), [9, 5, 3]);
    // A palette of two colours, one bit per pixel: pixels 0 1 0 in one row.
    let palette = palette_png();
    let image = decode(&palette).expect("decodes");
    assert_eq!(
        [image.pixel(0, 0), image.pixel(1, 0), image.pixel(2, 0)],
        [[10, 20, 30], [200, 100, 50], [10, 20, 30]]
    );
    assert_eq!(dimensions(&palette).expect("a header"), (3, 1));
}

fn palette_png() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        bytes.extend((data.len() as u32).to_be_bytes());
        let body = [kind.as_slice(), data].concat();
        bytes.extend(&body);
        bytes.extend(crc32(&body).to_be_bytes());
    };
    chunk(b"IHDR", &[0, 0, 0, 3, 0, 0, 0, 1, 1, 3, 0, 0, 0]);
    chunk(b"PLTE", &[10, 20, 30, 200, 100, 50]);
    // A stored block of two bytes: filter 0, then the bits 010.
    let data = [0u8, 0b0100_0000];
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), &byte| {
        ((a + u32::from(byte)) % 65521, (b + a + u32::from(byte)) % 65521)
    });
    let mut stream = vec![0x78, 0x01, 1, 2, 0, 0xFD, 0xFF];
    stream.extend(data);
    stream.extend(((b << 16) | a).to_be_bytes());
    chunk(b"IDAT", &stream);
    chunk(b"IEND", &[]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

/// The body of an EXIF header that says nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    [b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation][..], &[0; 6]].concat()
}

/// A chunk of a RIFF file, which ends on an even byte.
fn riff(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = [name, &(body.len() as u32).to_le_bytes()[..], body].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

/// A WebP file in the extended layout, of a canvas of this size.
fn extended_webp(plain: &[u8], width: u32, height: u32, exif: &[u8]) -> Vec<u8> {
    let mut header = vec![0x08, 0, 0, 0];
    header.extend(&(width - 1).to_le_bytes()[..3]);
    header.extend(&(height - 1).to_le_bytes()[..3]);
    let chunks = [riff(b"VP8X", &header), plain[12..].to_vec(), riff(b"EXIF", exif)].concat();
    riff(b"RIFF", &[b"WEBP", &chunks[..]].concat())
}

fn png_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [name, body].concat();
    [&(body.len() as u32).to_be_bytes()[..], &named, &crc32(&named).to_be_bytes()].concat()
}

/// The same picture in each format, with an EXIF orientation.
fn oriented(picture: &RgbImage, orientation: u8) -> Vec<Vec<u8>> {
    let exif = exif(orientation);
    let jpeg = encoded(&picture.clone().into(), ImageFormat::Jpeg);
    let marker = [b"Exif\0\0", &exif[..]].concat();
    let length = (marker.len() as u16 + 2).to_be_bytes();
    let jpeg = [&jpeg[..2], &[0xFF, 0xE1], &length, &marker, &jpeg[2..]].concat();
    let png = encoded(&picture.clone().into(), ImageFormat::Png);
    let png = [&png[..33], &png_chunk(b"eXIf", &exif), &png[33..]].concat();
    let webp = encoded(&picture.clone().into(), ImageFormat::WebP);
    vec![jpeg, png, extended_webp(&webp, picture.width(), picture.height(), &exif)]
}

#[test]
fn exif_orientation_is_applied() {
    // Red at the top left, green at the top right, blue at the bottom left, grey at the bottom right.
    let colours = [[250, 0, 0], [0, 250, 0], [0, 0, 250], [99, 99, 99]];
    let picture = RgbImage::from_fn(32, 16, |x, y| {
        ::image::Rgb(colours[usize::from(x >= 16) + 2 * usize::from(y >= 8)])
    });
    // Which of them end up at the top left, top right, bottom left and bottom right, by the standard's figure.
    let places = [
        [0, 1, 2, 3],
        [1, 0, 3, 2],
        [3, 2, 1, 0],
        [2, 3, 0, 1],
        [0, 2, 1, 3],
        [2, 0, 3, 1],
        [3, 1, 2, 0],
        [1, 3, 0, 2],
    ];
    for (orientation, expected) in (1u8..).zip(places) {
        for file in oriented(&picture, orientation) {
            let image = decode(&file).expect("decodes");
            let size = if orientation < 5 { (32, 16) } else { (16, 32) };
            assert_eq!((image.width(), image.height()), size);
            assert_eq!(dimensions(&file).expect("a header"), size);
            let (right, bottom) = (image.width() - 4, image.height() - 4);
            let corners = [(3, 3), (right, 3), (3, bottom), (right, bottom)].map(|(x, y)| image.pixel(x, y));
            for (found, place) in corners.into_iter().zip(expected) {
                let near = found.iter().zip(colours[place]).all(|(a, b)| a.abs_diff(b) < 12);
                assert!(near, "orientation {orientation}: {found:?} where {:?} belongs", colours[place]);
            }
        }
    }
    // What stands for no orientation is ignored.
    for file in oriented(&picture, 9) {
        assert_eq!(dimensions(&file).expect("a header"), (32, 16));
    }
}

const NO_IMAGE: &str = "it is not an image in a supported format (PNG, JPEG, WebP, GIF, BMP, TIFF, PNM)";

#[test]
fn damaged_and_hostile_images_get_a_sentence() {
    let noise = RgbImage::from_fn(64, 64, |x, y| {
        ::image::Rgb([(x * y) as u8, (x * 7 + y * 31) as u8, (x ^ y) as u8])
    });
    let jpeg = encoded(&noise.clone().into(), ImageFormat::Jpeg);
    let whole = encoded(&noise.clone().into(), ImageFormat::Png);
    let reason = |bytes: &[u8]| decode(bytes).expect_err("an error");
    assert_eq!(reason(b""), "it is empty");
    assert_eq!(reason(b"hello, world, this is text"), NO_IMAGE);
    assert!(reason(b"GIF89a\x01\0\x01\0\0\0\0;").starts_with("it is damaged ("), "a GIF without a picture");
    assert_eq!(reason(&jpeg[..jpeg.len() / 2]), "it is truncated: a JPEG without its end marker");
    assert!(reason(&whole[..whole.len() / 2]).starts_with("it is damaged ("));
    let with_trailer = [jpeg.as_slice(), &[7; 5000]].concat();
    assert_eq!(
        decode(&with_trailer).expect("what follows the end does not matter"),
        decode(&jpeg).expect("decodes")
    );
    let webp = encoded(&noise.into(), ImageFormat::WebP);
    assert!(reason(&webp[..webp.len() / 2]).starts_with("it is damaged ("));
    // Truncated anywhere, an image is an error or a picture of its size, never a panic.
    for whole in [&jpeg, &whole, &webp] {
        for length in 0..whole.len() {
            if let Err(reason) = decode(&whole[..length]) {
                assert!(reason.starts_with("it is ") && reason.lines().count() == 1, "{reason}");
            }
        }
    }
    // Headers that claim more than the limits, the third as much as 2.7 GB of zeros.
    for (width, height) in [(100_000u32, 1u32), (1, 100_000), (30_000, 30_000), (16_000, 16_000)] {
        let mut bomb = whole.clone();
        bomb[16..20].copy_from_slice(&width.to_be_bytes());
        bomb[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        let reason = reason(&bomb);
        assert!(reason.contains("that are decoded"), "{reason}");
    }
    for (width, height) in [(65_535u16, 1u16), (1, 65_535), (30_000, 30_000), (16_000, 16_000)] {
        let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).expect("a baseline JPEG");
        let mut bomb = jpeg.clone();
        bomb[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
        bomb[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        let reason = reason(&bomb);
        assert!(reason.contains("that are decoded"), "{reason}");
    }
    for (width, height) in [(100_000, 1), (1, 100_000), (30_000, 30_000), (16_000, 16_000)] {
        let reason = reason(&extended_webp(&webp, width, height, &exif(1)));
        assert!(reason.starts_with("it is "), "{reason}");
    }
}

#[test]
fn bad_images_are_named_and_skipped_or_refused_when_strict() {
    let folder = TempDir::new().expect("a folder");
    let mut files =
        with(class_folders("train/", &["ant", "bee"], 5), class_folders("test/", &["ant", "bee"], 2));
    files.insert("train/ant/001.png".into(), b"not an image".to_vec());
    files.insert("train/bee/004.png".into(), png(9)[..30].to_vec());
    files.insert("train/bee/photo.gif".into(), b"GIF89a\x01\0\x01\0\0\0\0;".to_vec());
    write(folder.path(), &files);
    let mut dataset = open_path(folder.path()).expect("opens");
    let error = dataset.split("train").expect("train").load(1).expect_err("bad").to_string();
    assert_eq!(error, format!("train/ant/001.png cannot be used: {NO_IMAGE}; replace or remove it"));
    let skipped = dataset.verify(&[]).expect("skips");
    let names: Vec<_> = skipped.iter().map(|skipped| skipped.identifier.as_str()).collect();
    assert_eq!(names, ["train/ant/001.png", "train/bee/004.png", "train/bee/photo.gif"]);
    assert_eq!(first_pixels(dataset.split("train").expect("train")), [0, 2, 3, 4, 100, 101, 102, 103]);
    assert_eq!(dataset.summary().splits["train"].skipped.len(), 3);

    let source = folder.path().to_str().expect("plain");
    let mut strict = open(source, &OpenOptions { strict: true, ..options() }).expect("opens");
    assert!(strict.verify(&["test"]).expect("the test split is sound").is_empty());
    let error = strict.verify(&[]).expect_err("strict").to_string();
    let start = format!(
        "3 of the 11 images in `train` of {source} are bad, the first is train/ant/001.png: it is not an image"
    );
    assert!(error.starts_with(&start), "{error}");

    for i in 0..5 {
        std::fs::write(folder.path().join(format!("train/bee/{i:03}.png")), b"").expect("a file");
    }
    let error =
        open(source, &options()).expect("opens").verify(&["train"]).expect_err("a class is lost").to_string();
    assert!(error.starts_with("class `bee` has no image in `train`"), "{error}");
    for class in ["ant", "bee"] {
        for i in 0..2 {
            std::fs::write(folder.path().join(format!("test/{class}/{i:03}.png")), b"").expect("a file");
        }
    }
    let error =
        open(source, &options()).expect("opens").verify(&["test"]).expect_err("all are bad").to_string();
    assert!(
        error.starts_with("4 of the 4 images in `test`") && error.contains("test/ant/000.png: it is empty"),
        "{error}"
    );
}

#[test]
fn faulty_folders_get_a_sentence_each() {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let make = |name: &str, files: BTreeMap<String, Vec<u8>>| {
        write(&at(name), &files);
        complaint(&at(name)).replace(folder.path().to_str().expect("plain"), "")
    };
    assert!(complaint(&at("nowhere")).contains("nowhere: No such file or directory"));
    std::fs::create_dir(at("empty")).expect("a folder");
    assert!(complaint(&at("empty")).ends_with("empty holds no image; add images, or give another source"));
    assert!(
        make("text", BTreeMap::from([("a.txt".into(), vec![1])])).contains("none of its 1 files is an image")
    );
    assert!(make("flat", BTreeMap::from([("a.png".into(), png(1))])).contains(
        "has no labels, which are needed to train or to score a model: its images do not lie in class folders"
    ));
    assert!(make("single", class_folders("", &["ant"], 2)).contains("it has one class folder only, `ant`"));
    std::fs::create_dir_all(at("hollow/bee")).expect("a folder");
    assert!(
        make("hollow", class_folders("", &["ant"], 2))
            .starts_with("class `bee` has no image in `all` of /hollow")
    );
    let differ =
        with(class_folders("train/", &["ant", "bee"], 2), class_folders("test/", &["ant", "cow"], 2));
    assert_eq!(
        make("differ", differ),
        "`test` of /differ lacks the classes `bee` and has `cow` instead; give every split the same class folders"
    );
    let list = |text: &str| {
        BTreeMap::from([("images/a.png".to_string(), png(1)), ("labels.csv".to_string(), text.into())])
    };
    assert!(make("header", list("a,b\n1,2\n")).contains(
        "labels.csv of /header: it has the columns `a`, `b`, of which none names an image that is there"
    ));
    assert!(make("negative", list("file,label\na.png,-2\n")).contains("a.png in /negative has label -2"));
    assert!(make("blank", list("file,label\na.png,\n")).contains("line 2 has no label"));
    assert!(make("rowless", list("file,label\n")).contains("it lists no image"));
    assert!(
        make("part", list("file,label,split\na.png,1,holiday\n"))
            .contains("the split `holiday`; use train, val or test")
    );

    std::fs::write(at("x.tar.gz"), [0x1F, 0x8B, 8, 0]).expect("a file");
    assert!(complaint(&at("x.tar.gz")).contains("unpack it with `tar -xf x.tar.gz`"));
    std::fs::write(at("one.png"), png(0)).expect("a file");
    assert!(complaint(&at("one.png")).contains("it is a single image"));
    std::fs::write(at("junk"), b"junk").expect("a file");
    assert!(complaint(&at("junk")).contains("its first bytes belong to none of the known formats"));
    tar(&at("cut.tar"), "", &class_folders("", &["ant", "bee"], 2));
    let bytes = std::fs::read(at("cut.tar")).expect("read");
    for length in [300, 550, 700, 1100, 2049] {
        std::fs::write(at("cut.tar"), &bytes[..length]).expect("written");
        let error = complaint(&at("cut.tar"));
        assert!(error.contains("the tar archive is damaged or truncated"), "{length}: {error}");
    }
    zip(&at("cut.zip"), "", &class_folders("", &["ant", "bee"], 2));
    let bytes = std::fs::read(at("cut.zip")).expect("read");
    std::fs::write(at("cut.zip"), &bytes[..bytes.len() / 2]).expect("written");
    assert!(complaint(&at("cut.zip")).contains("the zip archive is damaged or truncated"));
}

#[test]
fn an_unknown_split_names_those_that_exist() {
    let dataset = open("sherds", &options()).expect("opens");
    let error = dataset.split("tset").expect_err("no such split").to_string();
    assert_eq!(error, "sherds has no split `tset`; it has aligned, conflict, test, train, val");
}

#[test]
fn summaries_and_examples_describe_what_is_there() {
    let folder = TempDir::new().expect("a folder");
    let mut files =
        with(class_folders("train/", &["ant", "bee"], 4), class_folders("test/", &["ant", "bee"], 1));
    files.insert("train/ant/9.png".into(), encoded(&RgbImage::new(20, 3).into(), ImageFormat::Png));
    write(folder.path(), &files);
    let dataset = open_path(folder.path()).expect("opens");
    let summary = dataset.summary();
    let train = &summary.splits["train"];
    assert_eq!((train.images, train.per_class.as_slice()), (9, [5, 4].as_slice()));
    assert_eq!(train.width, Some(Spread { min: 6, median: 6, max: 20 }));
    assert_eq!(train.height, Some(Spread { min: 3, median: 4, max: 4 }));
    assert!(serde_json::to_string(&summary).expect("serialises").contains("\"per_class\":[5,4]"));
    let most = ExampleLimits { per_class: 2, images: 9 };
    let rows = examples(&dataset, "train", most, |image| image).expect("rows");
    assert_eq!(rows[1].0, "bee");
    assert_eq!(rows[1].1.iter().map(|image| image.pixels()[0]).collect::<Vec<_>>(), [100, 101]);
    let lengths = |most| -> Vec<usize> {
        let rows = examples(&dataset, "train", most, |image| image.width()).expect("rows");
        rows.into_iter().map(|(_, row)| row.len()).collect()
    };
    assert_eq!(lengths(ExampleLimits { images: 3, ..most }), [2, 1]);
    assert_eq!(lengths(ExampleLimits { images: 2, ..most }), [2]);
}

#[test]
fn fingerprints_follow_content() {
    let folder = TempDir::new().expect("a folder");
    let mut files =
        with(class_folders("train/", &["ant", "bee"], 2), class_folders("test/", &["ant", "bee"], 1));
    let fingerprint = |name: &str, files: &BTreeMap<String, Vec<u8>>| {
        write(&folder.path().join(name), files);
        open_path(&folder.path().join(name)).expect("opens").fingerprint()
    };
    let first = fingerprint("a", &files);
    assert_eq!((first.len(), &first), (64, &fingerprint("b", &files)));
    files.insert("test/bee/000.png".into(), png(42));
    assert_ne!(first, fingerprint("c", &files));
    let sherds = |source: &str| open(source, &options()).expect("opens").fingerprint();
    assert_eq!(sherds("sherds"), sherds("sherds:seed=0"));
    assert_ne!(sherds("sherds"), sherds("sherds:seed=1"));
}

fn lengths(dataset: &Dataset) -> Vec<(&str, usize)> {
    dataset.splits().iter().map(|(name, split)| (name.as_str(), split.len())).collect()
}
