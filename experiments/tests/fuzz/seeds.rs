//! Sound inputs of every kind, small ones.

use std::collections::HashMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use archaeo_models::{Array, State, write_arrays};
use archaeo_training::EpochRecord;
use archaeo_training::events::{Event, Happening, Start, Step};
use image::{DynamicImage, ImageFormat, RgbImage};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

fn picture(number: u8, width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| image::Rgb([number, (x * 11) as u8, (y * x) as u8])).into()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

/// A small picture.
pub fn png(number: u8) -> Vec<u8> {
    encoded(&picture(number, 6, 4), ImageFormat::Png)
}

/// One picture in every format, and in several kinds of PNG.
pub fn images() -> Vec<Vec<u8>> {
    let colour = picture(40, 23, 17);
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ];
    let mut files: Vec<Vec<u8>> = formats.into_iter().map(|format| encoded(&colour, format)).collect();
    files.push([b"P6 23 17 255\n".as_slice(), colour.to_rgb8().as_raw()].concat());
    files.push(encoded(&colour.to_luma8().into(), ImageFormat::Png));
    files.push(encoded(&colour.to_rgba16().into(), ImageFormat::Png));
    files
}

/// Three pictures of each of two classes.
fn class_folders() -> Vec<(String, Vec<u8>)> {
    let of_class = |(start, class): (u8, &'static str)| {
        (start..start + 3).map(move |number| (format!("{class}/{number}.png"), png(number)))
    };
    [(0, "ant"), (10, "bee")].into_iter().flat_map(of_class).collect()
}

/// Class folders, with links, a folder, a long name and a member that leads out.
pub fn tars() -> Vec<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    for (name, bytes) in class_folders() {
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).expect("a member");
    }
    let plain = builder.into_inner().expect("an archive");
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in class_folders() {
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, format!("./set/{name}"), bytes.as_slice()).expect("a member");
    }
    header.set_size(png(90).len() as u64);
    let long = format!("set/ant/{}.png", "long".repeat(40));
    builder.append_data(&mut header, long, png(90).as_slice()).expect("a member");
    header.set_size(0);
    for (kind, name, target) in [
        (tar::EntryType::Symlink, "set/bee/soft.png", "../ant/0.png"),
        (tar::EntryType::Link, "set/bee/hard.png", "./set/ant/1.png"),
        (tar::EntryType::Symlink, "set/cow", "ant"),
    ] {
        header.set_entry_type(kind);
        builder.append_link(&mut header, name, target).expect("a link");
    }
    vec![plain, builder.into_inner().expect("an archive")]
}

/// The same, stored and deflated.
pub fn zips() -> Vec<Vec<u8>> {
    let mut archives = Vec::new();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in class_folders() {
            writer.start_file(name, options).expect("a member");
            writer.write_all(&bytes).expect("its bytes");
        }
        writer.add_symlink("bee/link.png", "../ant/0.png", options).expect("a link");
        archives.push(writer.finish().expect("an archive").into_inner());
    }
    archives
}

/// Images and labels with and without compression and a dictionary.
pub fn parquets() -> Vec<Vec<u8>> {
    let schema = "message schema { optional group image { optional binary bytes; optional binary path (UTF8); } optional int64 label; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).expect("a schema"));
    let file = |compression, dictionary| {
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_dictionary_enabled(dictionary)
            .build();
        let mut bytes = Vec::new();
        let mut writer =
            SerializedFileWriter::new(&mut bytes, schema.clone(), Arc::new(properties)).expect("a writer");
        let mut group = writer.next_row_group().expect("a group");
        for text in [false, true] {
            let value =
                |i: u8| ByteArray::from(if text { format!("{i}.png").into_bytes() } else { png(i % 3) });
            let mut column = group.next_column().expect("ok").expect("a column");
            let values: Vec<ByteArray> = (0..8).map(value).collect();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&[2; 8]), None).expect("written");
            column.close().expect("closed");
        }
        let mut column = group.next_column().expect("ok").expect("a column");
        let labels: Vec<i64> = (0..8).map(|i| i % 2).collect();
        column.typed::<Int64Type>().write_batch(&labels, Some(&[1; 8]), None).expect("written");
        column.close().expect("closed");
        group.close().expect("closed");
        writer.close().expect("closed");
        bytes
    };
    use parquet::basic::Compression::{SNAPPY, UNCOMPRESSED};
    vec![file(UNCOMPRESSED, false), file(SNAPPY, true)]
}

fn npy(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let padding = 63 - (10 + header.len()) % 64;
    header += &" ".repeat(padding);
    header.push('\n');
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), values].concat()
}

/// Arrays of images as MedMNIST has them, grey and in colour.
pub fn image_arrays() -> Vec<Vec<u8>> {
    let values: Vec<u8> = (0..8 * 5 * 4 * 3).map(|i| (i * 7 % 251) as u8).collect();
    vec![npy("|u1", "(8, 5, 4)", &values[..8 * 5 * 4]), npy("|u1", "(8, 5, 4, 3)", &values)]
}

/// An archive with these images and labels for eight of them.
pub fn npz(images: Vec<u8>) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in
        [("train_images.npy", images), ("train_labels.npy", npy("|u1", "(8, 1)", &[0, 1, 0, 1, 0, 1, 0, 1]))]
    {
        writer.start_file(name, SimpleFileOptions::default()).expect("a member");
        writer.write_all(&bytes).expect("its bytes");
    }
    writer.finish().expect("an archive").into_inner()
}

/// Eight images of MNIST's form.
pub fn idx_images() -> Vec<u8> {
    let values = (0..8 * 5 * 4).map(|i| (i * 7 % 251) as u8);
    b"\0\0\x08\x03\0\0\0\x08\0\0\0\x05\0\0\0\x04".iter().copied().chain(values).collect()
}

/// Their labels.
pub fn idx_labels() -> Vec<u8> {
    b"\0\0\x08\x01\0\0\0\x08\0\x01\0\x01\0\x01\0\x01".to_vec()
}

/// Two images as CIFAR-10's Python version pickles them: `{"labels": [0, 1], "data": array}`.
pub fn pickled_batch() -> Vec<u8> {
    let mut bytes = b"\x80\x02}(X\x06\x00\x00\x00labels](K\x00K\x01eX\x04\x00\x00\x00data".to_vec();
    bytes.extend(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR");
    bytes.extend(b"(K\x01K\x02M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89");
    bytes.extend(b"T");
    bytes.extend((2u32 * 3072).to_le_bytes());
    bytes.extend((0..2 * 3072).map(|i| (i * 7 % 251) as u8));
    bytes.extend(b"tbu.");
    bytes
}

/// Lists of images in several notations.
pub fn tables() -> Vec<Vec<u8>> {
    let table = |head: &str, row: &dyn Fn(usize) -> String| {
        format!("{head}{}", (0..6).map(row).collect::<String>()).into_bytes()
    };
    vec![
        table("file,label\n", &|i| format!("{i}.png,{}\n", i % 2)),
        table("image;breed;split\n", &|i| format!("{i};\"pug, {}\";{}\n", i % 2, ["train", "test"][i / 3])),
        table("id,a,b\n", &|i| format!("{i}.png,{},{}\n", i % 2, 1 - i % 2)),
        table("", &|i| format!("{i}.png {}\n", i % 2)),
    ]
}

/// A list of objects.
pub fn objects() -> Vec<Vec<u8>> {
    let row = |i: usize| format!("{{\"file_name\": \"{i}.png\", \"label\": {}, \"more\": [1]}}\n", i % 2);
    vec![(0..6).map(row).collect::<String>().into_bytes()]
}

fn arrays(shapes: &[(&str, &[usize])]) -> Vec<u8> {
    let array = |(name, shape): &(&str, &[usize])| {
        let values = vec![0.5; shape.iter().product()];
        ((*name).to_string(), Array { shape: shape.to_vec(), values })
    };
    let state: State = shapes.iter().map(array).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("w.safetensors");
    write_arrays(&path, &state, HashMap::from([("epoch".into(), "3".into())])).expect("written");
    fs::read(path).expect("read")
}

/// The arrays of a very small Vision Transformer of one block.
pub fn vit_arrays() -> Vec<u8> {
    arrays(&[
        ("cls_token", &[1, 1, 12]),
        ("pos_embed", &[1, 5, 12]),
        ("patch_embed.proj.weight", &[12, 3, 4, 4]),
        ("patch_embed.proj.bias", &[12]),
        ("blocks.0.norm1.weight", &[12]),
        ("blocks.0.norm1.bias", &[12]),
        ("blocks.0.attn.qkv.weight", &[36, 12]),
        ("blocks.0.attn.qkv.bias", &[36]),
        ("blocks.0.attn.proj.weight", &[12, 12]),
        ("blocks.0.attn.proj.bias", &[12]),
        ("blocks.0.norm2.weight", &[12]),
        ("blocks.0.norm2.bias", &[12]),
        ("blocks.0.mlp.fc1.weight", &[48, 12]),
        ("blocks.0.mlp.fc1.bias", &[48]),
        ("blocks.0.mlp.fc2.weight", &[12, 48]),
        ("blocks.0.mlp.fc2.bias", &[12]),
        ("norm.weight", &[12]),
        ("norm.bias", &[12]),
        ("head.weight", &[3, 12]),
        ("head.bias", &[3]),
    ])
}

/// PyTorch's two containers and NumPy's archive.
pub fn checkpoints() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/checkpoints");
    let names = ["plain.pth", "training.pth", "views.pth", "legacy.pth", "training_legacy.pth", "arrays.npz"];
    names.iter().map(|name| fs::read(folder.join(name)).expect("a fixture")).collect()
}

/// What timm writes next to weights.
pub fn configurations() -> Vec<Vec<u8>> {
    let timm = r#"{"architecture": "vit_tiny_patch16_224", "num_classes": 3, "num_features": 12, "model_args": {"img_size": 8,
        "patch_size": 4, "embed_dim": 12, "depth": 1, "num_heads": 3}, "pretrained_cfg": {"input_size": [3, 8, 8], "mean":
        [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9, "interpolation": "bicubic", "num_classes": 3}}"#;
    vec![timm.as_bytes().to_vec()]
}

/// The recipes that come with the program.
pub fn recipes() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let names = ["excavate.toml", "sherds-vit.toml", "cifar10-resnet.toml"];
    names.iter().map(|name| fs::read(folder.join(name)).expect("a recipe")).collect()
}

/// The log of a training that was stopped and finished.
pub fn event_log() -> Vec<u8> {
    let record = EpochRecord {
        epoch: 1,
        step: 2,
        learning_rate: 1e-3,
        train_loss: 2.25,
        validation_loss: 2.5,
        validation_accuracy: 0.125,
        images_per_second: 1000.0,
        waiting: None,
        exchanging: None,
        seconds: 0.5,
    };
    let start = Start {
        epochs_done: 0,
        total_steps: 2,
        model: "vit_micro".into(),
        parameters: 300_000,
        seed: 7,
        recipe: serde_json::json!({ "epochs": 1, "augment": { "flip": 0.5 } }),
        data: None,
        environment: None,
    };
    let step = Step { epoch: 1, step: 1, loss: 2.3, learning_rate: 1e-3, gradient_norm: 1.5 };
    let happened = [
        Happening::Started(Box::new(start)),
        Happening::Note { text: "the teacher answers once".into() },
        Happening::Step(step),
        Happening::Epoch(record),
        Happening::Stopped { epochs: 1 },
        Happening::Failed { reason: "the loss is NaN".into() },
        Happening::Finished { weights: "model.safetensors".into() },
    ];
    let line = |what| serde_json::to_string(&Event { time: 1.7e9, what }).expect("plain data") + "\n";
    happened.map(line).concat().into_bytes()
}
