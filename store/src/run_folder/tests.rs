//! Tests of run folders.

use super::*;

fn identity(fingerprint: &str) -> DataIdentity {
    DataIdentity {
        source: "sherds".into(),
        fingerprint: fingerprint.into(),
        classes: vec!["disc".into(), "ring".into()],
        counts: BTreeMap::from([("train".into(), 10)]),
    }
}

fn here() -> Environment {
    Environment::here("0.1.0", "abc", "archaeo train", "cpu", 2)
}

fn open(path: &Path) -> Result<RunFolder, String> {
    RunFolder::open(path, "epochs = 3", &identity("aa"), &here()).map_err(|error| error.to_string())
}

#[test]
fn a_folder_is_resumed_only_by_its_own_configuration_and_data() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    let config = "epochs = 3\n[optimizer]\nname = \"adamw\"\n";
    drop(RunFolder::open(&path, config, &identity("aa"), &here()).unwrap());
    let same = "epochs=3\noptimizer.name='adamw'";
    let folder = RunFolder::open(&path, same, &identity("aa"), &here()).unwrap();
    assert_eq!(folder.environments().unwrap().len(), 2);

    let error = RunFolder::open(&path, same, &identity("aa"), &here()).unwrap_err().to_string();
    assert!(error.contains("another run is using"), "{error}");
    drop(folder);
    let error = RunFolder::open(&path, "epochs = 4", &identity("aa"), &here()).unwrap_err().to_string();
    assert!(error.contains("epochs is 3 there and 4 here"), "{error}");
    assert!(error.contains("optimizer.name is \"adamw\" there and not set here"), "{error}");
    let error = RunFolder::open(&path, config, &identity("bb"), &here()).unwrap_err().to_string();
    assert!(error.contains("other data (fingerprint aa there and bb here)"), "{error}");
}

#[test]
fn keys_that_are_free_may_change_and_are_kept_as_they_are_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let free = ["studies.attacks.".to_owned()];
    let open = |config: &str| RunFolder::open_changing(&path, config, &free, &identity("aa"), &here());
    drop(open("epochs = 3\n[studies.attacks]\nimages = 4\n").unwrap());
    let changed = "epochs = 3\n[studies.attacks]\nimages = 5\n";
    drop(open(changed).unwrap());
    assert_eq!(fs::read_to_string(path.join("config.toml")).unwrap(), changed);
    let error = open("epochs = 4\n[studies.attacks]\nimages = 6\n").unwrap_err().to_string();
    assert!(error.contains("epochs is 3 there and 4 here") && !error.contains("images"), "{error}");
    assert_eq!(fs::read_to_string(path.join("config.toml")).unwrap(), changed);
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    // A site has a config.toml too, other programs have locks, and a data.json may be anybody's.
    let foreign: [&[(&str, &str)]; 5] = [
        &[("thesis.tex", "years of work")],
        &[("config.toml", "title = 'my site'")],
        &[("lock", ""), ("thesis.tex", "years of work")],
        &[("lock", ""), ("data.json", "[1, 2, 3]")],
        &[("lock", ""), ("checkpoints/mine.safetensors", "weights")],
    ];
    for files in foreign {
        let root = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        let error = open(root.path()).unwrap_err();
        assert!(error.contains("is not empty and no run folder"), "{error}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), files.len());
        for (name, contents) in files {
            assert_eq!(fs::read_to_string(root.path().join(name)).unwrap(), *contents);
        }
    }
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    for name in ["file", "file/run"] {
        let error = open(&root.path().join(name)).unwrap_err();
        assert!(error.ends_with("file is a file; give --out a new or an empty folder"), "{error}");
    }
}

#[test]
fn a_folder_that_holds_only_beginnings_goes_on() {
    let data = serde_json::to_string(&identity("zz")).unwrap();
    // All that a run can have left before its configuration was there, of this version and of earlier ones.
    let beginnings: [&[(&str, &str)]; 5] = [
        &[("lock", "")],
        &[("lock", ""), (".archaeo-0123456789abcdef.tmp", "{")],
        &[("lock", ""), ("data.json", &data)],
        &[("lock", ""), ("data.json", &data), (".archaeo-0123456789abcdef.tmp", "epochs")],
        &[("lock", ""), ("data.json.tmp", "{"), ("checkpoints/last.safetensors.tmp", "")],
    ];
    for files in beginnings {
        let root = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        let folder = open(root.path()).unwrap();
        // The data is this run's, not that of the one that never got as far as its configuration.
        assert_eq!(folder.read_json::<DataIdentity>(DATA).unwrap().unwrap(), identity("aa"));
        let mut names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort_unstable();
        assert_eq!(names, [CHECKPOINTS, CONFIG, DATA, ENVIRONMENT, LOCK].map(OsStr::new));
    }
}

#[test]
fn the_lock_is_asked_before_anything_else() {
    let root = tempfile::tempdir().unwrap();
    let _held = Lock::try_take(&root.path().join(LOCK)).unwrap().unwrap();
    fs::create_dir(root.path().join(CHECKPOINTS)).unwrap();
    fs::write(root.path().join(DATA), "half").unwrap();
    let error = open(root.path()).unwrap_err();
    assert!(error.contains("another run is using"), "{error}");
    assert!(!root.path().join(CONFIG).exists());
}

#[test]
fn what_killed_runs_left_is_swept_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    let file = |name: &str| root.path().join(name);
    for folder in ["pictures", "findings", "records/attention", "vit/records"] {
        fs::create_dir_all(file(folder)).unwrap();
    }
    let abandoned = [
        ".archaeo-0123.tmp",
        "pictures/data.png.4711.tmp",
        "pictures/.archaeo-9.tmp",
        "findings/data.json.tmp",
        "records/attention/.archaeo-9.tmp",
        "checkpoints/last.safetensors.tmp",
    ];
    // The inner run folder is another's to sweep, and what is called otherwise is not ours.
    let kept = [
        "vit/lock",
        "vit/.archaeo-1.tmp",
        "vit/records/.archaeo-2.tmp",
        "notes.tmp",
        "pictures/mine.png",
        "mine.tmp.json",
    ];
    for name in abandoned.iter().chain(&kept) {
        fs::write(file(name), "half").unwrap();
    }
    drop(open(root.path()).unwrap());
    assert_eq!(abandoned.map(|name| file(name).exists()), [false; 6]);
    assert_eq!(kept.map(|name| file(name).exists()), [true; 6]);
}
