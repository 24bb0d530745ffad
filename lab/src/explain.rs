//! What a model looks at, image by image: its answer, a heatmap of every method, the layers one after another, the heads of one.
//!
//! Images go through the model in batches, and every method of a batch takes its passes from the same [`Evidence`]. What is known of
//! an image is handed on as an [`Exhibit`] and dropped, so that memory holds one batch whatever the number of images.

mod arrays;
mod counterfactual;
mod faithfulness;
mod folder;
mod found;
mod localisation;
mod methods;
mod pictures;
mod target;

use std::collections::BTreeMap;
use std::path::Path;

use archaeo_analysis::answers::probabilities;
use archaeo_analysis::attention::AttentionMaps;
use archaeo_analysis::attribution::{Attribution, Evidence, Heatmap, explain_all};
use archaeo_analysis::faithfulness::Asked;
use archaeo_analysis::{AnalysisError, Keys};
use archaeo_plot::Image;
use archaeo_training::finite::{NotFinite, check_maps, first_not_finite};
use archaeo_training::images::{preprocess, to_tensor};
use rayon::prelude::*;

pub use self::counterfactual::Flips;
use self::counterfactual::{covered, flip, over_images};
pub use self::faithfulness::{Faithfulness, MethodScore};
use self::folder::Folder;
pub use self::found::{Answer, Exhibit, Explained, ExplainedImage, Flip, HeatmapRange};
use self::localisation::Truths;
pub use self::localisation::{ImageScores, Localisation, LocalisationScore, Over};
pub use self::methods::{LeftOut, MethodChoice};
pub(crate) use self::methods::{chosen, named};
pub use self::target::Target;
use self::target::Targets;
use crate::error::LabError;
use crate::listener::Kept;
use crate::opened::Opened;
use crate::rollout::RolloutChoice;
use crate::session::Session;
pub use archaeo_analysis::statistics::Better;

/// Answers that are listed of an image.
const ANSWERS: usize = 5;

/// What is asked about images.
#[derive(Clone, Debug, Default)]
pub struct ExplainOptions {
    /// Which heatmaps.
    pub methods: MethodChoice,
    /// Which class they explain. [`Target::Label`] takes images that were opened to be scored.
    pub target: Target,
    /// The layer whose heads are shown, counted from 1; by default the last.
    pub layer: Option<usize>,
    /// Which rollout.
    pub rollout: RolloutChoice,
    /// The most images on which the methods are scored; below 10, they are not.
    pub scored: usize,
    /// Whether patches are covered in the order of each heatmap until the answer changes.
    pub counterfactual: bool,
}

/// What is asked of every image.
struct Question<'a> {
    methods: &'a [&'a dyn Attribution],
    targets: Targets,
    names: &'a [String],
    /// From 0.
    layer: Option<usize>,
    counterfactual: bool,
}

/// Takes what was found so far, and the images of one batch with what is shown of each.
pub type Each<'a> = dyn FnMut(&Explained, &mut [Exhibit]) -> Result<(), LabError> + 'a;

impl Session {
    /// Explains what a model answers to images, batch after batch; `each` is handed the exhibits of a batch.
    ///
    /// # Errors
    /// A method that is not known or does not apply, a class or a layer that the model does not have, images that cannot be read,
    /// answers that are not finite, an export that cannot be written or would not fit into memory, what `each` returns, and
    /// [`LabError::Interrupted`].
    ///
    /// # Panics
    /// If nothing was opened.
    pub fn explain(
        &self,
        opened: &[Opened],
        options: &ExplainOptions,
        each: &mut Each,
    ) -> Result<Explained, LabError> {
        let first = opened.first().expect("images were opened");
        let model = &first.model;
        let outputs = first.outputs()?;
        let (methods, left_out) = chosen(&options.methods, model)?;
        let rollout = options.rollout.of(first)?;
        let methods = rollout.among(methods);
        let layer = shown_layer(options.layer, first)?;
        if options.counterfactual && outputs.names.is_empty() {
            return Err(AnalysisError::NoClasses { model: model.card().name.clone() }.into());
        }
        let targets = Targets::of(&options.target, &outputs, first)?;
        if let Some(doubt) = first.doubt() {
            self.warning(format!("{} {doubt}", first.subject.model.weights.display()));
        }
        methods::reasons(&left_out).iter().for_each(|note| self.note(note));
        let faithfulness = self.believed(opened, &methods, options.scored)?;
        if let Some(reason) = &faithfulness.not_measured {
            self.note(format!("the faithfulness of the heatmaps is not measured: {reason}"));
        }
        let mut explained = Explained {
            model: model.card().name.clone(),
            precision: self.precision_name(),
            folder: None,
            complete: false,
            n: 0,
            read_out: None,
            layer: layer.map(|layer| layer + 1),
            methods: methods.iter().map(|method| *method.info()).collect(),
            rollout: options.rollout.describe(),
            left_out,
            faithfulness,
            localisation: None,
            counterfactuals: BTreeMap::new(),
            images: Vec::new(),
        };
        let counterfactual = options.counterfactual;
        let question = Question { methods: &methods, targets, names: &outputs.names, layer, counterfactual };
        let count: usize = opened.iter().map(|opened| opened.indices.len()).sum();
        let mut gathered =
            first.subject.export.as_deref().map(|_| arrays::Gathered::new(count, methods.len()));
        let mut truths = Truths::new(&methods);
        let work = self.counting(&model.card().name, count);
        for opened in opened {
            for batch in opened.indices.chunks(opened.batch_size()) {
                if self.listener().interrupted() {
                    return Err(LabError::Interrupted);
                }
                let (mut exhibits, read_out) = self.exhibits(opened, batch, &question, &mut truths)?;
                explained.read_out = read_out;
                each(&explained, &mut exhibits)?;
                if let Some(gathered) = &mut gathered {
                    gathered.add(&exhibits)?;
                }
                explained.images.extend(exhibits.into_iter().map(|exhibit| exhibit.found));
                work.advance(batch.len());
            }
        }
        explained.n = explained.images.len();
        explained.complete = true;
        if truths.tell_nothing() {
            self.warning("no mask holds both object and background, so that no heatmap is held against one");
        }
        explained.localisation = truths.concluded(self.seed())?;
        explained.counterfactuals = over_images(&explained.images, self.seed())?;
        if let (Some(path), Some(gathered)) = (&first.subject.export, gathered) {
            gathered.write(path, &explained)?;
        }
        Ok(explained)
    }

    /// As [`Session::explain`], with pictures in `folder`: a folder for each image with one picture for each method, one of all of
    /// them, one of the layers and one of the heads of a layer, each as PNG and as SVG; and `explained.json`.
    ///
    /// # Errors
    /// As [`Session::explain`]; a folder that holds something else, or that cannot be written.
    pub fn explain_into(
        &self,
        opened: &[Opened],
        options: &ExplainOptions,
        folder: &Path,
    ) -> Result<Explained, LabError> {
        let inputs = opened.iter().flat_map(|opened| opened.subject.inputs());
        let mut folder = Folder::new(folder, &inputs.collect::<Vec<_>>())?;
        let mut explained = self.explain(opened, options, &mut |explained, exhibits| {
            // What is refused before the first image leaves no folder.
            if folder.begin(explained)? {
                self.listener().keeps(Kept::Pictures(folder.path()));
            }
            exhibits
                .iter_mut()
                .for_each(|exhibit| exhibit.found.folder = Some(folder.name_for(&exhibit.found.image)));
            exhibits.par_iter().try_for_each(|exhibit| folder.write(explained, exhibit))
        })?;
        folder.end(&mut explained)?;
        Ok(explained)
    }

    /// What is known of a batch of images, and what the model's head reads.
    fn exhibits(
        &self,
        opened: &Opened,
        batch: &[usize],
        question: &Question,
        truths: &mut Truths,
    ) -> Result<(Vec<Exhibit>, Option<&'static str>), LabError> {
        let Opened { model, device, dataset, .. } = opened;
        let split = opened.split()?;
        let preprocessing = &model.card().preprocessing;
        let samples = split.batch(batch, |image| preprocess(image, preprocessing))?;
        let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
        let images: Vec<Image> = samples.iter().map(|sample| sample.image.clone()).collect();
        let pixels = to_tensor(&images, device);
        let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
        let evidence = Evidence::new(model, pixels.clone(), Keys { seed: self.seed(), images: &ids });

        let classes = question.names.len();
        let image = |row: usize| (split.identifier(batch[row]), pixels.clone().narrow(0, row, 1));
        if classes > 0
            && let Some(row) = first_not_finite(evidence.logits(), classes)
        {
            let (name, image) = image(row);
            return Err(self.not_finite(NotFinite::traced(model, &name, image), opened));
        }
        let probabilities: Vec<f64> = match classes {
            0 => Vec::new(),
            _ => probabilities(evidence.logits(), classes),
        };
        let of_image = |row: usize| &probabilities[row * classes..][..classes];
        let targets = question.targets.classes(&evidence, &labels)?;
        let mut by_method = explain_all(question.methods, &evidence, targets.as_deref().unwrap_or_default())?;
        let attention = model.has_attention().then(|| evidence.attention()).transpose()?;
        if let Some(maps) = attention {
            check_maps(model, maps, image).map_err(|error| self.not_finite(error, opened))?;
        }
        let scores = truths.score(opened, batch, &samples, &evidence, &by_method)?;
        let asked = Asked {
            evidence: &evidence,
            targets: targets.as_deref().unwrap_or_default(),
            methods: question.methods,
            heatmaps: &by_method,
            masks: &[],
        };
        let flips = if question.counterfactual { asked.counterfactuals()? } else { Vec::new() };

        let mut exhibits = Vec::new();
        // From the last row on, so that heatmaps are moved out of their methods.
        for (row, (sample, localisation)) in samples.into_iter().zip(scores).enumerate().rev() {
            let heatmaps: Vec<Heatmap> = by_method.iter_mut().filter_map(Vec::pop).collect();
            let answer = |class: usize| Answer {
                class,
                name: question.names[class].clone(),
                probability: of_image(row)[class],
            };
            let label = || match opened.matching.is_some() {
                true => question.names.get(sample.label).cloned(),
                false => dataset.classes.get(sample.label).cloned(),
            };
            let found = ExplainedImage {
                image: split.identifier(batch[row]),
                source: dataset.name.clone(),
                folder: None,
                label: if dataset.has_labels() { label() } else { None },
                target: targets.as_ref().map(|targets| answer(targets[row])),
                predictions: most_probable(of_image(row)).into_iter().map(answer).collect(),
                heatmaps: question
                    .methods
                    .iter()
                    .zip(&heatmaps)
                    .map(|(method, map)| (method.info().id, HeatmapRange::of(map)))
                    .collect(),
                localisation,
                counterfactuals: (question.methods.iter().zip(&flips))
                    .map(|(method, flips)| (method.info().id, flip(&flips[row], question.names)))
                    .collect(),
            };
            let covered = flips.iter().map(|flips| covered(&sample.image, &flips[row], preprocessing.mean));
            let covered = covered.collect();
            let layers = attention.map_or_else(Vec::new, |maps| each_layer(maps, row));
            let heads = match (attention, question.layer) {
                (Some(maps), Some(layer)) => each_head(maps, layer, row),
                _ => Vec::new(),
            };
            exhibits.push(Exhibit { found, picture: sample.image, heatmaps, layers, heads, covered });
        }
        exhibits.reverse();
        Ok((exhibits, attention.map(|maps| maps.layers[0].site.read_out.describe())))
    }
}

/// The layer whose heads are shown, from 0.
fn shown_layer(asked: Option<usize>, opened: &Opened) -> Result<Option<usize>, LabError> {
    let Some(number) = asked else {
        return Ok(opened.model.card().network.attention_layers().checked_sub(1));
    };
    opened.require_attention()?;
    opened.attention_layer(number).map(Some)
}

fn each_head(maps: &AttentionMaps, layer: usize, image: usize) -> Vec<Heatmap> {
    (0..maps.layers[layer].heads).map(|head| maps.readout_map(layer, image, head)).collect()
}

/// Mean over heads of what the read tokens receive, layer by layer.
fn each_layer(maps: &AttentionMaps, image: usize) -> Vec<Heatmap> {
    (0..maps.layers.len()).map(|layer| maps.mean_readout_map(layer, image)).collect()
}

/// The classes of the largest probabilities; of equal ones the first come first.
fn most_probable(probabilities: &[f64]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..probabilities.len()).collect();
    classes.sort_by(|&one, &other| probabilities[other].total_cmp(&probabilities[one]));
    classes.truncate(ANSWERS);
    classes
}
