//! Which heads and layers carry what tells two images of one scene apart: its shape, its texture, its place?

mod chapter;
mod claims;
mod conclude;
pub mod findings;
mod measure;
#[cfg(test)]
mod tests;

use archaeo_analysis::ablation::donors;
use archaeo_random::stratified;
use archaeo_training::RecipeError;
use serde::{Deserialize, Serialize};

use self::conclude::concluded;
use self::findings::{PatchedTokens, PatchingFindings};
use self::measure::{Laboratory, PatchingRecord};
use super::causal::measure::shapes_of;
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, Subject};
use crate::units::{Recorded, Recorder, Unit};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatchingOptions {
    /// Pairs of images for each factor, at least 4.
    pub pairs: usize,
}

impl Default for PatchingOptions {
    fn default() -> Self {
        Self { pairs: 384 }
    }
}

impl Options for PatchingOptions {
    fn quick() -> Self {
        Self { pairs: 96 }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.patching.pairs", FEWEST_PAIRS, "at least 4", self.pairs)
    }
}

/// Two that choose a head, and two that measure it.
const FEWEST_PAIRS: usize = 4;

/// So many images show every shape once.
const EVERY_SHAPE: usize = 10;

/// Puts activations of one image into the pass over another that differs in one factor (activation patching), and of an unrelated
/// image, for comparison.
pub struct PatchingStudy;

impl Study for PatchingStudy {
    const ID: &'static str = "patching";
    const TITLE: &'static str = "What each head carries";
    const QUESTION: &'static str = "which heads and layers carry shape, texture and place";
    type Options = PatchingOptions;
    type Record = PatchingRecord;
    type Findings = PatchingFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let split = scene.split()?;
        let enough =
            split.len() >= EVERY_SHAPE && scene.sample(Self::ID, FEWEST_PAIRS)?.len() >= FEWEST_PAIRS;
        Ok(if split.sherds().is_none() {
            Applicability::No("only Sherds can be drawn again with one thing changed".into())
        } else if scene.with_attention().is_empty() {
            Applicability::No("no model here has attention heads".into())
        } else {
            Applicability::only_if(enough, "it takes four images of a split that shows every shape")
        })
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample(Self::ID, scene.options.of::<Self>().pairs)?;
        let unit = |Subject { name, .. }| {
            Unit::whole(name, format!("activations of {name} exchanged"), images.clone())
        };
        Ok(scene.with_attention().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, PatchingRecord>, StudyError> {
        let split = scene.split()?;
        let (sherds, which) = split.sherds().expect("the study applies to Sherds alone");
        let model = scene.model(unit.model);
        let laboratory = Laboratory {
            model,
            sherds,
            split: which,
            outputs: shapes_of(split).into_iter().map(|(output, shape)| (shape, output)).collect(),
            tokens: tokens_of(model),
            seed: scene.seed,
            device: scene.device,
        };
        let unrelated = donors(unit.images.len(), scene.seed);
        Ok(Box::new(move |batch| {
            let others: Vec<usize> =
                batch.places.iter().map(|&place| unit.images[unrelated[place]]).collect();
            Ok(laboratory.measure(batch.indices, &others)?)
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<PatchingRecord>>,
    ) -> Result<PatchingFindings, StudyError> {
        let mut models = ByModel::default();
        for Recorded { unit, records } in &recorded {
            scene.progress.stage(&format!("what each head of {} carries", unit.model));
            let n = records.len();
            let mut chooses = vec![false; n];
            stratified(scene.seed, "halves for choosing a carrier", &vec![0; n], n / 2)
                .into_iter()
                .for_each(|place| chooses[place] = true);
            let tokens = tokens_of(scene.model(unit.model));
            models.insert(unit.model, concluded(records, &tokens, &chooses, &scene.resampling())?);
        }
        Ok(PatchingFindings { pairs: recorded.first().map_or(0, |of| of.records.len()), models })
    }

    fn chapter(findings: &PatchingFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// Groups of tokens that a model has.
fn tokens_of(model: &archaeo_models::Classifier) -> Vec<PatchedTokens> {
    let prefix = model.network.transformer().map_or(0, |transformer| transformer.prefix().count());
    let mut tokens = PatchedTokens::ALL.to_vec();
    tokens.retain(|group| prefix > 0 || *group != PatchedTokens::Prefix);
    tokens
}
