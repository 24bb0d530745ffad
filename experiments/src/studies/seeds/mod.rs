//! How much of what a model does is its seed's doing? Only models with several runs can answer.

mod chapter;
mod claims;
pub mod findings;
#[cfg(test)]
mod tests;

use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Measured, StatisticsError, mean_bootstrap, mean_t, standard_deviation, welch, wilson,
};
use archaeo_training::evaluate::Evaluation;

use self::findings::{OverSeeds, RunScore, SeedsDifference, SeedsFindings};
use crate::findings::Investigation;
use crate::options::NoOptions;
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName, Subject, pairs};
use crate::units::{NoRecord, Recorded};

/// Holds the runs of each model against one another on the main split.
pub struct SeedsStudy;

impl Study for SeedsStudy {
    const ID: &'static str = "seeds";
    const TITLE: &'static str = "From seed to seed";
    const QUESTION: &'static str = "how far {it} depends on its seed";
    type Options = NoOptions;
    type Record = NoRecord;
    type Findings = SeedsFindings;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let several = scene.subjects.iter().any(|subject| !subject.more_runs.is_empty());
        Ok(Applicability::only_if(several, "every model is there once, trained from one seed"))
    }

    fn conclude(scene: &Scene, _: Vec<Recorded<NoRecord>>) -> Result<SeedsFindings, StudyError> {
        let mut models = ByModel::default();
        for subject in scene.subjects.iter().filter(|subject| !subject.more_runs.is_empty()) {
            models.insert(subject.name, over_seeds(scene, subject)?);
        }
        let names: Vec<ModelName> = models.names().collect();
        let pairs = pairs(&names).into_iter().map(|pair| difference(pair, &models));
        Ok(SeedsFindings {
            split: scene.main_split.into(),
            n: scene.split()?.len(),
            pairs: pairs.collect::<Result<_, _>>()?,
            models,
        })
    }

    fn chapter(findings: &SeedsFindings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

fn over_seeds(scene: &Scene, subject: &Subject) -> Result<OverSeeds, StudyError> {
    let answered: Vec<Evaluation> = (0..subject.runs())
        .map(|run| scene.predicted_by_run(scene.main_split, subject.name, run))
        .collect::<Result<_, _>>()?;
    let n = answered[0].len();
    let (mut runs, mut answers, mut correct) = (Vec::new(), Vec::new(), Vec::new());
    for (run, evaluation) in answered.iter().enumerate() {
        let scores = evaluation.scores()?;
        let of_images = scores.correct(1);
        let right = of_images.iter().filter(|&&right| right).count();
        runs.push(RunScore {
            seed: subject.seed(run),
            accuracy: wilson(right, n, DEFAULT_LEVEL)?,
            loss: evaluation.loss(),
        });
        answers.push(scores.predicted());
        correct.push(of_images);
    }
    let over_runs = |value: fn(&RunScore) -> f64| runs.iter().map(value).collect::<Vec<f64>>();
    let accuracies = over_runs(|run| run.accuracy.value);
    let two_runs = pairs(&(0..runs.len()).collect::<Vec<_>>());
    let disagreements: Vec<f64> = (0..n)
        .map(|image| {
            let differ = |[first, second]: &&[usize; 2]| answers[*first][image] != answers[*second][image];
            two_runs.iter().filter(differ).count() as f64 / two_runs.len() as f64
        })
        .collect();
    let images = |of: &dyn Fn(usize) -> bool| (0..n).filter(|&image| of(image)).count();
    let always = images(&|image| correct.iter().all(|run| run[image]));
    let never = images(&|image| !correct.iter().any(|run| run[image]));
    Ok(OverSeeds {
        accuracy: mean_t(&accuracies, DEFAULT_LEVEL)?,
        deviation: standard_deviation(&accuracies)?,
        loss: mean_t(&over_runs(|run| run.loss), DEFAULT_LEVEL)?,
        disagreement: mean_bootstrap(&disagreements, &scene.resampling())?,
        always_right: wilson(always, n, DEFAULT_LEVEL)?,
        always_wrong: wilson(never, n, DEFAULT_LEVEL)?,
        runs,
    })
}

fn difference(pair: [ModelName; 2], models: &ByModel<OverSeeds>) -> Result<SeedsDifference, StudyError> {
    let [first, second] =
        pair.map(|name| models[name].runs.iter().map(|run| run.accuracy.value).collect::<Vec<_>>());
    let difference = match welch(&first, &second, DEFAULT_LEVEL) {
        Err(StatisticsError::Undefined { .. }) => {
            Measured::undefined("the accuracy of neither differs from run to run")
        }
        found => Measured::Known(found?),
    };
    Ok(SeedsDifference { models: pair, difference })
}
