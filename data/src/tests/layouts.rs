//! Folders as found in practice.

use super::*;

fn at(folder: &TempDir, files: BTreeMap<String, Vec<u8>>) -> Dataset {
    write(folder.path(), &files);
    open_path(folder.path()).expect("opens")
}

/// Splits with the number of their images.
fn sizes(dataset: &Dataset) -> Vec<(&str, usize)> {
    lengths(dataset)
}

fn has_note(dataset: &Dataset, parts: &[&str]) {
    let found = dataset.notes.iter().any(|note| parts.iter().all(|part| note.contains(part)));
    assert!(found, "no note has {parts:?}: {:#?}", dataset.notes);
}

#[test]
fn split_folders_lie_in_folders_of_their_name() {
    let folder = TempDir::new().expect("a folder");
    let files = with(
        class_folders("training_set/training_set/", &["cats", "dogs"], 3),
        class_folders("test_set/test_set/", &["cats", "dogs"], 2),
    );
    let dataset = at(&folder, with(files, class_folders("", &["seg_pred"], 2)));
    assert_eq!(
        (dataset.classes.as_slice(), sizes(&dataset)),
        (["cats", "dogs"].map(String::from).as_slice(), vec![("test", 4), ("train", 6)])
    );
    has_note(&dataset, &["`seg_pred` has no class folders, so no labels"]);
    has_note(&dataset, &["`training_set/training_set` is `train`", "`test_set/test_set` is `test`"]);
}

#[test]
fn splits_one_level_deeper_are_found_among_what_systems_leave() {
    let folder = TempDir::new().expect("a folder");
    let mut files = BTreeMap::new();
    for split in ["train", "val", "test"] {
        files = with(files, class_folders(&format!("xray/xray/{split}/"), &["ill", "well"], 2));
        files = with(files, class_folders(&format!("xray/xray/xray/{split}/"), &["ill", "well"], 2));
        files = with(files, class_folders(&format!("__MACOSX/xray/{split}/"), &["ill", "well"], 1));
    }
    for litter in [
        "xray/.DS_Store",
        "xray/xray/train/Thumbs.db",
        "xray/xray/train/.ipynb_checkpoints/ill-copy.png",
        "lost+found/x.png",
        "xray/xray/train/ill/._000.png",
    ] {
        files.insert(litter.into(), png(1));
    }
    let dataset = at(&folder, files);
    assert_eq!(sizes(&dataset), [("test", 4), ("train", 4), ("val", 4)]);
    has_note(&dataset, &["not splits and were passed over", "xray"]);
}

#[test]
fn a_class_that_is_called_test_is_a_class() {
    let folder = TempDir::new().expect("a folder");
    let dataset = at(&folder, class_folders("", &["beaker", "flask", "test", "tube"], 3));
    assert_eq!(dataset.classes, ["beaker", "flask", "test", "tube"]);
    let folder = TempDir::new().expect("a folder");
    assert_eq!(at(&folder, class_folders("", &["bus", "car", "train"], 3)).classes, ["bus", "car", "train"]);
}

#[test]
fn a_lone_split_is_used_as_a_whole() {
    for (name, split) in [("val", "val"), ("validation", "val"), ("test", "test")] {
        let folder = TempDir::new().expect("a folder");
        let files = class_folders(&format!("{name}/"), &["a", "b"], 5);
        write(&folder.path().join("set"), &files);
        zip(&folder.path().join("set.zip"), "root/", &files);
        for source in ["set", "set.zip"] {
            let dataset = open_path(&folder.path().join(source)).expect("opens");
            assert_eq!(
                (sizes(&dataset), dataset.evaluation_split()),
                (vec![(split, 10)], split),
                "{source} of {name}"
            );
        }
        // Named itself, next to one to train on, it is the same; among other things it is a folder like any other.
        let place = folder.path().join("set").join(name);
        assert_eq!(sizes(&open_path(&place).expect("opens")).len(), 4);
        std::fs::create_dir(folder.path().join("set/train")).expect("a folder");
        assert_eq!(sizes(&open_path(&place).expect("opens")), [(split, 10)]);
    }
}

#[test]
fn class_folders_lie_in_images_beside_lists_and_masks() {
    let folder = TempDir::new().expect("a folder");
    let files = with(
        class_folders("food/images/", &["pie", "soup"], 4),
        class_folders("food/segmentations/", &["pie", "soup"], 1),
    );
    let mut files = with(
        files,
        BTreeMap::from([
            ("food/meta/labels.xml".to_string(), b"x".to_vec()),
            ("food/README.txt".into(), b"x".to_vec()),
        ]),
    );
    let dataset = at(&folder, files.clone());
    assert_eq!(dataset.classes, ["pie", "soup"]);
    assert_eq!(dataset.split("all").expect("all").len(), 8);
    has_note(&dataset, &["meta holds no image and is not a class"]);

    let list = |images: &[&str]| {
        images
            .iter()
            .flat_map(|name| ["pie/", "soup/"].map(|class| format!("{class}{name}\n")))
            .collect::<String>()
            .into_bytes()
    };
    files.insert("food/meta/train.txt".into(), list(&["000", "001"]));
    let folder = TempDir::new().expect("a folder");
    let dataset = at(&folder, files.clone());
    assert_eq!(named(&dataset), ["all", "test", "train", "val"], "one list divides nothing");
    has_note(&dataset, &["the list meta/train.txt was not used"]);
    files.insert("food/meta/test.txt".into(), list(&["003"]));
    let folder = TempDir::new().expect("a folder");
    let dataset = at(&folder, files.clone());
    assert_eq!(first_pixels(dataset.split("train").expect("train")), [0, 1, 100, 101]);
    assert_eq!(first_pixels(dataset.split("test").expect("test")), [3, 103]);
    has_note(&dataset, &["the splits are those of meta/train.txt, meta/test.txt"]);
    has_note(&dataset, &["2 images are in none of these lists"]);
    files.insert("food/meta/test.txt".into(), list(&["001", "003"]));
    let folder = TempDir::new().expect("a folder");
    let dataset = at(&folder, files);
    assert_eq!(named(&dataset), ["all", "test", "train", "val"], "lists that share an image are no splits");
}

#[test]
fn cub_numbers_its_images_and_says_which_to_train_on() {
    let folder = TempDir::new().expect("a folder");
    let classes = ["001.Black_footed_Albatross", "002.Laysan_Albatross"];
    let mut files = class_folders("images/", &classes, 3);
    let paths: Vec<String> =
        classes.iter().flat_map(|class| (0..3).map(move |i| format!("{class}/{i:03}.png"))).collect();
    let lines = |value: &dyn Fn(usize) -> String| {
        (0..6).map(|i| format!("{} {}\n", i + 1, value(i))).collect::<String>().into_bytes()
    };
    files.insert("images.txt".into(), lines(&|i| paths[i].clone()));
    files.insert("train_test_split.txt".into(), lines(&|i| u8::from(i % 3 > 0).to_string()));
    files.insert("image_class_labels.txt".into(), lines(&|i| (1 + i / 3).to_string()));
    files.insert("classes.txt".into(), b"1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n".to_vec());
    let dataset = at(&folder, files);
    assert_eq!(dataset.classes, classes);
    assert_eq!(first_pixels(dataset.split("train").expect("train")), [1, 2, 101, 102]);
    assert_eq!(first_pixels(dataset.split("test").expect("test")), [0, 100]);
}

#[test]
fn splits_may_lie_within_the_classes() {
    let folder = TempDir::new().expect("a folder");
    let dataset = at(
        &folder,
        with(class_folders("cat/", &["train", "test"], 2), class_folders("dog/", &["train", "test"], 3)),
    );
    assert_eq!(
        (dataset.classes.as_slice(), sizes(&dataset)),
        (["cat", "dog"].map(String::from).as_slice(), vec![("test", 5), ("train", 5)])
    );
}

#[test]
fn a_test_without_some_classes_is_noted_and_one_with_others_refused() {
    let folder = TempDir::new().expect("a folder");
    let dataset =
        at(&folder, with(class_folders("train/", &["ant", "bee"], 2), class_folders("test/", &["ant"], 2)));
    assert_eq!((dataset.classes.len(), sizes(&dataset)), (2, vec![("test", 2), ("train", 4)]));
    has_note(&dataset, &["`test` has no image of the class `bee`"]);
    let folder = TempDir::new().expect("a folder");
    write(
        folder.path(),
        &with(class_folders("train/", &["ant", "bee"], 2), class_folders("test/", &["ant", "bee", "cow"], 2)),
    );
    assert!(complaint(folder.path()).contains("has the classes `cow` that `train` lacks"));
}

#[test]
fn tiny_imagenet_may_be_sorted_with_its_list_in_place() {
    let wnids = ["n01", "n02"];
    let mut train: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for wnid in wnids {
        train.insert(format!("train/{wnid}/images/{wnid}_0.JPEG"), png(9));
    }
    let list: String = (0..4).map(|i| format!("val_{i}.JPEG\t{}\t0\t0\t1\t1\n", wnids[i % 2])).collect();
    train.insert("val/val_annotations.txt".into(), list.into_bytes());
    for within in ["", "images/"] {
        let folder = TempDir::new().expect("a folder");
        let val = (0..4u8)
            .map(|i| (format!("val/{}/{within}val_{i}.JPEG", wnids[usize::from(i) % 2]), png(50 + i)));
        let dataset = at(&folder, with(train.clone(), val.collect()));
        let val = dataset.split("val").expect("val");
        assert_eq!((val.labels(), first_pixels(val)), (vec![0, 1, 0, 1], vec![50, 51, 52, 53]));
        has_note(&dataset, &["`val` is sorted into class folders"]);
    }
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &train);
    assert!(complaint(folder.path()).contains("none of the images that it lists is there"));
}

#[test]
fn folders_of_numbers_are_in_the_order_of_numbers() {
    let folder = TempDir::new().expect("a folder");
    let dataset = at(&folder, class_folders("", &["0", "1", "10", "2"], 1));
    assert_eq!(dataset.classes, ["0", "1", "2", "10"]);
    assert_eq!(dataset.split("all").expect("all").labels(), [0, 1, 3, 2]);
    has_note(&dataset, &["are numbers and stand in the order of numbers"]);
    let folder = TempDir::new().expect("a folder");
    let dataset = at(&folder, class_folders("", &["1", "10", "2", "x"], 1));
    assert_eq!(dataset.classes, ["1", "10", "2", "x"], "by name, as ImageFolder has them");
}

#[test]
fn rare_classes_stay_in_train_while_others_are_divided() {
    let folder = TempDir::new().expect("a folder");
    let files = with(class_folders("", &["ant", "bee"], 20), class_folders("", &["yak"], 2));
    let dataset = at(&folder, with(files, class_folders("", &["zebu"], 1)));
    let count = |split: &str, label| {
        dataset.split(split).expect(split).labels().iter().filter(|&&l| l == label).count()
    };
    for (label, images) in [(2, 2), (3, 1)] {
        assert_eq!(["train", "val", "test", "all"].map(|split| count(split, label)), [images, 0, 0, images]);
    }
    assert_eq!(["train", "val", "test"].map(|split| count(split, 0)), [14, 2, 4]);
    has_note(&dataset, &["2 classes have fewer than 3 images each", "`yak` (2), `zebu` (1)"]);

    let folder = TempDir::new().expect("a folder");
    let dataset = at(&folder, class_folders("", &["ant", "bee"], 2));
    assert_eq!(named(&dataset), ["all"]);
    let error = dataset.split("train").expect_err("nothing to train on").to_string();
    assert!(
        error.contains("has only classes with fewer than 3 images") && error.contains("class `ant` has 2"),
        "{error}"
    );
    // Photographs of many classes, few of which have three: what could be divided is not the data set.
    let folder = TempDir::new().expect("a folder");
    let dataset =
        at(&folder, with(class_folders("", &["a", "b", "c", "d"], 1), class_folders("", &["e"], 3)));
    assert_eq!(named(&dataset), ["all"]);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_named_and_left_out() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = TempDir::new().expect("a folder");
    let set = folder.path().join("set");
    write(&set, &class_folders("", &["ant", "bee"], 4));
    write(&folder.path().join("elsewhere"), &class_folders("", &["cow"], 4));
    symlink("gone.png", set.join("ant/link.png")).expect("a link");
    symlink("..", set.join("ant/up")).expect("a link");
    symlink(folder.path().join("elsewhere/cow"), set.join("cow")).expect("a link");
    let socket = std::os::unix::net::UnixListener::bind(set.join("bee/socket.png")).expect("a socket");
    let locked = set.join("locked");
    std::fs::create_dir(&locked).expect("a folder");
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o000)).expect("permissions");
    let dataset = open_path(&set).expect("opens");
    // A link to images that lie elsewhere stands for them.
    assert_eq!(
        (dataset.classes.as_slice(), dataset.split("all").expect("all").len()),
        (["ant", "bee", "cow"].map(String::from).as_slice(), 12)
    );
    has_note(&dataset, &["ant/link.png was left out: a link that leads nowhere"]);
    has_note(&dataset, &["ant/up was left out: a link that leads in a circle"]);
    has_note(&dataset, &["bee/socket.png was left out: a socket"]);
    // The superuser may read everything.
    if std::fs::read_dir(&locked).is_err() {
        has_note(&dataset, &["locked was left out: permission to read it is missing"]);
    }
    let strict = OpenOptions { strict: true, ..options() };
    let error = open(set.to_str().expect("plain"), &strict).expect_err("strict").to_string();
    assert!(
        error.contains("cannot be used, the first is ant/link.png: a link that leads nowhere"),
        "{error}"
    );
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o700)).expect("permissions");
    drop(socket);
}

#[test]
fn images_are_known_by_their_content_where_the_ending_says_nothing() {
    let folder = TempDir::new().expect("a folder");
    let mut files = class_folders("", &["ant", "bee"], 2);
    let jpeg = encoded(&numbered(7).into(), ImageFormat::Jpeg);
    for name in ["ant/a.jfif", "ant/b.JPE", "ant/c", "ant/d.dat", "bee/e.PNG"] {
        files.insert(name.into(), jpeg.clone());
    }
    files.insert("bee/notes".into(), b"a line of text".to_vec());
    files.insert("bee/phone.heic".into(), b"\0\0\0\x18ftypheic\0\0\0\0heicmif1".to_vec());
    files.insert("bee/page".into(), b"\0\0\0\x18ftypavif\0\0\0\0avifmif1".to_vec());
    files.insert("bee/scan.dcm".into(), [&[0; 128][..], b"DICM"].concat());
    let set = folder.path().join("set");
    write(&set, &files);
    tar(&folder.path().join("set.tar"), "", &files);
    zip(&folder.path().join("set.zip"), "", &files);
    for source in ["set", "set.tar", "set.zip"] {
        let mut dataset = open_path(&folder.path().join(source)).expect("opens");
        let all = dataset.split("all").expect("all").labels();
        assert_eq!(all, [0, 0, 0, 0, 0, 0, 1, 1, 1], "{source}");
        has_note(
            &dataset,
            &[
                "3 files are of formats that are not read",
                "AVIF (bee/page)",
                "HEIC (bee/phone.heic)",
                "DICOM (bee/scan.dcm)",
            ],
        );
        assert!(dataset.verify(&[]).expect("verifies").is_empty());
    }
    let strict = OpenOptions { strict: true, ..options() };
    let error = open(set.to_str().expect("plain"), &strict).expect_err("strict").to_string();
    assert!(
        error.starts_with("3 of the files and folders of") && error.contains("images are not read"),
        "{error}"
    );
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &BTreeMap::from([("a/scan.dcm".into(), vec![0; 200])]));
    assert!(complaint(folder.path()).contains("it holds no image that is read (1 file is of a format that is not read and was left out: 1 DICOM (a/scan.dcm)"));
}

/// `cd scans; archaeo excavate --data .`, twice.
#[test]
fn a_run_folder_among_the_images_is_no_class() {
    let folder = TempDir::new().expect("a folder");
    let mut files = class_folders("", &["ant", "bee"], 3);
    for of_run in ["lock", "config.toml", "vit/lock", "vit/config.toml"] {
        files.insert(format!("archaeo-out/{of_run}"), Vec::new());
    }
    files.insert("archaeo-out/pictures/data.png".into(), png(9));
    // A class of that name without a run in it is a class.
    files.extend(class_folders("", &["pictures"], 3));
    let dataset = at(&folder, files);
    assert_eq!(dataset.classes, ["ant", "bee", "pictures"]);
    assert_eq!(dataset.split("all").expect("all").len(), 9);
}

#[test]
fn thumbnails_of_drives_are_not_images() {
    let folder = TempDir::new().expect("a folder");
    let mut files = class_folders("", &["ant", "bee"], 3);
    for litter in [
        "ant/@eaDir/000.png/SYNOPHOTO_THUMB_SM.png",
        "ant/.thumbnails/000.png",
        "#recycle/old/1.png",
        "bee/._000.png",
        "$RECYCLE.BIN/x.png",
    ] {
        files.insert(litter.into(), png(9));
    }
    let dataset = at(&folder, files);
    assert_eq!((dataset.classes.len(), dataset.split("all").expect("all").len()), (2, 6));
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_stay_apart() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().expect("a folder");
    for (label, class) in [&b"B\xe4r"[..], b"B\xf6r"].into_iter().enumerate() {
        let class = folder.path().join(OsStr::from_bytes(class));
        std::fs::create_dir(&class).expect("a folder");
        for (i, name) in [&b"\xe9.png"[..], b"\xe8.png"].into_iter().enumerate() {
            std::fs::write(class.join(OsStr::from_bytes(name)), png((10 * label + i) as u8)).expect("a file");
        }
    }
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["Bär", "Bör"]);
    let mut pixels = first_pixels(dataset.split("all").expect("all"));
    pixels.sort_unstable();
    assert_eq!(pixels, [0, 1, 10, 11]);
    has_note(&dataset, &["names that are not in UTF-8 were read as"]);
}
