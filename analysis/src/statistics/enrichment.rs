//! Does a number set some images apart from others of the same classes: errors from right answers?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::exchange::exchange_test;
use super::permutation::SignFlipTest;
use super::{Estimate, Resampling, Result, StatisticsError, check_count, check_finite, check_lengths, mean};

/// Fewest errors, and fewest right answers, of which anything is said.
pub const FEWEST_ENRICHED: usize = 5;

/// Outcome of [`enrichment`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enrichment {
    /// Probability that an error has a larger value than a right answer of its class, ties half: 0.5 where the value tells nothing.
    pub superiority: Estimate,
    /// Two-sided p-value of no association within classes, by permutation.
    pub p_value: f64,
    /// Errors that were compared: those whose class has a right answer too.
    pub errors: usize,
    /// Right answers that were compared.
    pub right: usize,
    /// Mean value of these errors.
    pub mean_of_errors: f64,
    /// Mean value of the right answers, each class counted as often as it is among the errors.
    pub mean_of_right: f64,
}

/// Whether errors have larger or smaller values than right answers of the same class.
///
/// The effect is the probability of superiority A (Mann & Whitney 1947; Vargha & Delaney 2000, *JEBS* 25) of an error over a right answer
/// drawn from its own class, averaged over the errors. So a class that is hard, and whose images have large values, adds nothing. Errors in
/// a class without a right answer, and right answers in a class without an error, are left out.
///
/// The p-value permutes within each class which images are errors: (b + 1)/(m + 1) for b of m permutations with an effect at least as far
/// from 0.5 (Phipson & Smyth 2010). The interval is the percentile interval of the bootstrap over images.
///
/// # Errors
/// Different lengths, a value that is not finite, impossible resampling parameters, fewer than [`FEWEST_ENRICHED`] errors or right
/// answers that can be compared; undefined where all values are equal.
pub fn enrichment(
    values: &[f64],
    errors: &[bool],
    classes: &[usize],
    resampling: &Resampling,
) -> Result<Enrichment> {
    let what = "a comparison of errors with right answers";
    let compared = compared(what, values, errors, classes)?;
    let entry = |&image: &usize| Entry { class: classes[image], value: values[image] };
    let entries: Vec<Entry> = compared.iter().map(entry).collect();
    let errors: Vec<bool> = compared.iter().map(|&image| errors[image]).collect();
    let ordered = Ordered::new(&entries);

    let n = entries.len();
    let n_errors = errors.iter().filter(|error| **error).count();
    let mut superiority = resampling.bootstrap(what, n, |images| {
        let counts = counted(images, n);
        let [found] = ordered.superiority(|image| (0, counts[image], errors[image]));
        found
    })?;
    superiority.n = n_errors;
    superiority.method.insert_str(0, "probability of superiority within classes, ");

    let distance = (superiority.value - 0.5).abs() - 1e-12;
    let mut as_far = 0usize;
    let groups: Vec<Vec<usize>> = ordered.classes().iter().map(|runs| runs.concat()).collect();
    resampling.permutations_within(&groups, n, |order| {
        let [found] = ordered.superiority(|image| (0, 1.0, errors[order[image]]));
        as_far += usize::from((found - 0.5).abs() >= distance);
    })?;
    let of_errors: Vec<f64> =
        entries.iter().zip(&errors).filter(|(_, error)| **error).map(|(entry, _)| entry.value).collect();
    Ok(Enrichment {
        superiority,
        p_value: (as_far + 1) as f64 / (resampling.resamples + 1) as f64,
        errors: n_errors,
        right: n - n_errors,
        mean_of_errors: mean(&of_errors),
        mean_of_right: ordered.mean_of_right(&entries, &errors),
    })
}

/// Whether a value sets the errors of one model apart more than those of another: the probabilities of superiority of [`enrichment`],
/// first minus second, on the same images.
///
/// Values are compared within a model and a class alone, by rank, so that the scales of the two models need not be the same. Test and interval
/// are those of [`exchange_test`]: on each image, the models exchange answer and value together.
///
/// # Errors
/// As [`enrichment`], for either model.
pub fn enrichment_difference(
    first: (&[f64], &[bool]),
    second: (&[f64], &[bool]),
    classes: &[usize],
    resampling: &Resampling,
) -> Result<SignFlipTest> {
    let what = "a comparison of two models' errors";
    for (values, errors) in [first, second] {
        compared(what, values, errors, classes)?;
    }
    let n = classes.len();
    let ranked = [first, second].map(|(values, _)| ranks_within(values, classes));
    // The answers of the first model to all images, then those of the second.
    let entries: Vec<Entry> = ranked
        .iter()
        .flat_map(|ranks| ranks.iter().zip(classes).map(|(&value, &class)| Entry { class, value }))
        .collect();
    let errors = [first.1, second.1].concat();
    let ordered = Ordered::new(&entries);
    let difference = |images: &[usize], exchanged: &[bool]| {
        let counts = counted(images, n);
        let [first, second] = ordered.superiority(|entry| {
            let (image, owner) = (entry % n, entry / n);
            (owner ^ usize::from(exchanged[image]), counts[image], errors[entry])
        });
        first - second
    };
    exchange_test(what, n, difference, resampling)
}

/// One value of an image.
struct Entry {
    class: usize,
    value: f64,
}

/// Entries by class and then by value.
struct Ordered {
    order: Vec<usize>,
    /// Where each run of equal values of one class ends in `order`, and whether its class ends there too.
    runs: Vec<(usize, bool)>,
}

impl Ordered {
    fn new(entries: &[Entry]) -> Self {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (&entries[a], &entries[b]);
            a.class.cmp(&b.class).then(a.value.total_cmp(&b.value))
        });
        let mut runs = Vec::new();
        for (place, &entry) in order.iter().enumerate() {
            let Entry { class, value } = entries[entry];
            let next = order.get(place + 1).map(|&next| &entries[next]);
            let last = next.is_none_or(|next| next.class != class);
            // Compared with ==, so that 0 and −0 tie although `total_cmp` orders them.
            if last || next.is_some_and(|next| next.value != value) {
                runs.push((place + 1, last));
            }
        }
        Self { order, runs }
    }

    /// The runs of each class, each with its entries.
    fn classes(&self) -> Vec<Vec<&[usize]>> {
        let mut start = 0;
        let runs: Vec<(&[usize], bool)> = (self.runs.iter())
            .map(|&(end, last)| (&self.order[std::mem::replace(&mut start, end)..end], last))
            .collect();
        runs.chunk_by(|(_, last), _| !last).map(|of| of.iter().map(|(run, _)| *run).collect()).collect()
    }

    /// Of each of `M` models, the mean over its errors of the share of its right answers of their class below them, ties half; `of` says
    /// whose an entry is, how often it counts and whether it is an error. Not a number where no error has a right answer in its class.
    fn superiority<const M: usize>(&self, of: impl Fn(usize) -> (usize, f64, bool)) -> [f64; M] {
        let (mut above, mut compared) = ([0.0; M], [0.0; M]);
        // Right answers and errors, of the class so far and of the run.
        let (mut wins, mut seen, mut start) = ([0.0; M], [[0.0; 2]; M], 0);
        for &(end, last_of_class) in &self.runs {
            let mut here = [[0.0; 2]; M];
            for &entry in &self.order[start..end] {
                let (model, weight, error) = of(entry);
                here[model][usize::from(error)] += weight;
            }
            start = end;
            for model in 0..M {
                let [right, errors] = here[model];
                wins[model] += errors * (seen[model][0] + 0.5 * right);
                seen[model][0] += right;
                seen[model][1] += errors;
            }
            if last_of_class {
                for model in 0..M {
                    let [right, errors] = std::mem::take(&mut seen[model]);
                    if right > 0.0 {
                        above[model] += wins[model] / right;
                        compared[model] += errors;
                    }
                    wins[model] = 0.0;
                }
            }
        }
        std::array::from_fn(|model| above[model] / compared[model])
    }

    /// Mean value of the right answers, each class as often as it is among the errors.
    fn mean_of_right(&self, entries: &[Entry], errors: &[bool]) -> f64 {
        let (mut sum, mut weight) = (0.0, 0.0);
        for runs in self.classes() {
            let (wrong, right): (Vec<usize>, Vec<usize>) =
                runs.concat().into_iter().partition(|&entry| errors[entry]);
            let values: Vec<f64> = right.iter().map(|&entry| entries[entry].value).collect();
            sum += wrong.len() as f64 * mean(&values);
            weight += wrong.len() as f64;
        }
        sum / weight
    }
}

/// Images of classes that have both an error and a right answer.
fn compared(what: &'static str, values: &[f64], errors: &[bool], classes: &[usize]) -> Result<Vec<usize>> {
    check_lengths(what, values.len(), errors.len())?;
    check_lengths(what, values.len(), classes.len())?;
    check_finite("a list of values", values)?;
    let mut seen: BTreeMap<usize, [bool; 2]> = BTreeMap::new();
    classes
        .iter()
        .zip(errors)
        .for_each(|(&class, &error)| seen.entry(class).or_default()[usize::from(error)] = true);
    let both: Vec<usize> = (0..classes.len()).filter(|&image| seen[&classes[image]] == [true; 2]).collect();
    let wrong = both.iter().filter(|&&image| errors[image]).count();
    check_count(what, FEWEST_ENRICHED, wrong.min(both.len() - wrong))?;
    if both.iter().all(|&image| values[image] == values[both[0]]) {
        return Err(StatisticsError::Undefined { what, reason: "it is the same for all of these images" });
    }
    Ok(both)
}

/// How often each of `n` images is among `images`.
fn counted(images: &[usize], n: usize) -> Vec<f64> {
    let mut counts = vec![0.0; n];
    images.iter().for_each(|&image| counts[image] += 1.0);
    counts
}

/// Rank of each value within its class, as a share of the class, ties sharing the mean of theirs.
fn ranks_within(values: &[f64], classes: &[usize]) -> Vec<f64> {
    let entries: Vec<Entry> =
        values.iter().zip(classes).map(|(&value, &class)| Entry { class, value }).collect();
    let mut ranks = vec![0.0; values.len()];
    for runs in Ordered::new(&entries).classes() {
        let n: usize = runs.iter().map(|run| run.len()).sum();
        let mut below = 0;
        for run in runs {
            let shared = (below as f64 + 0.5 * run.len() as f64) / n as f64;
            run.iter().for_each(|&entry| ranks[entry] = shared);
            below += run.len();
        }
    }
    ranks
}

#[cfg(test)]
mod tests;
