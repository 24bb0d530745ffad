//! Tests that need what not every machine has: a browser, programs in Python, real data, published weights.
//!
//! Where that is missing a test is reported as ignored, with what it lacks; with `ARCHAEO_CI=1` it fails, so that nothing is left
//! out where everything has to be there. The standard harness decides at compile time which tests are ignored; hence this one.

mod browser;
mod data;
mod lab;
mod lessons;
mod notebook;
#[path = "../support/mod.rs"]
mod support;
mod trackers;
mod weights;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let no_browser: Vec<&'static str> =
        if browser::chromium().is_none() { vec!["chromium"] } else { Vec::new() };
    let no_lab: Vec<&'static str> = no_browser.iter().copied().chain(lab::lacks()).collect();
    let photographs = ["vit_tiny_patch16_224.safetensors", "imagenet-photos-128.tar"];
    let no_photographs = photographs.into_iter().filter(|file| !real_data(file).exists());
    let trials = vec![
        trial(
            "every_view_of_the_lab_works_in_a_browser",
            no_lab.clone(),
            lab::every_view_of_the_lab_works_in_a_browser,
        ),
        trial(
            "attention_in_windows_and_cascades_works_in_a_browser",
            no_lab.clone(),
            lab::attention_in_windows_and_cascades_works_in_a_browser,
        ),
        trial(
            "attention_of_the_vit_of_timm_works_in_a_browser",
            no_lab.into_iter().chain(no_photographs).collect(),
            lab::attention_of_the_vit_of_timm_works_in_a_browser,
        ),
        trial(
            "the_report_shows_well_on_phones_tablets_and_laptops_in_light_and_dark",
            no_browser,
            browser::the_report_shows_well_on_phones_tablets_and_laptops_in_light_and_dark,
        ),
        trial("wandb_reads_a_run", trackers::lacks_wandb(), trackers::wandb_reads_a_run),
        trial("trackio_imports_a_run_once", trackers::lacks_trackio(), trackers::trackio_imports_a_run_once),
        trial("mlflow_shows_a_run", trackers::lacks_mlflow(), trackers::mlflow_shows_a_run),
        trial("the_notebook_runs", notebook::lacks(), notebook::the_notebook_runs),
        on(&["cifar10-jpeg"], "cifar10_as_parquet", data::cifar10_as_parquet),
        on(&["tiny-imagenet-20.tar"], "tiny_imagenet", data::tiny_imagenet),
        on(&["mednist-6x1200.tar"], "mednist", data::mednist),
        on(&["pneumoniamnist.npz"], "pneumoniamnist", data::pneumoniamnist),
        on(&["imagenet-photos-128.tar"], "photographs_with_labels", data::photographs_with_labels),
        on(&["cifar-10-batches-bin"], "cifar_batches", data::cifar_batches),
        on(&["vit_tiny_patch16_224.safetensors"], "the_vit_of_timm_loads", weights::the_vit_of_timm_loads),
        on(
            &["vit_tiny_patch16_224.safetensors", "imagenet-photos-128.tar"],
            "the_vit_of_timm_scores_on_photographs_as_timm_does",
            weights::the_vit_of_timm_scores_on_photographs_as_timm_does,
        ),
        on(
            &["resnet20-12fca82f.th", "resnet56-4bfd9763.th"],
            "cifar_resnets_load_from_their_pickles",
            weights::cifar_resnets_load_from_their_pickles,
        ),
        on(
            &["resnet20-12fca82f.th", "resnet56-4bfd9763.th", "cifar-10-batches-bin"],
            "cifar_resnets_score_as_in_pytorch",
            weights::cifar_resnets_score_as_in_pytorch,
        ),
    ];
    let lessons = (1..=8).map(|number| {
        trial(&format!("lesson_{number}_runs"), lessons::lacks(), move || lessons::runs(number))
    });
    let trials = trials.into_iter().chain(lessons).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that is run if nothing is `missing`.
fn trial(name: &str, missing: Vec<&'static str>, run: impl FnOnce() + Send + 'static) -> Trial {
    let lacks = (!missing.is_empty()).then(|| format!("needs {}", missing.join(" and ")));
    let kind = lacks.clone().unwrap_or_default();
    let ignored = lacks.is_some() && std::env::var_os("ARCHAEO_CI").is_none_or(|value| value != "1");
    let checked = move || match lacks {
        Some(lacks) => Err(Failed::from(format!("it {lacks}, which is not there; see CONTRIBUTING.md"))),
        None => {
            run();
            Ok(())
        }
    };
    Trial::test(name, checked).with_kind(kind).with_ignored_flag(ignored)
}

/// A Python that has these modules: the one of `scripts/setup`, or the first on the PATH.
fn python(modules: &[&str]) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    let imports = format!("import {}", modules.join(", "));
    let has = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", &imports]).output();
        output.is_ok_and(|output| output.status.success())
    };
    [own, PathBuf::from("python3")].into_iter().find(has)
}

/// A test on files of real data.
fn on(files: &[&'static str], name: &str, run: fn()) -> Trial {
    trial(name, files.iter().copied().filter(|file| !real_data(file).exists()).collect(), run)
}

/// Where a file of real data lies, if it is there: in `$ARCHAEO_DATA`, or next to the workspace.
fn real_data(name: &str) -> PathBuf {
    let folder = std::env::var_os("ARCHAEO_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    folder.join(name)
}
