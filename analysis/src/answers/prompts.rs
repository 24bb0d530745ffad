//! How far the answers of a zero-shot classifier depend on its prompts.
//!
//! An image belongs to the class whose direction is most similar to its feature. The direction of a class is that of one prompt, or, of
//! several, that of the mean of their directions (Radford et al., 2021, section 3.1.4).

use serde::{Deserialize, Serialize};

use crate::features::Features;
use crate::statistics::{
    DEFAULT_LEVEL, Estimate, Resampling, Result, SIGNIFICANCE, accuracy_difference, benjamini_hochberg,
    check_count, check_lengths, mcnemar, standard_deviation, wilson,
};

/// How each template does alone and in the ensemble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptScores {
    /// Accuracy of the ensemble of all templates.
    pub ensemble: Estimate,
    /// Each template, in their order.
    pub scores: Vec<TemplateScore>,
    /// Mean accuracy of a template alone.
    pub mean: f64,
    /// Standard deviation of the accuracies of the templates alone; `None` of one.
    pub deviation: Option<f64>,
    /// Pairs of templates that differ: exact McNemar tests, adjusted for all pairs (Benjamini-Hochberg), at 5 %.
    pub pairs_that_differ: usize,
    /// All pairs of templates.
    pub pairs: usize,
    /// Mean cosine of the images of each class (rows) with the ensemble's direction of each class (columns), row by row; `None` of a
    /// class without images.
    pub similarity: Vec<Option<f64>>,
}

/// One template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateScore {
    /// Accuracy with this template alone.
    pub alone: Estimate,
    /// That minus the ensemble's, paired bootstrap.
    pub difference: Estimate,
    /// Exact McNemar test against the ensemble, adjusted for all templates (Benjamini-Hochberg).
    pub adjusted_p: f64,
    /// Accuracy of the ensemble without it; `None` of the only one.
    pub left_out: Option<Estimate>,
}

/// Scores the templates of a classifier: `images` are features of unit length, `prompts` has for each class the directions of its
/// prompts, one row per template.
///
/// # Errors
/// No images or templates, a label for each is missing, impossible resampling parameters.
///
/// # Panics
/// Classes with different numbers of templates, or features of different widths.
pub fn prompt_scores(
    images: &Features,
    labels: &[usize],
    prompts: &[Features],
    resampling: &Resampling,
) -> Result<PromptScores> {
    check_lengths("the score of prompts", images.len(), labels.len())?;
    check_count("the score of prompts", 1, images.len())?;
    check_count("the score of prompts", 1, prompts.len())?;
    let count = prompts[0].len();
    assert!(prompts.iter().all(|class| class.len() == count), "every class has every template");
    let similar_to = |kept: &dyn Fn(usize) -> bool| -> Vec<f64> {
        let directions: Vec<Vec<f64>> = prompts.iter().map(|class| direction(class, kept)).collect();
        images
            .rows()
            .flat_map(|image| directions.iter().map(|class| dot(image, class)).collect::<Vec<_>>())
            .collect()
    };
    let correct = |kept: &dyn Fn(usize) -> bool| -> Vec<bool> {
        let similarities = similar_to(kept);
        let rows = similarities.chunks_exact(prompts.len()).zip(labels);
        rows.map(|(row, &label)| {
            (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best }) == label
        })
        .collect()
    };
    let share = |correct: &[bool]| {
        wilson(correct.iter().filter(|&&right| right).count(), correct.len(), DEFAULT_LEVEL)
    };

    let everything = correct(&|_| true);
    let alone: Vec<Vec<bool>> = (0..count).map(|template| correct(&|other| other == template)).collect();
    let against = |first: &[bool], second: &[bool]| Ok(mcnemar(first, second)?.p_value);
    let p_values = alone.iter().map(|own| against(own, &everything)).collect::<Result<Vec<f64>>>()?;
    let mut templates = Vec::with_capacity(count);
    for (template, adjusted_p) in benjamini_hochberg(&p_values)?.into_iter().enumerate() {
        templates.push(TemplateScore {
            alone: share(&alone[template])?,
            difference: accuracy_difference(&alone[template], &everything, resampling)?,
            adjusted_p,
            left_out: match count {
                1 => None,
                _ => Some(share(&correct(&|other| other != template))?),
            },
        });
    }
    let mut pairs = Vec::new();
    for (place, first) in alone.iter().enumerate() {
        for second in &alone[place + 1..] {
            pairs.push(against(first, second)?);
        }
    }
    let differ = benjamini_hochberg(&pairs)?.iter().filter(|&&p| p < SIGNIFICANCE).count();
    let accuracies: Vec<f64> = templates.iter().map(|template| template.alone.value).collect();
    Ok(PromptScores {
        ensemble: share(&everything)?,
        mean: accuracies.iter().sum::<f64>() / count as f64,
        deviation: standard_deviation(&accuracies).ok(),
        scores: templates,
        pairs_that_differ: differ,
        pairs: pairs.len(),
        similarity: by_class(&similar_to(&|_| true), labels, prompts.len()),
    })
}

/// The direction of the mean of some templates.
fn direction(class: &Features, kept: &dyn Fn(usize) -> bool) -> Vec<f64> {
    let mut sum = vec![0.0; class.width()];
    for (_, row) in class.rows().enumerate().filter(|(template, _)| kept(*template)) {
        sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
    sum.iter_mut().for_each(|value| *value /= length.max(f64::MIN_POSITIVE));
    sum
}

fn dot(image: &[f32], direction: &[f64]) -> f64 {
    image.iter().zip(direction).map(|(&value, entry)| f64::from(value) * entry).sum()
}

fn by_class(similarities: &[f64], labels: &[usize], classes: usize) -> Vec<Option<f64>> {
    let mut sums = vec![0.0; classes * classes];
    let mut counts = vec![0usize; classes];
    for (row, &label) in similarities.chunks_exact(classes).zip(labels) {
        counts[label] += 1;
        sums[label * classes..][..classes].iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let mean = |(cell, sum): (usize, &f64)| {
        let count = counts[cell / classes];
        (count > 0).then(|| sum / count as f64)
    };
    sums.iter().enumerate().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes along the axes; the second template has the classes exchanged, the third is the first again.
    fn scores() -> PromptScores {
        let images = Features::new(2, [[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.7], [0.6, 0.8]].concat());
        let classes = [[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]];
        let prompts = classes.map(|class| Features::new(2, class.concat()));
        prompt_scores(
            &images,
            &[0, 0, 1, 1, 0],
            &prompts,
            &Resampling { resamples: 200, ..Resampling::new(1) },
        )
        .unwrap()
    }

    #[test]
    fn each_template_has_its_own_accuracy_and_the_ensemble_that_of_their_mean() {
        let found = scores();
        let alone: Vec<f64> = found.scores.iter().map(|template| template.alone.value).collect();
        assert_eq!(alone, [0.8, 0.2, 0.8]);
        assert_eq!(found.ensemble.value, 0.8);
        // Without the first, the other two cancel: all similarities are equal, and the first class wins.
        let left_out: Vec<f64> = found.scores.iter().map(|t| t.left_out.as_ref().unwrap().value).collect();
        assert_eq!(left_out, [0.6, 0.8, 0.6]);
        assert!(
            (found.mean - 0.6).abs() < 1e-12 && (found.deviation.unwrap() - 0.12f64.sqrt()).abs() < 1e-12
        );
        assert!((found.scores[1].difference.value + 0.6).abs() < 1e-12);
        // 4 against 1 of 5 disagreements: p = 2 (1 + 5) / 32; the others never disagree with the ensemble.
        assert!((found.scores[1].adjusted_p - 1.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.scores[0].adjusted_p, 1.0);
        assert_eq!((found.pairs, found.pairs_that_differ), (3, 0));
    }

    #[test]
    fn similarity_is_the_mean_cosine_of_a_class() {
        let found = scores();
        // The ensemble's directions are (2, 1) and (1, 2), over √5.
        let expected =
            [(2.0 * 2.5 + 0.9) / 3.0, (2.5 + 2.0 * 0.9) / 3.0, (0.2 + 1.7) / 2.0, (0.1 + 3.4) / 2.0];
        for (own, sum) in found.similarity.iter().zip(expected) {
            assert!((own.unwrap() - sum / 5f64.sqrt()).abs() < 1e-6, "{own:?} and {}", sum / 5f64.sqrt());
        }
    }
}
