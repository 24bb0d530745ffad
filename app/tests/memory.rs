//! What files claim does not take memory: small files that stand for gigabytes end in a picture of theirs or in one sentence, and the
//! whole program stays below the 2 GiB that it states.

#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use archaeo_plot::{Image, save_png};
use support::{SHERDS, VIT_CONFIG, archaeo, fail, stderr};

/// Runs a command; also the most memory that it had, in MiB, as the system counts it.
fn measured(command: &mut Command) -> (Output, u64) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        while let Ok(text) = fs::read_to_string(&status) {
            // A process that has ended has no memory any more.
            let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) else { break };
            let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
            peak = peak.max(kib >> 10);
            sleep(Duration::from_millis(2));
        }
        peak
    });
    let output = child.wait_with_output().expect("it ends");
    (output, watch.join().expect("it watches"))
}

fn class_folders(folder: &Path) {
    for class in ["a", "b"] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for number in 0..3 {
            let pixels = (0..8 * 8 * 3).map(|i| (i * (number + 3) + class.len()) as u8).collect();
            let path = folder.join(class).join(format!("{number}.png"));
            save_png(&Image::new(8, 8, pixels), &path).unwrap();
        }
    }
}

/// A grey bitmap file: a header and a palette, whose pixels are a hole that takes no room on the disk.
fn bitmap(path: &Path, side: u32) {
    let offset = 14 + 40 + 1024u32;
    let mut file = File::create(path).unwrap();
    let mut header = b"BM".to_vec();
    for number in [offset + side * side, 0, offset, 40, side, side] {
        header.extend(number.to_le_bytes());
    }
    header.extend([1, 0, 8, 0]);
    header.extend([0; 24]);
    header.resize(offset as usize, 0);
    file.write_all(&header).unwrap();
    file.set_len(u64::from(offset) + u64::from(side) * u64::from(side)).unwrap();
}

#[test]
fn large_images_on_many_threads_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(folder.path());
    // 144 MB each while they are decoded: all at once they would take more than is allowed.
    for number in 0..4 {
        bitmap(&folder.path().join("a").join(format!("large{number}.bmp")), 6000);
    }
    let mut command = archaeo(["data", "--threads", "4", "--memory", "512MiB"]);
    let (output, peak) = measured(command.arg(folder.path()));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stderr(&output).contains("left out"), "{}", stderr(&output));
    assert!((100..512).contains(&peak), "{peak} MiB");

    // With less than one of them takes, they are named, left out, and it is said how to allow them.
    let mut command = archaeo(["data", "--threads", "4", "--memory", "256MiB"]);
    let (output, peak) = measured(command.arg(folder.path()));
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("large0.bmp: it needs") && said.contains("--memory 2GiB"), "{said}");
    assert!(peak < 256, "{peak} MiB");
}

#[test]
fn files_that_are_long_without_reason_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let hole = |name: &str, start: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = File::create(&path).unwrap();
        file.write_all(start).unwrap();
        file.set_len(3 << 30).unwrap();
        path.display().to_string()
    };
    // The header of a member whose name has 2 GiB.
    let mut name = [0u8; 512];
    name[..13].copy_from_slice(b"././@LongLink");
    name[124..136].copy_from_slice(b"20000000000\0");
    name[156] = b'L';
    name[257..265].copy_from_slice(b"ustar  \0");
    name[148..156].fill(b' ');
    let sum: u32 = name.iter().map(|&byte| u32::from(byte)).sum();
    name[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    // Padded to a multiple of eight bytes.
    let header = br#"{"a":{"dtype":"F32","shape":[805306364],"data_offsets":[0,3221225456]}} "#;
    let start = [&(header.len() as u64).to_le_bytes()[..], header].concat();
    let weights = hole("w.safetensors", &start);
    let length = start.len() as u64 + 3_221_225_456;
    File::options().write(true).open(&weights).unwrap().set_len(length).unwrap();
    let recipe = hole("recipe.toml", b"model = \"vit_micro\"\n");
    let names = hole("names.txt", b"a\n");
    let tar = hole("d.tar", &name);
    let batch = hole("batches/data_batch_1", b"\x80\x02}.");
    let out = folder.path().join("run").display().to_string();
    for (arguments, names_it) in [
        (vec!["data", &tar], "d.tar"),
        (vec!["data", &batch], "data_batch_1"),
        (
            vec!["evaluate", "--data", SHERDS, "--weights", &weights],
            "w.safetensors is too large: it needs 3.0 GiB",
        ),
        (vec!["train", "--data", SHERDS, "--config", &recipe, "--out", &out], "recipe.toml: it has 3.0 GiB"),
        (vec!["train", "--config", VIT_CONFIG, "--data", &names, "--out", &out], "names.txt"),
    ] {
        let said = fail(&mut archaeo(&arguments));
        assert!(said.contains(names_it), "{arguments:?}: {said}");
        let (_, peak) = measured(&mut archaeo(&arguments));
        assert!(peak < 512, "{arguments:?}: {peak} MiB");
    }
}

#[test]
fn memory_is_a_size_with_a_unit() {
    for size in ["12", "1MiB", "GiB", "1e3GiB", "99999999999TiB"] {
        let output = archaeo(["models", "--memory", size]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{size}");
        assert!(stderr(&output).contains("--memory"), "{}", stderr(&output));
    }
    assert!(archaeo(["models", "--memory", "512MiB"]).output().unwrap().status.success());
}
