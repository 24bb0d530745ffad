//! Duplicate images and blank images.

use super::*;

fn verified(files: &BTreeMap<String, Vec<u8>>) -> Dataset {
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), files);
    let mut dataset = open_path(folder.path()).expect("opens");
    assert!(dataset.verify(&[]).expect("verifies").is_empty());
    dataset
}

#[test]
fn images_in_two_splits_or_two_classes_are_counted_with_an_example() {
    let mut files = class_folders("train/", &["cat", "dog"], 6);
    for i in 0..3u8 {
        files.insert(format!("test/cat/new{i}.png"), png(50 + i));
        files.insert(format!("test/dog/new{i}.png"), png(60 + i));
        files.insert(format!("test/cat/copy{i}.png"), files[&format!("train/cat/00{i}.png")].clone());
    }
    files.insert("train/dog/same.png".into(), files["train/cat/005.png"].clone());
    let dataset = verified(&files);
    assert_eq!(
        dataset.notes,
        [
            "3 images of `test` are also in `train`, such as test/cat/copy0.png (train/cat/000.png): scores on them are not \
             independent of it",
            "1 image is in more than one class, such as train/cat/005.png (`cat`) and train/dog/same.png (`dog`): at most one \
             of them can be right",
            "1 image of `train` is a copy of others in it, such as train/dog/same.png of train/cat/005.png",
        ]
    );
    // Asked again, it says no more.
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &files);
    let mut again = open_path(folder.path()).expect("opens");
    again.verify(&[]).expect("verifies");
    again.verify(&[]).expect("verifies");
    assert_eq!(again.notes, dataset.notes);
    assert_eq!(again.summary().notes, dataset.notes);
    // Of a split alone, only what is in it is known.
    let mut test = open_path(folder.path()).expect("opens");
    test.verify(&["test"]).expect("verifies");
    assert!(test.notes.is_empty(), "{:?}", test.notes);
}

#[test]
fn images_of_one_colour_are_named_and_others_are_not() {
    let mut files =
        with(class_folders("train/", &["cat", "dog"], 3), class_folders("test/", &["cat", "dog"], 0));
    files.insert(
        "test/cat/a.png".into(),
        encoded(&RgbImage::from_pixel(4, 4, ::image::Rgb([9, 9, 9])).into(), ImageFormat::Png),
    );
    files.insert(
        "test/dog/b.png".into(),
        encoded(&RgbImage::from_pixel(4, 4, ::image::Rgb([7, 9, 9])).into(), ImageFormat::Png),
    );
    let dataset = verified(&files);
    assert_eq!(dataset.notes, ["2 images are of one colour all over: test/cat/a.png, test/dog/b.png"]);
}

#[test]
fn a_fingerprint_is_the_same_before_and_after_images_are_verified() {
    let folder = TempDir::new().expect("a folder");
    write(
        folder.path(),
        &with(class_folders("train/", &["cat", "dog"], 3), class_folders("test/", &["cat", "dog"], 2)),
    );
    let mut dataset = open_path(folder.path()).expect("opens");
    let before = dataset.fingerprint();
    dataset.verify(&[]).expect("verifies");
    assert_eq!(dataset.fingerprint(), before);
}
