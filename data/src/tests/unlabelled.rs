//! Images without labels, where none are needed.

use super::*;

fn open_optional(path: &Path) -> Result<Dataset, DataError> {
    open(path.to_str().expect("plain"), &OpenOptions { labels: Labels::Optional, ..options() })
}

#[test]
fn an_image_a_flat_folder_and_one_class_are_taken_without_labels_or_refused() {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let flat: BTreeMap<String, Vec<u8>> = (0..3).map(|i| (format!("{i}.png"), png(i))).collect();
    std::fs::write(at("one.png"), png(7)).expect("a file");
    write(&at("flat"), &flat);
    write(&at("nested"), &class_folders("", &["photos"], 2));
    write(&at("single"), &class_folders("", &["ant"], 3));
    write(&at("splits"), &class_folders("", &["train", "test"], 2));
    tar(&at("flat.tar"), "", &flat);
    zip(&at("flat.zip"), "holiday/", &flat);
    for (source, images, reason) in [
        ("one.png", 1, "it is a single image"),
        ("flat", 3, "its images do not lie in class folders"),
        ("nested", 2, "its images do not lie in class folders"),
        ("single", 3, "it has one class folder only, `ant`"),
        ("splits", 4, "its images do not lie in class folders"),
        ("flat.tar", 3, "its images do not lie in class folders"),
        ("flat.zip", 3, "it has one class folder only, `holiday`"),
    ] {
        let mut dataset = open_optional(&at(source)).expect(source);
        assert!(!dataset.has_labels(), "{source}");
        assert!(dataset.verify(&[]).expect("verifies").is_empty());
        assert_eq!(lengths(&dataset), [("all", images)], "{source}");
        assert_eq!(dataset.evaluation_split(), "all");
        assert!(dataset.summary().splits["all"].per_class.is_empty());
        let most = ExampleLimits { per_class: 2, images: 9 };
        let rows = examples(&dataset, "all", most, |image| image.width()).expect("rows");
        assert_eq!(rows[0].1.len(), images.min(2));
        let error = complaint(&at(source));
        assert!(
            error.contains("has no labels, which are needed to train or to score a model")
                && error.contains(reason),
            "{error}"
        );
    }
    assert_eq!(first_pixels(open_optional(&at("one.png")).expect("opens").split("all").expect("all")), [7]);
}

#[test]
fn labels_that_are_there_are_kept() {
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &class_folders("", &["ant", "bee"], 5));
    let dataset = open_optional(folder.path()).expect("opens");
    assert!(dataset.has_labels());
    assert_eq!(named(&dataset), named(&open_path(folder.path()).expect("opens")));
    assert!(open("sherds", &options()).expect("opens").has_labels());
}
