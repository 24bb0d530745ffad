//! `archaeo configs`: the recipes and configurations that the program has with it.

use std::path::Path;

use anyhow::{Context, Result};
use archaeo_lab::Toml;
use serde_json::{Value, json};

use crate::cli::Configs;
use crate::printer::Printer;

/// A file of `configs/`.
pub struct BuiltIn {
    /// Its name without ending.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// Which command takes it.
    pub command: &'static str,
    /// What it is, in a few words.
    about: &'static str,
}

macro_rules! built_in {
    ($name:literal, $command:literal, $about:literal) => {
        BuiltIn {
            name: $name,
            text: include_str!(concat!("../../../configs/", $name, ".toml")),
            command: $command,
            about: $about,
        }
    };
}

/// All of them, by name.
const BUILT_IN: &[BuiltIn] = &[
    built_in!("cifar10-airbench", "train", "A small, quick CNN on CIFAR-10"),
    built_in!("cifar10-cct", "train", "A Compact Convolutional Transformer on CIFAR-10"),
    built_in!("cifar10-resnet", "train", "A ResNet-18 of half the width on CIFAR-10"),
    built_in!("cifar10-vit", "train", "A small ViT on CIFAR-10"),
    built_in!("cifar10-vit-distilled", "train", "The same ViT, taught by the ResNet"),
    built_in!("eurosat-resnet", "train", "A small ResNet on EuroSAT, from scratch"),
    built_in!("eurosat-vit-frozen", "train", "A linear head on a frozen ViT-Ti, on EuroSAT"),
    built_in!("eurosat-vit-full", "train", "A ViT-Ti fine-tuned on EuroSAT"),
    built_in!("excavate", "excavate", "The investigation that is made when none is named"),
    built_in!("mednist-resnet", "train", "A small ResNet on MedNIST"),
    built_in!("patch-sizes", "compare", "A small ViT with patches of 4, 8, 16 and 32 px"),
    built_in!("regimes", "compare", "A ViT-Ti from scratch, frozen, fine-tuned, distilled"),
    built_in!("sherds-clip", "train", "A small ViT on Sherds, from captions"),
    built_in!("sherds-mae", "train", "A small ViT on Sherds, from hidden patches"),
    built_in!("sherds-resnet", "train", "A small ResNet on the built-in data set"),
    built_in!("sherds-robust", "train", "The small ResNet, trained under attack"),
    built_in!("sherds-simclr", "train", "A small ViT on Sherds, from two views of each image"),
    built_in!("sherds-vit", "train", "A small ViT on the built-in data set"),
    built_in!("sherds-vit-comer", "train", "The mask of the object on the built-in data set"),
    built_in!("sherds-vit-distilled", "train", "The same ViT, taught by the small ResNet"),
    built_in!("tiny-imagenet-resnet", "train", "A ResNet-18 of half the width on Tiny ImageNet"),
    built_in!("tiny-imagenet-vit", "train", "A small ViT on Tiny ImageNet"),
    built_in!("tiny-imagenet-vit-frozen", "train", "A linear head on a frozen ViT-Ti, on Tiny ImageNet"),
    built_in!("tiny-imagenet-vit-full", "train", "A ViT-Ti fine-tuned on Tiny ImageNet"),
];

/// What is investigated when no configuration is named.
pub const EXCAVATE: &str = include_str!("../../../configs/excavate.toml");

impl BuiltIn {
    /// The one that `--config` means where there is no such file: `sherds-vit`, `sherds-vit.toml` or `configs/sherds-vit.toml`.
    pub fn meant_by(path: &Path) -> Option<&'static Self> {
        let place = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let known = place.is_none_or(|folder| folder == Path::new("configs"));
        let ending = path.extension().is_none_or(|ending| ending == "toml");
        let name = path.file_stem()?.to_str()?;
        BUILT_IN.iter().find(|config| known && ending && !path.exists() && config.name == name)
    }

    /// What `--config` means: one of these, or the file.
    pub fn or_file(path: &Path) -> Toml<'_> {
        Self::meant_by(path).map_or(Toml::File(path), |config| Toml::Text(config.text))
    }

    /// The one of this name, with or without its ending.
    ///
    /// # Errors
    /// A name that is not known.
    pub fn named(name: &str) -> Result<&'static Self> {
        let known = BUILT_IN.iter().find(|config| config.name == name.trim_end_matches(".toml"));
        known.with_context(|| {
            let names: Vec<&str> = BUILT_IN.iter().map(|config| config.name).collect();
            format!("there is no configuration `{name}` in the program; it has {}", names.join(", "))
        })
    }
}

/// Runs the command.
///
/// # Errors
/// A name that is not known.
pub fn run(arguments: &Configs, printer: &Printer) -> Result<()> {
    match &arguments.name {
        None => list(printer),
        Some(name) => {
            let config = BuiltIn::named(name)?;
            let result = json!({ "name": config.name, "command": config.command, "toml": config.text });
            printer.result(&result, |_| config.text.to_owned())
        }
    }
}

fn list(printer: &Printer) -> Result<()> {
    let row =
        |config: &BuiltIn| json!({ "name": config.name, "command": config.command, "about": config.about });
    let rows: Vec<Value> = BUILT_IN.iter().map(row).collect();
    printer.result(&rows, |_| {
        let widest = BUILT_IN.iter().map(|config| config.name.len()).max().unwrap_or(0);
        let row = |config: &BuiltIn| format!("{:<widest$}  {}\n", config.name, config.about);
        let rows: String = BUILT_IN.iter().map(row).collect();
        rows + "\nUse one as `--config NAME`, or change a copy: `archaeo init NAME`"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is in `configs/` is in the program.
    #[test]
    fn every_file_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert!(files.iter().eq(BUILT_IN.iter().map(|config| config.name)), "{files:?}");
    }

    #[test]
    fn a_configuration_is_named_in_three_ways_and_a_file_goes_first() {
        let name = |path: &str| BuiltIn::meant_by(Path::new(path)).map(|config| config.name);
        for path in ["sherds-vit", "sherds-vit.toml", "configs/sherds-vit.toml"] {
            assert_eq!(name(path), Some("sherds-vit"), "{path}");
        }
        for path in ["sherds-vat", "sherds-vit.json", "elsewhere/sherds-vit.toml", ""] {
            assert_eq!(name(path), None, "{path}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sherds-vit.toml");
        assert!(BuiltIn::meant_by(&file).is_none(), "a path elsewhere is a file that is missing");
    }
}
