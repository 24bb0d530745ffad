//! How similar the layers of the models are.

use archaeo_analysis::features::layers::LayerFeatures;
use archaeo_analysis::features::{Features, Gram, cka_estimate, cka_null, linear_cka};
use archaeo_analysis::statistics::{Measured, benjamini_hochberg};
use archaeo_random::stratified;
use archaeo_training::features::Extracted;
use rayon::prelude::*;

use super::findings::CkaMap;
use super::measure::Sample;
use crate::scene::StudyError;

/// Random orders of images that a similarity is held against.
const ORDERS: usize = 499;

/// CKA of the layers of every model with themselves and of every pair, on the same test images, at most `most` of them.
///
/// # Errors
/// Fewer than four images, features that are not finite, an interruption.
pub fn similarity(
    samples: &[Sample],
    most: usize,
    seed: u64,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<CkaMap>, StudyError> {
    let Some(first) = samples.first() else { return Ok(Vec::new()) };
    let images = stratified(seed, "images whose layers are compared", &first.test.labels, most);
    if images.len() < 4 {
        return Ok(Vec::new());
    }
    let mut stacks = Vec::with_capacity(samples.len());
    for sample in samples {
        stacks.push((sample.name, Stack::of(&sample.test, &images)?));
        if !go_on() {
            return Err(StudyError::Interrupted);
        }
    }
    let mut maps = Vec::new();
    for (place, (name, own)) in stacks.iter().enumerate() {
        for (other_name, other) in &stacks[place..] {
            let values = own.grams.par_iter().flat_map_iter(|row| {
                other
                    .grams
                    .iter()
                    .map(|column| linear_cka(std::slice::from_ref(row), std::slice::from_ref(column)))
            });
            let ends = [own, other].map(|stack| stack.grams.last().expect("every model has features"));
            let alone = name == other_name;
            let null = if alone { None } else { cka_null(ends[0], ends[1], ORDERS, seed)? };
            maps.push(CkaMap {
                models: [*name, *other_name],
                n: images.len(),
                rows: own.names.clone(),
                columns: other.names.clone(),
                values: values.collect(),
                features: if alone {
                    Measured::undefined("it is the same model")
                } else {
                    cka_estimate(ends[0], ends[1])?
                },
                adjusted_p: null.as_ref().map(|null| null.p_value),
                null,
            });
            if !go_on() {
                return Err(StudyError::Interrupted);
            }
        }
    }
    let p_values: Vec<f64> = maps.iter().filter_map(|map| map.adjusted_p).collect();
    let adjusted = benjamini_hochberg(&p_values)?;
    maps.iter_mut()
        .filter_map(|map| map.adjusted_p.as_mut())
        .zip(adjusted)
        .for_each(|(p, adjusted)| *p = adjusted);
    Ok(maps)
}

/// The layers of a model as kernels.
struct Stack {
    names: Vec<String>,
    grams: Vec<Gram>,
}

impl Stack {
    fn of(test: &Extracted, images: &[usize]) -> Result<Self, StudyError> {
        let layer = |layer: &LayerFeatures| (layer.name.clone(), layer.patch_mean.select(images));
        let all: Vec<(String, Features)> =
            test.layers.iter().map(layer).chain([("features".into(), test.pooled.select(images))]).collect();
        let grams = all.par_iter().map(|(_, features)| Gram::of(features)).collect::<Result<_, _>>()?;
        Ok(Self { names: all.into_iter().map(|(name, _)| name).collect(), grams })
    }
}
