//! What goes wrong is said in one sentence that names the culprit and the remedy; stdout stays empty, nothing panics.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use archaeo_plot::{Image, save_png};
use support::{CONFIG, SHERDS, VIT_CONFIG, archaeo, excavate, fail, json, stderr, succeed};

/// Asserts that a command fails with a sentence that holds all of `expected`.
#[track_caller]
fn refused(command: &mut Command, expected: &[&str]) {
    let sentence = fail(command);
    for part in expected {
        assert!(sentence.contains(part), "{command:?}\nsaid   {sentence}\nwanted {part}");
    }
}

fn train(folder: &Path, set: &[&str]) -> PathBuf {
    let run = folder.join("run");
    let mut command = archaeo(["train", "--config", VIT_CONFIG, "--data", SHERDS, "--set", "epochs=1"]);
    succeed(command.args(set).arg("--out").arg(&run));
    run.join("model.safetensors")
}

fn evaluate(weights: &Path) -> Command {
    let mut command = archaeo(["evaluate", "--data", SHERDS, "--weights"]);
    command.arg(weights);
    command
}

#[test]
fn weights_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let weights = train(folder.path(), &[]);
    let path = |name: &str| folder.path().join(name);

    refused(&mut evaluate(&path("none.safetensors")), &["cannot read", "none.safetensors", "No such file"]);
    let bytes = fs::read(&weights).unwrap();
    for (name, damaged) in [
        ("truncated.safetensors", &bytes[..bytes.len() / 2]),
        ("headless.safetensors", &bytes[..5]),
        ("empty.safetensors", &[]),
        ("text.safetensors", b"these are no weights"),
    ] {
        fs::write(path(name), damaged).unwrap();
        refused(&mut evaluate(&path(name)), &[name, "is not a readable safetensors file", "export it again"]);
    }
    // A header that says it has 2^60 bytes must not be believed.
    let mut hostile = (1u64 << 60).to_le_bytes().to_vec();
    hostile.extend(b"{}");
    fs::write(path("hostile.safetensors"), hostile).unwrap();
    refused(&mut evaluate(&path("hostile.safetensors")), &["hostile.safetensors"]);

    let other = |name: &str| {
        let mut command = evaluate(&weights);
        command.args(["--model", name]);
        command
    };
    refused(
        &mut other("vit_macro"),
        &["cannot become a model: no model is called `vit_macro`", "`archaeo models` lists"],
    );
    refused(&mut other("vit_micro"), &["model.safetensors does not fit vit_micro"]);
    refused(&mut other("resnet18_cifar"), &["model.safetensors does not fit resnet18_cifar"]);
    refused(
        &mut archaeo(["models", "show", "vit_tny"]),
        &["no model is called `vit_tny`; did you mean `vit_tiny_patch4`?"],
    );
    refused(&mut other("restnet18"), &["no model is called `restnet18`; did you mean `resnet18`?"]);
    refused(evaluate(&weights).args(["--spec", "heads"]), &["--spec", "not of the form key=value"]);
    refused(evaluate(&weights).args(["--spec", "hedas=2"]), &["has no `hedas`; did you mean `heads`?"]);
}

#[test]
fn weights_that_mean_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/checkpoints");
    for (name, function) in [("malicious.pth", "posix.system"), ("malicious_legacy.pth", "__builtin__.eval")]
    {
        let would_run = format!("would run `{function}`");
        refused(&mut evaluate(&fixtures.join(name)), &[name, &would_run, "nothing of it was run here"]);
    }
    assert!(!Path::new("/tmp/archaeo-ran-a-pickle").exists(), "the pickle was run");
    refused(
        &mut evaluate(&fixtures.join("sparse.pth")),
        &["sparse.pth", "`weight` is a tensor of a kind that is not read"],
    );
    refused(&mut evaluate(&fixtures.join("no_tensors.pth")), &["no_tensors.pth", "holds no tensors by name"]);

    let whole = fs::read(fixtures.join("training.pth")).unwrap();
    fs::write(path("cut.pth"), &whole[..whole.len() / 2]).unwrap();
    refused(
        &mut evaluate(&path("cut.pth")),
        &["cut.pth is not a readable zip archive", "download or export it again"],
    );
    let mut changed = whole;
    let at = changed.windows(10).position(|window| window == b"state_dict").unwrap();
    changed[at] = b'S';
    fs::write(path("changed.pth"), changed).unwrap();
    refused(
        &mut evaluate(&path("changed.pth")),
        &["changed.pth is not a readable PyTorch checkpoint", "data.pkl` is wrong"],
    );
    fs::write(path("page.pth"), "<!DOCTYPE html>").unwrap();
    refused(&mut evaluate(&path("page.pth")), &["page.pth holds no checkpoint", "it is a web page"]);
    fs::write(path("pointer.bin"), "version https://git-lfs.github.com/spec/v1").unwrap();
    refused(&mut evaluate(&path("pointer.bin")), &["pointer.bin holds no checkpoint", "`git lfs pull`"]);

    let weights = train(folder.path(), &[]);
    let mut bytes = fs::read(weights).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(path("nan.safetensors"), bytes).unwrap();
    refused(
        &mut evaluate(&path("nan.safetensors")),
        &["nan.safetensors", "a value that is not finite in `", "take an earlier checkpoint"],
    );
}

#[test]
fn a_cnn_has_no_attention_to_ask_about() {
    let folder = tempfile::tempdir().unwrap();
    let weights = train(folder.path(), &["--set", "model=resnet_micro"]);
    for command in ["attention", "ablate"] {
        let mut asked = archaeo([command, "--data", SHERDS, "--weights"]);
        let remedy = "give a vision transformer";
        refused(asked.arg(&weights), &["model.safetensors", "resnet_micro", "no attention heads", remedy]);
    }
    for options in [
        &["--layers", "--mlp"][..],
        &["--curve"],
        &["--layers", "--pairs", "3"],
        &["--only", "1.1", "--layers"],
    ] {
        let mut asked = archaeo(["ablate", "--data", SHERDS, "--weights"]);
        asked.arg(&weights).args(options);
        refused(&mut asked, &["resnet_micro", "no attention heads", "--layers asks about its blocks"]);
    }
}

#[test]
fn heads_that_cannot_be_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let weights = train(folder.path(), &[]);
    let refused = |options: &[&str], parts: &[&str]| {
        let mut asked = archaeo(["ablate", "--data", SHERDS, "--weights"]);
        refused(asked.arg(&weights).args(options), parts);
    };
    let form = "it is not a layer and a head with a dot between them";
    for wrong in ["3", "0.1", "1.0", "one.two", "1.1,2"] {
        refused(&["--only", wrong], &["--only", form, "such as 3.1"]);
    }
    refused(&["--only", "1.3"], &["--only 1.3", "has 2 heads in layer 1, numbered from 1 to 2"]);
    refused(&["--only", "1.1,5.1"], &["--only 5.1", "has 2 layers, numbered from 1 to 2"]);
    refused(&["--pairs", "2", "--only", "1.1,1.1"], &["--pairs", "two heads", "1 is asked about"]);
    refused(&["--pairs", "0"], &["--pairs", "0"]);
    refused(&["--curve", "--limit", "3"], &["needs at least 4", "there are 3"]);
}

#[test]
fn options_that_mean_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let weights = train(folder.path(), &[]);
    let with = |options: &[&str]| {
        let mut command = evaluate(&weights);
        command.args(options);
        command
    };
    refused(&mut with(&["--device", "gpu"]), &["no device called `gpu`", "use cpu"]);
    refused(&mut with(&["--split", "tset"]), &["no split `tset`", "aligned, conflict, test, train, val"]);
    refused(&mut with(&["--limit", "0"]), &["--limit"]);
    refused(&mut with(&["--batch-size", "0"]), &["--batch-size", "0 is not in 1"]);
    refused(&mut with(&["--threads", "0"]), &["--threads", "0 is not in 1"]);
    refused(&mut with(&["--export", "/nowhere/x.safetensors"]), &["cannot write /nowhere/x.safetensors"]);

    let attack = |epsilon: &str| {
        let mut command = archaeo(["attack", "--data", SHERDS, "--limit", "4", "--epsilon", epsilon]);
        command.arg("--weights").arg(&weights);
        command
    };
    refused(&mut attack("-1"), &["--epsilon -1: epsilon must be 0 or more, not -1"]);
    refused(&mut attack("nan"), &["epsilon must be 0 or more, not NaN"]);
    refused(&mut attack("much"), &["--epsilon"]);
    let mut attention = archaeo(["attention", "--data", SHERDS, "--discard", "1", "--weights"]);
    refused(attention.arg(&weights), &["--discard must be at least 0 and below 1"]);
}

#[test]
fn files_that_could_not_be_written_are_refused_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere").join("out.safetensors");
    // The weights do not exist either: what comes first is said.
    let with_export = |command: &str, file: &Path| {
        let mut command = archaeo([command, "--data", SHERDS, "--weights", "none.safetensors", "--export"]);
        command.arg(file);
        command
    };
    for command in ["evaluate", "attention", "attack", "ablate"] {
        refused(
            &mut with_export(command, &nowhere),
            &["out.safetensors", "there is no folder", "create it first"],
        );
    }
    refused(&mut with_export("evaluate", folder.path()), &["is a folder; name a file in it"]);
    refused(archaeo(["data", SHERDS, "--sheet"]).arg(&nowhere), &["there is no folder", "create it first"]);
}

#[test]
fn configurations_that_cannot_work_are_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (change, expected) in [
        ("epocs=1", "no recipe has a key `epocs`; did you mean `epochs`"),
        ("epochs=0", "`epochs` must be at least 1, not 0"),
        ("learning_rate", "`--set learning_rate` is not of the form key=value"),
        ("studies.atack_images=8", "no recipe has a key `studies.atack_images`"),
        (
            "studies.attacks.imags=8",
            "`studies.attacks.imags` does not fit: unknown field `imags`, expected one of `images`",
        ),
        ("studies.attacks=8", "`studies.attacks` does not fit: it is a section"),
        ("studies.attacks.images=0", "`studies.attacks.images` must be at least 1, not 0"),
        ("studies.errors.sizes=8", "`studies.errors.sizes` does not fit: unknown field `sizes`"),
        ("nonsense=8", "(keys: accumulation, augment.*, backbone_learning_rate, batch_size,"),
        ("studies.batch_size=0", "`studies.batch_size` must be at least 1, not 0"),
        ("studies.attack_images=0", "`studies.attack_images` must be at least 1, not 0"),
        ("studies.ablation_images=1", "`studies.ablation_images` must be at least 2, not 1"),
        ("studies.epsilons=[0.5]", "a smaller change is rounded away), not 0.5"),
        ("studies.resamples=9", "`studies.resamples` must be at least 100, not 9"),
        (
            "studies.epsilons=[-1.0]",
            "`studies.epsilons` must be sizes of at least 1 (the unit is 1/255, so write 8 for 8/255",
        ),
        ("models.cnn.model=resnet_nano", "no model is called `resnet_nano`"),
        ("models.vit.model.widht=8", "widht"),
        ("models.vit.model.heads=5", "5"),
        ("models.mlp.epochs=1", "describes no model `mlp`; it has cnn, vit"),
    ] {
        refused(excavate(&out).args(["--set", change]), &[expected]);
        assert!(!out.exists(), "--set {change} must not leave a folder behind");
    }
    let missing = folder.path().join("none.toml");
    let mut command = archaeo(["excavate", "--data", SHERDS, "--config"]);
    refused(command.arg(&missing).arg("--out").arg(&out), &["cannot read the recipe", "none.toml"]);
    let mut command = archaeo(["train", "--data", SHERDS, "--config"]);
    refused(command.arg(&missing).arg("--out").arg(&out), &["cannot read the recipe", "none.toml"]);

    let mut command = archaeo(["train", "--data", SHERDS, "--config"]);
    refused(
        command.arg(CONFIG).arg("--out").arg(&out),
        &["describes an investigation", "`archaeo excavate`"],
    );

    fs::create_dir(&out).unwrap();
    fs::write(out.join("thesis.txt"), "mine").unwrap();
    refused(&mut excavate(&out), &["out is not empty and no run folder", "give --out a new"]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    refused(archaeo(["report"]).arg(&out), &["out holds no investigation", "run `archaeo excavate --out"]);
}

#[test]
fn sources_that_hold_no_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let data = |source: &Path| {
        let mut command = archaeo(["data", "--sheet"]);
        command.arg(path("sheet.png")).arg(source);
        command
    };
    refused(&mut data(&path("none")), &["cannot read", "none", "check the path"]);
    fs::create_dir(path("empty")).unwrap();
    refused(&mut data(&path("empty")), &["empty holds no image", "give another source"]);
    fs::write(path("notes.txt"), "no images here").unwrap();
    refused(
        &mut data(&path("notes.txt")),
        &["notes.txt is not a data set that is recognised", "give `sherds`"],
    );
    refused(&mut archaeo(["data", "sherds:sise=8"]), &["no parameter `sise`", "size"]);
    refused(&mut archaeo(["data", "sherd"]), &["there is no data `sherd`; did you mean `sherds`?"]);
    refused(&mut archaeo(["data", "shreds:size=64"]), &["did you mean `sherds`?"]);
    fs::create_dir_all(path("half/cat")).unwrap();
    fs::create_dir_all(path("half/dog")).unwrap();
    photograph(&path("half/cat/1.png"), 1);
    refused(&mut data(&path("half")), &["class `dog` has no image", "add images"]);
    assert!(!path("sheet.png").exists());

    let mut command = archaeo(["excavate", "--config", CONFIG, "--data"]);
    refused(command.arg(path("empty")).arg("--out").arg(path("out")), &["empty holds no image"]);
    assert!(!path("out").exists());
}

#[test]
fn a_truncated_image_is_skipped_with_a_count_and_refused_when_strict() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("animals");
    for class in ["cat", "dog"] {
        fs::create_dir_all(source.join(class)).unwrap();
        for image in 0..40 {
            photograph(&source.join(class).join(format!("{image:02}.png")), image);
        }
    }
    let bad = source.join("dog/07.png");
    let bytes = fs::read(&bad).unwrap();
    fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();

    let sheet = folder.path().join("sheet.png");
    let data = || {
        let mut command = archaeo(["data", "--sheet"]);
        command.arg(&sheet).arg(&source);
        command
    };
    let said = stderr(&succeed(&mut data()));
    assert!(said.contains("dog/07.png"), "{said}");
    assert!(said.contains("1 image(s) could not be used and were left out"), "{said}");
    assert_eq!(json(&mut data())["splits"]["all"]["images"], 79);
    let strict = ["dog/07.png", "1 of the", "are bad", "replace them, or remove them"];
    refused(data().arg("--strict"), &strict);

    let out = folder.path().join("out");
    let excavate = || {
        let mut command = archaeo(["excavate", "--config", CONFIG, "--set", "batch_size=8", "--data"]);
        command.arg(&source).arg("--out").arg(&out);
        command
    };
    refused(excavate().arg("--strict"), &strict);
    let said = stderr(&succeed(&mut excavate()));
    assert!(said.contains("skipped") && said.contains("dog/07.png"), "{said}");
    let report = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("07.png"), "the report says what was left out");
    // Without masks and textures there is nothing to say about them.
    assert!(support::investigation(&out)["shape_bias"].is_null());
    assert!(support::investigation(&out)["localisation"].is_null());
}

#[test]
fn images_that_claim_to_be_enormous() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("sheet.png");
    for (name, width, height, sentence) in [
        (
            "bomb.png",
            30_000u32,
            30_000u32,
            "bomb.png cannot be used: it is larger than the 16384 pixels a side",
        ),
        ("thread.png", 1, 100_000, "thread.png cannot be used: it is larger than the 16384 pixels a side"),
    ] {
        let class = folder.path().join(name.trim_end_matches(".png")).join("class");
        let other = class.with_file_name("other");
        fs::create_dir_all(&class).unwrap();
        fs::create_dir_all(&other).unwrap();
        for number in 0..5 {
            photograph(&class.join(format!("good-{number}.png")), number);
            photograph(&other.join(format!("good-{number}.png")), number + 10);
        }
        let image = class.join(name);
        photograph(&image, 1);
        let mut bytes = fs::read(&image).unwrap();
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        // The checksum of a PNG's header, bit by bit.
        let checksum = bytes[12..29].iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(
                crc ^ u32::from(byte),
                |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
            )
        });
        bytes[29..33].copy_from_slice(&(!checksum).to_be_bytes());
        fs::write(&image, bytes).unwrap();
        let mut command = archaeo(["data", "--strict", "--sheet"]);
        let sentence = sentence.split_once(" cannot be used: ").unwrap();
        refused(command.arg(&sheet).arg(class.parent().unwrap()), &[sentence.0, sentence.1]);
    }
    // Long and thin, but within what is decoded: only the part that is shown is enlarged.
    for class in ["a", "b"] {
        let class = folder.path().join("thin").join(class);
        fs::create_dir_all(&class).unwrap();
        for number in 0..3 {
            let pixels = (0..16_000 * 3).map(|i| (i * (number + 3) % 251) as u8).collect();
            save_png(&Image::new(16_000, 1, pixels), &class.join(format!("{number}.png"))).unwrap();
        }
    }
    succeed(archaeo(["data", "--sheet"]).arg(&sheet).arg(folder.path().join("thin")));
}

/// A picture of 20 × 16 pixels that no other number gives.
fn photograph(path: &Path, number: usize) {
    let pixels = (0..20 * 16 * 3).map(|i| (i * (number + 3) % 251) as u8).collect();
    save_png(&Image::new(20, 16, pixels), path).unwrap();
}
