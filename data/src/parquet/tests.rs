//! Tables as found in practice: choice of columns, labels of every type, every compression.

use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use tempfile::TempDir;

use crate::{DataError, Dataset, OpenOptions, open};

fn open_path(path: &Path) -> Result<Dataset, DataError> {
    open(path.to_str().expect("a path of plain characters"), &OpenOptions::default())
}

fn complaint(path: &Path) -> String {
    open_path(path).map(|dataset| dataset.name).expect_err("an error").to_string()
}

fn png(number: u8) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(3, 2, image::Rgb([number, 1, 2]));
    picture.write_to(&mut file, image::ImageFormat::Png).expect("encodes");
    file.into_inner()
}

fn images(count: u8) -> Column {
    Column::Bytes((0..count).map(png).collect())
}

fn texts(texts: &[&str]) -> Column {
    Column::Bytes(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
}

/// The values of a leaf. All but `Optional` are of required ones.
enum Column {
    Bytes(Vec<Vec<u8>>),
    Optional(Vec<Option<&'static str>>),
    Small(Vec<i32>),
    Large(Vec<i64>),
    Truths(Vec<bool>),
    Floats(Vec<f64>),
}

/// Writes a table of the given leaves; `features` is what the `datasets` library would add.
fn table(path: &Path, schema: &str, columns: &[Column], features: &str, compression: Compression) {
    let schema = Arc::new(parse_message_type(&format!("message schema {{ {schema} }}")).expect("a schema"));
    let features = format!(r#"{{"info":{{"features":{{{features}}}}}}}"#);
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".to_string(), features)]));
    let file = std::fs::File::create(path).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    for values in columns {
        let mut column = group.next_column().expect("ok").expect("a column");
        match values {
            Column::Bytes(values) => {
                let values: Vec<_> = values.iter().cloned().map(ByteArray::from).collect();
                column.typed::<ByteArrayType>().write_batch(&values, None, None)
            }
            Column::Optional(values) => {
                let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
                let values: Vec<_> = values.iter().flatten().map(|text| ByteArray::from(*text)).collect();
                column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)
            }
            Column::Small(values) => column.typed::<Int32Type>().write_batch(values, None, None),
            Column::Large(values) => column.typed::<Int64Type>().write_batch(values, None, None),
            Column::Floats(values) => column.typed::<DoubleType>().write_batch(values, None, None),
            Column::Truths(values) => column.typed::<BoolType>().write_batch(values, None, None),
        }
        .expect("values");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.close().expect("closed");
}

const IMAGE: &str = "required group image { required binary bytes; required binary path (UTF8); }";
const NAMES: [&str; 4] = ["0.png", "1.png", "2.png", "3.png"];

/// Opens a table of four images and the labels of one column, called `label`.
fn with_labels(kind: &str, labels: Column, features: &str) -> Result<Dataset, DataError> {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("train-00000-of-00001.parquet");
    let schema = format!("{IMAGE} {kind};");
    table(&path, &schema, &[images(4), texts(&NAMES), labels], features, Compression::SNAPPY);
    open_path(folder.path())
}

#[test]
fn labels_are_integers_of_any_width_truths_or_texts() {
    for (kind, labels, classes, expected) in [
        ("required int32 label (INTEGER(8,true))", Column::Small(vec![1, 0, 2, 1]), "0 1 2", [1, 0, 2, 1]),
        ("required int32 label (INTEGER(16,false))", Column::Small(vec![1, 0, 2, 1]), "0 1 2", [1, 0, 2, 1]),
        ("required int64 label (INTEGER(64,false))", Column::Large(vec![0, 0, 1, 1]), "0 1", [0, 0, 1, 1]),
        ("required double label", Column::Floats(vec![1.0, 0.0, 2.0, 1.0]), "0 1 2", [1, 0, 2, 1]),
        ("required boolean label", Column::Truths(vec![true, false, true, true]), "false true", [1, 0, 1, 1]),
        ("required binary label (UTF8)", texts(&["eel", "cat", "dog", "cat"]), "cat dog eel", [2, 0, 1, 0]),
        ("required binary label (UTF8)", texts(&["10", "2", "1", "2"]), "1 2 10", [2, 1, 0, 1]),
    ] {
        let dataset = with_labels(kind, labels, "").unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(dataset.classes.join(" "), classes, "{kind}");
        let all = dataset.split("all").expect("all");
        assert_eq!(all.labels(), expected, "{kind}");
        assert_eq!(all.load(3).expect("decodes").image.pixels()[0], 3);
        assert_eq!(all.identifier(3), "train-00000-of-00001.parquet#3 (3.png)");
    }
    let features = r#""label":{"_type":"ClassLabel","names":["eel","dog","cat","ant"]}"#;
    let kind = "required binary label (UTF8)";
    let dataset = with_labels(kind, texts(&["eel", "cat", "dog", "cat"]), features).expect("opens");
    assert_eq!(dataset.classes, ["eel", "dog", "cat", "ant"], "in the order of the metadata");
    assert_eq!(dataset.split("all").expect("all").labels(), [0, 2, 1, 2]);
}

#[test]
fn rows_without_a_label_and_labels_out_of_range_are_refused() {
    let optional = "optional binary label (UTF8)";
    let said = with_labels(optional, Column::Optional(vec![Some("a"), None, Some(""), Some("b")]), "");
    let said = said.map(|dataset| dataset.name).expect_err("an error").to_string();
    assert!(said.contains("2 of its rows have no label, the first is row 1"), "{said}");
    let said = with_labels("required double label", Column::Floats(vec![0.0, 1.0, 0.5, 1.0]), "");
    let said = said.map(|dataset| dataset.name).expect_err("an error").to_string();
    assert!(said.contains("the label 0.5 in the column `label`; labels are whole numbers"), "{said}");
    for (label, words) in [(-2, "has the label -2"), (1 << 40, "has the label 1099511627776")] {
        let said = with_labels("required int64 label", Column::Large(vec![0, 1, label, 1]), "");
        let said = said.map(|dataset| dataset.name).expect_err("an error").to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn labels_beyond_any_class_are_refused_with_their_row() {
    for (kind, labels, words) in [
        (
            "required int64 label (INTEGER(64,false))",
            Column::Large(vec![0, 1, -1, 1]),
            "row 2 has the label 18446744073709551615",
        ),
        (
            "required int64 label",
            Column::Large(vec![0, i64::MIN, 1, 1]),
            "row 1 has the label -9223372036854775808",
        ),
        (
            "required double label",
            Column::Floats(vec![0.0, 1.0, 1e15, 1.0]),
            "row 2 has the label 1000000000000000",
        ),
        (
            "required double label",
            Column::Floats(vec![f64::INFINITY, 1.0, 0.0, 1.0]),
            "row 0 has the label inf",
        ),
    ] {
        let said = with_labels(kind, labels, "").map(|dataset| dataset.name).expect_err(kind).to_string();
        assert!(said.contains(words) && said.contains("train-00000-of-00001.parquet"), "{said}");
    }
}

#[test]
fn pages_that_unpack_to_much_are_refused_before_they_are() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("train.parquet");
    let schema = format!("{IMAGE} required int64 label;");
    for compression in [
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let zeros = vec![0; 100 << 20];
        let columns = [Column::Bytes(vec![zeros; 2]), texts(&NAMES[..2]), Column::Large(vec![0, 1])];
        table(&path, &schema, &columns, "", compression);
        assert!(std::fs::metadata(&path).expect("a file").len() < 1 << 20, "{compression:?}");
        let said = complaint(&path);
        assert!(
            said.contains("for its column `image.bytes` it needs") && said.contains("--memory"),
            "{said}"
        );
    }
}

#[test]
fn values_that_repeat_the_one_before_count_each_time() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("train.parquet");
    let write = |images: Vec<Vec<u8>>| {
        let schema = parse_message_type("message schema { required binary image; required int64 label; }");
        let image = ::parquet::schema::types::ColumnPath::from("image");
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_column_encoding(image, ::parquet::basic::Encoding::DELTA_BYTE_ARRAY)
            .build();
        let labels: Vec<i64> = (0..images.len() as i64).map(|i| i % 2).collect();
        let images: Vec<ByteArray> = images.into_iter().map(ByteArray::from).collect();
        let file = std::fs::File::create(&path).expect("a file");
        let schema = Arc::new(schema.expect("a schema"));
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
        let mut group = writer.next_row_group().expect("a group");
        let mut column = group.next_column().expect("ok").expect("a column");
        column.typed::<ByteArrayType>().write_batch(&images, None, None).expect("values");
        column.close().expect("closed");
        let mut column = group.next_column().expect("ok").expect("a column");
        column.typed::<Int64Type>().write_batch(&labels, None, None).expect("values");
        column.close().expect("closed");
        group.close().expect("closed");
        writer.close().expect("closed");
    };
    write((0..4).map(png).collect());
    let dataset = open_path(&path).expect("opens");
    assert_eq!(dataset.split("all").expect("all").load(2).expect("decodes").image.pixels()[0], 2);
    write(vec![vec![7; 1 << 20]; 200]);
    assert!(std::fs::metadata(&path).expect("a file").len() < 2 << 20);
    assert!(complaint(&path).contains("--memory"));
}

#[test]
fn every_compression_is_read() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("train.parquet");
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
        Compression::LZ4,
    ] {
        let columns = [images(4), texts(&NAMES), Column::Large(vec![0, 1, 0, 1])];
        table(&path, &format!("{IMAGE} required int64 label;"), &columns, "", compression);
        let dataset = open_path(&path).unwrap_or_else(|error| panic!("{compression:?}: {error}"));
        assert_eq!(dataset.split("all").expect("all").load(2).expect("decodes").image.pixels()[0], 2);
    }
}

#[test]
fn columns_are_taken_by_their_names_or_asked_for() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("train.parquet");
    let bytes = |name: &str| format!("required binary {name};");
    let structure = |name: &str| format!("required group {name} {{ required binary bytes; }}");
    let label = |name: &str| format!("required int64 {name};");
    let numbers = || Column::Large(vec![0, 1, 0, 1]);
    let others = || Column::Bytes((100..104).map(png).collect());
    let write = |schema: String, columns: &[Column], features: &str| {
        table(&path, &schema, columns, features, Compression::SNAPPY);
    };
    // The first pixel of image 2 tells which column it is of.
    let taken = || {
        open_path(&path).map(|dataset| {
            let all = dataset.split("all").expect("all");
            (all.load(2).expect("decodes").image.pixels()[0], all.labels(), dataset.notes)
        })
    };
    for (first, second) in [
        (bytes("depth"), bytes("image")),
        (structure("depth"), structure("img")),
        (structure("depth"), bytes("image")),
        (bytes("depth"), structure("image")),
    ] {
        write([first.clone(), second, label("label")].concat(), &[others(), images(4), numbers()], "");
        assert_eq!(taken().expect(&first).0, 2, "{first}");
    }
    // The metadata knows of one image.
    write(
        [bytes("a"), bytes("b"), label("label")].concat(),
        &[others(), images(4), numbers()],
        r#""b":{"_type":"Image"}"#,
    );
    assert_eq!(taken().expect("opens").0, 2);
    write([bytes("scan"), label("label")].concat(), &[images(4), numbers()], "");
    assert_eq!(taken().expect("opens").0, 2, "the only one, whatever its name");
    write([bytes("left"), bytes("right"), label("label")].concat(), &[others(), images(4), numbers()], "");
    let said = complaint(&path);
    assert!(
        said.contains("several columns of images, `left`, `right`; call the one that is meant `image`"),
        "{said}"
    );
    write(
        ["required binary url (UTF8);".to_string(), label("label")].concat(),
        &[texts(&NAMES), numbers()],
        "",
    );
    let said = complaint(&path);
    assert!(said.contains("no column of encoded images") && said.contains("only `url`, `label`"), "{said}");

    let zeros = || Column::Large(vec![0, 0, 1, 0]);
    write(
        [bytes("image"), label("coarse_label"), label("fine_label")].concat(),
        &[images(4), zeros(), numbers()],
        r#""coarse_label":{"_type":"ClassLabel"}"#,
    );
    let (_, labels, notes) = taken().expect("opens");
    assert_eq!(labels, [0, 1, 0, 1]);
    assert!(
        notes.contains(&"the labels are those of the column `fine_label`, not of `coarse_label`".to_string()),
        "{notes:?}"
    );
    write([bytes("image"), label("labels"), label("label")].concat(), &[images(4), zeros(), numbers()], "");
    let (_, labels, notes) = taken().expect("opens");
    assert_eq!(labels, [0, 1, 0, 1]);
    assert!(
        notes.contains(&"the labels are those of the column `label`, not of `labels`".to_string()),
        "{notes:?}"
    );
    let both = r#""age":{"_type":"ClassLabel"},"sex":{"_type":"ClassLabel"}"#;
    write([bytes("image"), label("age"), label("sex")].concat(), &[images(4), zeros(), numbers()], both);
    let said = complaint(&path);
    assert!(
        said.contains("several columns of labels, `age`, `sex`; call the one that is meant `label`"),
        "{said}"
    );
    write(
        [bytes("image"), label("age"), label("sex")].concat(),
        &[images(4), zeros(), numbers()],
        r#""sex":{"_type":"ClassLabel"}"#,
    );
    assert_eq!(taken().expect("opens").1, [0, 1, 0, 1]);
    write([bytes("image"), label("age")].concat(), &[images(4), zeros()], "");
    let said = complaint(&path);
    assert!(
        said.contains("none of its columns is called `label`") && said.contains("it has `age`"),
        "{said}"
    );
}

#[test]
fn splits_are_told_by_the_names_of_files_and_folders() {
    let folder = TempDir::new().expect("a folder");
    for (i, name) in ["train-00000-of-00001", "validation-00000-of-00001", "test/0000"].iter().enumerate() {
        let path = folder.path().join("data").join(format!("{name}.parquet"));
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        let kinds = ["a", "b", "c"];
        let columns = [images(2), texts(&NAMES[..2]), texts(&[kinds[i], kinds[(i + 1) % 3]])];
        table(&path, &format!("{IMAGE} required binary label (UTF8);"), &columns, "", Compression::SNAPPY);
    }
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["a", "b", "c"], "the classes of all files together");
    let labels = |split: &str| dataset.split(split).expect(split).labels();
    assert_eq!((labels("train"), labels("val"), labels("test")), (vec![0, 1], vec![1, 2], vec![2, 0]));
}
