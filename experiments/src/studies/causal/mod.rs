//! What an answer depends on, measured by drawing images of Sherds again with one thing taken away; and which explanations say so.

mod chapter;
pub mod findings;
pub mod measure;
mod scores;
#[cfg(test)]
mod tests;

use archaeo_analysis::attribution::{Attribution, Cost, Kind, methods_for};
use archaeo_analysis::statistics::Resampling;
use archaeo_models::Classifier;
use archaeo_plot::{Colormap, Grid, HeatmapStyle, Range, Upsampling, overlay};
use archaeo_training::RecipeError;
use serde::{Deserialize, Serialize};

use self::findings::{CausalFindings, CausalImage, CausalMap, ModelTruth};
use self::measure::{Case, ImageTruth, Laboratory, shapes_of};
pub use self::scores::verdict;
use self::scores::{Asked, concluded};
use super::pictures::{PANEL, panel};
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Progress, Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::ModelName;
use crate::units::{Batch, Recorded, Recorder, Unit};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CausalOptions {
    /// Images that are drawn again, at least 2.
    pub images: usize,
}

impl Default for CausalOptions {
    fn default() -> Self {
        Self { images: 96 }
    }
}

impl Options for CausalOptions {
    fn quick() -> Self {
        Self { images: 24 }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.causal.images", 2, "at least 2", self.images)
    }
}

/// Measures what the margin of each answer loses when each part of its image is removed, and holds every heatmap against that.
pub struct CausalStudy;

impl Study for CausalStudy {
    const ID: &'static str = "causal";
    const TITLE: &'static str = "Explanations against cause and effect";
    const QUESTION: &'static str = "what the answers of {it} depend on, and which explanations say so";
    const SCHEMA: u32 = 2;
    type Options = CausalOptions;
    type Record = CausalRecord;
    type Findings = CausalFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let drawn = scene.split()?.sherds().is_some();
        Ok(Applicability::only_if(drawn, "only Sherds can be drawn again with one thing changed"))
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample_to_show(Self::ID, scene.options.of::<Self>().images, 1)?;
        let unit = |name| Unit::whole(name, format!("causes of the answers of {name}"), images.clone());
        Ok(scene.names().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, CausalRecord>, StudyError> {
        let split = scene.split()?;
        let (sherds, which) = split.sherds().expect("the study applies to Sherds alone");
        let model = scene.model(unit.model);
        let laboratory = Laboratory {
            model,
            sherds,
            split: which,
            shapes: shapes_of(split),
            methods: methods_of(model),
            seed: scene.seed,
            batch_size: scene.options.batch_size,
            device: scene.device,
        };
        Ok(Box::new(move |batch| {
            let cases = laboratory.measure(batch.indices, &batch.labels())?;
            let record = |(i, case): (usize, Case)| -> Result<CausalRecord, StudyError> {
                let shown =
                    (batch.places[i] == 0).then(|| shown(scene, unit, batch, i, &case, &laboratory.methods));
                Ok(CausalRecord { shown: shown.transpose()?, truth: case.truth })
            };
            cases.into_iter().enumerate().map(record).collect()
        }))
    }

    fn conclude(scene: &Scene, recorded: Vec<Recorded<CausalRecord>>) -> Result<CausalFindings, StudyError> {
        let asked: Vec<Asked> = recorded
            .iter()
            .map(|of| Asked {
                model: of.unit.model,
                methods: methods_of(scene.model(of.unit.model)),
                images: of.records.iter().map(|record| &record.truth).collect(),
            })
            .collect();
        let mut models = concluded(&asked, &scene.resampling())?;
        for (model, of) in models.values_mut().zip(&recorded) {
            model.shown = of.records.iter().find_map(|record| record.shown.clone());
        }
        Ok(CausalFindings { images: recorded.first().map_or(0, |of| of.records.len()), models })
    }

    fn chapter(findings: &CausalFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// What is recorded of one image and model.
#[derive(Debug, Serialize, Deserialize)]
pub struct CausalRecord {
    truth: ImageTruth,
    shown: Option<CausalImage>,
}

/// The explanations that apply to a model and take few passes, and then the baselines.
pub fn methods_of(model: &Classifier) -> Vec<&'static dyn Attribution> {
    let mut explanations = methods_for(model, Kind::Explanation);
    explanations.retain(|method| method.info().cost == Cost::Shared);
    [explanations, methods_for(model, Kind::Baseline)].concat()
}

/// Draws an image, its factors in the colours of their effects, and three heatmaps.
fn shown(
    scene: &Scene,
    unit: &Unit,
    batch: &Batch,
    place: usize,
    case: &Case,
    methods: &[&'static dyn Attribution],
) -> Result<CausalImage, StudyError> {
    const EFFECTS: HeatmapStyle = HeatmapStyle {
        colormap: Colormap::BlueRed,
        range: Range::Symmetric,
        upsampling: Upsampling::Nearest,
    };
    let (seen, name) = (&batch.samples[place].image, format!("causal-{}", unit.model));
    let image = scene.save_image(&name, batch.indices[place], seen)?;
    let mut effects = vec![0.0; seen.width() * seen.height()];
    for (factor, mask) in case.truth.factors.iter().zip(&case.masks) {
        let inside = effects.iter_mut().zip(mask).filter(|(_, inside)| **inside);
        inside.for_each(|(effect, _)| *effect = factor.effect as f32);
    }
    let grid = Grid::new(&effects, seen.height(), seen.width())?;
    let factors =
        scene.save(&format!("{name}-factors"), &overlay(&panel(seen, PANEL)?, &grid, 0.75, &EFFECTS)?)?;
    let scores = case.truth.methods.as_deref().unwrap_or_default();
    let mut ranked: Vec<usize> =
        (0..scores.len()).filter(|&at| methods[at].info().kind == Kind::Explanation).collect();
    ranked.sort_by(|&a, &b| scores[b].single_deletion.total_cmp(&scores[a].single_deletion));
    let mut chosen: Vec<usize> = ranked.iter().copied().take(2).collect();
    chosen.extend(ranked.iter().skip(2).last());
    let mut maps = Vec::new();
    for at in chosen {
        let info = methods[at].info();
        maps.push(CausalMap {
            method: info.title.into(),
            shown: scene.save_heatmap(&format!("{name}-{}", info.id), seen, &case.heatmaps[at])?,
            single_deletion: scores[at].single_deletion,
        });
    }
    Ok(CausalImage { image, factors, effects: case.truth.factors.clone(), margin: case.truth.margin, maps })
}

/// What the study finds of one model on some images, and the record of each, without pictures.
///
/// # Errors
/// A method that does not apply to the model, an interruption, answers that are not finite.
pub fn benchmarked(
    laboratory: &Laboratory,
    indices: &[usize],
    labels: &[usize],
    resampling: &Resampling,
    progress: &dyn Progress,
) -> Result<(ModelTruth, Vec<ImageTruth>), StudyError> {
    let mut truths = Vec::with_capacity(indices.len());
    progress.begin("images drawn again", indices.len());
    for (indices, labels) in indices.chunks(laboratory.batch_size).zip(labels.chunks(laboratory.batch_size)) {
        if progress.interrupted() {
            return Err(StudyError::Interrupted);
        }
        truths.extend(laboratory.measure(indices, labels)?.into_iter().map(|case| case.truth));
        progress.advance(indices.len());
    }
    let model = ModelName::new("model");
    let asked = Asked { model, methods: laboratory.methods.clone(), images: truths.iter().collect() };
    let found = concluded(&[asked], resampling)?[model].clone();
    Ok((found, truths))
}
