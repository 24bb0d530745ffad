//! What do the transformer's heads attend to?

use archaeo_analysis::Keys;
use archaeo_analysis::attention::{
    AttentionMaps, DistanceConvention, HeadStatistics, LayerStatistics, attention_statistics,
};
use archaeo_analysis::attribution::{Attribution, Evidence, Rollout};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Estimate, FEWEST_FOR_A_TREND, Measured, RankTrend, Resampling, StatisticsError, mean_t,
    rank_trend,
};
use archaeo_plot::{Cell, Picture, SheetLayout, contact_sheet};

use super::pictures::{heat_panel, panel};
use super::{Laboratory, StudyError};
use crate::findings::{AttentionFindings, HeadAttention, LayerAttention};
use archaeo_data::Image;
use archaeo_training::images::preprocess;

/// Images on the rollout picture.
const ROLLOUTS_SHOWN: usize = 12;

/// Statistics of every layer and head over a sample of the main split, with a picture of every head on one image and of
/// the rollout on several.
///
/// # Errors
/// A model without attention, or data that cannot be read.
pub fn attention(lab: &Laboratory) -> Result<AttentionFindings, StudyError> {
    let indices = lab.sample_to_show("attention", lab.sizes.attention_images, ROLLOUTS_SHOWN)?;
    let convention = DistanceConvention::default();
    let mut images: Vec<Vec<LayerStatistics>> = Vec::new();
    let (mut head_maps, mut rollouts, mut even_distances, mut read_out) = (None, Vec::new(), Vec::new(), "");
    lab.for_each_batch("attention", &indices, lab.vit, |batch, samples, tensor| {
        let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
        let evidence = Evidence::new(lab.vit, tensor, Keys { seed: lab.seed, images: &ids });
        let maps = evidence.attention()?;
        images.extend(attention_statistics(maps, convention));
        let preprocessing = &lab.vit.card().preprocessing;
        if head_maps.is_none() {
            let shown = preprocess(samples[0].image.clone(), preprocessing);
            head_maps = Some(head_sheet(maps, &shown)?);
            read_out = maps.layers[0].site.read_out.describe();
            even_distances = maps.layers.iter().map(|layer| layer.even_distance(maps.image_size)).collect();
        }
        let room = ROLLOUTS_SHOWN - rollouts.len() / 2;
        for (sample, heatmap) in samples.iter().zip(Rollout::USUAL.explain(&evidence, &[])?).take(room) {
            let shown = preprocess(sample.image.clone(), preprocessing);
            let caption = lab.dataset.classes[sample.label].clone();
            rollouts.push(Cell { picture: panel(&shown)?, caption });
            rollouts.push(Cell { picture: heat_panel(&shown, &heatmap)?, caption: "rollout".into() });
        }
        Ok(())
    })?;

    let layers = even_distances
        .iter()
        .enumerate()
        .map(|(layer, &even)| layer_findings(&images, layer, even))
        .collect::<Result<Vec<_>, _>>()?;
    let layout = SheetLayout { columns: 8, ..SheetLayout::default() };
    Ok(AttentionFindings {
        n: images.len(),
        convention: convention.describe().into(),
        read_out: read_out.into(),
        image_size: lab.vit.card().preprocessing.image_size,
        trend: depth_trend(&layers, &lab.resampling())?,
        layers,
        head_maps: lab.save("attention-heads", &head_maps.expect("a sample has an image"))?,
        rollouts: lab.save("attention-rollouts", &contact_sheet(&rollouts, &layout)?)?,
    })
}

/// Every head's attention for the first image: a row a layer, a column a head, blank where a layer has fewer heads.
fn head_sheet(maps: &AttentionMaps, shown: &Image) -> Result<Picture, StudyError> {
    let columns = maps.layers.iter().map(|layer| layer.heads).max().unwrap_or(0);
    let blank = Picture::filled(1, 1, [255; 3])?;
    let mut cells = Vec::new();
    for (layer, of_layer) in maps.layers.iter().enumerate() {
        for head in 0..columns {
            let cell = match head < of_layer.heads {
                true => Cell {
                    picture: heat_panel(shown, &maps.readout_map(layer, 0, head))?,
                    caption: format!("layer {} head {}", layer + 1, head + 1),
                },
                false => Cell { picture: blank.clone(), caption: String::new() },
            };
            cells.push(cell);
        }
    }
    Ok(contact_sheet(&cells, &SheetLayout { columns, ..SheetLayout::default() })?)
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
    let heads = heads.collect::<Result<_, StudyError>>()?;
    let diversity: Vec<f64> = images.iter().map(|image| image[layer].diversity).collect();
    let diversity = mean_t(&diversity, DEFAULT_LEVEL)?;
    let relative = |image: &Vec<LayerStatistics>| {
        let heads = &image[layer].heads;
        heads.iter().map(|head| head.distance).sum::<f64>() / heads.len() as f64 / even_distance
    };
    let relative_distance = (even_distance > 0.0)
        .then(|| mean_t(&images.iter().map(relative).collect::<Vec<_>>(), DEFAULT_LEVEL))
        .transpose()?;
    Ok(LayerAttention { heads, diversity, even_distance, relative_distance })
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
mod tests {
    use super::*;

    fn layers(relative: &[Option<f64>]) -> Vec<LayerAttention> {
        let nothing = || Estimate::of_one(0.0, DEFAULT_LEVEL);
        let layer = |share: &Option<f64>| LayerAttention {
            heads: Vec::new(),
            diversity: nothing(),
            even_distance: 1.0,
            relative_distance: share.map(|share| Estimate::of_one(share, DEFAULT_LEVEL)),
        };
        relative.iter().map(layer).collect()
    }

    fn trend(relative: &[Option<f64>]) -> Measured<RankTrend> {
        depth_trend(&layers(relative), &Resampling::new(0)).unwrap()
    }

    #[test]
    fn the_trend_is_over_layers_that_have_a_distance() {
        let found = trend(&[Some(0.5), Some(0.6), Some(0.7), Some(0.8), Some(0.9), None]);
        let found = found.known().unwrap();
        assert_eq!((found.n, (found.rho * 1e9).round()), (5, 1e9));
        assert!((found.p_value - 2.0 / 120.0).abs() < 1e-12);
    }

    #[test]
    fn few_layers_and_even_attention_are_results() {
        let few = trend(&[Some(0.5), Some(0.6), Some(0.7), Some(0.8)]);
        assert_eq!(few.reason(), Some("it takes 5 or more layers to show one, and there are 4"));
        let few = trend(&[Some(0.5)]);
        assert_eq!(few.reason(), Some("it takes 5 or more layers to show one, and there is 1"));
        // Even attention, as rounding leaves it.
        let even: Vec<_> = (0..12).map(|layer| Some(1.0 + 1e-12 * f64::from(layer))).collect();
        let even = trend(&even);
        assert!(even.reason().unwrap().starts_with("attention reaches equally far"), "{even:?}");
    }
}
