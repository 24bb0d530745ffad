//! What do the features of each model hold, and do two models hold the same?

mod chapter;
mod claims;
mod figures;
pub mod findings;
mod kept;
pub mod measure;
pub mod roles;
mod similarity;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use archaeo_analysis::features::layers::LayerFeatures;
use archaeo_analysis::statistics::Resampling;
use archaeo_data::Dataset;
use archaeo_models::Classifier;
use archaeo_training::RecipeError;
use archaeo_training::features::{Depth, Extracted, check, extract};
use archaeo_training::images::{Preprocessed, Subset};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use self::findings::FeaturesFindings;
use self::kept::{PIECE, Pieces, clear};
use self::measure::{Sample, Sizes, compare, measure};
use self::roles::{ImageRoles, Part};
use self::similarity::similarity;
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Progress, Scene, StudyError, follow};
use crate::studies::pictures::panel;
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName};
use crate::units::{NoRecord, Recorded};

/// Rows of similar images of each model.
const SHOWN: usize = 4;

/// The most bytes that the layers of all images of a model may take; above, there are only the features that the head reads.
const MOST_BYTES: usize = 1 << 30;

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
    const CONCLUDES_WITH_MODELS: bool = true;
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
        let folder = scene.answers();
        let laboratory = Laboratory {
            dataset: scene.dataset,
            device: scene.device,
            batch_size: scene.options.batch_size,
            seed: scene.seed,
            progress: scene.progress,
            keep: Some(&folder),
        };
        let scored = Part::new(scene.main_split, scene.sample(Self::ID, options.images)?);
        let mut samples = Vec::with_capacity(scene.subjects.len());
        for subject in scene.subjects {
            samples.push(laboratory.sample((subject.name, subject.model), &scored, Some(&roles))?.0);
        }
        let sizes =
            Sizes { draws: options.draws, points: options.images, compared: options.images, shown: SHOWN };
        let test = roles.test.clone();
        let mut found = laboratory.findings(&samples, Ok(roles), &sizes, &scene.resampling())?;
        save_pictures(scene, &test, &mut found)?;
        clear(&folder)?;
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

fn roles_of(scene: &Scene) -> Result<Result<ImageRoles, String>, StudyError> {
    let options = scene.options.of::<FeaturesStudy>();
    let scored = scene.sample(FeaturesStudy::ID, options.images)?;
    Ok(ImageRoles::of(scene.dataset, scene.main_split, &scored, options.training_images, scene.seed))
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
    /// Where features are kept while more are taken, so that what was interrupted goes on: a folder for these models and data.
    pub keep: Option<&'a Path>,
}

impl Laboratory<'_> {
    /// Takes the features that roles need of a model: those of `scored` once, of which every role in the same split is a part.
    /// Without roles, nothing is learned. Gives the features of `scored`, too.
    ///
    /// # Errors
    /// Data that cannot be read, features that are not finite, an interruption.
    pub fn sample(
        &self,
        (name, model): (ModelName, &Classifier),
        scored: &Part,
        roles: Option<&ImageRoles>,
    ) -> Result<(Sample, Extracted), StudyError> {
        let images = scored.n + roles.map_or(0, |roles| roles.training.n + roles.validation.n);
        let depth = self.depth(model, scored, images)?;
        let everything = self.extract((name, model), scored, depth, &format!("features of {name}"))?;
        let take = |part: &Part| match part.split == scored.split {
            true => {
                let place =
                    |image: &usize| scored.images.binary_search(image).expect("a part of what is scored");
                Ok(everything.select(&part.images.iter().map(place).collect::<Vec<_>>()))
            }
            false => self.extract((name, model), part, depth, &format!("features of {name} to learn from")),
        };
        let (learned_from, test) = match roles {
            Some(roles) => (Some([take(&roles.training)?, take(&roles.validation)?]), take(&roles.test)?),
            None => (None, everything.clone()),
        };
        Ok((Sample { name, learned_from, test }, everything))
    }

    /// Those of every layer, where those of so many images fit into memory.
    fn depth(&self, model: &Classifier, scored: &Part, images: usize) -> Result<Depth, StudyError> {
        let one = Part::new(&scored.split, scored.images[..1].to_vec());
        self.progress.begin("features of one image", one.n);
        let found = self.take(model, &one, &one.images, Depth::Layers)?;
        let values = |layer: &LayerFeatures| {
            layer.patch_mean.width() + layer.class_token.as_ref().map_or(0, |features| features.width())
        };
        let bytes = found.layers.iter().map(values).sum::<usize>() * size_of::<f32>() * images;
        Ok(if bytes > MOST_BYTES { Depth::Pooled } else { Depth::Layers })
    }

    /// Measures features that were taken, of all models on the same images. Without roles, there is a reason.
    ///
    /// # Errors
    /// Features that nothing can be computed of, an interruption.
    pub fn findings(
        &self,
        samples: &[Sample],
        roles: Result<ImageRoles, String>,
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
            Err(reason) => (None, Some(reason)),
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

    /// Features of a part; those that are kept are not taken again.
    fn extract(
        &self,
        (name, model): (ModelName, &Classifier),
        part: &Part,
        depth: Depth,
        what: &str,
    ) -> Result<Extracted, StudyError> {
        self.progress.begin(what, part.n);
        let Some(folder) = self.keep else { return self.take(model, part, &part.images, depth) };
        let pieces = Pieces::of(folder, name, part, depth);
        let mut all: Option<Extracted> = None;
        for (place, images) in part.images.chunks(PIECE).enumerate() {
            let piece = match pieces.read(place)? {
                Some(piece) => {
                    self.progress.advance(images.len());
                    piece
                }
                None => {
                    let piece = self.take(model, part, images, depth)?;
                    pieces.write(place, &piece)?;
                    piece
                }
            };
            match &mut all {
                None => all = Some(piece),
                Some(all) => all.append(piece),
            }
        }
        Ok(all.expect("a part has images"))
    }

    /// Features of some images of a part's split.
    fn take(
        &self,
        model: &Classifier,
        part: &Part,
        images: &[usize],
        depth: Depth,
    ) -> Result<Extracted, StudyError> {
        let split = self.dataset.split(&part.split)?;
        let preprocessed = Preprocessed { split, preprocessing: &model.card().preprocessing };
        let source = Subset { images: preprocessed, indices: images.to_vec() };
        let mut advance = follow(self.progress);
        let extracted = extract(model, &source, depth, self.batch_size, self.device, &mut advance)?;
        let extracted = extracted.ok_or(StudyError::Interrupted)?;
        check(model, &extracted, &source, |position| split.identifier(images[position]), self.device)?;
        Ok(extracted)
    }
}
