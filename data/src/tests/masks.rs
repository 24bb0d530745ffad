//! Masks next to the images, and boxes.

use super::*;

/// A picture whose first `white` pixels are not black.
fn mask(width: u32, height: u32, white: u32) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        ::image::Rgb([if y * width + x < white { 9 } else { 0 }, 0, 0])
    });
    encoded(&picture.into(), ImageFormat::Png)
}

fn masks(dataset: &Dataset, split: &str) -> Vec<Option<usize>> {
    let split = dataset.split(split).expect("a split");
    let inside = |i: usize| {
        let mask = split.mask_of(i, &split.load(i).expect("an image")).expect("a mask that fits");
        assert_eq!(mask.is_some(), split.has_mask(i));
        mask.map(|mask| mask.inside.iter().filter(|inside| **inside).count())
    };
    (0..split.len()).map(inside).collect()
}

#[test]
fn masks_belong_to_the_images_of_their_relative_names() {
    let folder = TempDir::new().expect("a folder");
    let files = with(
        class_folders("train/", &["ant", "bee"], 2),
        with(
            class_folders("test/", &["ant", "bee"], 1),
            BTreeMap::from([
                ("masks/test/ant/000.bmp".into(), {
                    let picture =
                        RgbImage::from_fn(6, 4, |x, _| ::image::Rgb([if x < 2 { 255 } else { 0 }; 3]));
                    encoded(&picture.into(), ImageFormat::Bmp)
                }),
                ("masks/train/bee/001.png".into(), mask(6, 4, 5)),
                ("masks/train/ant/000.png".into(), mask(6, 4, 0)),
            ]),
        ),
    );
    write(&folder.path().join("set"), &files);
    tar(&folder.path().join("set.tar"), "root/", &files);
    for source in ["set", "set.tar"] {
        let dataset = open_path(&folder.path().join(source)).expect("opens");
        assert_eq!(dataset.classes, ["ant", "bee"], "the masks are no class");
        assert_eq!(masks(&dataset, "train"), [Some(0), None, None, Some(5)], "{source}");
        assert_eq!(masks(&dataset, "test"), [Some(8), None]);
        let note = dataset.notes.iter().find(|note| note.contains("masks/")).expect("a note");
        assert!(note.starts_with("3 of 6 images have no mask of their name in masks/"), "{note}");
    }
}

#[test]
fn images_without_classes_have_masks_too() {
    let folder = TempDir::new().expect("a folder");
    let files = BTreeMap::from([
        ("images/1.png".into(), png(1)),
        ("images/2.png".into(), png(2)),
        ("masks/1.png".into(), mask(6, 4, 3)),
        ("masks/2.png".into(), mask(6, 4, 24)),
    ]);
    write(folder.path(), &files);
    let optional = OpenOptions { labels: Labels::Optional, ..options() };
    let dataset = open(folder.path().to_str().expect("plain"), &optional).expect("opens");
    assert_eq!(masks(&dataset, "all"), [Some(3), Some(24)]);
    assert!(dataset.notes.iter().all(|note| !note.contains("no mask")), "{:?}", dataset.notes);
}

#[test]
fn a_mask_that_does_not_fit_is_named() {
    let folder = TempDir::new().expect("a folder");
    let mut files = class_folders("", &["ant", "bee"], 3);
    files.insert("masks/ant/000.png".into(), mask(5, 4, 3));
    files.insert("masks/ant/001.png".into(), b"\x89PNG\r\n\x1a\nno more".to_vec());
    write(folder.path(), &files);
    let dataset = open_path(folder.path()).expect("opens");
    let all = dataset.split("all").expect("a split");
    for (image, expected) in [
        (
            0,
            "the mask masks/ant/000.png of ant/000.png cannot be used: it is 5 × 4 px and the image 6 × 4 px; replace or remove it",
        ),
        (1, "the mask masks/ant/001.png of ant/001.png cannot be used: "),
    ] {
        let sentence =
            all.mask_of(image, &all.load(image).expect("an image")).expect_err("an error").to_string();
        assert!(sentence.starts_with(expected), "{sentence}");
    }
}

/// Face masks are a class: no file in the folder has an image's relative name.
#[test]
fn a_class_that_is_called_masks_is_a_class() {
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &class_folders("", &["faces", "masks"], 3));
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["faces", "masks"]);
    assert!(!dataset.split("all").expect("a split").has_mask(0));
}

#[test]
fn a_mask_changes_the_fingerprint() {
    let folder = TempDir::new().expect("a folder");
    let print = || open_path(folder.path()).expect("opens").fingerprint();
    let mut files = class_folders("", &["ant", "bee"], 3);
    write(folder.path(), &files);
    let without = print();
    files.insert("masks/ant/000.png".into(), mask(6, 4, 3));
    write(folder.path(), &files);
    let with = print();
    files.insert("masks/ant/000.png".into(), mask(6, 4, 4));
    write(folder.path(), &files);
    assert!(without != with && with != print());
}

/// Sides of a box are both within.
#[test]
fn tiny_imagenets_boxes_are_masks() {
    let folder = TempDir::new().expect("a folder");
    let text = |text: &str| text.as_bytes().to_vec();
    let files = BTreeMap::from([
        ("wnids.txt".into(), text("n01\nn02\n")),
        ("words.txt".into(), text("n01\tant\nn02\tbee\n")),
        ("train/n01/n01_boxes.txt".into(), text("n01_0.png\t1\t0\t3\t2\n")),
        ("train/n01/images/n01_0.png".into(), png(1)),
        ("train/n02/images/n02_0.png".into(), png(2)),
        ("val/val_annotations.txt".into(), text("val_0.png\tn02\t0\t0\t5\t3\nval_1.png\tn01\n")),
        ("val/images/val_0.png".into(), png(3)),
        ("val/images/val_1.png".into(), png(4)),
    ]);
    write(folder.path(), &files);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(masks(&dataset, "train"), [Some(9), None]);
    assert_eq!(masks(&dataset, "val"), [Some(24), None]);
}
