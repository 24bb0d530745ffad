//! From records of images to the findings of a model.

use archaeo_analysis::attribution::{Attribution, Kind};
use archaeo_analysis::statistics::{
    Better, CORRELATION, DEFAULT_LEVEL, Measured, Resampling, SHARE, SignFlipTest, benjamini_hochberg,
    mean_t, mean_within, rank_coefficient, sign_flip_test, wilson,
};
use archaeo_data::sherds::FactorKind;

use super::findings::{CausalScore, ChangeEffect, KindEffect, ModelTruth, ScoreAgreement};
use super::measure::{ImageTruth, MethodScores, Question};
use crate::scene::StudyError;
use crate::subjects::{ByModel, ModelName};

/// A model's records, and the methods in the order in which each has their scores.
pub(crate) struct Asked<'a> {
    pub model: ModelName,
    pub methods: Vec<&'static dyn Attribution>,
    pub images: Vec<&'a ImageTruth>,
}

/// Explanations from which on their ranking is compared.
const FEWEST_RANKED: usize = 4;

/// Findings of every model.
///
/// # Errors
/// Answers that are not finite.
pub(crate) fn concluded(asked: &[Asked], resampling: &Resampling) -> Result<ByModel<ModelTruth>, StudyError> {
    let mut found = ByModel::default();
    for of_model in asked {
        found.insert(of_model.model, of_model.truth(resampling)?);
    }
    adjust(&mut found)?;
    Ok(found)
}

impl Asked<'_> {
    fn scored(&self) -> Vec<&[MethodScores]> {
        self.images.iter().filter_map(|image| image.methods.as_deref()).collect()
    }

    fn truth(&self, resampling: &Resampling) -> Result<ModelTruth, StudyError> {
        let scored = self.scored();
        let correct = self.images.iter().filter(|image| image.correct).count();
        let mut methods = Vec::new();
        if !scored.is_empty() {
            for place in 0..self.methods.len() {
                methods.push(self.method(place, &scored, resampling)?);
            }
        }
        methods.sort_by(|a, b| {
            a.baseline.cmp(&b.baseline).then(b.single_deletion.value.total_cmp(&a.single_deletion.value))
        });
        Ok(ModelTruth {
            n: scored.len(),
            left_out: self.images.len() - scored.len(),
            accuracy: wilson(correct, self.images.len(), DEFAULT_LEVEL)?,
            kinds: self.kinds()?,
            changes: self.changes()?,
            methods,
            agreement: self.agreement(&scored, resampling)?,
            shown: None,
        })
    }

    fn kinds(&self) -> Result<Vec<KindEffect>, StudyError> {
        let mut found = Vec::new();
        for kind in FactorKind::ALL.into_iter().filter(|kind| kind.is_part()) {
            let (mut effects, mut shares, mut negligible) = (Vec::new(), Vec::new(), Vec::new());
            for image in &self.images {
                let minor = image.causal().negligible();
                let of_kind: Vec<usize> =
                    (0..image.factors.len()).filter(|&at| image.factors[at].kind == kind).collect();
                shares.extend(of_kind.iter().map(|&at| image.factors[at].share));
                negligible.extend(of_kind.iter().map(|&at| f64::from(u8::from(minor[at]))));
                if !of_kind.is_empty() {
                    effects.push(mean(of_kind.iter().map(|&at| image.factors[at].effect)));
                }
            }
            if !effects.is_empty() {
                let effect = mean_t(&effects, DEFAULT_LEVEL)?;
                let (share, negligible) = (mean(shares.into_iter()), mean(negligible.into_iter()));
                found.push(KindEffect { kind, share, effect, negligible });
            }
        }
        Ok(found)
    }

    fn changes(&self) -> Result<Vec<ChangeEffect>, StudyError> {
        let of_change = |(place, change): (usize, Question)| {
            let effects: Vec<f64> = self.images.iter().map(|image| image.answers[place].effect).collect();
            let kept = self.images.iter().filter(|image| image.answers[place].kept).count();
            let kept = wilson(kept, self.images.len(), DEFAULT_LEVEL)?;
            Ok(ChangeEffect { change, effect: mean_t(&effects, DEFAULT_LEVEL)?, kept })
        };
        Question::ALL.into_iter().enumerate().map(of_change).collect()
    }

    fn method(
        &self,
        place: usize,
        scored: &[&[MethodScores]],
        resampling: &Resampling,
    ) -> Result<CausalScore, StudyError> {
        let info = self.methods[place].info();
        let values = |read: fn(&MethodScores) -> f64| -> Vec<f64> {
            scored.iter().map(|of| read(&of[place])).collect()
        };
        let mean_of =
            |read: fn(&MethodScores) -> f64, range| mean_within(&values(read), range, DEFAULT_LEVEL);
        let share = |read: fn(&MethodScores) -> bool| {
            wilson(scored.iter().filter(|of| read(&of[place])).count(), scored.len(), DEFAULT_LEVEL)
        };
        let known: Vec<f64> = scored.iter().filter_map(|of| of[place].independence).collect();
        let sized: Vec<f64> = scored.iter().filter_map(|of| of[place].strength).collect();
        let over = |id: &str| -> Result<Option<SignFlipTest>, StudyError> {
            let baseline = self.methods.iter().position(|method| method.info().id == id);
            let Some(baseline) = baseline.filter(|_| info.kind == Kind::Explanation && scored.len() > 1)
            else {
                return Ok(None);
            };
            let other: Vec<f64> = scored.iter().map(|of| of[baseline].single_deletion).collect();
            Ok(Some(sign_flip_test(&values(|scores| scores.single_deletion), &other, resampling)?))
        };
        Ok(CausalScore {
            id: info.id.into(),
            method: info.title.into(),
            baseline: info.kind == Kind::Baseline,
            single_deletion: mean_of(|scores| scores.single_deletion, CORRELATION)?,
            strength: Measured::of(mean_within(&sized, CORRELATION, DEFAULT_LEVEL))?,
            contrastivity: mean_of(|scores| scores.contrastivity, CORRELATION)?,
            independence: Measured::of(mean_within(&known, SHARE, DEFAULT_LEVEL))?,
            preserved: share(|scores| scores.preserved)?,
            lost: share(|scores| scores.lost)?,
            auroc: mean_of(|scores| scores.auroc, SHARE)?,
            mass: mean_of(|scores| scores.mass, SHARE)?,
            deletion: mean_of(|scores| scores.deletion, SHARE)?,
            over_random: over("random")?,
            over_centre: over("centre")?,
        })
    }

    fn agreement(
        &self,
        scored: &[&[MethodScores]],
        resampling: &Resampling,
    ) -> Result<ScoreAgreement, StudyError> {
        let explanations: Vec<usize> = (0..self.methods.len())
            .filter(|&place| self.methods[place].info().kind == Kind::Explanation)
            .collect();
        let between = |first: fn(&MethodScores) -> f64, second: fn(&MethodScores) -> f64| {
            if explanations.len() < FEWEST_RANKED || scored.len() < 2 {
                let reason =
                    format!("it takes {FEWEST_RANKED} explanations and two images to compare rankings");
                return Ok(Measured::undefined(reason));
            }
            let means = |sample: &[usize], read: fn(&MethodScores) -> f64| -> Vec<f64> {
                let of_method =
                    |&place: &usize| mean(sample.iter().map(|&image| read(&scored[image][place])));
                explanations.iter().map(of_method).collect()
            };
            let statistic = |sample: &[usize]| {
                rank_coefficient(&means(sample, first), &means(sample, second)).unwrap_or(f64::NAN)
            };
            Measured::of(resampling.bootstrap("the agreement of two rankings", scored.len(), statistic))
        };
        Ok(ScoreAgreement {
            mask_and_causal: between(|scores| scores.auroc, |scores| scores.single_deletion)?,
            deletion_and_causal: between(|scores| -scores.deletion, |scores| scores.single_deletion)?,
            mask_and_deletion: between(|scores| scores.auroc, |scores| -scores.deletion)?,
        })
    }
}

/// Adjusts the p-values of all models, explanations and both baselines as one family.
fn adjust(models: &mut ByModel<ModelTruth>) -> Result<(), StudyError> {
    let mut tests: Vec<&mut SignFlipTest> = models
        .values_mut()
        .flat_map(|model| model.methods.iter_mut())
        .flat_map(|score| [score.over_random.as_mut(), score.over_centre.as_mut()])
        .flatten()
        .collect();
    let adjusted = benjamini_hochberg(&tests.iter().map(|test| test.p_value).collect::<Vec<_>>())?;
    tests.iter_mut().zip(adjusted).for_each(|(test, p_value)| test.p_value = p_value);
    Ok(())
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    sum / n as f64
}

/// Whether a method is better than the baseline of a test.
pub fn verdict(test: Option<&SignFlipTest>) -> Better {
    test.map_or(Better::CannotBeTold, |test| Better::of(&test.difference, test.p_value))
}

#[cfg(test)]
mod tests {
    use archaeo_analysis::attribution::method;

    use super::super::measure::{Answer, FactorEffect};
    use super::*;

    /// An image whose three parts lose these, and scores of single deletion by method.
    fn image(effects: [f64; 3], scores: &[f64]) -> ImageTruth {
        let kinds = [FactorKind::Interior, FactorKind::Clutter, FactorKind::Background];
        let factor = |(place, effect): (usize, f64)| FactorEffect {
            name: kinds[place].to_string(),
            kind: kinds[place],
            share: 1.0 / 3.0,
            effect,
        };
        let method = |&score: &f64| MethodScores {
            single_deletion: score,
            strength: Some(score / 2.0),
            contrastivity: 0.0,
            independence: Some(0.5),
            preserved: score > 0.0,
            lost: score > 0.5,
            auroc: 0.5 + score / 2.0,
            mass: 0.5,
            deletion: 0.5 - score / 4.0,
        };
        ImageTruth {
            class: 0,
            runner_up: 1,
            correct: true,
            margin: 4.0,
            factors: effects.into_iter().enumerate().map(factor).collect(),
            answers: Question::ALL.map(|_| Answer { effect: 1.0, kept: true }).into(),
            methods: Some(scores.iter().map(method).collect()),
        }
    }

    fn found(ids: &[&str], scores: &dyn Fn(usize) -> Vec<f64>) -> ModelTruth {
        let images: Vec<ImageTruth> = (0..30).map(|at| image([3.0, 0.1, -0.5], &scores(at))).collect();
        let asked = Asked {
            model: ModelName::new("vit"),
            methods: ids.iter().map(|id| method(id).unwrap()).collect(),
            images: images.iter().collect(),
        };
        let resampling = Resampling { resamples: 500, ..Resampling::new(0) };
        concluded(&[asked], &resampling).unwrap()[ModelName::new("vit")].clone()
    }

    #[test]
    fn methods_are_ranked_and_held_against_both_baselines() {
        let wave = |at: usize| (at % 5) as f64 / 20.0;
        let ids = ["rollout", "grad-cam", "random", "centre"];
        let found = found(&ids, &|at| vec![0.2 + wave(at), 0.8 - wave(at), wave(at + 2), 0.4 - wave(at)]);
        let listed: Vec<&str> = found.methods.iter().map(|score| score.id.as_str()).collect();
        assert_eq!(listed, ["grad-cam", "rollout", "centre", "random"]);
        let verdicts = |place: usize| {
            let score: &CausalScore = &found.methods[place];
            [score.over_random.as_ref(), score.over_centre.as_ref()].map(verdict)
        };
        assert_eq!(verdicts(0), [Better::Yes; 2]);
        assert_eq!(verdicts(1), [Better::Yes, Better::CannotBeTold]);
        let strength = found.methods[0].strength.known().unwrap();
        assert!((strength.value - found.methods[0].single_deletion.value / 2.0).abs() < 1e-12);
        assert!(found.methods[2].over_random.is_none() && found.methods[2].baseline);
        assert!(found.agreement.mask_and_causal.reason().is_some(), "two explanations have no ranking");
        let kinds: Vec<(FactorKind, f64, f64)> =
            found.kinds.iter().map(|of| (of.kind, of.effect.value, of.negligible)).collect();
        // 5 % of the margin of 4 is 0.2.
        let expected = [
            (FactorKind::Interior, 3.0, 0.0),
            (FactorKind::Clutter, 0.1, 1.0),
            (FactorKind::Background, -0.5, 0.0),
        ];
        for ((kind, effect, negligible), expected) in kinds.into_iter().zip(expected) {
            assert_eq!((kind, negligible), (expected.0, expected.2));
            assert!((effect - expected.1).abs() < 1e-12);
        }
    }

    #[test]
    fn scores_that_rank_methods_alike_agree() {
        let ids = ["rollout", "grad-cam", "saliency", "layercam", "random", "centre"];
        let found = found(&ids, &|at| vec![0.1, 0.3, 0.5, 0.7 + (at % 2) as f64 / 10.0, 0.0, 0.2]);
        for agreement in [
            &found.agreement.mask_and_causal,
            &found.agreement.deletion_and_causal,
            &found.agreement.mask_and_deletion,
        ] {
            assert!((agreement.known().unwrap().value - 1.0).abs() < 1e-12);
        }
    }
}
