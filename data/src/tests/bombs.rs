//! Small files with large claims: refused by name before memory is allocated, or read correctly.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::{OpenOptions, open};

fn complaint(path: &Path) -> String {
    let source = path.to_str().expect("a path of plain characters");
    let said = open(source, &OpenOptions::default()).map(|data| data.name).expect_err("an error").to_string();
    assert!(said.contains(path.file_name().unwrap().to_str().unwrap()), "{said}");
    said
}

/// An array of 8-bit integers with this shape, followed by `zeros` zero bytes.
fn array(archive: &mut zip::ZipWriter<File>, name: &str, kind: &str, shape: &str, zeros: usize) {
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file(format!("{name}.npy"), options).unwrap();
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    archive.write_all(b"\x93NUMPY\x01\0").unwrap();
    archive.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
    archive.write_all(header.as_bytes()).unwrap();
    let block = vec![0; 1 << 20];
    let mut left = zeros;
    while left > 0 {
        archive.write_all(&block[..left.min(block.len())]).unwrap();
        left -= left.min(block.len());
    }
}

#[test]
fn arrays_that_unpack_to_much_more_than_their_archive_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.npz");
    let write = |kind: &str, shape: &str, zeros: usize, labels: (&str, usize)| {
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        array(&mut archive, "train_images", kind, shape, zeros);
        array(&mut archive, "train_labels", "|u1", labels.0, labels.1);
        archive.finish().unwrap();
        complaint(&path)
    };
    let twenty = ("(20, 1)", 20);
    let said = write("|u1", "(200, 1000, 1000)", 200_000_000, twenty);
    assert!(said.contains("`train_images`") && said.contains("--memory"), "{said}");
    assert!(write("|u1", "(20, 28, 0)", 0, twenty).contains("at least one row and one column"));
    assert!(write("|u1", "(20, 9000000000, 1)", 20, twenty).contains("only"));
    assert!(write("|u1", "(0, 9000000000, 9000000000)", 0, ("(0,)", 0)).contains("9000000000"));
    for shape in ["(4611686018427387904, 2, 2)", "(18446744073709551615, 3, 3)"] {
        assert!(write("|u1", shape, 20, twenty).contains("d.npz"));
    }
    assert!(write("|O", "(20, 4, 4)", 320, twenty).contains("of type"));
    // A record of an image takes more than an image of one pixel.
    assert!(
        write("|u1", "(5000000, 1, 1)", 5_000_000, ("(5000000,)", 5_000_000)).contains("images of `train`")
    );
}

#[test]
fn a_table_of_contents_without_its_entries_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.zip");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"PK\x03\x04").unwrap();
    file.set_len(3 << 30).unwrap();
    let mut end = b"PK\x06\x06".to_vec();
    end.extend(44u64.to_le_bytes());
    end.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [50_000_000u64, 50_000_000, 50_000_000 * 46, (3 << 30) - 50_000_000 * 46] {
        end.extend(number.to_le_bytes());
    }
    end.extend(b"PK\x06\x07\0\0\0\0");
    end.extend((3u64 << 30).to_le_bytes());
    end.extend([1, 0, 0, 0]);
    end.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    file.write_all(&end).unwrap();
    let said = complaint(&path);
    assert!(said.contains("table of contents") && said.contains("GiB"), "{said}");
}

#[test]
fn lists_take_memory_for_their_fields_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.join("images")).unwrap();
        image::RgbImage::new(2, 2).save(path.join("images/0.png")).unwrap();
        let (list, text) = if text.starts_with(b"{") { ("labels.jsonl", text) } else { ("labels.csv", text) };
        std::fs::write(path.join(list), text).unwrap();
        complaint(&path)
    };
    assert!(write("commas", &b",".repeat(60 << 20)).contains("--memory"));
    let line = [&b"{\"file\":["[..], &b"[],".repeat(1 << 20)].concat();
    assert!(write("one", &line).contains("line 1 has 3 MiB"));
    let keys: Vec<String> = (0..20_000).map(|key| format!("\"k{key}\":1")).collect();
    let wide = format!("{{{}}}\n{}", keys.join(","), "{\"k1\":1}\n".repeat(2000));
    assert!(write("wide", wide.as_bytes()).contains("lines it needs"));
}
