//! Do two models that are both wrong give the same wrong answer, beyond what their habits imply?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DEFAULT_LEVEL, Estimate, Resampling, Result, StatisticsError, check_lengths, wilson};

/// Outcome of [`answer_agreement`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerAgreement {
    /// Share of the compared images to which both models give the same wrong answer.
    pub observed: Estimate,
    /// That share for independent models that confuse each class as these two do.
    pub expected: f64,
    /// `observed − expected`.
    pub excess: Estimate,
    /// Two-sided p-value of independence within each class, from random permutations.
    pub p_value: f64,
    /// Images that both have wrong and that are the only such image of their class, which cannot be compared.
    pub alone: usize,
}

/// Whether two models that are both wrong name the same class more often than independent models with the same confusions.
///
/// Each image is one that both have wrong: its class and the two answers. Independent models that take class y for k with
/// the probabilities p₁(k|y) and p₂(k|y) agree on it with probability Σ_k p₁(k|y) p₂(k|y). That is estimated from the *other*
/// images of the class: with a_k and b_k the counts of the answers to the n images of a class and s the images to which both
/// are the same, it is (Σ_k a_k b_k − s) / (n (n − 1)), since an image's own pair is no independent one. The p-value permutes
/// within each class which of the second model's answers goes with which image; it counts permutations in which the number of
/// agreements lies at least as far from its mean over permutations, Σ_k a_k b_k / n summed over classes, as the one seen:
/// (count + 1)/(permutations + 1) as in Phipson & Smyth (2010). The interval of the excess is the percentile interval of the
/// bootstrap over images, whose repeated images are not paired with themselves either; with 80 images in two classes it covered
/// in 90 % of simulations, so that a claim should also ask the p-value, which held its level there.
///
/// # Errors
/// Different lengths, impossible resampling parameters; undefined where no class has two images, and where one of the models
/// always gives the same answer within each class, so that nothing can be permuted.
pub fn answer_agreement(
    classes: &[usize],
    first: &[usize],
    second: &[usize],
    resampling: &Resampling,
) -> Result<AnswerAgreement> {
    let what = "agreement of wrong answers";
    check_lengths(what, classes.len(), first.len())?;
    check_lengths(what, classes.len(), second.len())?;
    let mut of_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    classes.iter().enumerate().for_each(|(image, &class)| of_class.entry(class).or_default().push(image));
    of_class.retain(|_, images| images.len() > 1);
    let constant =
        |answers: &[usize], images: &[usize]| images.iter().all(|&i| answers[i] == answers[images[0]]);
    let reason = if classes.is_empty() {
        "there is no image that both have wrong"
    } else if of_class.is_empty() {
        "no class has two images that both have wrong"
    } else if of_class.values().all(|images| constant(first, images) || constant(second, images)) {
        "within each class one of the models always gives the same wrong answer"
    } else {
        ""
    };
    if !reason.is_empty() {
        return Err(StatisticsError::Undefined { what, reason });
    }

    let pairs = Pairs::new(&of_class, first, second);
    let n = pairs.cells.len();
    let same = pairs.cells.iter().filter(|(first, second)| first == second).count();
    let observed = wilson(same, n, DEFAULT_LEVEL)?;
    let everything: Vec<usize> = (0..n).collect();
    let excess = resampling.bootstrap(what, n, |indices| pairs.excess(indices))?;

    let groups = pairs.groups();
    let centre = pairs.agreements_by_chance();
    let distance = (same as f64 - centre).abs() - 1e-9;
    let mut as_far = 0usize;
    resampling.permutations_within(&groups, n, |order| {
        let agreements = everything.iter().filter(|&&i| pairs.cells[i].0 == pairs.cells[order[i]].1).count();
        as_far += usize::from((agreements as f64 - centre).abs() >= distance);
    })?;
    Ok(AnswerAgreement {
        expected: observed.value - excess.value,
        observed,
        excess,
        p_value: (as_far + 1) as f64 / (resampling.resamples + 1) as f64,
        alone: classes.len() - n,
    })
}

/// The answers to the images that can be compared, as cells of the table (class, answer).
struct Pairs {
    /// Of each image the cells of both answers.
    cells: Vec<(usize, usize)>,
    /// Of each image the position of its class among those compared.
    class_of: Vec<usize>,
    /// Of each cell the class.
    class_of_cell: Vec<usize>,
    classes: usize,
}

impl Pairs {
    fn new(of_class: &BTreeMap<usize, Vec<usize>>, first: &[usize], second: &[usize]) -> Self {
        let (mut cells, mut class_of, mut class_of_cell) = (Vec::new(), Vec::new(), Vec::new());
        for (class, images) in of_class.values().enumerate() {
            let mut known = BTreeMap::new();
            for &image in images {
                let mut cell = |answer: usize| {
                    *known.entry(answer).or_insert_with(|| {
                        class_of_cell.push(class);
                        class_of_cell.len() - 1
                    })
                };
                cells.push((cell(first[image]), cell(second[image])));
                class_of.push(class);
            }
        }
        Self { cells, class_of, class_of_cell, classes: of_class.len() }
    }

    /// Images of each class.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups = vec![Vec::new(); self.classes];
        self.class_of.iter().enumerate().for_each(|(image, &class)| groups[class].push(image));
        groups
    }

    /// Σ over classes of Σ_k a_k b_k / n: the mean number of agreements over all permutations within classes.
    fn agreements_by_chance(&self) -> f64 {
        let mut counts = vec![(0.0, 0.0); self.class_of_cell.len()];
        for &(first, second) in &self.cells {
            counts[first].0 += 1.0;
            counts[second].1 += 1.0;
        }
        let sizes: Vec<f64> = self.groups().iter().map(|images| images.len() as f64).collect();
        counts.iter().zip(&self.class_of_cell).map(|((a, b), &class)| a * b / sizes[class]).sum()
    }

    /// Share of agreements minus the share among different images of one class, over the sample `indices`. A class of which
    /// the sample holds one image alone cannot be compared and is left out.
    fn excess(&self, indices: &[usize]) -> f64 {
        let mut weights = vec![0.0; self.cells.len()];
        indices.iter().for_each(|&image| weights[image] += 1.0);
        let mut counts = vec![(0.0, 0.0); self.class_of_cell.len()];
        // Of each class: images, squares of their weights, agreements, agreements of an image with itself.
        let mut sums = vec![[0.0; 4]; self.classes];
        for ((&weight, &(first, second)), &class) in weights.iter().zip(&self.cells).zip(&self.class_of) {
            counts[first].0 += weight;
            counts[second].1 += weight;
            let same = f64::from(u8::from(first == second));
            let more = [weight, weight * weight, weight * same, weight * weight * same];
            sums[class].iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        let mut products = vec![0.0; self.classes];
        counts.iter().zip(&self.class_of_cell).for_each(|((a, b), &class)| products[class] += a * b);
        let (mut excess, mut images) = (0.0, 0.0);
        for ([weight, squares, same, own], product) in sums.into_iter().zip(products) {
            let others = weight * weight - squares;
            if others > 0.0 {
                excess += same - weight * (product - own) / others;
                images += weight;
            }
        }
        excess / images
    }
}
