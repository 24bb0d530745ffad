//! The live lab in a real browser: every interaction, on a phone and a laptop, in light and dark.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::real_data;

/// Kills the server when the test ends, however it does.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/browser")
}

/// What the test needs and does not find: Node.js, and the driver that `scripts/setup` installs for it.
pub fn lacks() -> Vec<&'static str> {
    let mut lacks = Vec::new();
    if Command::new("node").arg("--version").output().is_err() {
        lacks.push("node");
    }
    if !folder().join("node_modules/playwright-core").exists() {
        lacks.push("playwright-core (scripts/setup)");
    }
    lacks
}

/// Where a program is that is found by its name.
fn on_path(name: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| name.into())
}

pub fn every_view_of_the_lab_works_in_a_browser() {
    browse(&[], "lab", "");
}

/// With the sliders of rollout, which have to answer within 100 ms.
pub fn attention_of_the_vit_of_timm_works_in_a_browser() {
    let [weights, data] = ["vit_tiny_patch16_224.safetensors", "imagenet-photos-128.tar"].map(real_data);
    browse(&["--weights".as_ref(), &weights, "--data".as_ref(), &data], "lab-vit", "attention:");
}

/// Models whose layers have several grids: attention in windows, and heads in a cascade.
pub fn attention_in_windows_and_cascades_works_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let train = |name: &str| {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/support/tiny-{name}.toml"));
        let out = folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_archaeo"));
        let done =
            command.args(["train", "--set", "epochs=1", "--config"]).arg(config).arg("--out").arg(&out);
        assert!(done.output().unwrap().status.success(), "{name} does not train");
        out.join("model.safetensors")
    };
    let [swin, efficientvit] = ["swin", "efficientvit"].map(train);
    browse(&["--weights".as_ref(), &swin], "lab-swin", "attention:");
    browse(&["--weights".as_ref(), &swin], "lab-swin", "inside: depth");
    browse(&["--weights".as_ref(), &efficientvit], "lab-efficientvit", "page: every view");
}

/// Opens the lab with `arguments` and checks in a browser what has `only` in its name.
fn browse(arguments: &[&Path], shots: &str, only: &str) {
    let lab = Command::new(env!("CARGO_BIN_EXE_archaeo"))
        .args(["lab", "--port", "0", "--token", "a-token-of-the-browser-test"])
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut lab = Server(lab.unwrap());
    let mut address = String::new();
    BufReader::new(lab.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join(shots);
    let test = Command::new("node")
        .arg(folder().join("test.mjs"))
        .arg(address.trim())
        .arg(&shots)
        .arg(only)
        .env("CHROMIUM", on_path(crate::browser::chromium().unwrap_or("chromium")))
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        test.status.success(),
        "screenshots are in {}\n{}\n{}",
        shots.display(),
        said(&test.stdout),
        said(&test.stderr)
    );
}
