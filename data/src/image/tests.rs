//! Decoding compared with Pillow, and refusals.

use super::*;
use crate::fixture::{Files, difference};

fn compare(fixture: &str) {
    let golden = Files::open(fixture);
    assert!(golden.names.len() > 40 && golden.images.len() == golden.names.len());
    let mut faults = Vec::new();
    for ((name, file), expected) in golden.names.iter().zip(&golden.files).zip(&golden.images) {
        match decode(file) {
            Err(reason) => faults.push(format!("{name}: {reason}")),
            Ok(image) if image != *expected => {
                let (largest, equal) = difference(&image, expected);
                faults
                    .push(format!("{name}: up to {largest}, {:.1} % of the values are equal", equal * 100.0));
            }
            Ok(_) => {}
        }
        if dimensions(file) != Ok((expected.width(), expected.height())) {
            faults.push(format!("{name}: the size {:?}", dimensions(file)));
        }
        assert!(looks_like_image(&file[..file.len().min(32)]), "{name}");
        assert_eq!(undecodable_kind(file, ""), None, "{name}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_kind_of_jpeg_has_the_pixels_of_pillow() {
    compare("jpeg.npz");
}

#[test]
fn other_formats_have_the_pixels_of_pillow() {
    compare("images.npz");
}

#[test]
fn an_unsupported_variant_of_a_format_is_named() {
    // A TIFF with one pixel of 3 bits, an unsupported depth.
    let entry = |tag: u16, value: u16| {
        [&tag.to_le_bytes()[..], &[3, 0, 1, 0, 0, 0], &value.to_le_bytes(), &[0; 2]].concat()
    };
    let entries = [(256, 1), (257, 1), (258, 3), (259, 1), (262, 1), (273, 0), (277, 1), (278, 1), (279, 1)];
    let mut file = b"II*\0\x08\0\0\0\x09\0".to_vec();
    entries.iter().for_each(|&(tag, value)| file.extend(entry(tag, value)));
    file.extend([0; 8]);
    let reason = decode(&file).expect_err("an error");
    assert!(
        reason.starts_with("its format is not supported (") && reason.ends_with("convert it to PNG or JPEG"),
        "{reason}"
    );
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    // 257 levels of 16 bits for each of 8; the middle between two is rounded up.
    let levels = [0u16, 128, 129, 256, 257, 385, 386, 32896, 65535];
    let rounded = [0u8, 0, 1, 1, 1, 1, 2, 128, 255];
    let width = levels.len() as u32;
    let grey = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(width, 1, levels.to_vec()).expect("fits");
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let mut file = Cursor::new(Vec::new());
        DynamicImage::from(grey.clone()).write_to(&mut file, format).expect("encodes");
        let image = decode(file.get_ref()).expect("decodes");
        let expected: Vec<u8> = rounded.iter().flat_map(|&level| [level; 3]).collect();
        assert_eq!(image.pixels(), expected, "{format:?}");
    }
}

#[test]
fn files_are_told_apart_by_their_first_bytes() {
    let ftyp = |brand: &[u8; 4], compatible: &[u8]| {
        let length = (16 + compatible.len()) as u32;
        [&length.to_be_bytes()[..], b"ftyp", brand, &[0; 4], compatible, &[0; 64]].concat()
    };
    let at = |offset: usize, magic: &[u8]| [&vec![0; offset][..], magic, &[0; 40]].concat();
    for (head, kind) in [
        (ftyp(b"avif", b"mif1"), "AVIF"),
        (ftyp(b"mif1", b"mif1avif"), "AVIF"),
        (ftyp(b"heic", b"mif1"), "HEIC"),
        (ftyp(b"mif1", b"heic"), "HEIC"),
        (ftyp(b"crx ", b""), "camera raw"),
        (b"\0\0\0\x0CjP  \r\n\x87\n".to_vec(), "JPEG 2000"),
        (b"\xFF\x4F\xFF\x51\0\x2F".to_vec(), "JPEG 2000"),
        (b"\0\0\0\x0CJXL \r\n\x87\n".to_vec(), "JPEG XL"),
        (b"\xFF\x0A\x7F".to_vec(), "JPEG XL"),
        (b"8BPS\0\x01".to_vec(), "Photoshop"),
        (b"<?xml version=\"1.0\"?>\n<svg width=\"4\">".to_vec(), "SVG"),
        (b"  <svg xmlns=''>".to_vec(), "SVG"),
        (at(128, b"DICM"), "DICOM"),
        (at(344, b"n+1\0"), "NIfTI"),
        (b"v/1\x01\x02\0\0\0".to_vec(), "OpenEXR"),
        (b"II*\0\x10\0\0\0CR\x02\0".to_vec(), "camera raw"),
    ] {
        assert_eq!(undecodable_kind(&head, "png"), Some(kind), "{head:?}");
        assert!(!looks_like_image(&head), "{kind}");
        let reason = decode(&head).expect_err(kind);
        assert_eq!(reason, format!("its format, {kind}, is not supported: convert it to PNG or JPEG"));
    }
    // A film has the same container; texts begin with letters that bitmaps begin with.
    for head in [
        ftyp(b"isom", b"mp41"),
        b"BMW X5, 2019, 4 seats, blue".to_vec(),
        b"P5s of the list".to_vec(),
        b"<?xml version=\"1.0\"?>\n<annotation>".to_vec(),
        b"GIFT".to_vec(),
        Vec::new(),
    ] {
        assert_eq!((undecodable_kind(&head, ""), looks_like_image(&head)), (None, false), "{head:?}");
    }
}

#[test]
fn an_ending_tells_only_where_the_first_bytes_do_not() {
    let tiff = b"II*\0\x08\0\0\0\x0B\0";
    for ending in ["nef", ".DNG", "Arw"] {
        assert_eq!(undecodable_kind(tiff, ending), Some("camera raw"), "a raw file begins as a TIFF");
    }
    assert_eq!(undecodable_kind(tiff, "svs"), Some("whole-slide image"));
    assert_eq!(undecodable_kind(tiff, "tif"), None);
    assert_eq!(undecodable_kind(b"\xFF\xD8\xFF\xE0", "heic"), None, "a JPEG under another name");
    for (ending, kind) in [("nii.gz", "NIfTI"), ("DCM", "DICOM"), ("jxl", "JPEG XL"), ("tga", "Targa")] {
        assert_eq!(undecodable_kind(&[], ending), Some(kind));
    }
    for ending in IMAGE_ENDINGS.iter().copied().chain(["txt", "", "csv", "xml", "npy"]) {
        assert_eq!(undecodable_kind(&[], ending), None, "{ending}");
    }
    assert!(IMAGE_ENDINGS.is_sorted());
}

/// A JPEG of one grey block of 8 × 8 pixels, whose size and scans can be made larger than they are.
fn grey(width: u16, height: u16, frame: u8, scans: usize) -> Vec<u8> {
    let size = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let mut file = b"\xFF\xD8\xFF\xDB\0\x43\0".to_vec();
    file.extend([1; 64]);
    file.extend([0xFF, frame, 0, 11, 8]);
    file.extend(size);
    file.extend([1, 1, 0x11, 0]);
    // One code of one bit for a difference of 0, and one for the end of a block.
    for table in [0x00, 0x10] {
        file.extend([0xFF, 0xC4, 0, 20, table, 1]);
        file.extend([0; 16]);
    }
    for _ in 0..scans {
        file.extend(b"\xFF\xDA\0\x08\x01\x01\0\0");
        file.extend(if frame == 0xC2 { [0, 0] } else { [63, 0] });
        file.push(0x3F);
    }
    file.extend(b"\xFF\xD9");
    file
}

#[test]
fn a_jpeg_that_would_be_filled_up_or_never_end_is_refused() {
    assert_eq!(decode(&grey(8, 8, 0xC0, 1)), Ok(Image::filled(8, 8, [128; 3])));
    assert_eq!(decode(&grey(5, 3, 0xC2, 1)), Ok(Image::filled(5, 3, [128; 3])));
    let reason = |file: &[u8]| decode(file).expect_err("an error");
    // A size that so few bytes cannot fill.
    assert_eq!(reason(&grey(16_000, 6_000, 0xC0, 1)), "it is truncated: a JPEG without its end marker");
    let scans = reason(&grey(8, 8, 0xC2, 300));
    assert_eq!(scans, "it is a JPEG of 300 scans, which would take very long to decode: save it again");
    let mut large = grey(10_000, 9_000, 0xC2, 40);
    large.splice(large.len() - 2..large.len() - 2, vec![0; 200_000]);
    assert!(reason(&large).starts_with("it is a JPEG of 40 scans"), "{}", reason(&large));
    // Cut off between two scans, where the first one is whole.
    let golden = Files::open("jpeg.npz");
    for name in ["420/three_scans", "progressive/2", "444/arithmetic"] {
        let file = golden.file(name);
        let last = file.windows(2).rposition(|pair| pair == [0xFF, 0xDA]).expect("a scan");
        for end in [last, last + 20, file.len() - 2] {
            assert_eq!(reason(&file[..end]), "it is truncated: a JPEG without its end marker", "{name}");
        }
        assert!(
            decode(&[file, &[0xFF, 0xDA, 7, 7]].concat()).is_ok(),
            "what follows the end does not matter"
        );
    }
    for (frame, words) in [(0xC3, "SOF type 0xc3"), (0xCD, "SOF type 0xcd")] {
        let said = reason(&grey(8, 8, frame, 1));
        assert!(said.starts_with("it is damaged (") && said.contains(words), "{said}");
    }
    assert_eq!(reason(&grey(0, 8, 0xC0, 1)), "it is damaged (0 × 8 pixels)");
}
