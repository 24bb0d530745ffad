//! Which way of training pays: models of one architecture that were trained on the same data from scratch, on frozen features,
//! fine-tuned, or taught by another model.
//!
//! The regimes are read from the models' run folders. `archaeo compare` trains regimes on growing shares of the images; the sentences,
//! tables and figures are the same ([`crate::regimes`]).

mod chapter;
pub mod findings;
mod members;
#[cfg(test)]
mod tests;

use archaeo_analysis::attention::{
    DistanceConvention, HeadBeforeAfter, head_changes, heads_before_and_after, observe,
};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, wilson};
use archaeo_models::Classifier;
use archaeo_training::images::to_tensor;
use archaeo_training::{RecipeError, Transfer};
use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use self::findings::RegimesFindings;
use self::members::Members;
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::regimes::{AttentionShift, LayerShift, Regime, RegimeKind, RegimeRun, RegimesCompared};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{Subject, Training};
use crate::units::{Recorded, Recorder, Unit};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegimesOptions {
    /// Images on which attention before and after training is compared, at least 2.
    pub attention_images: usize,
}

impl Default for RegimesOptions {
    fn default() -> Self {
        Self { attention_images: 64 }
    }
}

impl Options for RegimesOptions {
    fn quick() -> Self {
        Self { attention_images: 16 }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.regimes.attention_images", 2, "at least 2", self.attention_images)
    }
}

/// Attention of one image before and after training, by layer and head.
pub type AttentionRecord = Vec<Vec<HeadBeforeAfter>>;

/// Compares models of one architecture by how they were trained.
pub struct RegimesStudy;

impl Study for RegimesStudy {
    const ID: &'static str = "regimes";
    const TITLE: &'static str = "Which training pays";
    const QUESTION: &'static str = "what the way in which {it} was trained brings";
    type Options = RegimesOptions;
    type Record = AttentionRecord;
    type Findings = RegimesFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        Ok(Members::of(scene).map_or_else(Applicability::No, |_| Applicability::Applies))
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample(Self::ID, scene.options.of::<Self>().attention_images)?;
        if images.len() < 2 {
            return Ok(Vec::new());
        }
        let unit = |Subject { name, .. }| {
            Unit::whole(name, format!("attention of {name} before and after training"), images.clone())
        };
        let changed = members(scene).changed().into_iter().filter(|(_, known)| known.is_ok());
        Ok(changed.map(|(subject, _)| unit(subject)).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, AttentionRecord>, StudyError> {
        let members = members(scene);
        let member = members.regimes.iter().find(|(subject, _)| subject.name == unit.model);
        let &(Subject { model: after, .. }, Training { record, init }) =
            member.expect("a unit is of a member");
        let recipe = &record.recipe;
        let file = init.as_deref().expect("its weights before are there");
        let transfer = Transfer::read(recipe, file, &after.card().classes, scene.device)?;
        let before = transfer.begin(recipe.seed)?.valid().in_precision(scene.options.precision);
        let look = |model: &Classifier, images: Tensor<4>| {
            Ok::<_, StudyError>(observe(model, images, CONVENTION, false, None)?.0)
        };
        Ok(Box::new(move |batch| {
            let of_both = [look(&before, batch.images.clone())?, look(after, batch.images.clone())?];
            // The yardstick is another image: the next of the unit.
            let next = batch.places.iter().map(|place| unit.images[(place + 1) % unit.images.len()]);
            let next = scene.images_for(after, &next.collect::<Vec<_>>())?;
            let others = look(&before, to_tensor(&next, scene.device))?;
            let found = heads_before_and_after(&of_both[0], &of_both[1], |image| Some((&others, image)));
            found.ok_or_else(|| StudyError::Damaged {
                path: file.to_owned(),
                reason: format!("its layers and heads are not those of {}", unit.model),
            })
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<AttentionRecord>>,
    ) -> Result<RegimesFindings, StudyError> {
        let members = members(scene);
        let mut regimes = Vec::with_capacity(members.regimes.len());
        for (subject, training) in &members.regimes {
            regimes.push(regime(scene, subject, training)?);
        }
        let mut attention = Vec::with_capacity(recorded.len());
        for Recorded { unit, records } in recorded {
            let layers = LayerShift::of(head_changes(&records, &scene.resampling())?);
            attention.push(AttentionShift { regime: unit.model.to_string(), n: records.len(), layers });
        }
        let mut compared = RegimesCompared::of(regimes, attention, &scene.resampling())?;
        // The run folder keeps what the models answer.
        compared.regimes.iter_mut().flat_map(|regime| &mut regime.runs).for_each(|run| run.correct.clear());
        let unknown = |(subject, known): (Subject, Result<_, String>)| Some((subject.name, known.err()?));
        Ok(RegimesFindings {
            compared,
            without_attention: members.changed().into_iter().filter_map(unknown).collect(),
            left_out: members.left_out,
        })
    }

    fn chapter(findings: &RegimesFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// Distances are over the patches, as `archaeo compare` has them.
const CONVENTION: DistanceConvention = DistanceConvention::Renormalised;

fn members<'a>(scene: &Scene<'a>) -> Members<'a> {
    Members::of(scene).unwrap_or_else(|reason| panic!("the study applies, although {reason}"))
}

fn regime(
    scene: &Scene,
    subject: &Subject,
    Training { record, .. }: &Training,
) -> Result<Regime, StudyError> {
    let correct = scene.predicted(scene.main_split, subject.name)?.scores()?.correct(1);
    let right = correct.iter().filter(|right| **right).count();
    let step_images = record.recipe.step_images();
    let steps = record.history.first().map_or(0, |epoch| epoch.step as usize);
    let run = RegimeRun {
        share: 1.0,
        images: steps * step_images,
        weights: String::new(),
        history: record.history.clone(),
        step_images,
        accuracy: wilson(right, correct.len(), DEFAULT_LEVEL)?,
        correct,
    };
    Ok(Regime {
        name: subject.name.to_string(),
        kind: RegimeKind::of(&record.recipe),
        model: subject.model.card().name.clone(),
        runs: vec![run],
    })
}
