//! What does each head of each model with attention do: a label per head, confirmed on two halves of the images.

mod chapter;
mod claims;
pub mod findings;

use archaeo_analysis::Keys;
use archaeo_analysis::attention::{HeadHalf, HeadLabel, HeadOnImage, PatchContent, heads_on_images, label};
use archaeo_analysis::attribution::{Evidence, Heatmap};
use archaeo_analysis::statistics::benjamini_hochberg;
use archaeo_random::{keyed_rng, standard_normal};
use archaeo_training::RecipeError;
use archaeo_training::images::preprocess_mask;
use serde::{Deserialize, Serialize};

use self::findings::{AtlasFindings, HeadRole, Roles};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, Subject};
use crate::units::{Recorded, Recorder, Unit};

/// Random partners of the second halves.
const SHUFFLES: usize = 499;

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AtlasOptions {
    /// Images of both halves together, at least 4.
    pub images: usize,
}

impl Default for AtlasOptions {
    fn default() -> Self {
        Self { images: 64 }
    }
}

impl Options for AtlasOptions {
    fn quick() -> Self {
        Self { images: 24 }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.atlas.images", 4, "at least 4", self.images)
    }
}

/// Labels every head by measured criteria, each against its shuffled null, on two halves of a sample of the main split.
pub struct AtlasStudy;

impl Study for AtlasStudy {
    const ID: &'static str = "atlas";
    const TITLE: &'static str = "What each head does";
    const QUESTION: &'static str = "what each attention head does";
    const SCHEMA: u32 = 2;
    type Options = AtlasOptions;
    type Record = AtlasRecord;
    type Findings = ByModel<AtlasFindings>;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        Ok(Applicability::only_if(!scene.with_attention().is_empty(), "no model here has attention heads"))
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample(Self::ID, scene.options.of::<Self>().images)?;
        let unit = |Subject { name, .. }| Unit::whole(name, format!("head atlas of {name}"), images.clone());
        Ok(scene.with_attention().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, AtlasRecord>, StudyError> {
        let model = scene.model(unit.model);
        let preprocessing = &model.card().preprocessing;
        let (size, split) = ([preprocessing.image_size; 2], scene.split()?);
        Ok(Box::new(move |batch| {
            let ids = batch.ids();
            let evidence =
                Evidence::new(model, batch.images.clone(), Keys { seed: scene.seed, images: &ids });
            let maps = evidence.attention()?;
            let mut seen = Vec::with_capacity(ids.len());
            for (sample, &index) in batch.samples.iter().zip(batch.indices) {
                let mask = split.mask_of(index, sample)?.map(|mask| preprocess_mask(&mask, preprocessing));
                let pixels = sample.image.pixels();
                let planes: Vec<f32> = (0..3)
                    .flat_map(|channel| pixels.iter().skip(channel).step_by(3))
                    .map(|&value| f32::from(value) / 255.0)
                    .collect();
                seen.push((planes, mask));
            }
            let mut records: Vec<AtlasRecord> =
                batch.labels().into_iter().map(|class| AtlasRecord { class, layers: Vec::new() }).collect();
            for (layer, of_layer) in maps.layers.iter().enumerate() {
                let (grid, windows) = (of_layer.site.grid, of_layer.site.window.is_some());
                let contents: Vec<PatchContent> = seen
                    .iter()
                    .map(|(planes, mask)| PatchContent::of(planes, size, mask.as_deref(), grid))
                    .collect();
                let heads = heads_on_images(maps, layer, &contents, (scene.seed, &ids));
                for (image, heads) in heads.into_iter().enumerate() {
                    let read = (0..heads.len()).map(|head| maps.readout_map(layer, image, head).values);
                    records[image].layers.push(LayerRecord { grid, windows, read: read.collect(), heads });
                }
            }
            Ok(records)
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<AtlasRecord>>,
    ) -> Result<ByModel<AtlasFindings>, StudyError> {
        let mut models = Vec::with_capacity(recorded.len());
        for Recorded { unit, records } in recorded {
            let roles = roles(&records, scene.seed);
            let mut heads = Vec::with_capacity(roles.heads.len());
            for (layer, head, label, halves) in roles.heads {
                let file = format!("atlas-{}-layer-{:02}-head-{:02}", unit.model, layer + 1, head + 1);
                let picture = scene.save_map(&file, &mean_map(&records, layer, head))?;
                let [first, second] = halves;
                heads.push(HeadRole { layer: layer + 1, head: head + 1, label, first, second, picture });
            }
            let windows =
                records.first().is_some_and(|record| record.layers.iter().any(|layer| layer.windows));
            models.push((
                unit.model,
                AtlasFindings { n: records.len(), windows, heads, roles: roles.confirmed },
            ));
        }
        let p_values: Vec<f64> = models.iter().map(|(_, found)| found.roles.adjusted_p).collect();
        let adjusted = benjamini_hochberg(&p_values)?;
        models.iter_mut().zip(adjusted).for_each(|((_, found), p)| found.roles.adjusted_p = p);
        Ok(models.into_iter().collect())
    }

    fn chapter(findings: &Self::Findings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// What is recorded of one image.
#[derive(Debug, Serialize, Deserialize)]
pub struct AtlasRecord {
    class: usize,
    layers: Vec<LayerRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LayerRecord {
    grid: [usize; 2],
    windows: bool,
    heads: Vec<HeadOnImage>,
    /// Read-out map of each head.
    read: Vec<Vec<f32>>,
}

struct Found {
    /// Layer and head from 0, with the label and both halves.
    heads: Vec<(usize, usize, HeadLabel, [HeadHalf; 2])>,
    confirmed: Roles,
}

/// Labels of all heads; images take turns between the halves. The null gives each head the second half of a random head.
fn roles(records: &[AtlasRecord], seed: u64) -> Found {
    let mut heads = Vec::new();
    let layers = records.first().map_or(&[][..], |record| record.layers.as_slice());
    for (layer, of_layer) in layers.iter().enumerate() {
        for head in 0..of_layer.heads.len() {
            let half = |first: usize| {
                let of = || records.iter().skip(first).step_by(2);
                let images: Vec<&HeadOnImage> =
                    of().map(|record| &record.layers[layer].heads[head]).collect();
                HeadHalf::of(&images, &of().map(|record| record.class).collect::<Vec<_>>(), seed)
            };
            let halves = [half(0), half(1)];
            heads.push((layer, head, label(&halves), halves));
        }
    }
    let known = |label: HeadLabel| label != HeadLabel::Unexplained;
    let confirmed = heads.iter().filter(|(_, _, label, _)| known(*label)).count();
    let mut partners: Vec<usize> = (0..heads.len()).collect();
    let (mut sum, mut as_many) = (0, 0);
    for draw in 0..SHUFFLES {
        let mut rng = keyed_rng(seed, "head atlas partners", draw as u64, 0);
        let keys: Vec<f64> = heads.iter().map(|_| standard_normal(&mut rng)).collect();
        partners.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
        let of_draw = heads.iter().zip(&partners);
        let by_chance = of_draw.filter(|(own, other)| known(label(&[own.3[0], heads[**other].3[1]]))).count();
        sum += by_chance;
        as_many += usize::from(by_chance >= confirmed);
    }
    let confirmed = Roles {
        confirmed,
        heads: heads.len(),
        shuffled: sum as f64 / SHUFFLES as f64,
        adjusted_p: (1 + as_many) as f64 / (1 + SHUFFLES) as f64,
    };
    Found { heads, confirmed }
}

/// Mean over images of what a head sends to the tokens that are read.
fn mean_map(records: &[AtlasRecord], layer: usize, head: usize) -> Heatmap {
    let maps: Vec<Heatmap> = records
        .iter()
        .map(|record| &record.layers[layer])
        .map(|LayerRecord { grid: [height, width], read, .. }| {
            Heatmap::new(*height, *width, read[head].clone())
        })
        .collect();
    Heatmap::mean(&maps).expect("a head is labelled on images")
}

#[cfg(test)]
mod tests;
