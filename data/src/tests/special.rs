//! What is not an ordinary file, and files that change while they are read.

use std::process::Command;

use super::*;

/// A pipe without a writer: opening it as a file would wait for ever.
fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo is part of every Unix");
    assert!(made.success());
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_named_and_not_waited_for() {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    pipe(&path("pipe"));
    std::os::unix::fs::symlink("pipe", path("link")).expect("a link");
    for name in ["pipe", "link"] {
        let said = complaint(&path(name));
        assert!(
            said.contains(&format!("{name}: it is a pipe")) && said.contains("save what comes"),
            "{said}"
        );
    }
    let said = complaint(Path::new("/dev/zero"));
    assert!(said.starts_with("/dev/zero: it is a device"), "{said}");
    let said = open("-", &options()).map(|dataset| dataset.name).expect_err("an error").to_string();
    assert!(said.contains("standard input is not read"), "{said}");

    // Replaces the files of every layout that is found by file names.
    for name in
        ["data_batch_1.bin", "data_batch_1", "train-images-idx3-ubyte", "train-00000-of-00001.parquet"]
    {
        let set = path(&format!("set of {name}"));
        std::fs::create_dir(&set).expect("a folder");
        pipe(&set.join(name));
        let said = complaint(&set);
        assert!(said.contains(name) && said.contains("a pipe"), "{said}");
    }
    // An unreadable list is reported where labels are missing.
    write(&path("flat"), &BTreeMap::from([("1.png".into(), png(1)), ("2.png".into(), png(2))]));
    pipe(&path("flat/labels.csv"));
    let said = complaint(&path("flat"));
    assert!(said.contains("has no labels") && said.contains("labels.csv was left out: a pipe"), "{said}");

    write(&path("set"), &class_folders("", &["ant", "bee"], 3));
    pipe(&path("set/ant/pipe.png"));
    let mut dataset = open_path(&path("set")).expect("opens");
    assert_eq!(dataset.split("all").expect("all").len(), 6);
    assert!(dataset.notes.contains(&"ant/pipe.png was left out: a pipe".to_string()), "{:?}", dataset.notes);
    // A file that is replaced by a pipe after it was listed.
    std::fs::remove_file(path("set/ant/000.png")).expect("removed");
    pipe(&path("set/ant/000.png"));
    let bad = dataset.verify(&["all"]).expect("verifies");
    assert_eq!(bad.len(), 1);
    assert!(bad[0].reason.contains("it is a pipe"), "{}", bad[0].reason);
}

#[test]
fn archives_that_are_cut_after_they_were_opened_are_bad_images() {
    let folder = TempDir::new().expect("a folder");
    let files = class_folders("", &["ant", "bee"], 3);
    let path = |name: &str| folder.path().join(name);
    tar(&path("set.tar"), "", &files);
    zip(&path("set.zip"), "", &files);
    for name in ["set.tar", "set.zip"] {
        let dataset = open_path(&path(name)).expect("opens");
        let all = dataset.split("all").expect("all");
        let length = std::fs::metadata(path(name)).expect("there").len();
        let file = std::fs::File::options().write(true).open(path(name)).expect("opens");
        file.set_len(length / 3).expect("is cut");
        let said = all.load(5).map(|sample| sample.label).expect_err("an error").to_string();
        assert!(said.starts_with("bee/002.png cannot be used: it cannot be read"), "{name}: {said}");
        assert_eq!(all.load(0).expect("what is left").image.pixels()[0], 0, "{name}");
    }
}
