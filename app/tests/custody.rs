//! The chain of custody through the program itself: a sound folder, and every way of tampering with one.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;
use support::{CONFIG, archaeo, excavate, fail, stderr, stdout, succeed};
use tempfile::TempDir;

/// A finished investigation, which no test changes.
static SOUND: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut excavate(&folder.path().join("out")));
    folder
});

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to)
        } else {
            let _ = fs::copy(&path, &to).unwrap();
        }
    }
}

/// A copy of the finished investigation, to be changed.
fn copied() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    copy(&SOUND.path().join("out"), &out);
    (folder, out)
}

fn verify(path: &Path, more: &[&str]) -> Command {
    let mut command = archaeo(["verify", "--json"]);
    command.arg(path).args(more);
    command
}

/// The checks of one outcome, as `part name: detail`, and whether the program ended well.
fn checks(path: &Path, more: &[&str], outcome: &str) -> (Vec<String>, bool) {
    let output = verify(path, more).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(&output), stderr(&output)));
    let checks = said["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == outcome);
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let checks: Vec<String> = checks
        .map(|check| format!("{} {}: {}", text(check, "part"), text(check, "name"), text(check, "detail")))
        .collect();
    let counted = if outcome == "unchecked" { "unchecked" } else { outcome.trim_end_matches('s') };
    assert_eq!(said[counted], checks.len(), "{said}");
    (checks, output.status.success())
}

/// What differs, in a folder in which something does.
fn differing(path: &Path, more: &[&str]) -> Vec<String> {
    let (checks, success) = checks(path, more, "differs");
    assert!(!success && !checks.is_empty(), "nothing differs");
    checks
}

/// Whether exactly the checks differ that begin so.
fn assert_differing(path: &Path, more: &[&str], expected: &[&str]) -> Vec<String> {
    let found = differing(path, more);
    let begins = |check: &&String| expected.iter().any(|begin| check.starts_with(begin));
    assert!(found.iter().all(|check| begins(&check)), "{found:#?}");
    for begin in expected {
        assert!(found.iter().any(|check| check.starts_with(begin)), "{begin} is missing in {found:#?}");
    }
    found
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed, "nothing was changed in {}", path.display());
    fs::write(path, changed).unwrap();
}

fn edit_json(path: &Path, change: impl FnOnce(&mut Value)) {
    edit(path, |text| {
        let mut value = serde_json::from_str(&text).unwrap();
        change(&mut value);
        serde_json::to_string_pretty(&value).unwrap() + "\n"
    });
}

/// Another digit in the first percentage after a place.
fn another_digit(text: String, after: &str) -> String {
    let from = text.find(after).unwrap();
    let end = from + text[from..].find('%').unwrap();
    let digit = text[..end].rfind(|letter: char| letter.is_ascii_digit()).unwrap();
    let other = if &text[digit..=digit] == "3" { "4" } else { "3" };
    format!("{}{other}{}", &text[..digit], &text[digit + 1..])
}

#[test]
fn a_sound_folder_agrees_in_everything() {
    let out = SOUND.path().join("out");
    let report = out.join("report.html");
    let (differ, success) = checks(&report, &["--deep"], "differs");
    assert!(success && differ.is_empty(), "{differ:#?}");
    let (unchecked, _) = checks(&out, &["--seed", "3"], "unchecked");
    assert!(
        unchecked.len() == 1 && unchecked[0].starts_with("numbers findings/features.json"),
        "{unchecked:?}"
    );
    let numbers = |seed: &str, sample: &str| -> Vec<String> {
        let (agree, _) = checks(&out, &["--seed", seed, "--sample", sample], "agrees");
        agree.into_iter().filter(|check| check.starts_with("numbers ") && check.contains(".json#/")).collect()
    };
    let five = numbers("3", "5");
    assert_eq!(five.len(), 5);
    assert!(five.iter().all(|check| check.ends_with("again, to the last digit")), "{five:#?}");
    assert_eq!((numbers("3", "5"), numbers("4", "5") == five), (five, false), "the seed chooses");

    let (agree, _) = checks(&out, &["--deep", "--sample", "3"], "agrees");
    let begins = |begin: &str| agree.iter().any(|check| check.starts_with(begin));
    for begin in [
        "configuration config.toml",
        "data sherds:size=16",
        "weights vit/model.safetensors",
        "weights cnn/model.safetensors",
        "images predictions/test-vit.safetensors: the model answers 3 images as before",
        "images records/attacks/",
        "images records/localisation/",
        "report ",
        "pictures ",
    ] {
        assert!(begins(begin), "{begin}: {agree:#?}");
    }
    let said = stdout(&succeed(archaeo(["verify", "--sample", "2"]).arg(&out)));
    assert!(said.contains("agrees       config.toml: its SHA-256 is that of the manifest"), "{said}");
    assert!(said.ends_with(" agree, 0 differ, 1 could not be checked\n"), "{said}");
}

#[test]
fn a_changed_digit_in_the_report_is_found_and_shown() {
    let (_folder, out) = copied();
    edit(&out.join("report.html"), |text| another_digit(text, "id=\"accuracy\""));
    let found = assert_differing(&out, &["--sample", "0"], &["report report.html"]);
    assert_eq!(found.len(), 2, "its hash and its text: {found:#?}");
    assert!(
        found.iter().any(|check| check.contains(" says «") && check.contains("where the findings give «"))
    );

    // One who can write the manifest, too, is found by the text alone.
    let hash = archaeo_store::sha256_file(&out.join("report.html")).unwrap();
    edit_json(&out.join("manifest.json"), |manifest| manifest["files"]["report.html"] = hash.into());
    let found = assert_differing(&out, &["--sample", "0"], &["report report.html: line "]);
    assert_eq!(found.len(), 1);
}

#[test]
fn weights_that_were_swapped_are_found() {
    let (_folder, out) = copied();
    fs::copy(out.join("vit/checkpoints/last.safetensors"), out.join("vit/model.safetensors")).unwrap();
    assert_differing(&out, &["--sample", "0"], &["weights vit/model.safetensors: their SHA-256 is "]);
    fs::remove_file(out.join("vit/model.safetensors")).unwrap();
    assert_differing(&out, &["--sample", "0"], &["weights vit/model.safetensors: is missing"]);
}

#[test]
fn a_finding_that_was_edited_is_found_even_where_everything_was_sealed_again() {
    let (_folder, out) = copied();
    let place = "/splits/0/models/vit/top1/value";
    let better = |value: &mut Value| *value = (value.as_f64().unwrap() + 0.125).into();
    edit_json(&out.join("findings/accuracy.json"), |of| {
        better(of["findings"].pointer_mut(place).expect("there is an accuracy"));
    });
    let found = assert_differing(&out, &["--sample", "0"], &["findings findings/accuracy.json"]);
    assert!(
        found.iter().any(|check| check.contains("accuracy/splits/0/models/vit/top1/value is ")),
        "{found:#?}"
    );

    edit_json(&out.join("investigation.json"), |of| {
        better(of["accuracy"].pointer_mut(place).expect("there is an accuracy"));
    });
    // `report` seals what it writes, and nothing else.
    succeed(archaeo(["report"]).arg(&out));
    assert_differing(
        &out,
        &["--sample", "0"],
        &["findings findings/accuracy.json", "findings investigation.json"],
    );
    fs::remove_file(out.join("manifest.json")).unwrap();
    succeed(archaeo(["report"]).arg(&out));
    let (found, success) = checks(&out, &["--sample", "0"], "differs");
    assert!(success && found.is_empty(), "every hash agrees: {found:#?}");
    let found = assert_differing(&out, &["--sample", "40"], &["numbers findings/accuracy.json"]);
    assert!(found[0].contains("/splits/0/models/vit/top1/value"), "{found:#?}");
}

#[test]
fn a_record_that_was_edited_is_found() {
    let (_folder, out) = copied();
    edit(&out.join("records/attacks/cnn.pgd-4.jsonl"), |text| {
        let (from, to) = (r#""answer":"#, r#""answer":1"#);
        text.replacen(from, to, 8)
    });
    let found = differing(&out, &["--sample", "40"]);
    assert!(
        found.iter().any(|check| check.starts_with("records records/attacks/cnn.pgd-4.jsonl")),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|check| check.starts_with("numbers findings/attacks.json"))
            || checks(&out, &["--sample", "40"], "unchecked").0.iter().any(|check| check.contains("attacks")),
        "{found:#?}"
    );
}

#[test]
fn a_file_that_is_missing_or_new_is_named() {
    let (_folder, out) = copied();
    fs::remove_file(out.join("records/attacks/vit.fgsm-1.jsonl")).unwrap();
    fs::remove_file(out.join("findings/heads.json")).unwrap();
    fs::write(out.join("findings/more.json"), "{}").unwrap();
    fs::write(out.join("findings/.DS_Store"), "").unwrap();
    let found = assert_differing(
        &out,
        &["--sample", "0"],
        &[
            "findings findings/heads.json: is missing",
            "findings findings/heads.json: it cannot be read",
            "findings findings/more.json: is not in the manifest",
            "records records/attacks/vit.fgsm-1.jsonl: is missing",
        ],
    );
    assert_eq!(found.len(), 4);
}

#[test]
fn a_manifest_is_signed_and_its_signature_checked() {
    let (folder, out) = copied();
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let other = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("own.key"), pair.sk.to_box(None).unwrap().into_string()).unwrap();
    fs::write(path("own.pub"), pair.pk.to_box().unwrap().into_string()).unwrap();
    assert_differing(
        &out,
        &["--sample", "0", "--public-key", &path("own.pub")],
        &["signature manifest.json.minisig: is missing"],
    );
    succeed(&mut verify(&out, &["--sample", "0", "--sign", &path("own.key")]));
    for key in [path("own.pub"), pair.pk.to_base64()] {
        let (agree, success) = checks(&out, &["--sample", "0", "--public-key", &key], "agrees");
        assert!(success && agree.iter().any(|check| check.starts_with("signature ")), "{agree:#?}");
    }
    let other = other.pk.to_base64();
    assert_differing(&out, &["--sample", "0", "--public-key", &other], &["signature manifest.json.minisig"]);
    edit(&out.join("report.md"), |text| text + " ");
    succeed(archaeo(["report"]).arg(&out));
    edit_json(&out.join("manifest.json"), |manifest| manifest["title"] = "Another".into());
    let found = differing(&out, &["--sample", "0", "--public-key", &path("own.pub")]);
    assert!(found[0].starts_with("signature manifest.json.minisig: it is no signature of"), "{found:#?}");
    // Nothing that differs is signed.
    let signature = fs::read(out.join("manifest.json.minisig")).unwrap();
    differing(&out, &["--sample", "0", "--sign", &path("own.key")]);
    assert_eq!(fs::read(out.join("manifest.json.minisig")).unwrap(), signature);
}

/// Discs and squares of two brightnesses, as files in folders: `count` images of each class for a split.
fn pictures(folder: &Path, split: &str, count: usize) {
    for (class, level) in [("disc", 20u8), ("square", 200)] {
        let class = folder.join(split).join(class);
        fs::create_dir_all(&class).unwrap();
        for image in 0..count {
            let pixels =
                (0..16 * 16 * 3).map(|i| level + ((i * (2 * image + 5) + image) % 41) as u8).collect();
            let picture = archaeo_plot::Image::new(16, 16, pixels);
            archaeo_plot::save_png(&picture, &class.join(format!("{image:02}.png"))).unwrap();
        }
    }
}

/// Weights without a card of this program's, and images that are files: what was not made here is checked like everything else.
#[test]
fn foreign_weights_on_a_folder_of_images_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let [data, out] = ["pictures", "out"].map(|name| folder.path().join(name));
    [("train", 12), ("test", 20)].iter().for_each(|(split, count)| pictures(&data, split, *count));
    let exported = |model: &str| {
        let target = folder.path().join(model);
        let weights = SOUND.path().join("out").join(model).join("model.safetensors");
        succeed(archaeo(["export", "--weights"]).arg(weights).arg("--out").arg(&target));
        target.join("model.safetensors")
    };
    let [vit, cnn] = ["vit", "cnn"].map(exported);
    let mut command = archaeo(["excavate", "--config", CONFIG, "--out"]);
    succeed(command.arg(&out).arg("--data").arg(&data).arg("--vit").arg(&vit).arg("--cnn").arg(&cnn));

    let (differ, success) = checks(&out, &["--deep", "--sample", "8"], "differs");
    assert!(success && differ.is_empty(), "{differ:#?}");
    let (agree, _) = checks(&out, &["--deep", "--sample", "8"], "agrees");
    let begins = |begin: &str| agree.iter().any(|check| check.starts_with(begin));
    for begin in
        ["data ", "weights ", "images predictions/test-vit.safetensors", "images records/errors/", "report "]
    {
        assert!(begins(begin), "{begin}: {agree:#?}");
    }

    // One file of many.
    let changed = data.join("test/disc/03.png");
    archaeo_plot::save_png(&archaeo_plot::Image::filled(16, 16, [7; 3]), &changed).unwrap();
    assert!(differing(&out, &[]).iter().any(|check| check.starts_with("data ")));
    pictures(&data, "test", 20);
    let (differ, success) = checks(&out, &[], "differs");
    assert!(success && differ.is_empty(), "{differ:#?}");
    fs::copy(&vit, &cnn).unwrap();
    assert!(differing(&out, &[]).iter().any(|check| check.starts_with("weights ")));
}

#[test]
fn what_cannot_be_checked_is_refused_or_said() {
    let folder = tempfile::tempdir().unwrap();
    let refused = fail(archaeo(["verify"]).arg(folder.path()));
    assert!(refused.contains("has no manifest.json"), "{refused}");
    fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    let refused = fail(archaeo(["verify"]).arg(folder.path()));
    assert!(refused.contains("is no manifest that this version can read"), "{refused}");
    let key = folder.path().join("manifest.json").display().to_string();
    for (option, key, reason) in [
        ("--public-key", "nonsense", "is neither a file nor a public key"),
        ("--public-key", key.as_str(), "holds no public key of minisign"),
        ("--sign", key.as_str(), "is no secret key of minisign, or has a password"),
    ] {
        let refused = fail(archaeo(["verify", option, key]).arg(folder.path()));
        assert!(refused.contains(reason), "{refused}");
    }
}
