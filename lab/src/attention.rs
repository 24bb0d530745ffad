//! What a transformer's heads attend to, and heatmaps of what a model looks at.

mod arrays;

use archaeo_analysis::Keys;
use archaeo_analysis::attention::{
    DistanceConvention, HeadStatistics, LayerStatistics, attention_statistics,
};
use archaeo_analysis::attribution::{Attribution, Evidence, Heatmap, MethodInfo, Rollout, RolloutOptions};
use archaeo_models::Classifier;
use archaeo_training::finite::{NotFinite, check_maps, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed};
use serde::{Serialize, Serializer};

use crate::error::LabError;
use crate::explain::named;
use crate::opened::Opened;
use crate::session::Session;

/// What is asked about attention.
#[derive(Clone, Debug)]
pub struct AttentionOptions {
    /// Layers to show, from 1; all when empty.
    pub layers: Vec<usize>,
    /// Heatmaps to make, by their names in [`methods`]; those that depend on a class explain the predicted one.
    pub methods: Vec<String>,
    /// How rollout fuses heads, what it discards, and where it begins.
    pub rollout: RolloutOptions,
    /// How the attention distance treats the class token.
    pub convention: DistanceConvention,
}

impl Default for AttentionOptions {
    /// Rollout and the statistics of all layers.
    fn default() -> Self {
        Self {
            layers: Vec::new(),
            methods: vec!["rollout".into()],
            rollout: RolloutOptions::default(),
            convention: DistanceConvention::Renormalised,
        }
    }
}

impl AttentionOptions {
    /// Refuses what no model could be asked.
    ///
    /// # Errors
    /// A share to discard that is none.
    pub fn check(&self) -> Result<(), LabError> {
        match (0.0..1.0).contains(&self.rollout.discard) {
            true => Ok(()),
            false => Err(LabError::Discard),
        }
    }
}

/// A value for each head of each layer shown.
pub type ByHead = Vec<Vec<f64>>;

/// What heads attend to, as means over images.
#[derive(Clone, Debug, Serialize)]
pub struct Attended {
    /// Name of the model.
    pub model: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// What the model's head reads.
    pub read_out: &'static str,
    /// The methods of the heatmaps.
    pub heatmaps: Vec<MethodInfo>,
    /// Images.
    pub n: usize,
    /// How the attention distance treats the class token.
    pub distance_convention: &'static str,
    /// The numbers of the layers, from 1, one for each row of what follows.
    pub layers: Vec<usize>,
    /// The statistics by name.
    #[serde(flatten)]
    pub statistics: Statistics,
    /// The heatmaps of each method, one per image, in the order of [`Opened::indices`].
    #[serde(skip)]
    pub maps: Vec<Vec<Heatmap>>,
}

/// Statistics of heads by name; `None`, not zero, for the mass on a token that the model does not have.
#[derive(Clone, Debug)]
pub struct Statistics(Vec<(&'static str, Option<ByHead>)>);

impl Statistics {
    /// The statistic of a name, such as `attention_distance`.
    pub fn get(&self, name: &str) -> Option<&ByHead> {
        self.present().find(|(known, _)| *known == name).map(|(_, values)| values)
    }

    /// Those that the model has.
    pub fn present(&self) -> impl Iterator<Item = (&'static str, &ByHead)> {
        self.0.iter().filter_map(|(name, values)| Some((*name, values.as_ref()?)))
    }
}

impl Serialize for Statistics {
    /// What the model has comes first.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let absent = self.0.iter().filter(|(_, values)| values.is_none()).map(|(name, _)| (*name, None));
        serializer.collect_map(self.present().map(|(name, values)| (name, Some(values))).chain(absent))
    }
}

/// What was seen of the images so far.
#[derive(Default)]
struct Seen {
    /// The layers shown, of each image.
    statistics: Vec<Vec<LayerStatistics>>,
    read_out: &'static str,
    /// Of each method.
    maps: Vec<Vec<Heatmap>>,
}

impl Session {
    /// Measures what heads attend to, and makes heatmaps.
    ///
    /// # Errors
    /// A model without attention, a layer that it does not have, a method that is not known or does not apply, images that cannot
    /// be read, values that are not finite, or an export that cannot be written.
    pub fn attention(&self, opened: &Opened, options: &AttentionOptions) -> Result<Attended, LabError> {
        options.check()?;
        opened.require_attention()?;
        let layers = shown(&options.layers, opened)?;
        let (number, count) = (options.rollout.start_layer, opened.model.card().network.attention_layers());
        if !(1..=count).contains(&number) {
            return Err(LabError::StartLayer { number, model: opened.model.card().name.clone(), count });
        }
        let rollout = Rollout { options: options.rollout };
        let methods = chosen(&options.methods, &rollout, &opened.model)?;
        let seen = self.see(opened, options, &layers, &methods)?;
        let attended = Attended {
            model: opened.model.card().name.clone(),
            precision: self.precision_name(),
            read_out: seen.read_out,
            heatmaps: methods.iter().map(|method| *method.info()).collect(),
            n: seen.statistics.len(),
            distance_convention: options.convention.describe(),
            layers,
            statistics: statistics(&seen.statistics),
            maps: seen.maps,
        };
        if let Some(path) = &opened.subject.export {
            arrays::write(path, opened, &attended)?;
        }
        Ok(attended)
    }

    fn see(
        &self,
        opened: &Opened,
        options: &AttentionOptions,
        layers: &[usize],
        methods: &[&dyn Attribution],
    ) -> Result<Seen, LabError> {
        let Opened { model, indices, device, .. } = opened;
        let split = opened.split()?;
        let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
        let work = self.counting(&model.card().name, indices.len());
        let mut seen = Seen { maps: vec![Vec::new(); methods.len()], ..Seen::default() };
        for batch in indices.chunks(opened.batch_size()) {
            let pixels = Batch::load(&images, batch, 0)?.tensor(device);
            let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
            let keys = Keys { seed: self.seed(), images: &ids };
            let evidence = Evidence::new(model, pixels.clone(), keys);
            let maps = evidence.attention()?;
            let image = |row: usize| (split.identifier(batch[row]), pixels.clone().narrow(0, row, 1));
            check_maps(model, maps, image).map_err(|error| self.not_finite(error, opened))?;
            let of_shown = |image: Vec<LayerStatistics>| {
                let numbered = image.into_iter().zip(1..);
                numbered.filter(|(_, number)| layers.contains(number)).map(|(layer, _)| layer)
            };
            let all = attention_statistics(maps, options.convention).into_iter();
            seen.statistics.extend(all.map(|image| of_shown(image).collect::<Vec<_>>()));
            for (of_method, method) in seen.maps.iter_mut().zip(methods) {
                if method.info().depends_on_class
                    && let Some(row) = first_not_finite(evidence.logits(), model.card().classes.len())
                {
                    let (name, image) = image(row);
                    return Err(self.not_finite(NotFinite::traced(model, &name, image), opened));
                }
                of_method.extend(method.explain_predicted(&evidence)?);
            }
            seen.read_out = maps.layers[0].site.read_out.describe();
            work.advance(batch.len());
        }
        Ok(seen)
    }
}

/// Numbers of the layers that are shown, ascending, from 1.
fn shown(asked: &[usize], opened: &Opened) -> Result<Vec<usize>, LabError> {
    asked.iter().try_for_each(|&number| opened.attention_layer(number).map(drop))?;
    let count = opened.model.card().network.attention_layers();
    Ok((1..=count).filter(|number| asked.is_empty() || asked.contains(number)).collect())
}

/// The methods of these ids, rollout with its options; none twice.
fn chosen<'a>(
    ids: &[String],
    rollout: &'a Rollout,
    model: &Classifier,
) -> Result<Vec<&'a dyn Attribution>, LabError> {
    let mut chosen: Vec<&dyn Attribution> = Vec::new();
    for id in ids {
        let found = named(id, model, &[]).map_err(|reason| LabError::Method { id: id.into(), reason })?;
        let found = if found.info() == rollout.info() { rollout } else { found };
        if chosen.iter().all(|method| method.info() != found.info()) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// Means over images of what is known of each head.
fn statistics(images: &[Vec<LayerStatistics>]) -> Statistics {
    let always = |of: fn(&HeadStatistics) -> f64| Some(means(images, of));
    Statistics(vec![
        ("attention_distance", always(|head| head.distance)),
        ("attention_entropy", always(|head| head.entropy)),
        ("normalised_entropy", always(|head| head.normalised_entropy)),
        ("hoyer_sparsity", always(|head| head.hoyer)),
        ("below_uniform", always(|head| head.below_uniform)),
        ("class_token_mass", mass(images, |head| head.class_token_mass)),
        ("distillation_token_mass", mass(images, |head| head.distillation_token_mass)),
        ("register_mass", mass(images, |head| head.register_mass)),
    ])
}

fn means(images: &[Vec<LayerStatistics>], of: fn(&HeadStatistics) -> f64) -> ByHead {
    let mean = |layer: usize, head: usize| {
        images.iter().map(|image| of(&image[layer].heads[head])).sum::<f64>() / images.len() as f64
    };
    by_head(images, mean)
}

/// Mean weight on a kind of token; `None` of a model that has no such token.
fn mass(images: &[Vec<LayerStatistics>], of: fn(&HeadStatistics) -> Option<f64>) -> Option<ByHead> {
    let mean = |layer: usize, head: usize| {
        let sum: Option<f64> = images.iter().map(|image| of(&image[layer].heads[head])).sum();
        Some(sum? / images.len() as f64)
    };
    by_head(images, mean).into_iter().map(|heads| heads.into_iter().collect()).collect()
}

fn by_head<T>(images: &[Vec<LayerStatistics>], of: impl Fn(usize, usize) -> T) -> Vec<Vec<T>> {
    let heads = |layer: usize| 0..images[0][layer].heads.len();
    (0..images[0].len()).map(|layer| heads(layer).map(|head| of(layer, head)).collect()).collect()
}
