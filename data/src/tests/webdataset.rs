//! Shards of the webdataset layout, from a folder, a pattern, a list of copies, and alone.

use super::*;

/// Files of a shard from their names and contents.
fn members<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> BTreeMap<String, Vec<u8>> {
    files.into_iter().map(|(name, bytes)| (name.to_string(), bytes)).collect()
}

/// Examples `000000`, `000001`, … whose images have these numbers, with these classes.
fn examples(classes: &[(u8, &str)]) -> BTreeMap<String, Vec<u8>> {
    let file = |i: usize, ending: &str| format!("{i:06}.{ending}");
    let of = |(i, (number, class)): (usize, &(u8, &str))| {
        [(file(i, "png"), png(*number)), (file(i, "cls"), class.as_bytes().to_vec())]
    };
    classes.iter().enumerate().flat_map(of).collect()
}

/// Two shards to train on and one to test on.
fn shards(folder: &Path) {
    tar(&folder.join("train-000000.tar"), "", &examples(&[(10, "0"), (11, "2\n")]));
    tar(&folder.join("train-000001.tar"), "", &examples(&[(12, "1"), (13, " 2 ")]));
    tar(&folder.join("toy-val-000000.tar"), "", &examples(&[(14, "1"), (15, "0")]));
}

fn opened(source: &Path) -> Result<Dataset, String> {
    open_path(source).map_err(|error| error.to_string())
}

#[test]
fn shards_are_one_data_set_however_they_are_named() {
    let folder = TempDir::new().expect("a folder");
    shards(folder.path());
    let dataset = opened(folder.path()).expect("opens");
    assert_eq!(dataset.classes, ["0", "1", "2"]);
    assert_eq!(named(&dataset), ["train", "val"]);
    let train = dataset.split("train").expect("train");
    assert_eq!(train.labels(), [0, 2, 1, 2]);
    assert_eq!(first_pixels(train), [10, 11, 12, 13]);
    assert_eq!(train.identifier(2), "train-000001.tar/000000.png");
    assert_eq!(dataset.split("val").expect("val").labels(), [1, 0]);

    let pattern = folder.path().join("{train-{000000..000001},toy-val-000000}.tar");
    assert!(opened(&pattern).expect_err("braces do not nest").contains("brace without its counterpart"));
    let train_alone = opened(&folder.path().join("train-{000000..000001}.tar")).expect("opens");
    assert_eq!(train_alone.split("all").expect("all").labels(), [0, 2, 1, 2]);

    let files: Vec<_> = ["train-000000.tar", "train-000001.tar", "toy-val-000000.tar"]
        .map(|name| folder.path().join(name))
        .to_vec();
    let copies = Some(Copies { source: "s3://bucket/shards/".into(), files, note: "they are copies".into() });
    let copied = open("s3://bucket/shards/?secret", &OpenOptions { copies, ..options() }).expect("opens");
    assert_eq!((copied.name.as_str(), copied.fingerprint()), ("s3://bucket/shards/", dataset.fingerprint()));
    assert_eq!(copied.notes, ["they are copies"]);

    // One shard alone, in class folders' place.
    let one = opened(&folder.path().join("train-000000.tar")).expect("opens");
    assert_eq!((one.classes.len(), one.split("all").expect("all").labels()), (2, vec![0, 1]));
}

#[test]
fn classes_may_be_texts_or_in_json_with_their_names() {
    let folder = TempDir::new().expect("a folder");
    let json = |text: &str| text.as_bytes().to_vec();
    tar(&folder.path().join("texts.tar"), "", &examples(&[(1, "bee"), (2, "ant"), (3, "bee")]));
    let texts = opened(&folder.path().join("texts.tar")).expect("opens");
    assert_eq!(
        (texts.classes.as_slice(), texts.split("all").expect("all").labels()),
        (["ant", "bee"].map(String::from).as_slice(), vec![1, 0, 1])
    );

    let named = members([
        ("a/1.jpg.png", png(9)),
        ("a/1.PNG", png(1)),
        ("a/1.json", json(r#"{"label": 3, "class_name": "wasp", "width": 6}"#)),
        ("a/1.seg.png", png(7)),
        ("b/1.png", png(2)),
        ("b/1.json", json(r#"{"filename": "x", "label": 1, "class_name": "ant"}"#)),
        ("b/2.png", png(3)),
        ("b/2.webp", png(4)),
        ("b/2.json", json(r#"{"label": 3, "class_name": "wasp"}"#)),
        ("b/3.txt", json("a caption without an image")),
    ]);
    tar(&folder.path().join("named.tar"), "./root/", &named);
    let found = opened(&folder.path().join("named.tar")).expect("opens");
    assert_eq!(found.classes, ["ant", "wasp"]);
    let all = found.split("all").expect("all");
    assert_eq!((all.labels(), first_pixels(all)), (vec![1, 0, 1], vec![1, 2, 3]));
    assert_eq!(all.identifier(0), "named.tar/a/1.PNG");
    let several = found.notes.iter().find(|note| note.contains("several images")).expect("a note");
    assert!(several.contains("1 examples") && several.contains("named.tar/b/2.png"), "{several}");
    // A `.cls` comes before a `.json`.
    let both = members([("1.png", png(1)), ("1.cls", json("7")), ("1.json", json("broken"))]);
    let both = with(both, members([("2.png", png(1)), ("2.cls", json("4"))]));
    tar(&folder.path().join("both.tar"), "", &both);
    assert_eq!(opened(&folder.path().join("both.tar")).expect("opens").classes, ["4", "7"]);
}

#[test]
fn shards_of_one_name_are_told_apart_by_their_folders() {
    let folder = TempDir::new().expect("a folder");
    for (split, number) in [("train", 20), ("test", 30)] {
        std::fs::create_dir(folder.path().join(split)).expect("a folder");
        let shard = folder.path().join(split).join("00000.tar");
        tar(&shard, "", &examples(&[(number, "0"), (number + 1, "1")]));
    }
    let dataset = opened(folder.path()).expect("opens");
    assert_eq!(named(&dataset), ["test", "train"]);
    assert_eq!(dataset.split("test").expect("test").identifier(0), "test/00000.tar/000000.png");
    assert_eq!(first_pixels(dataset.split("train").expect("train")), [20, 21]);
}

#[test]
fn descriptions_without_a_class_leave_class_folders_what_they_are() {
    let folder = TempDir::new().expect("a folder");
    let described: BTreeMap<String, Vec<u8>> = class_folders("", &["ant", "bee"], 3)
        .into_iter()
        .flat_map(|(name, bytes)| [(name.replace("png", "json"), b"{\"width\": 6}".to_vec()), (name, bytes)])
        .collect();
    tar(&folder.path().join("set.tar"), "", &described);
    let dataset = opened(&folder.path().join("set.tar")).expect("opens");
    assert_eq!(dataset.classes, ["ant", "bee"]);
    // A folder that holds nothing but this archive is that data set.
    assert_eq!(opened(folder.path()).expect("opens").fingerprint(), dataset.fingerprint());
}

#[test]
fn images_without_classes_are_looked_at_where_none_are_needed() {
    let folder = TempDir::new().expect("a folder");
    for shard in 0..2u8 {
        let path = folder.path().join(format!("{shard}.tar"));
        tar(&path, "", &members([("1.png", png(shard)), ("1.txt", b"a caption".to_vec())]));
    }
    let sentence = opened(folder.path()).expect_err("no labels");
    assert!(sentence.contains("0.tar/1.png has neither a .cls nor a .json"), "{sentence}");
    let optional = OpenOptions { labels: Labels::Optional, ..options() };
    let dataset = open(folder.path().to_str().expect("plain"), &optional).expect("opens");
    assert!(!dataset.has_labels());
    assert_eq!(first_pixels(dataset.split("all").expect("all")), [0, 1]);
}

/// A shard's name and files, and what the sentence about it says.
type Case<'a> = (&'a str, BTreeMap<String, Vec<u8>>, &'a [&'a str]);

#[test]
fn what_is_wrong_with_shards_is_one_sentence() {
    let folder = TempDir::new().expect("a folder");
    let text = |text: &str| text.as_bytes().to_vec();
    let cases: [Case; 9] = [
        (
            "negative",
            examples(&[(1, "0"), (2, "-4")]),
            &["negative.tar: its member 000001.cls has the class -4", "count from 0"],
        ),
        ("huge", examples(&[(1, "0"), (2, "4000000")]), &["has the class 4000000"]),
        ("empty", examples(&[(1, "0"), (2, " \n")]), &["000001.cls is empty where it should hold a class"]),
        (
            "bytes",
            with(examples(&[(1, "0")]), members([("x.png", png(1)), ("x.cls", vec![255, 254])])),
            &["x.cls is not text"],
        ),
        (
            "broken",
            members([("x.png", png(1)), ("x.json", text("{")), ("y.png", png(1)), ("y.cls", text("0"))]),
            &["x.json is not JSON"],
        ),
        (
            "missing",
            with(examples(&[(1, "0"), (2, "1")]), members([("x.png", png(1))])),
            &["1 of its images have no class, the first is missing.tar/x.png"],
        ),
        ("mixed", examples(&[(1, "0"), (2, "bee")]), &["numbers for labels and others texts"]),
        (
            "names",
            members([
                ("1.png", png(1)),
                ("1.json", text(r#"{"label": 1, "class_name": "ant"}"#)),
                ("2.png", png(1)),
                ("2.json", text(r#"{"label": 1, "class_name": "bee"}"#)),
            ]),
            &["calls the class 1 `bee`, and another example calls it `ant`"],
        ),
        (
            "long",
            with(examples(&[(1, "0")]), members([("x.png", png(1)), ("x.cls", vec![b'1'; (1 << 20) + 1])])),
            &["x.cls has 1048577 bytes"],
        ),
    ];
    for (name, files, parts) in cases {
        let path = folder.path().join(format!("{name}.tar"));
        tar(&path, "", &files);
        let sentence = opened(&path).expect_err(name);
        for part in parts {
            assert!(sentence.contains(part), "{name}: {sentence}\nlacks: {part}");
        }
        std::fs::remove_file(path).expect("removed");
    }

    shards(folder.path());
    let missing = opened(&folder.path().join("train-{000000..000002}.tar")).expect_err("a missing shard");
    assert!(missing.contains("train-000002.tar"), "{missing}");
    // Between two members, and within one.
    let whole = std::fs::read(folder.path().join("train-000001.tar")).expect("a shard");
    for (length, reason) in [(700, "not a multiple of 512"), (512, "ends within 000000.cls")] {
        std::fs::write(folder.path().join("train-000001.tar"), &whole[..length]).expect("a shard");
        let sentence = opened(folder.path()).expect_err("a damaged shard");
        assert!(sentence.contains("train-000001.tar") && sentence.contains(reason), "{sentence}");
    }
    std::fs::write(folder.path().join("train-000001.tar"), b"PK\x03\x04 no tar").expect("a file");
    let sentence = opened(folder.path()).expect_err("another kind");
    assert!(sentence.contains("of its 3 files, 2 are tar archives and 0 parquet files"), "{sentence}");
}
