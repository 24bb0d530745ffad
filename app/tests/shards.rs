//! Investigations in shards through the program itself: the same bits as one process, after kills and in any order, and sentences for
//! shards that do not belong together.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{
    CONFIG, SHERDS, archaeo, assert_same, excavate, fail, json, read_json, stderr, stdout, succeed,
};

/// A shard of the tiny investigation in `out`.
fn shard(out: &Path, shard: &str) -> Command {
    let mut command = excavate(out);
    command.args(["--shard", shard]);
    command
}

fn merge(out: &Path) -> Command {
    let mut command = archaeo(["merge"]);
    command.arg(out);
    command
}

/// The files of a report that both folders give when it is not said when, where and how fast they were made.
fn assert_same_report(one: &Path, other: &Path) {
    let path = |folder: &Path| folder.join("investigation.json");
    let (theirs, mut ours) = (read_json(&path(one)), read_json(&path(other)));
    // Equal apart from times, as `assert_same` has found.
    for key in ["provenance", "models"] {
        ours[key] = theirs[key].clone();
    }
    fs::write(path(other), serde_json::to_vec(&ours).unwrap()).unwrap();
    for folder in [one, other] {
        succeed(archaeo(["report"]).arg(folder));
    }
    for file in ["report.html", "report.md", "report.json", "report.typ"] {
        let [one, other] = [one, other].map(|folder| fs::read(folder.join(file)).unwrap());
        assert!(one == other, "{file} differs");
    }
}

/// What was recorded of each unit: every image with its record.
fn records(folder: &Path) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for study in fs::read_dir(folder.join("records")).unwrap() {
        for log in fs::read_dir(study.unwrap().path()).unwrap() {
            let path = log.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let mut records = Vec::new();
            for line in text.lines().skip(1) {
                let piece: Value = serde_json::from_str(line).unwrap();
                let (images, made) =
                    (piece["images"].as_array().unwrap(), piece["records"].as_array().unwrap());
                records.extend(images.iter().zip(made).map(|(image, record)| format!("{image} {record}")));
            }
            records.sort();
            found.push((path.strip_prefix(folder).unwrap().display().to_string(), records));
        }
    }
    found.sort();
    found
}

#[test]
fn shards_are_merged_to_the_bits_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let one = folder.path().join("one");
    succeed(&mut excavate(&one));
    for of in [1, 2, 7] {
        let out = folder.path().join(format!("in-{of}"));
        // In no particular order.
        for index in (0..of).rev() {
            let recorded = json(&mut shard(&out, &format!("{index}/{of}")));
            assert_eq!(recorded["was_complete"], false, "{recorded}");
        }
        let merged = succeed(&mut merge(&out));
        assert!(stdout(&merged).starts_with("Can it be trusted, and when does it fail?\n- The ViT "));
        assert!(!stderr(&merged).contains("made again"), "{}", stderr(&merged));
        assert_same(&one, &out);
        assert_eq!(records(&one), records(&out));
        if of == 7 {
            let verified = json(archaeo(["verify"]).arg(&out));
            assert_eq!(verified["differ"], 0, "{verified}");
        }
        assert_same_report(&one, &out);
    }
}

/// Waits until `there` holds.
fn until(what: &str, mut there: impl FnMut() -> bool) {
    let started = Instant::now();
    while !there() {
        assert!(started.elapsed() < Duration::from_secs(300), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

#[test]
fn killed_and_concurrent_shards_go_on_and_complete_ones_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (one, out) = (folder.path().join("one"), folder.path().join("out"));
    succeed(&mut excavate(&one));

    // Both find no models: the first trains them, and the second waits until it has.
    let first = start(shard(&out, "0/2"));
    until("a training", || out.join("vit/lock").exists());
    let second = start(shard(&out, "1/2"));
    let of_second = out.join("shards/1-of-2");
    until("records of the second shard", || of_second.join("records/attention/vit.jsonl").exists());
    let mut second = second;
    second.kill().unwrap();
    let said = String::from_utf8(second.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.contains("another process prepares or trains the models in"), "{said}");
    let said = first.wait_with_output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let epochs = fs::read_to_string(out.join("vit/metrics.jsonl")).unwrap();
    assert_eq!(epochs.lines().count(), 2, "trained once:\n{epochs}");

    let missing = merge(&out).output().unwrap();
    assert_eq!(missing.status.code(), Some(75), "{missing:?}");
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(
        said.contains("of the 2 shards in ")
            && said.contains(", 1 is missing; make it with `archaeo excavate "),
        "{said}"
    );
    assert!(said.contains("--shard 1/2`"), "{said}");
    assert_eq!(stdout(&succeed(merge(&out).arg("--missing"))), "1\n");

    let kept = fs::read_to_string(of_second.join("records/attention/vit.jsonl")).unwrap();
    succeed(&mut shard(&out, "1/2"));
    let now = fs::read_to_string(of_second.join("records/attention/vit.jsonl")).unwrap();
    assert!(now.starts_with(kept.trim_end_matches(|c| c != '\n')), "what was recorded is kept");

    let manifest = of_second.join("completed.json");
    let before = fs::metadata(&manifest).unwrap().modified().unwrap();
    let again = succeed(shard(&out, "1/2").arg("--json"));
    assert!(stderr(&again).contains("is complete; nothing is left to do"), "{}", stderr(&again));
    assert!(stdout(&again).contains("\"was_complete\": true"));
    assert_eq!(fs::metadata(&manifest).unwrap().modified().unwrap(), before);
    assert_eq!(stdout(&succeed(merge(&out).arg("--missing"))), "\n");

    // A file that is not what it was is refused, and made again.
    let log = of_second.join("records/attention/vit.jsonl");
    fs::write(&log, now.replacen("\"images\":[", "\"images\":[ ", 1)).unwrap();
    let sentence = fail(&mut merge(&out));
    assert!(sentence.contains("records/attention/vit.jsonl of shard 1/2 is not what it was"), "{sentence}");
    let again = succeed(&mut shard(&out, "1/2"));
    assert!(stderr(&again).contains("it is made again"), "{}", stderr(&again));

    succeed(&mut merge(&out));
    assert_same(&one, &out);
    assert_eq!(records(&one), records(&out));
    // Merging again changes nothing.
    succeed(&mut merge(&out));
    assert_same(&one, &out);
}

#[test]
fn shards_that_do_not_belong_together_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let sentence = fail(&mut merge(&out));
    assert!(sentence.contains("holds no shard; record them with `archaeo excavate --out"), "{sentence}");
    let study = |choice: &str, more: &[&str]| {
        let mut command =
            archaeo(["study", "attention", "--config", CONFIG, "--data", SHERDS, "--shard", choice]);
        command.args(more).arg("--out").arg(&out);
        command
    };
    succeed(&mut study("0/3", &[]));
    let sentence = fail(&mut study("0/2", &[]));
    assert!(sentence.contains("holds shards of 3, and 0/2 is one of 2"), "{sentence}");
    let sentence = fail(&mut merge(&out));
    assert!(
        sentence.contains("of the 3 shards in ")
            && sentence.contains(", 1-2 are missing; make them with `archaeo study attention "),
        "{sentence}"
    );
    assert!(sentence.ends_with("` for each of these K") && sentence.contains("--shard K/3"), "{sentence}");
    assert_eq!(stdout(&succeed(merge(&out).arg("--missing"))), "1-2\n");

    succeed(&mut study("1/3", &[]));
    succeed(&mut study("2/3", &["--set", "studies.attention.images=20"]));
    let sentence = fail(&mut merge(&out));
    let expected = "the configuration differs (studies.attention.images is 20 there and 16 here)";
    assert!(sentence.contains("shard 2/3 in ") && sentence.contains(expected), "{sentence}");
    // Made again with what the others have.
    let again = succeed(&mut study("2/3", &[]));
    assert!(stderr(&again).contains("shard 2/3 was made from something else"), "{}", stderr(&again));
    succeed(&mut merge(&out));

    // Another program, and a data set that is another by now.
    let manifest = out.join("shards/1-of-3/completed.json");
    let sealed = fs::read_to_string(&manifest).unwrap();
    let program = read_json(&manifest)["made_from"]["program"]["commit"].as_str().unwrap().to_owned();
    fs::write(&manifest, sealed.replace(&program, "0123456789ab")).unwrap();
    let sentence = fail(&mut merge(&out));
    assert!(
        sentence.contains("shard 1/3 in ") && sentence.contains("(commit 0123456789ab) there"),
        "{sentence}"
    );
    for index in 0..3 {
        let path = out.join(format!("shards/{index}-of-3/completed.json"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(&program, "0123456789ab")).unwrap();
    }
    let sentence = fail(&mut merge(&out));
    assert!(sentence.contains("cannot be merged here: the program is version"), "{sentence}");
    fs::write(&manifest, "{").unwrap();
    assert!(fail(&mut merge(&out)).contains("completed.json is damaged"));
    // A shard with another configuration of what all studies share is refused before it begins.
    let sentence = fail(&mut study("1/3", &["--set", "epochs=1"]));
    assert!(
        sentence.contains("holds a run with another configuration (epochs is 2 there and 1 here)"),
        "{sentence}"
    );
}

#[test]
fn a_study_alone_finds_what_it_finds_among_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, alone) = (folder.path().join("whole"), folder.path().join("alone"));
    succeed(&mut excavate(&whole));
    let study = |name: &str, out: &Path| {
        let mut command = archaeo(["study", name, "--config", CONFIG, "--data", SHERDS, "--out"]);
        command.arg(out);
        command
    };
    let printed = stdout(&succeed(&mut study("heads", &alone)));
    assert!(printed.starts_with("What was found:\n- "), "{printed}");
    let findings =
        |out: &Path, name: &str| read_json(&out.join(format!("findings/{name}.json")))["findings"].clone();
    assert_eq!(findings(&alone, "heads"), findings(&whole, "heads"));
    assert!(!alone.join("findings/attacks.json").exists());
    let report = fs::read_to_string(alone.join("report.md")).unwrap();
    assert!(report.contains("findings/heads.json") && !report.contains("findings/trust.json"), "{report}");
    // What was found before stays in the report, and all of it takes the rest over.
    succeed(&mut study("attention", &alone));
    let report = fs::read_to_string(alone.join("report.md")).unwrap();
    assert!(report.contains("findings/heads.json") && report.contains("findings/attention.json"), "{report}");
    succeed(&mut excavate(&alone));
    assert_same(&whole, &alone);

    let names = stdout(&succeed(&mut archaeo(["study"])));
    assert!(names.lines().count() == 21 && names.contains("\nattacks "), "{names}");
    assert!(
        fail(&mut study("attack", &alone)).contains("there is no study `attack`; `archaeo study` lists them")
    );
    let sentence = fail(&mut study("seeds", &alone));
    assert!(sentence.contains("the study seeds does not apply to these models and data: "), "{sentence}");
}

/// Exit status 75 for what may pass when it is tried again, 1 for what will not, 2 for what was typed wrong.
#[test]
fn exit_statuses_tell_what_may_pass() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let status = |command: &mut Command| command.output().unwrap().status.code();
    assert_eq!(status(&mut shard(&out, "3")), Some(2));
    assert_eq!(status(&mut shard(&out, "7/7")), Some(2));
    assert_eq!(status(&mut shard(&out, "auto")), Some(1), "no engine says which");
    assert_eq!(status(shard(&out, "auto").env("JOB_COMPLETION_INDEX", "0")), Some(1));
    assert_eq!(status(&mut archaeo(["data", "no-such-folder"])), Some(1));
    assert_eq!(status(&mut merge(&out)), Some(1), "no shard at all");
    // A folder that another process uses.
    fs::create_dir(&out).unwrap();
    let held = fs::File::create(out.join("lock")).unwrap();
    held.lock().unwrap();
    assert_eq!(status(&mut excavate(&out)), Some(75));
    drop(held);
    #[cfg(target_os = "linux")]
    {
        // A disk without room.
        let mut full = archaeo(["data", "sherds:size=16,train=10,val=10,test=10"]);
        full.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(status(&mut full), Some(75));
    }
}
