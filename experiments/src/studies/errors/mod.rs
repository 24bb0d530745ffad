//! Who errs where: mistakes of one model alone, of two, of all; and what sets them apart from right answers.

mod apart;
mod apart_claims;
mod chapter;
mod claims;
pub mod factors;
pub mod findings;
mod gallery;
mod many;
mod shown;
#[cfg(test)]
pub(super) mod tests;

use archaeo_analysis::answers::{confusions, error_groups};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Measured, answer_agreement, wilson};
use archaeo_training::RecipeError;
use archaeo_training::evaluate::Evaluation;
use serde::{Deserialize, Serialize};

use self::factors::{ImageRecord, Instruments};
use self::findings::{ClassErrors, ErrorFindings, ErrorGroup, SharedErrors};
use self::gallery::gallery;
use crate::findings::{Confusion, Investigation};
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName};
use crate::units::{Recorded, Recorder, Unit};

/// Confusions listed for each group.
const CONFUSIONS_LISTED: usize = 8;

/// Up to so many models every group is listed, with an image or without.
const FEW_MODELS: usize = 3;

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorsOptions {
    /// Images of which contrast, object and the like are measured, at most; at least 20. Mistakes are sorted on all images.
    pub images: usize,
    /// Training images that they are compared with, at most; at least 20.
    pub training_images: usize,
}

impl Default for ErrorsOptions {
    fn default() -> Self {
        Self { images: 2000, training_images: 2000 }
    }
}

impl Options for ErrorsOptions {
    fn quick() -> Self {
        Self { images: 500, training_images: 500 }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.errors.images", 20, "at least 20", self.images)?;
        at_least("studies.errors.training_images", 20, "at least 20", self.training_images)
    }
}

/// Sorts the mistakes on the main split, and measures what sets them apart.
pub struct ErrorsStudy;

impl Study for ErrorsStudy {
    const ID: &'static str = "errors";
    const TITLE: &'static str = "Errors";
    const FAILURE: bool = true;
    const QUESTION: &'static str = "where {it} errs";
    /// 2: with what sets errors apart.
    const SCHEMA: u32 = 2;
    type Options = ErrorsOptions;
    type Record = ImageRecord;
    type Findings = ErrorFindings;

    fn applies(_: &Scene) -> Result<Applicability, StudyError> {
        Ok(Applicability::Applies)
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = scene.sample(Self::ID, scene.options.of::<Self>().images)?;
        let unit = |name| Unit::whole(name, format!("images as {name} sees them"), images.clone());
        Ok(scene.names().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, ImageRecord>, StudyError> {
        let instruments = Instruments::of(scene, unit, scene.options.of::<Self>().training_images)?;
        Ok(Box::new(move |batch| instruments.measure(scene, batch)))
    }

    fn conclude(scene: &Scene, recorded: Vec<Recorded<ImageRecord>>) -> Result<ErrorFindings, StudyError> {
        let mut answered = ByModel::default();
        for name in scene.names() {
            let evaluation = scene.predicted(scene.main_split, name)?;
            let answers = evaluation.scores()?.predicted();
            answered.insert(name, Answered { evaluation, answers });
        }
        let labels = answered.values().next().expect("a scene has a model").evaluation.labels.clone();

        let mut groups = Vec::new();
        let mut members_of = Vec::new();
        for erring in subsets(&scene.names()) {
            let members: Vec<usize> =
                (0..labels.len()).filter(|&image| who_errs(&answered, &labels, image) == erring).collect();
            if members.is_empty() && answered.len() > FEW_MODELS {
                continue;
            }
            let Answered { evaluation, answers } = &answered[erring[0]];
            let confidences = members.iter().map(|&image| evaluation.probabilities(image)[answers[image]]);
            let listed = confusions(&members, &labels, answers).into_iter().take(CONFUSIONS_LISTED);
            groups.push(ErrorGroup {
                count: members.len(),
                share: wilson(members.len(), labels.len(), DEFAULT_LEVEL)?,
                confusions: listed
                    .map(|(truth, predicted, count)| Confusion { truth, predicted, count })
                    .collect(),
                confidence: (!members.is_empty()).then(|| confidences.sum::<f64>() / members.len() as f64),
                surest: gallery(scene, &erring, &members, &answered)?,
                erring,
            });
            members_of.push(members);
        }
        let by_class = (0..scene.dataset.classes.len()).map(|class| {
            let of_class = |images: &[usize]| images.iter().filter(|&&image| labels[image] == class).count();
            let n = labels.iter().filter(|&&label| label == class).count();
            ClassErrors { class, n, counts: members_of.iter().map(|members| of_class(members)).collect() }
        });
        let by_class = by_class.collect();
        let shared = |models| shared_errors(scene, models, &labels, &answered);
        let pairs = scene.pairs().into_iter().map(shared).collect::<Result<_, _>>()?;
        let factors =
            factors::conclude(scene, &answered, recorded, scene.options.of::<Self>().training_images)?;
        Ok(ErrorFindings { n: labels.len(), groups, pairs, by_class, factors })
    }

    fn chapter(findings: &ErrorFindings, investigation: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, investigation, names)
    }
}

/// What one model answers on the main split.
struct Answered {
    evaluation: Evaluation,
    answers: Vec<usize>,
}

/// The models that have an image wrong, in their order.
fn who_errs(answered: &ByModel<Answered>, labels: &[usize], image: usize) -> Vec<ModelName> {
    answered.iter().filter(|(_, of)| of.answers[image] != labels[image]).map(|(name, _)| name).collect()
}

/// Every set of some models but the empty one: the small ones first, and those of one size in the order of their models.
fn subsets(models: &[ModelName]) -> Vec<Vec<ModelName>> {
    let mut found: Vec<Vec<usize>> = (1u64..1 << models.len())
        .map(|bits| (0..models.len()).filter(|place| bits >> place & 1 == 1).collect())
        .collect();
    found.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    found.into_iter().map(|places| places.into_iter().map(|place| models[place]).collect()).collect()
}

fn shared_errors(
    scene: &Scene,
    models: [ModelName; 2],
    labels: &[usize],
    answered: &ByModel<Answered>,
) -> Result<SharedErrors, StudyError> {
    let [first, second] = models.map(|name| answered[name].answers.as_slice());
    let sorted = error_groups(labels, first, second);
    let same = sorted.same_wrong_class(first, second);
    let agreeing = same.iter().filter(|&&same| same).count();
    let of_both = |all: &[usize]| sorted.both.iter().map(|&image| all[image]).collect::<Vec<usize>>();
    let [classes, first, second] = [labels, first, second].map(of_both);
    let same_answer = match answered[models[0]].evaluation.classes {
        ..=2 => Measured::undefined("with two classes there is only one wrong answer to give"),
        _ => Measured::of(answer_agreement(&classes, &first, &second, &scene.resampling()))?,
    };
    let same_wrong_class =
        (!same.is_empty()).then(|| wilson(agreeing, same.len(), DEFAULT_LEVEL)).transpose()?;
    Ok(SharedErrors { models, same_wrong_class, same_answer })
}
