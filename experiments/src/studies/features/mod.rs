//! What do the features of each model hold, and do two models hold the same?

mod chapter;
mod claims;
pub mod findings;
pub mod measure;
pub mod roles;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use archaeo_analysis::statistics::Resampling;
use archaeo_data::Dataset;
use archaeo_models::Classifier;
use archaeo_training::RecipeError;
use archaeo_training::features::{Depth, Extracted, check, extract};
use archaeo_training::images::{Preprocessed, Subset};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use self::findings::FeaturesFindings;
use self::measure::{Sample, Sizes, compare, measure, similarity};
use self::roles::{Part, Roles};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Progress, Scene, StudyError};
use crate::studies::pictures::panel;
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName};
use crate::units::{NoRecord, Recorded};

/// Rows of similar images of each model.
const SHOWN: usize = 4;

/// Side of their pictures, in pixels.
const PICTURE: usize = 96;

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeaturesOptions {
    /// Images to learn from, at most.
    pub training_images: usize,
    /// Images to score, at most; at least 4.
    pub images: usize,
    /// Draws of a few images per class.
    pub draws: usize,
}

impl Default for FeaturesOptions {
    fn default() -> Self {
        Self { training_images: 600, images: 400, draws: 5 }
    }
}

impl Options for FeaturesOptions {
    fn quick() -> Self {
        Self { training_images: 200, images: 120, draws: 3 }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.features.training_images", 4, "at least 4", self.training_images)?;
        at_least("studies.features.images", 4, "at least 4", self.images)?;
        at_least("studies.features.draws", 1, "at least 1", self.draws)
    }
}

/// Neighbours, probes, pictures and similarity of the features of every model.
pub struct FeaturesStudy;

impl Study for FeaturesStudy {
    const ID: &'static str = "features";
    const TITLE: &'static str = "What the features hold";
    const QUESTION: &'static str = "what the features of {it} hold";
    type Options = FeaturesOptions;
    type Record = NoRecord;
    type Findings = FeaturesFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        Ok(match roles_of(scene)? {
            Ok(_) => Applicability::Applies,
            Err(reason) => Applicability::No(reason),
        })
    }

    fn conclude(scene: &Scene, _: Vec<Recorded<NoRecord>>) -> Result<FeaturesFindings, StudyError> {
        let options = scene.options.of::<Self>();
        let roles = roles_of(scene)?.expect("the study applies");
        let laboratory = Laboratory {
            dataset: scene.dataset,
            device: scene.device,
            batch_size: scene.options.batch_size,
            seed: scene.seed,
            progress: scene.progress,
        };
        let models: Vec<(ModelName, &Classifier)> =
            scene.subjects.iter().map(|subject| (subject.name, subject.model)).collect();
        let sizes =
            Sizes { draws: options.draws, points: options.images, compared: options.images, shown: SHOWN };
        let test = roles.test.clone();
        let mut found = laboratory.findings(&models, Ok(roles), &sizes, &scene.resampling())?;
        save_pictures(scene, &test, &mut found)?;
        Ok(found)
    }

    fn chapter(findings: &FeaturesFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// Saves the images of the rows of similar images, each once.
fn save_pictures(scene: &Scene, test: &Part, found: &mut FeaturesFindings) -> Result<(), StudyError> {
    let mut saved: BTreeMap<(String, usize), String> = BTreeMap::new();
    let mut save = |split: &str, index: usize| {
        if let Some(path) = saved.get(&(split.to_owned(), index)) {
            return Ok::<_, StudyError>(path.clone());
        }
        let image = scene.dataset.split(split)?.load(index)?.image;
        let path = scene.save(&format!("features-{split}-{index:05}"), &panel(&image, PICTURE)?)?;
        saved.insert((split.to_owned(), index), path.clone());
        Ok(path)
    };
    for learned in found.models.values_mut().filter_map(|model| model.learned.as_mut()) {
        for row in &mut learned.retrieved {
            row.picture = save(&test.split, test.images[row.query])?;
            for near in &mut row.nearest {
                near.picture = save(&near.split, near.index)?;
            }
        }
    }
    Ok(())
}

fn roles_of(scene: &Scene) -> Result<Result<Roles, String>, StudyError> {
    let options = scene.options.of::<FeaturesStudy>();
    let scored = scene.sample(FeaturesStudy::ID, options.images)?;
    Ok(Roles::of(scene.dataset, scene.main_split, &scored, options.training_images, scene.seed))
}

/// What features are taken and measured with.
pub struct Laboratory<'a> {
    /// The images.
    pub dataset: &'a Dataset,
    /// Where to compute.
    pub device: &'a Device,
    /// Images at once; no result depends on it.
    pub batch_size: usize,
    /// Key of every random choice.
    pub seed: u64,
    /// Who hears of progress.
    pub progress: &'a dyn Progress,
}

impl Laboratory<'_> {
    /// Takes and measures the features of every model. Without roles, for the reason given, the images are those of the part, and
    /// nothing is learned.
    ///
    /// # Errors
    /// Data that cannot be read, features that are not finite, an interruption.
    pub fn findings(
        &self,
        models: &[(ModelName, &Classifier)],
        roles: Result<Roles, (String, Part)>,
        sizes: &Sizes,
        resampling: &Resampling,
    ) -> Result<FeaturesFindings, StudyError> {
        let test = match &roles {
            Ok(roles) => &roles.test,
            Err((_, part)) => part,
        };
        let mut samples = Vec::with_capacity(models.len());
        for &(name, model) in models {
            let take = |part: &Part, what: &str| self.extract(model, part, &format!("{what} of {name}"));
            let learned_from = match &roles {
                Ok(roles) => Some([
                    take(&roles.training, "features to learn from")?,
                    take(&roles.validation, "features to choose by")?,
                ]),
                Err(_) => None,
            };
            samples.push(Sample { name, learned_from, test: take(test, "features")? });
        }
        self.measured(&samples, roles, sizes, resampling)
    }

    /// Measures features that were taken.
    ///
    /// # Errors
    /// Features that nothing can be computed of, an interruption.
    pub fn measured(
        &self,
        samples: &[Sample],
        roles: Result<Roles, (String, Part)>,
        sizes: &Sizes,
        resampling: &Resampling,
    ) -> Result<FeaturesFindings, StudyError> {
        let classes = self.dataset.classes.len();
        let mut go_on = || !self.progress.interrupted();
        let mut found = ByModel::default();
        let mut correct = Vec::new();
        for sample in samples {
            self.progress.stage(&format!("neighbours, probes and pictures of {}", sample.name));
            let (model, right) =
                measure(sample, roles.as_ref().ok(), classes, sizes, resampling, &mut go_on)?;
            found.insert(sample.name, model);
            correct.extend(right.map(|right| (sample.name, right)));
        }
        self.progress.stage("similarity of layers");
        let cka = similarity(samples, sizes.compared, self.seed, &mut go_on)?;
        let (roles, not_learned) = match roles {
            Ok(roles) => (Some(roles), None),
            Err((reason, _)) => (None, Some(reason)),
        };
        Ok(FeaturesFindings {
            roles,
            not_learned,
            classes: self.dataset.classes.clone(),
            models: found,
            cka,
            pairs: compare(&correct, resampling)?,
        })
    }

    /// Features of a part of the images, at every layer.
    ///
    /// # Errors
    /// As [`Laboratory::findings`].
    pub fn extract(&self, model: &Classifier, part: &Part, what: &str) -> Result<Extracted, StudyError> {
        let split = self.dataset.split(&part.split)?;
        let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
        let source = Subset { images, indices: part.images.clone() };
        self.progress.begin(what, part.n);
        let mut done = 0;
        let mut advance = |so_far: usize| {
            self.progress.advance(so_far - done);
            done = so_far;
            !self.progress.interrupted()
        };
        let extracted = extract(model, &source, Depth::Layers, self.batch_size, self.device, &mut advance)?;
        let extracted = extracted.ok_or(StudyError::Interrupted)?;
        let name = |position: usize| split.identifier(part.images[position]);
        check(model, &extracted, &source, name, self.device)?;
        Ok(extracted)
    }
}
