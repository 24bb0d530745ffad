//! Lists as found in practice.

use super::*;

fn cat_or_dog(i: usize) -> &'static str {
    ["cat", "dog"][i % 2]
}

/// Twelve images `im0.png`, … in `images/`, and these files.
fn listed(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let mut all: BTreeMap<String, Vec<u8>> = (0..12).map(|i| (format!("images/im{i}.png"), png(i))).collect();
    all.extend(files.iter().map(|(name, bytes)| (name.to_string(), bytes.to_vec())));
    write(folder.path(), &all);
    folder
}

fn rows(header: &str, row: impl Fn(usize) -> String) -> Vec<u8> {
    let rows: String = (0..12).map(|i| row(i) + "\n").collect();
    format!("{header}\n{rows}").into_bytes()
}

/// Each of the twelve images, by its number, with the name of its class.
fn labels(dataset: &Dataset, split: &str) -> BTreeMap<u8, String> {
    let split = dataset.split(split).expect("the split");
    first_pixels(split)
        .into_iter()
        .zip(split.labels())
        .map(|(i, label)| (i, dataset.classes[label].clone()))
        .collect()
}

fn has_note(dataset: &Dataset, parts: &[&str]) {
    let found = dataset.notes.iter().any(|note| parts.iter().all(|part| note.contains(part)));
    assert!(found, "no note has {parts:?}: {:#?}", dataset.notes);
}

#[test]
fn separators_columns_and_paths_are_as_they_come() {
    let expected: BTreeMap<u8, String> = (0..12u8).map(|i| (i, cat_or_dog(i.into()).to_string())).collect();
    for (name, text) in [
        ("labels.csv", rows("filename;label", |i| format!("im{i}.png;{}", cat_or_dog(i)))),
        ("labels.tsv", rows("Image\tSpecies", |i| format!("im{i}.png\t{}", cat_or_dog(i)))),
        ("labels.csv", rows("image_id,breed", |i| format!("im{i},{}", cat_or_dog(i)))),
        ("labels.csv", rows("path,class", |i| format!("images\\im{i}.png,{}", cat_or_dog(i)))),
        ("labels.csv", rows("path,class", |i| format!("./images/im{i}.png,{}", cat_or_dog(i)))),
        ("labels.csv", rows("path,class", |i| format!("/home/me/data/images/im{i}.PNG,{}", cat_or_dog(i)))),
        (
            "labels.csv",
            rows("\"label\",\"img_path\",\"note\"", |i| {
                format!("\"{}\",\"im{i}.png\",\"a, \"\"b\"\"\"", cat_or_dog(i))
            }),
        ),
        ("labels.csv", rows("\u{feff}file,label", |i| format!("im{i}.png,{}", cat_or_dog(i)))),
        ("metadata.csv", rows("lesion,image_id,dx,age", |i| format!("L{i},im{i},{},{i}", cat_or_dog(i)))),
        ("annotations.csv", rows("file_name,target", |i| format!("im{i}.png,{}", cat_or_dog(i)))),
        ("images/metadata.csv", rows("file_name,label", |i| format!("im{i}.png,{}", cat_or_dog(i)))),
        ("truth.csv", rows("image,dog,cat", |i| format!("im{i},{},{}", (i % 2) as f64, 1 - i % 2))),
        // Without a header; the first line is one of the images.
        ("labels.csv", rows("im0.png,cat", |i| format!("im{i}.png,{}", cat_or_dog(i)))),
        ("list.txt", rows("images/im0.png cat", |i| format!("images/im{i}.png {}", cat_or_dog(i)))),
    ] {
        let folder = listed(&[(name, &text)]);
        let dataset = open_path(folder.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(labels(&dataset, "all"), expected, "{}", String::from_utf8_lossy(&text));
        has_note(&dataset, &[name, "names the images"]);
    }
    let lines: String = (0..12)
        .map(|i| {
            format!("{{\"file_name\": \"im{i}.png\", \"label\": \"{}\", \"box\": [1, 2]}}\n", cat_or_dog(i))
        })
        .collect();
    let folder = listed(&[("images/metadata.jsonl", lines.as_bytes())]);
    assert_eq!(labels(&open_path(folder.path()).expect("opens"), "all"), expected);
}

#[test]
fn columns_that_are_taken_are_said_and_unclear_ones_refused() {
    let folder =
        listed(&[("labels.csv", &rows("id,photo,dx", |i| format!("{i},im{i}.png,{}", cat_or_dog(i))))]);
    has_note(
        &open_path(folder.path()).expect("opens"),
        &["labels.csv: column `photo` names the images, `dx` the classes"],
    );
    let folder = listed(&[(
        "labels.csv",
        &rows("file,breed,type", |i| format!("im{i}.png,{},{}", cat_or_dog(i), i % 3)),
    )]);
    assert!(complaint(folder.path()).contains(
        "it has the columns `file`, `breed`, `type`, and which of them holds the classes is not clear"
    ));
    let folder = listed(&[
        ("a.csv", &rows("file,label", |i| format!("im{i}.png,{}", cat_or_dog(i)))),
        ("b.csv", &rows("file,label", |i| format!("im{i}.png,{i}"))),
    ]);
    assert!(complaint(folder.path()).contains("several lists name its images (a.csv, b.csv)"));
    let folder = listed(&[("labels.csv", &rows("file,label", |i| format!("x{i}.png,{}", cat_or_dog(i))))]);
    assert!(complaint(folder.path()).contains("labels.csv of "));
    assert!(complaint(folder.path()).contains("none of the images that it lists is there, such as x0.png"));
}

#[test]
fn lists_of_splits_and_columns_of_splits() {
    let part = |from: usize, to: usize| {
        let rows: String = (from..to).map(|i| format!("im{i}.png,{}\n", cat_or_dog(i))).collect();
        format!("image,label\n{rows}").into_bytes()
    };
    let folder = listed(&[
        ("train.csv", &part(0, 6)),
        ("valid_labels.csv", &part(6, 8)),
        ("Testing_set.csv", &part(8, 12)),
    ]);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(lengths(&dataset), [("test", 4), ("train", 6), ("val", 2)]);
    // As in competitions.
    let unlabelled: String = (6..12).map(|i| format!("im{i}.png\n")).collect();
    let unlabelled = format!("image\n{unlabelled}").into_bytes();
    let folder = listed(&[
        ("train.csv", &part(0, 6)),
        ("test.csv", &unlabelled),
        ("sample_submission.csv", &part(6, 12)),
    ]);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.split("all").expect("all").len(), 6);
    has_note(&dataset, &["test.csv has no labels and was passed over"]);
    let folder = listed(&[(
        "labels.csv",
        &rows("file,label,Partition", |i| {
            format!("im{i}.png,{},{}", cat_or_dog(i), ["Training", "validation", "TEST"][i % 3])
        }),
    )]);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(lengths(&dataset), [("test", 4), ("train", 4), ("val", 4)]);

    // Splits that only the images' folders show.
    let folder = TempDir::new().expect("a folder");
    let mut files: BTreeMap<String, Vec<u8>> =
        (0..12).map(|i| (format!("{}/im{i}.png", ["train", "test"][usize::from(i / 8)]), png(i))).collect();
    files.insert("labels.csv".into(), rows("file,label", |i| format!("im{i}.png,{}", cat_or_dog(i))));
    write(folder.path(), &files);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(lengths(&dataset), [("test", 4), ("train", 8)]);
    files.remove("labels.csv");
    for (split, numbers) in [("train", 0..8), ("test", 8..12)] {
        let lines: String =
            numbers.map(|i| format!("{{\"file_name\": \"im{i}.png\", \"label\": {}}}\n", i % 2)).collect();
        files.insert(format!("{split}/metadata.jsonl"), lines.into_bytes());
    }
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &files);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(
        (lengths(&dataset), dataset.classes.as_slice()),
        (vec![("test", 4), ("train", 8)], ["0", "1"].map(String::from).as_slice())
    );
}

#[test]
fn lists_beat_numbered_heaps_and_folders_beat_lists() {
    let folder = TempDir::new().expect("a folder");
    let mut files: BTreeMap<String, Vec<u8>> =
        (0..12).map(|i| (format!("images_part_{}/im{i}.png", 1 + i / 6), png(i))).collect();
    write(folder.path(), &files);
    assert!(complaint(folder.path()).contains("its images lie in numbered parts (`images_part_1`, …)"));
    files.insert("data.csv".into(), rows("image_id,dx", |i| format!("im{i},{}", cat_or_dog(i))));
    write(folder.path(), &files);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["cat", "dog"]);

    let folder = TempDir::new().expect("a folder");
    let mut files = class_folders("", &["ant", "bee"], 3);
    files.insert("labels.csv".into(), b"ClassId,Name\n0,Small ant\n1,Large bee\n".to_vec());
    files.insert("patients.csv".into(), b"file,age\nant/000.png,3\nbee/000.png,5\n".to_vec());
    write(folder.path(), &files);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["ant", "bee"]);
    has_note(&dataset, &["labels.csv of", "the classes are those of the folders"]);
    has_note(&dataset, &["the list patients.csv was not used"]);
}

#[test]
fn numbers_that_occur_are_the_classes() {
    let folder = listed(&[("labels.csv", &rows("file,label", |i| format!("im{i}.png,{}", 1 + i % 3)))]);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["1", "2", "3"]);
    has_note(&dataset, &["3 different numbers from 1 to 3"]);
    let folder =
        listed(&[("labels.csv", &rows("file,label", |i| format!("im{i}.png,{}.0", [0, 10, 7][i % 3])))]);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["0", "7", "10"]);
    assert_eq!(labels(&dataset, "all")[&1], "10");
    let folder = listed(&[("labels.csv", &rows("file,label", |i| format!("im{i}.png,{}", i % 3)))]);
    let dataset = open_path(folder.path()).expect("opens");
    assert!(!dataset.notes.iter().any(|note| note.contains("different numbers")), "{:?}", dataset.notes);
    // Names for them: counted from 0, from 1, and with their numbers.
    for (first, names) in [(0, "eel\nfox\ngnu\n"), (1, "eel\nfox\ngnu\n"), (1, "1 eel\n3 gnu\n2 fox\n")] {
        let folder = listed(&[
            ("labels.csv", &rows("file,label", |i| format!("im{i}.png,{}", first + i % 3))),
            ("classes.txt", names.as_bytes()),
        ]);
        let dataset = open_path(folder.path()).expect("opens");
        assert_eq!(dataset.classes, ["eel", "fox", "gnu"]);
        assert_eq!(labels(&dataset, "all")[&1], "fox", "{first} {names}");
    }
}

#[test]
fn lists_in_other_encodings_keep_their_classes_apart() {
    let bears = |i: usize| ["Bär", "Bör", "Ente"][i % 3];
    let text = rows("filename,label", |i| format!("im{i}.png,{}", bears(i)));
    let text = String::from_utf8(text).expect("text");
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let wide: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for (bytes, encoding) in [(latin, "windows-1252"), (wide, "UTF-16LE")] {
        let folder = listed(&[("labels.csv", &bytes)]);
        let dataset = open_path(folder.path()).expect("opens");
        assert_eq!(dataset.classes, ["Bär", "Bör", "Ente"]);
        has_note(&dataset, &["labels.csv is not in UTF-8", encoding]);
    }
}

#[test]
fn absent_images_are_counted_and_strict_about_nothing_else() {
    let text = rows("file,label", |i| {
        if i < 9 { format!("im{i}.png,{}", cat_or_dog(i)) } else { format!("gone{i}.png,dog") }
    });
    let folder = listed(&[("labels.csv", &text)]);
    let mut dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.split("all").expect("all").len(), 9);
    assert!(dataset.verify(&[]).expect("verifies").is_empty());
    has_note(
        &dataset,
        &[
            "3 of the 12 images in labels.csv are not there and were left out: gone9.png, gone10.png, gone11.png",
        ],
    );
    has_note(&dataset, &["3 images are not in labels.csv"]);
    // A list whose images are nearly all missing: its rows are visited once, and counted.
    let many: String = (0..100_000).map(|i| format!("x{i}.png,{}\n", cat_or_dog(i))).collect();
    let text = format!("file,label\n{many}im0.png,cat\nim1.png,dog\n");
    let folder = listed(&[("labels.csv", text.as_bytes())]);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(dataset.split("all").expect("all").len(), 2);
    has_note(&dataset, &["100000 of the 100002 images in labels.csv are not there", "and 99997 more"]);
    assert!(dataset.notes.iter().all(|note| note.len() < 300), "{:?}", dataset.notes);
}

#[test]
fn names_that_fit_several_images_and_lines_that_repeat_are_counted() {
    let folder = TempDir::new().expect("a folder");
    let mut files = BTreeMap::from([
        ("x/1.png".to_string(), png(1)),
        ("y/1.png".into(), png(2)),
        ("y/2.png".into(), png(3)),
    ]);
    files.insert("labels.csv".into(), b"file,label\n1.png,a\ny/1.png,b\n2.png,a\n2.png,a\n".to_vec());
    write(folder.path(), &files);
    let dataset = open_path(folder.path()).expect("opens");
    assert_eq!(labels(&dataset, "all"), BTreeMap::from([(2, "b".into()), (3, "a".into())]));
    has_note(&dataset, &["1 of the 4 names in labels.csv left out, because more than one image fits: 1.png"]);
    has_note(&dataset, &["1 of the 4 lines in labels.csv left out, because they repeat another"]);
    // Two paths of a list are two images, of which one is missing.
    let folder = listed(&[("labels.csv", b"file,label\ncat/im0.png,cat\ndog/im0.png,dog\n")]);
    assert!(complaint(folder.path()).contains("`cat/im0.png` and `dog/im0.png` (line 3) both fit one image"));
}
