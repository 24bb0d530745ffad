//! Very many of something: the cost per item must not depend on their number.

use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// Does `work` in another thread and gives up after a minute; it takes about a second, and hours where a loop over everything
/// stands in another.
fn in_a_minute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(Duration::from_secs(60)).expect("an end within a minute")
}

#[test]
fn a_list_of_images_of_one_name_in_thousands_of_folders() {
    const COUNT: usize = 40_000;
    let dataset = in_a_minute(|| {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("set.tar");
        let mut builder =
            ::tar::Builder::new(std::io::BufWriter::new(std::fs::File::create(&path).expect("a file")));
        let mut member = |name: &str, bytes: &[u8]| {
            let mut header = ::tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes).expect("a member");
        };
        let rows: String = (0..COUNT).map(|i| format!("deep/c{i}/0.png,{}\n", i % 3)).collect();
        member("labels.csv", format!("file,label\n{rows}").as_bytes());
        (0..COUNT).for_each(|i| member(&format!("photos/deep/c{i}/0.png"), b""));
        builder.into_inner().expect("an archive").flush().expect("written");
        open_path(&path).expect("opens")
    });
    let all = dataset.split("all").expect("all");
    assert_eq!((all.len(), dataset.classes.len()), (COUNT, 3));
    assert!((0..99).all(|i| all.identifier(i).ends_with(&format!("c{i}/0.png")) && all.label(i) == i % 3));
}

#[test]
fn splits_of_tens_of_thousands_of_folders_and_classes_of_one_image() {
    const COUNT: usize = 40_000;
    let image = |path: String| (path, Storage::Missing("not needed"));
    let notes = in_a_minute(move || {
        let mut builder = listing::Builder::default();
        for i in 0..COUNT {
            for name in
                [format!("x{i}_train/a/0.png"), format!("x{i}_test/a/0.png"), format!("other{i}/0.png")]
            {
                let (name, storage) = image(name);
                builder.add(name.into_bytes(), listing::Node::File(storage));
            }
            builder.add(format!("empty{i}/b").into_bytes(), listing::Node::Folder);
            builder
                .add(format!("x{i}_train/b/0.png").into_bytes(), listing::Node::File(image(String::new()).1));
        }
        let layout =
            folders::read("set", &builder.finish(places::Origin::Folder), &options()).expect("reads");
        assert_eq!((layout.splits["train"].len(), layout.splits["test"].len()), (2 * COUNT, COUNT));
        layout.notes
    });
    assert!(notes.iter().all(|note| note.len() < 1000), "{notes:?}");
    let splits = in_a_minute(|| {
        let mut builder = listing::Builder::default();
        for i in 0..4 * COUNT {
            builder.add(
                format!("c{}/{i}.png", i.min(3 * COUNT)).into_bytes(),
                listing::Node::File(Storage::Missing("")),
            );
        }
        let layout =
            folders::read("set", &builder.finish(places::Origin::Folder), &options()).expect("reads");
        let few =
            divide::few_images(&layout.splits["all"].iter().map(|record| record.label).collect::<Vec<_>>());
        let records = &layout.splits["all"];
        few.spare(records, divide::choose(records, 0.2, 0, "test"))
            .into_iter()
            .filter(|chosen| *chosen)
            .count()
    });
    assert_eq!(splits, COUNT / 5);
}

#[cfg(unix)]
#[test]
fn links_do_not_multiply_without_end() {
    let folder = TempDir::new().expect("a folder");
    // Ten levels of three links each to the next: 3^10 paths to one image.
    for level in 0..=10 {
        std::fs::create_dir_all(folder.path().join(format!("set/d{level:02}"))).expect("a folder");
        for link in 0..3 * usize::from(level < 10) {
            let place = folder.path().join(format!("set/d{level:02}/l{link}"));
            std::os::unix::fs::symlink(format!("../d{:02}", level + 1), place).expect("a link");
        }
    }
    std::fs::write(folder.path().join("set/d10/1.png"), png(1)).expect("a file");
    let dataset = open_path(&folder.path().join("set")).expect("opens");
    assert_eq!(dataset.split("all").expect("all").len(), 65);
    assert!(
        dataset.notes.iter().any(|note| note.contains("more than 64 links lead to")),
        "{:?}",
        dataset.notes
    );

    let path = folder.path().join("set.tar");
    let mut builder = ::tar::Builder::new(std::fs::File::create(&path).expect("a file"));
    let mut header = ::tar::Header::new_gnu();
    for (name, bytes) in class_folders("", &["ant", "bee"], 3) {
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).expect("a member");
    }
    header.set_size(0);
    header.set_entry_type(::tar::EntryType::Symlink);
    (0..200).for_each(|i| builder.append_link(&mut header, format!("ant/l{i}"), "../bee").expect("a link"));
    builder.into_inner().expect("an archive");
    let dataset = open_path(&path).expect("opens");
    assert_eq!(dataset.split("all").expect("all").len(), 6 + 64 * 3);
    assert!(
        dataset
            .notes
            .iter()
            .any(|note| note.contains("136 files or folders were left out (a link to a folder that more"))
    );
}

#[test]
fn folders_in_folders() {
    let files = |root: &str, deep: &str| {
        let mut files = class_folders(root, &["ant", "bee"], 3);
        files.insert(format!("{root}ant/{deep}9.png"), png(9));
        files
    };
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("set.tar");
    let archive = |root: &str, deep: &str| {
        let mut builder = ::tar::Builder::new(std::fs::File::create(&path).expect("a file"));
        for (name, bytes) in files(root, deep) {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes.as_slice()).expect("a member");
        }
        builder.into_inner().expect("an archive");
        let dataset = open_path(&path).expect("opens");
        (dataset.split("all").expect("all").len(), dataset.notes)
    };
    // What all have in common does not count, however deep.
    let (images, notes) = archive(&"r/".repeat(20_000), "x/");
    assert_eq!(images, 7, "{notes:?}");
    let (images, notes) = archive("", &"x/".repeat(20_000));
    let note =
        notes.iter().find(|note| note.contains("was left out: more than 64 folders deep")).expect("a note");
    assert!(images == 6 && note.len() < 300, "{note}");
}

#[test]
fn objects_of_keys_that_all_differ() {
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &BTreeMap::from([("1.png".into(), png(1)), ("2.png".into(), png(2))]));
    let rows: String = (0..5000).map(|i| format!("{{\"key{i}\": {i}}}\n")).collect();
    std::fs::write(folder.path().join("metadata.jsonl"), rows).expect("a file");
    let said = complaint(folder.path());
    assert!(
        said.contains("metadata.jsonl") && said.contains("different keys, of which each has few"),
        "{said}"
    );
}

#[test]
fn a_part_without_a_usable_image_does_not_refuse_the_others() {
    let folder = TempDir::new().expect("a folder");
    let mut files = class_folders("", &["ant", "bee"], 6);
    let bad = |class: &str, count: usize| {
        (0..count).map(move |i| (format!("{class}/x{i}.png"), b"bad".to_vec())).collect::<Vec<_>>()
    };
    files.extend(bad("ant", 3000).into_iter().chain(bad("bee", 3000)));
    write(folder.path(), &files);
    let mut dataset = open_path(folder.path()).expect("opens");
    let skipped = dataset.verify(&[]).expect("verifies");
    assert_eq!((skipped.len(), dataset.split("all").expect("all").len()), (6000, 12));
    let left: usize =
        ["train", "val", "test"].iter().filter_map(|name| dataset.split(name).ok()).map(Split::len).sum();
    let said = dataset.notes.iter().any(|note| note.contains("is left out: none of its"));
    assert!(left == 12 && said, "{:?}", dataset.notes);
    let mut strict = open(folder.path().to_str().expect("text"), &OpenOptions { strict: true, ..options() })
        .expect("opens");
    assert!(strict.verify(&[]).is_err());
}
