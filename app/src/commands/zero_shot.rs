//! Classifiers that are made of CLIP and prompts.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use archaeo_experiments::classes::{are_wordnet_ids, shortened};
use archaeo_models::clip::{ClipConfig, Prompts};
use archaeo_models::{Classifier, ModelCard, NetworkSpec};
use archaeo_ops::Precision;
use burn::tensor::Device;

use super::LONGEST_LIST;
use super::checkpoint::Found;
use super::classes::read_names;
use crate::cli::Subject;
use crate::progress::{Bars, stage};

/// The image tower of the CLIP that was found, with a prototype for each class, in `precision`; `classes` are named in the prompts where no
/// others are given.
///
/// # Errors
/// A model that is no CLIP, prompts or class names that cannot be used, or a checkpoint that does not fit.
pub fn zero_shot(
    subject: &Subject,
    prompts: &str,
    Found { checkpoint, described }: Found,
    classes: &[String],
    precision: Precision,
    device: &Device,
) -> Result<Classifier> {
    let ModelCard { name, network, preprocessing, .. } = described.card;
    if !network.classes_are_prompts() {
        bail!(
            "--prompts goes with CLIP, but {name} is none; name one with --model, such as clip_vit_base_patch32"
        );
    }
    let classes = match &subject.class_names {
        Some(path) => read_names(path)?,
        None => {
            ensure!(
                !are_wordnet_ids(classes),
                "the data's classes are called by WordNet identifiers ({}), which no prompt can be made of; name them with \
                 --class-names FILE",
                shortened(classes)
            );
            classes.to_vec()
        }
    };
    let prompts = match Prompts::built_in(prompts) {
        Some(prompts) => prompts,
        None => Prompts::parse(&read(Path::new(prompts))?)
            .map_err(|error| anyhow::anyhow!("{prompts} {error}"))?,
    };
    let config = ClipConfig::named(&name, preprocessing.image_size).context("--model")?;
    let loading = stage("loading the model");
    let clip = checkpoint.into_clip(&name, &config, device)?;
    drop(loading);
    let network = NetworkSpec::from(config.zero_shot(classes.len()));
    let bars = Bars::default();
    let bar = bars.prompts(classes.len());
    let card = ModelCard { name, network, preprocessing, classes };
    Ok(clip.classifier(card, &prompts, precision, &mut |done| bar.set_position(done as u64))?)
}

fn read(path: &Path) -> Result<String> {
    archaeo_store::read_text(path, LONGEST_LIST).with_context(|| format!("cannot read {}", path.display()))
}
