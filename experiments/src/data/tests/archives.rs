//! Members of archives: links, order, and names in other encodings.

use ::tar::{Builder, EntryType, Header};

use super::*;

struct Archive(Builder<std::fs::File>);

impl Archive {
    fn new(path: &Path) -> Self {
        Archive(Builder::new(std::fs::File::create(path).expect("a file")))
    }

    fn file(&mut self, name: &str, bytes: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        self.0.append_data(&mut header, name, bytes).expect("a member");
    }

    fn link(&mut self, kind: EntryType, name: &str, target: &str) {
        let mut header = Header::new_gnu();
        header.set_size(0);
        header.set_entry_type(kind);
        self.0.append_link(&mut header, name, target).expect("a link");
    }
}

#[test]
fn links_in_a_tar_stand_for_the_member_that_they_name() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("set.tar");
    let mut archive = Archive::new(&path);
    // A link may come before what it names, and lead through others.
    archive.link(EntryType::Symlink, "bee/first.png", "../ant/000.png");
    archive.link(EntryType::Symlink, "bee/second.png", "./first.png");
    archive.file("ant/000.png", &png(1));
    archive.file("bee/000.png", &png(2));
    archive.link(EntryType::Link, "bee/hard.png", "./ant/000.png");
    archive.link(EntryType::Symlink, "cow", "bee");
    archive.link(EntryType::Symlink, "bee/gone.png", "nothing.png");
    archive.link(EntryType::Symlink, "bee/loop.png", "loop.png");
    archive.link(EntryType::Symlink, "bee/out.png", "../../out.png");
    archive.link(EntryType::Symlink, "bee/far.png", "/etc/hostname");
    archive.link(EntryType::Symlink, "ant/all", "..");
    let long = format!("ant/{}.png", "x".repeat(150));
    archive.file(&long, &png(3));
    archive.link(EntryType::Link, "ant/short.png", &long);
    archive.0.into_inner().expect("finished");
    let dataset = open_path(&path).expect("opens");
    let all = dataset.split("all").expect("all");
    assert_eq!(dataset.classes, ["ant", "bee", "cow"]);
    assert_eq!(all.labels(), [0, 0, 0, 1, 1, 1, 1, 2]);
    // Images through `cow` are those that `bee` stores itself.
    assert_eq!(first_pixels(all), [1, 3, 3, 2, 1, 1, 1, 2]);
    for (name, reason) in [
        ("bee/gone.png", "a link that leads nowhere"),
        ("ant/all, bee/loop.png", "a link that leads in a circle"),
        ("bee/out.png", "a path that leads out of the archive"),
        ("bee/far.png", "a link that leads out of the archive"),
    ] {
        let named = dataset.notes.iter().any(|note| note.contains(name) && note.contains(reason));
        assert!(named, "{name}: {:?}", dataset.notes);
    }
}

#[test]
fn the_order_of_members_changes_nothing_and_the_last_of_a_name_counts() {
    let folder = TempDir::new().expect("a folder");
    let files = class_folders("", &["ant", "bee", "a.b", "a"], 4);
    write(&folder.path().join("set"), &files);
    let mut archive = Archive::new(&folder.path().join("set.tar"));
    archive.file("bee/000.png", &png(77));
    for (name, bytes) in files.iter().rev() {
        archive.file(&format!("./{name}"), bytes);
    }
    archive.0.into_inner().expect("finished");
    let mut writer =
        ::zip::ZipWriter::new(std::fs::File::create(folder.path().join("set.zip")).expect("a file"));
    let mut names: Vec<_> = files.keys().collect();
    names.sort_by_key(|name| name.bytes().rev().collect::<Vec<_>>());
    for name in names {
        writer.start_file(name.as_str(), ::zip::write::SimpleFileOptions::default()).expect("a member");
        writer.write_all(&files[name]).expect("its bytes");
    }
    writer.finish().expect("an archive");
    let opened = |source: &str| {
        let dataset = open_path(&folder.path().join(source)).expect("opens");
        let all = dataset.split("all").expect("all");
        let names: Vec<String> = (0..all.len()).map(|i| all.identifier(i)).collect();
        (names, first_pixels(all), dataset.fingerprint())
    };
    assert_eq!(opened("set.tar"), opened("set"));
    assert_eq!(opened("set.zip"), opened("set"));
}

#[test]
fn members_that_lead_out_are_named_and_make_no_class() {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let files = class_folders("", &["ant", "bee"], 3);
    let outside = [
        "/etc/absolute.png",
        "/ant/absolute.png",
        "\\cow\\absolute.png",
        "C:\\cow\\drive.png",
        "d:/cow/drive.png",
        "../bee/outside.png",
        "ant/../../cow/outside.png",
        "..\\cow\\outside.png",
    ];
    let mut archive = Archive::new(&path("set.tar"));
    for (name, bytes) in &files {
        archive.file(name, bytes);
    }
    // The library does not write these names, so they are put in by hand.
    for name in outside.iter().chain(&["./bee/inside.png", "ant/../bee/inside too.png"]) {
        let bytes = png(5);
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.0.append(&header, bytes.as_slice()).expect("a member");
    }
    archive.link(EntryType::Link, "bee/hard.png", "/ant/000.png");
    archive.link(EntryType::Fifo, "bee/fifo.png", "nothing");
    archive.0.into_inner().expect("finished");
    let mut writer = ::zip::ZipWriter::new(std::fs::File::create(path("set.zip")).expect("a file"));
    let options = ::zip::write::SimpleFileOptions::default();
    for (name, bytes) in &files {
        writer.start_file(name.as_str(), options).expect("a member");
        writer.write_all(bytes).expect("its bytes");
    }
    for name in outside.iter().chain(&["./bee/inside.png", "ant/../bee/inside too.png"]) {
        writer.start_file(*name, options).expect("a member");
        writer.write_all(&png(5)).expect("its bytes");
    }
    writer.add_symlink("bee/link.png", "..\\ant\\000.png", options).expect("a link");
    writer.add_symlink("bee/out.png", "/etc/hostname", options).expect("a link");
    writer.finish().expect("an archive");

    for (source, images) in [("set.tar", 8), ("set.zip", 9)] {
        let dataset = open_path(&path(source)).expect("opens");
        assert_eq!(dataset.classes, ["ant", "bee"], "{source}");
        assert_eq!(dataset.split("all").expect("all").len(), images, "{source}: {:?}", dataset.notes);
        for part in [
            "5 files or folders were left out (an absolute path; pack it again from within its folder): /ant/absolute.png",
            "3 files or folders were left out (a path that leads out of the archive): ../bee/outside.png",
            "was left out: a link that leads out of the archive",
        ] {
            assert!(
                dataset.notes.iter().any(|note| note.contains(part)),
                "{source} lacks {part}: {:?}",
                dataset.notes
            );
        }
    }
    let dataset = open_path(&path("set.tar")).expect("opens");
    assert!(dataset.notes.contains(&"bee/fifo.png was left out: a pipe".to_string()), "{:?}", dataset.notes);
}

#[test]
fn an_archive_of_absolute_paths_says_what_to_do() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("set.tar");
    let mut archive = Archive::new(&path);
    for (name, bytes) in class_folders("/home/set/", &["ant", "bee"], 3) {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.0.append(&header, bytes.as_slice()).expect("a member");
    }
    archive.0.into_inner().expect("finished");
    let said = complaint(&path);
    assert!(said.contains("6 files or folders were left out (an absolute path; pack it again"), "{said}");
}

#[test]
fn names_that_are_there_twice_are_told_of() {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let files = class_folders("", &["ant", "bee"], 3);
    let mut archive = Archive::new(&path("set.tar"));
    archive.file("bee/000.png", &png(77));
    files.iter().for_each(|(name, bytes)| archive.file(name, bytes));
    archive.0.into_inner().expect("finished");
    let tar = open_path(&path("set.tar")).expect("opens");
    let note = "bee/000.png is there more than once; the last one counts".to_string();
    assert!(tar.notes.contains(&note), "{:?}", tar.notes);

    // The library does not write a name twice, so one is made another's.
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("bee/00A.png".to_string(), png(77))]
        .iter()
        .chain(files.iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect::<Vec<_>>().iter())
    {
        writer.start_file(name.as_str(), ::zip::write::SimpleFileOptions::default()).expect("a member");
        writer.write_all(bytes).expect("its bytes");
    }
    let mut bytes = writer.finish().expect("an archive").into_inner();
    for at in 0..bytes.len() - 11 {
        if &bytes[at..at + 11] == b"bee/00A.png" {
            bytes[at + 6] = b'0';
        }
    }
    std::fs::write(path("set.zip"), bytes).expect("a file");
    let zip = open_path(&path("set.zip")).expect("opens");
    let note = "some names are there more than once; the last of each counts".to_string();
    assert!(zip.notes.contains(&note), "{:?}", zip.notes);
    for dataset in [tar, zip] {
        assert_eq!(first_pixels(dataset.split("all").expect("all")), [0, 1, 2, 100, 101, 102]);
    }
}

/// A zip archive whose names are these bytes: placeholders as long are written and then replaced everywhere.
fn zip_with_names(path: &Path, classes: &[&[u8]], flagged: bool) {
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let place = |i: usize| vec![b'A' + i as u8; classes[i].len()];
    for i in 0..classes.len() {
        for image in 0..3u8 {
            let name = format!("{}/{image}.png", String::from_utf8(place(i)).expect("letters"));
            writer.start_file(name, ::zip::write::SimpleFileOptions::default()).expect("a member");
            writer.write_all(&png(i as u8 * 10 + image)).expect("its bytes");
        }
    }
    let mut bytes = writer.finish().expect("an archive").into_inner();
    for (i, class) in classes.iter().enumerate() {
        let placed = [place(i).as_slice(), b"/"].concat();
        for at in 0..bytes.len() - placed.len() {
            if bytes[at..].starts_with(&placed) {
                bytes[at..at + class.len()].copy_from_slice(class);
            }
        }
    }
    if flagged {
        // Bit 11 of the flags says that names are in UTF-8.
        for at in 0..bytes.len() - 10 {
            let flags = match &bytes[at..at + 4] {
                b"PK\x03\x04" => at + 7,
                b"PK\x01\x02" => at + 9,
                _ => continue,
            };
            bytes[flags] |= 8;
        }
    }
    std::fs::write(path, bytes).expect("a file");
}

#[test]
fn zip_names_are_read_in_their_encoding_and_never_merged() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("set.zip");
    let read = |classes: &[&[u8]], flagged| {
        zip_with_names(&path, classes, flagged);
        let dataset = open_path(&path).expect("opens");
        let mut per_class = vec![0; dataset.classes.len()];
        dataset.split("all").expect("all").labels().into_iter().for_each(|label| per_class[label] += 1);
        assert!(per_class.iter().all(|&count| count == 3), "{:?}", dataset.classes);
        dataset.classes
    };
    // ソース, ソフト, りんご in Shift-JIS: the second byte of ソ is a backslash.
    let japanese: [&[u8]; 3] =
        [b"\x83\x5c\x81\x5b\x83\x58", b"\x83\x5c\x83\x74\x83\x67", b"\x82\xe8\x82\xf1\x82\xb2"];
    assert_eq!(read(&japanese, false), ["りんご", "ソフト", "ソース"]);
    assert_eq!(read(&[b"B\x84r", b"B\x94r"], false), ["Bär", "Bör"]);
    assert_eq!(read(&["Bär".as_bytes(), "Bör".as_bytes()], true), ["Bär", "Bör"]);
    assert_eq!(read(&["Bär".as_bytes(), "Bör".as_bytes()], false), ["Bär", "Bör"]);
    // The separator of old programs.
    let bytes = {
        zip_with_names(&path, &[b"cat", b"dog"], false);
        std::fs::read(&path).expect("read")
    };
    let slash: Vec<u8> = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, four)| matches!(*four, b"cat/" | b"dog/"))
        .map(|(at, _)| at)
        .fold(bytes.clone(), |mut bytes, at| {
            bytes[at + 3] = b'\\';
            bytes
        });
    std::fs::write(&path, slash).expect("a file");
    assert_eq!(open_path(&path).expect("opens").classes, ["cat", "dog"]);
}
