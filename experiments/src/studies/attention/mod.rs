//! What do the heads of each model with attention attend to?

mod chapter;
mod claims;
pub mod findings;
mod method;
mod table;

use archaeo_analysis::attention::{
    DistanceConvention, HeadStatistics, LayerStatistics, ObservedAttention, ObservedLayer, observe,
};
use archaeo_analysis::attribution::{Attribution, Rollout};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Estimate, FEWEST_FOR_A_TREND, Measured, RankTrend, Resampling, StatisticsError, mean_t,
    rank_trend,
};

use archaeo_data::Image;
use archaeo_training::RecipeError;
use serde::{Deserialize, Serialize};

use self::findings::{AttentionFindings, HeadAttention, LayerAttention};
use crate::findings::{ExplainedImage, HeadMaps, HeatmapShown, Investigation, LayerMaps};
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName, Subject};
use crate::units::{Recorded, Recorder, Unit};

/// How weight on tokens without a place counts in distances.
const CONVENTION: DistanceConvention = DistanceConvention::Renormalised;

/// Images whose rollout is shown.
const ROLLOUTS_SHOWN: usize = 12;

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionOptions {
    /// Images whose attention is measured (128 in the ViT paper), at least 2: a mean has an interval from two values on.
    pub images: usize,
}

impl Default for AttentionOptions {
    fn default() -> Self {
        Self { images: 128 }
    }
}

impl Options for AttentionOptions {
    fn quick() -> Self {
        Self { images: 64 }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.attention.images", 2, "at least 2", self.images)
    }
}

/// Statistics of every layer and head over a sample of the main split, with pictures of every head on one image and
/// of the rollout on several.
pub struct AttentionStudy;

impl Study for AttentionStudy {
    const ID: &'static str = "attention";
    const TITLE: &'static str = "Attention";
    const QUESTION: &'static str = "what the attention heads look at";
    type Options = AttentionOptions;
    type Record = AttentionRecord;
    type Findings = ByModel<AttentionFindings>;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        Ok(Applicability::only_if(!scene.with_attention().is_empty(), "no model here has attention heads"))
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample_to_show(Self::ID, scene.options.of::<Self>().images, ROLLOUTS_SHOWN)?;
        let unit = |Subject { name, .. }| Unit::whole(name, format!("attention of {name}"), images.clone());
        Ok(scene.with_attention().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, AttentionRecord>, StudyError> {
        let (name, model) = (unit.model, scene.model(unit.model));
        let predicted = scene.predicted(scene.main_split, name)?;
        let answers = predicted.scores()?.predicted();
        Ok(Box::new(move |batch| {
            let shows = Rollout::USUAL.applies(model).holds();
            let shown = shows && batch.places.iter().any(|&place| place < ROLLOUTS_SHOWN);
            let (seen, _) = observe(model, batch.images.clone(), CONVENTION, shown, None)?;
            let rollouts = if shown { seen.rollout() } else { Vec::new() };
            let record = |i: usize| {
                let (place, index, image) = (batch.places[i], batch.indices[i], &batch.samples[i].image);
                let answer = (answers[index], predicted.probabilities(index)[answers[index]]);
                let rollout = (shows && place < ROLLOUTS_SHOWN).then(|| -> Result<_, StudyError> {
                    let file = format!("attention-{name}-image-{:02}", place + 1);
                    let heatmap = scene.save_heatmap(&format!("{file}-rollout"), image, &rollouts[i])?;
                    Ok(ExplainedImage {
                        image: scene.save_image(&file, index, image)?,
                        predictions: [(name, answer)].into(),
                        heatmaps: [(name, heatmap)].into(),
                    })
                });
                let first = (place == 0).then(|| FirstImage::of(scene, name, &seen, i, index, image));
                let layers = seen.statistics(i).into_iter().cloned().collect();
                Ok(AttentionRecord { layers, rollout: rollout.transpose()?, first: first.transpose()? })
            };
            (0..seen.images).map(record).collect()
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<AttentionRecord>>,
    ) -> Result<ByModel<AttentionFindings>, StudyError> {
        recorded.into_iter().map(|of| Ok((of.unit.model, of_model(scene, of)?))).collect()
    }

    fn chapter(findings: &Self::Findings, investigation: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, investigation, names)
    }
}

/// What is recorded of one image.
#[derive(Debug, Serialize, Deserialize)]
pub struct AttentionRecord {
    layers: Vec<LayerStatistics>,
    /// Of the images whose rollout is shown.
    rollout: Option<ExplainedImage>,
    /// Of the first image.
    first: Option<FirstImage>,
}

/// Every head on the first image, and what is the same for all images.
#[derive(Debug, Serialize, Deserialize)]
struct FirstImage {
    head_maps: HeadMaps,
    /// What the model's answer is read from, in words.
    read_out: String,
    /// Of each layer, pixels.
    even_distances: Vec<f64>,
}

impl FirstImage {
    fn of(
        scene: &Scene,
        name: ModelName,
        seen: &ObservedAttention,
        place: usize,
        index: usize,
        image: &Image,
    ) -> Result<Self, StudyError> {
        Ok(Self {
            head_maps: head_maps(scene, name.as_str(), &seen.layers, place, index, image)?,
            read_out: seen.layers[0].site.read_out.describe().into(),
            even_distances: seen.layers.iter().map(|layer| layer.even_distance(seen.image_size)).collect(),
        })
    }
}

fn of_model(scene: &Scene, recorded: Recorded<AttentionRecord>) -> Result<AttentionFindings, StudyError> {
    let (mut images, mut rollouts_shown, mut first) = (Vec::new(), Vec::new(), None);
    for record in recorded.records {
        images.push(record.layers);
        rollouts_shown.extend(record.rollout);
        first = first.or(record.first);
    }
    let Some(first) = first else {
        return Err(StatisticsError::TooFew { what: "attention", needed: 1, found: 0 }.into());
    };
    let layers = (first.even_distances.iter().enumerate())
        .map(|(layer, &even)| layer_findings(&images, layer, even))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(AttentionFindings {
        n: images.len(),
        convention: CONVENTION.describe().into(),
        read_out: first.read_out,
        image_size: scene.model(recorded.unit.model).card().preprocessing.image_size,
        trend: depth_trend(&layers, &scene.resampling())?,
        layers,
        head_maps_shown: Some(first.head_maps),
        rollouts_shown,
    })
}

/// Every head's attention for one image.
fn head_maps(
    scene: &Scene,
    model: &str,
    layers: &[ObservedLayer],
    place: usize,
    index: usize,
    image: &Image,
) -> Result<HeadMaps, StudyError> {
    let head = |layer: usize, head: usize| {
        let name = format!("attention-{model}-layer-{:02}-head-{:02}", layer + 1, head + 1);
        scene.save_heatmap(&name, image, layers[layer].readout_map(place, head))
    };
    let drawn = layers.iter().enumerate().map(|(layer, of_layer)| {
        let heads: Vec<HeatmapShown> =
            (0..of_layer.heads).map(|index| head(layer, index)).collect::<Result<_, StudyError>>()?;
        let grid = heads.first().map_or([0, 0], |head| head.grid);
        Ok(LayerMaps { grid, heads: heads.into_iter().map(|head| head.picture).collect() })
    });
    Ok(HeadMaps {
        image: scene.save_image(&format!("attention-{model}-image"), index, image)?,
        layers: drawn.collect::<Result<_, StudyError>>()?,
    })
}

/// One layer, over images.
fn layer_findings(
    images: &[Vec<LayerStatistics>],
    layer: usize,
    even_distance: f64,
) -> Result<LayerAttention, StudyError> {
    let heads = (0..images[0][layer].heads.len()).map(|head| {
        let of = |statistic: fn(&HeadStatistics) -> f64| -> Result<Estimate, StudyError> {
            let values: Vec<f64> = images.iter().map(|image| statistic(&image[layer].heads[head])).collect();
            Ok(mean_t(&values, DEFAULT_LEVEL)?)
        };
        // What a model has no token for is absent, not zero.
        let of_token = |mass: fn(&HeadStatistics) -> Option<f64>| -> Result<Option<Estimate>, StudyError> {
            let values: Option<Vec<f64>> =
                images.iter().map(|image| mass(&image[layer].heads[head])).collect();
            Ok(values.map(|values| mean_t(&values, DEFAULT_LEVEL)).transpose()?)
        };
        Ok(HeadAttention {
            distance: of(|s| s.distance)?,
            entropy: of(|s| s.entropy)?,
            normalised_entropy: of(|s| s.normalised_entropy)?,
            hoyer: of(|s| s.hoyer)?,
            below_uniform: of(|s| s.below_uniform)?,
            class_token_mass: of_token(|s| s.class_token_mass)?,
            distillation_token_mass: of_token(|s| s.distillation_token_mass)?,
            register_mass: of_token(|s| s.register_mass)?,
        })
    });
    let heads = heads.collect::<Result<Vec<HeadAttention>, StudyError>>()?;
    let diversity: Vec<f64> = images.iter().map(|image| image[layer].diversity).collect();
    let diversity = mean_t(&diversity, DEFAULT_LEVEL)?;
    let relative = |image: &Vec<LayerStatistics>| {
        let heads = &image[layer].heads;
        heads.iter().map(|head| head.distance).sum::<f64>() / heads.len() as f64 / even_distance
    };
    let relative_distance = (even_distance > 0.0)
        .then(|| mean_t(&images.iter().map(relative).collect::<Vec<_>>(), DEFAULT_LEVEL))
        .transpose()?;
    let mean_distance = mean_distance(&heads);
    Ok(LayerAttention { heads, diversity, even_distance, relative_distance, mean_distance })
}

/// Over heads, in pixels; `None` without heads.
fn mean_distance(heads: &[HeadAttention]) -> Option<f64> {
    let sum: f64 = heads.iter().map(|head| head.distance.value).sum();
    (!heads.is_empty()).then(|| sum / heads.len() as f64)
}

/// Whether attention reaches further, or less far, with depth. The unit is the layer: heads of one layer are no independent
/// witnesses of its depth. What is compared is the distance relative to even attention: in a windowed model even attention
/// reaches further from stage to stage, because patches are merged.
fn depth_trend(
    layers: &[LayerAttention],
    resampling: &Resampling,
) -> Result<Measured<RankTrend>, StudyError> {
    // Layers that differ by what rounding leaves do not differ.
    let rounded = |found: &Estimate| (found.value * 1e6).round() / 1e6;
    let relative: Vec<f64> =
        layers.iter().filter_map(|layer| layer.relative_distance.as_ref()).map(rounded).collect();
    Ok(match rank_trend(&relative, resampling) {
        Err(StatisticsError::TooFew { found, .. }) => Measured::undefined(format!(
            "it takes {FEWEST_FOR_A_TREND} or more layers to show one, and there {} {found}",
            if found == 1 { "is" } else { "are" }
        )),
        Err(StatisticsError::Undefined { .. }) => {
            Measured::undefined("attention reaches equally far in all layers, relative to even attention")
        }
        found => Measured::Known(found?),
    })
}

#[cfg(test)]
mod tests;
