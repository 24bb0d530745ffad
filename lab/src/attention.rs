//! What a transformer's heads attend to, and heatmaps of what a model looks at.

mod against;
mod against_figures;
mod arrays;
mod artefacts;
mod statistics;
mod strata;
mod strip;

use archaeo_analysis::Keys;
use archaeo_analysis::attention::{
    AttentionSummary, DistanceConvention, LayerStatistics, Replacement, attention_statistics, observe,
};
use archaeo_analysis::attribution::{Attribution, Evidence, Heatmap, Kind, MethodInfo, methods_for};
use archaeo_models::Classifier;
use archaeo_training::finite::{NotFinite, check_maps, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed};
use burn::tensor::Tensor;
use serde::Serialize;

use crate::error::LabError;
use crate::explain::named;
use crate::opened::Opened;
use crate::rollout::{ChosenRollout, RolloutChoice, is_rollout};
use crate::session::Session;

pub use against::{AgainstOptions, ComparedAttention};
pub use archaeo_analysis::attention::{AttentionChange, HeadChange};
pub use artefacts::ArtefactsFound;
pub use statistics::{ByHead, ClassStatistics, LayerDiversity, Statistics};
pub use strata::{AttentionStrata, StratumAttention};

/// What is asked about attention.
#[derive(Clone, Debug)]
pub struct AttentionOptions {
    /// Layers to show, from 1; all when empty.
    pub layers: Vec<usize>,
    /// Heatmaps to make, by their names in [`methods`](archaeo_analysis::attribution::methods); those that depend on a class explain
    /// the predicted one. When empty, rollout, or for a model to which it does not apply, the first method that does.
    pub methods: Vec<String>,
    /// Which rollout.
    pub rollout: RolloutChoice,
    /// How the attention distance treats the class token.
    pub convention: DistanceConvention,
    /// Whether the statistics are given for the images of each class too.
    pub by_class: bool,
    /// Whether artefact tokens are found, and everything is computed after replacing them.
    pub registers_test: bool,
    /// Whether the heatmaps of all images are kept, for [`Attended::maps`] and an export.
    pub keep_maps: bool,
}

impl Default for AttentionOptions {
    /// Rollout and the statistics of all layers.
    fn default() -> Self {
        Self {
            layers: Vec::new(),
            methods: Vec::new(),
            rollout: RolloutChoice::default(),
            convention: DistanceConvention::Renormalised,
            by_class: false,
            registers_test: false,
            keep_maps: true,
        }
    }
}

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
    /// How much the heads of each layer differ, and which are alike.
    pub heads_compared: Vec<LayerDiversity>,
    /// The statistics over the images of each class, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<ClassStatistics>>,
    /// Artefact tokens, where asked for; all else is then what remains after replacing them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artefacts: Option<ArtefactsFound>,
    /// The heatmaps of each method, one per image, in the order of [`Opened::indices`].
    #[serde(skip)]
    pub maps: Vec<Vec<Heatmap>>,
}

/// What was seen of the images so far.
#[derive(Default)]
struct Seen {
    summary: AttentionSummary,
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
        opened.require_attention()?;
        let layers = shown(&options.layers, opened)?;
        let rollout = options.rollout.of(opened)?;
        let asked = match options.methods.as_slice() {
            [] => usual_method(&opened.model),
            asked => asked.to_vec(),
        };
        let methods = chosen(&asked, &rollout, &opened.model)?;
        if options.registers_test && methods.iter().any(|method| !is_rollout(*method)) {
            let reason = "artefact tokens can be replaced for rollout alone".to_owned();
            return Err(LabError::Method { id: asked.join(","), reason });
        }
        if options.registers_test && !options.rollout.is_usual() {
            let reason = "artefact tokens can be replaced for its usual form alone: leave out --fusion, --discard, --start-layer and --impl";
            return Err(LabError::Method { id: "rollout".into(), reason: reason.into() });
        }
        let artefacts = options.registers_test.then(|| self.artefacts(opened)).transpose()?;
        let replacement = artefacts.as_ref().and_then(|(_, replacement)| replacement.as_ref());
        let seen = self.see(opened, options, &layers, &methods, replacement)?;
        let classes = options.by_class.then(|| statistics::of_classes(opened, &seen.summary)).transpose()?;
        let attended = Attended {
            model: opened.model.card().name.clone(),
            precision: self.precision_name(),
            read_out: seen.read_out,
            heatmaps: methods.iter().map(|method| *method.info()).collect(),
            n: seen.summary.n,
            distance_convention: options.convention.describe(),
            layers,
            statistics: Statistics::of(&seen.summary.layers)?,
            heads_compared: statistics::compared(&seen.summary)?,
            classes,
            artefacts: artefacts.map(|(found, _)| found),
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
        replacement: Option<&Replacement>,
    ) -> Result<Seen, LabError> {
        let Opened { model, indices, device, .. } = opened;
        let split = opened.split()?;
        let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
        let work = self.counting(&model.card().name, indices.len());
        let mut seen = Seen { maps: vec![Vec::new(); methods.len()], ..Seen::default() };
        let usual = options.rollout.is_usual() || replacement.is_some();
        let rollout_alone = methods.iter().all(|method| is_rollout(*method));
        for batch in indices.chunks(opened.batch_size()) {
            let pixels = Batch::load(&images, batch, 0)?.tensor(device);
            let class = |row: usize| options.by_class.then(|| split.label(batch[row]));
            match usual && rollout_alone {
                true => {
                    self.observe(opened, options, layers, &pixels, batch, replacement, class, &mut seen)?
                }
                false => self.look(opened, options, layers, methods, &pixels, batch, class, &mut seen)?,
            }
            if !options.keep_maps {
                seen.maps.iter_mut().for_each(Vec::clear);
            }
            work.advance(batch.len());
        }
        Ok(seen)
    }

    /// Statistics and rollout gathered in the pass itself.
    #[allow(clippy::too_many_arguments, reason = "what a batch is, and where its results go")]
    fn observe(
        &self,
        opened: &Opened,
        options: &AttentionOptions,
        layers: &[usize],
        pixels: &Tensor<4>,
        batch: &[usize],
        replacement: Option<&Replacement>,
        class: impl Fn(usize) -> Option<usize>,
        seen: &mut Seen,
    ) -> Result<(), LabError> {
        let model = &opened.model;
        let rollout = !seen.maps.is_empty();
        let (found, _) = observe(model, pixels.clone(), options.convention, rollout, replacement)?;
        if !found.is_finite() {
            // Traced on written weights.
            let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
            let evidence = Evidence::new(model, pixels.clone(), Keys { seed: self.seed(), images: &ids });
            let split = opened.split()?;
            let image = |row: usize| (split.identifier(batch[row]), pixels.clone().narrow(0, row, 1));
            check_maps(model, evidence.attention()?, image)
                .map_err(|error| self.not_finite(error, opened))?;
        }
        for image in 0..found.images {
            let of_shown = || layers.iter().map(|number| &found.layers[number - 1]);
            let statistics: Vec<&LayerStatistics> =
                of_shown().map(|layer| &layer.statistics[image]).collect();
            let pairs: Vec<&[f64]> = of_shown().map(|layer| layer.divergences[image].as_slice()).collect();
            seen.summary.add(&statistics, &pairs, class(image));
        }
        if rollout {
            seen.maps[0].extend(found.rollout());
        }
        seen.read_out = found.layers[0].site.read_out.describe();
        Ok(())
    }

    /// From written weights, which other methods need.
    #[allow(clippy::too_many_arguments, reason = "what a batch is, and where its results go")]
    fn look(
        &self,
        opened: &Opened,
        options: &AttentionOptions,
        layers: &[usize],
        methods: &[&dyn Attribution],
        pixels: &Tensor<4>,
        batch: &[usize],
        class: impl Fn(usize) -> Option<usize>,
        seen: &mut Seen,
    ) -> Result<(), LabError> {
        let (model, split) = (&opened.model, opened.split()?);
        let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
        let evidence = Evidence::new(model, pixels.clone(), Keys { seed: self.seed(), images: &ids });
        let maps = evidence.attention()?;
        let image = |row: usize| (split.identifier(batch[row]), pixels.clone().narrow(0, row, 1));
        check_maps(model, maps, image).map_err(|error| self.not_finite(error, opened))?;
        let all = attention_statistics(maps, options.convention);
        let pairs: Vec<_> = layers.iter().map(|number| maps.pair_divergences(number - 1)).collect();
        for (row, image) in all.iter().enumerate() {
            let statistics: Vec<&LayerStatistics> = layers.iter().map(|number| &image[number - 1]).collect();
            let pairs: Vec<&[f64]> = pairs.iter().map(|layer| layer[row].as_slice()).collect();
            seen.summary.add(&statistics, &pairs, class(row));
        }
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
        Ok(())
    }
}

/// Numbers of the layers that are shown, ascending, from 1.
fn shown(asked: &[usize], opened: &Opened) -> Result<Vec<usize>, LabError> {
    asked.iter().try_for_each(|&number| opened.attention_layer(number).map(drop))?;
    let count = opened.model.card().network.attention_layers();
    Ok((1..=count).filter(|number| asked.is_empty() || asked.contains(number)).collect())
}

/// Rollout, or the first explanation that applies instead.
fn usual_method(model: &Classifier) -> Vec<String> {
    let first = methods_for(model, Kind::Explanation).first().map(|method| method.info().id.to_owned());
    first.into_iter().collect()
}

/// The methods of these ids, rollout with its options; none twice.
fn chosen<'a>(
    ids: &[String],
    rollout: &'a ChosenRollout,
    model: &Classifier,
) -> Result<Vec<&'a dyn Attribution>, LabError> {
    let mut chosen: Vec<&'static dyn Attribution> = Vec::new();
    for id in ids {
        let found = named(id, model, &[]).map_err(|reason| LabError::Method { id: id.into(), reason })?;
        if chosen.iter().all(|method| method.info() != found.info()) {
            chosen.push(found);
        }
    }
    Ok(rollout.among(chosen))
}
