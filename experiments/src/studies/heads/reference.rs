//! The images that means are taken from: never those that are evaluated.

use std::collections::BTreeSet;

use archaeo_models::Classifier;
use archaeo_random::stratified;
use archaeo_training::images::{preprocess, to_tensor};
use burn::tensor::Tensor;

use super::HeadsStudy;
use crate::scene::{Scene, StudyError};
use crate::study::Study;

/// What is evaluated, and what means are taken from.
pub(super) struct Sampled {
    /// Images of the main split that are evaluated, ascending.
    pub(super) images: Vec<usize>,
    /// Split of the reference images.
    pub(super) split: String,
    /// Images of that split, none of them evaluated.
    pub(super) reference: Vec<usize>,
}

/// Reference images are of the training split, else of the validation split, else images of the main split that are not asked
/// about; where all are asked about, half of them.
pub(super) fn sampled(scene: &Scene) -> Result<Sampled, StudyError> {
    let options = scene.options.of::<HeadsStudy>();
    let count = options.reference_images;
    let images = scene.sample(HeadsStudy::ID, options.images)?;
    let draw = |from: &[usize], count: usize| -> Vec<usize> {
        let places = stratified(scene.seed, "reference images", &vec![0; from.len()], count);
        places.into_iter().map(|place| from[place]).collect()
    };
    let splits = scene.dataset.splits();
    let other = std::iter::once("train")
        .chain(scene.dataset.selection_split())
        .find(|name| *name != scene.main_split && splits.get(*name).is_some_and(|split| !split.is_empty()));
    if let Some(name) = other {
        let all: Vec<usize> = (0..splits[name].len()).collect();
        return Ok(Sampled { images, split: name.into(), reference: draw(&all, count) });
    }
    let split = scene.main_split.to_owned();
    let asked: BTreeSet<usize> = images.iter().copied().collect();
    let rest: Vec<usize> = (0..scene.split()?.len()).filter(|index| !asked.contains(index)).collect();
    if !rest.is_empty() {
        return Ok(Sampled { images, split, reference: draw(&rest, count) });
    }
    let reference = draw(&images, (images.len() / 2).min(count));
    let images = images.into_iter().filter(|index| !reference.contains(index)).collect();
    Ok(Sampled { images, split, reference })
}

impl Sampled {
    /// Calls `visit` with the reference images, batch by batch; those that cannot be decoded are left out.
    pub(super) fn for_each_batch(
        &self,
        scene: &Scene,
        model: &Classifier,
        mut visit: impl FnMut(Tensor<4>) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        let split = scene.dataset.split(&self.split)?;
        let load =
            |indices: &[usize]| split.batch(indices, |image| preprocess(image, &model.card().preprocessing));
        let mut seen = 0;
        for batch in self.reference.chunks(scene.options.batch_size) {
            if scene.progress.interrupted() {
                return Err(StudyError::Interrupted);
            }
            let samples = load(batch).unwrap_or_else(|_| {
                batch.iter().filter_map(|&index| load(&[index]).ok()).flatten().collect()
            });
            let images: Vec<_> = samples.into_iter().map(|sample| sample.image).collect();
            seen += images.len();
            if !images.is_empty() {
                visit(to_tensor(&images, scene.device))?;
            }
        }
        match self.reference.first() {
            Some(&first) if seen == 0 => Ok(load(&[first]).map(|_| ())?),
            _ => Ok(()),
        }
    }
}
