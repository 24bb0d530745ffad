//! The linear probe: multinomial logistic regression on standardised features.

use super::lbfgs::minimise;
use super::matrix::{Factor, Features};
use crate::statistics::{Result, StatisticsError, check_count, check_lengths};

/// Penalties that a probe may be given, from the strongest.
pub const PENALTIES: [f64; 7] = [10.0, 1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5];

/// Largest entry of the gradient at which a probe is fitted.
const TOLERANCE: f64 = 1e-4;

/// Steps after which it is, too.
const MOST_STEPS: usize = 300;

/// `softmax(W x̂ + b)` of standardised features x̂ = (x − mean) / deviation.
///
/// W and b minimise `mean cross-entropy + penalty / 2 · ‖W‖²`; b is not penalised. scikit-learn's `C` is 1 / (n · penalty).
#[derive(Clone, Debug)]
pub struct LinearProbe {
    classes: usize,
    standard: Standard,
    /// `(classes, width)`, then `(classes)`.
    parameters: Vec<f64>,
}

impl LinearProbe {
    /// Fits a probe by L-BFGS.
    ///
    /// # Errors
    /// No images, a label for each is missing, fewer than two classes with images, or a value that is not finite.
    pub fn fit(features: &Features, labels: &[usize], classes: usize, penalty: f64) -> Result<Self> {
        let problem = Problem::new(features, labels, classes)?;
        let parameters = problem.solve(vec![0.0; problem.parameters()], penalty, TOLERANCE);
        Ok(Self { classes, standard: problem.standard, parameters })
    }

    /// The most probable class of every image; the lowest of equals.
    ///
    /// # Panics
    /// Another width than that of the features it was fitted to.
    pub fn predict(&self, features: &Features) -> Vec<usize> {
        let best = |row: &[f64]| (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
        self.logits(features).chunks_exact(self.classes).map(best).collect()
    }

    /// `(n, classes)`, row by row.
    ///
    /// # Panics
    /// As [`LinearProbe::predict`].
    pub fn logits(&self, features: &Features) -> Vec<f64> {
        let standardised = self.standard.of(features);
        logits(&Factor::of(&standardised), &self.parameters, self.classes, standardised.width())
    }
}

/// A probe with the penalty under which most validation images are right, the strongest of equals.
#[derive(Clone, Debug)]
pub struct ChosenProbe {
    /// Fitted to the training and the validation images together.
    pub probe: LinearProbe,
    /// The penalty.
    pub penalty: f64,
    /// Share of validation images that are right under each penalty, by a probe fitted to the training images alone.
    pub validation: Vec<(f64, f64)>,
}

/// Fits a probe under each of [`PENALTIES`], chooses by `validation`, and fits again to both.
///
/// # Errors
/// As [`LinearProbe::fit`]; no validation images.
pub fn choose_probe(
    training: (&Features, &[usize]),
    validation: (&Features, &[usize]),
    classes: usize,
) -> Result<ChosenProbe> {
    let scores = validated(training, validation, classes)?;
    let penalty = best(&scores);
    let features = training.0.followed_by(validation.0);
    let labels = [training.1, validation.1].concat();
    Ok(ChosenProbe {
        probe: LinearProbe::fit(&features, &labels, classes, penalty)?,
        penalty,
        validation: scores,
    })
}

/// As [`choose_probe`], without fitting again: for training images that are few by design.
///
/// # Errors
/// As there.
pub fn choose_probe_of_few(
    training: (&Features, &[usize]),
    validation: (&Features, &[usize]),
    classes: usize,
) -> Result<ChosenProbe> {
    let scores = validated(training, validation, classes)?;
    let penalty = best(&scores);
    let probe = LinearProbe::fit(training.0, training.1, classes, penalty)?;
    Ok(ChosenProbe { probe, penalty, validation: scores })
}

/// Share of validation images that are right under each penalty; each probe starts where the one before ended.
fn validated(
    (features, labels): (&Features, &[usize]),
    (validation, truth): (&Features, &[usize]),
    classes: usize,
) -> Result<Vec<(f64, f64)>> {
    check_count("the choice of a penalty", 1, validation.len())?;
    check_lengths("the choice of a penalty", validation.len(), truth.len())?;
    let problem = Problem::new(features, labels, classes)?;
    let mut parameters = vec![0.0; problem.parameters()];
    let mut scores = Vec::with_capacity(PENALTIES.len());
    for penalty in PENALTIES {
        parameters = problem.solve(parameters, penalty, TOLERANCE);
        let probe =
            LinearProbe { classes, standard: problem.standard.clone(), parameters: parameters.clone() };
        let answers = probe.predict(validation);
        let right = answers.iter().zip(truth).filter(|(answer, truth)| answer == truth).count();
        scores.push((penalty, right as f64 / truth.len() as f64));
    }
    Ok(scores)
}

fn best(scores: &[(f64, f64)]) -> f64 {
    scores.iter().fold(scores[0], |best, score| if score.1 > best.1 { *score } else { best }).0
}

/// Mean and standard deviation of every feature.
#[derive(Clone, Debug)]
struct Standard {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Standard {
    fn fitted(features: &Features) -> Self {
        let mean = features.means();
        let mut squares = vec![0.0; features.width()];
        for row in features.rows() {
            for ((sum, &value), mean) in squares.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(value) - mean).powi(2);
            }
        }
        let n = features.len() as f64;
        // A constant feature, up to the rounding of its mean, says nothing.
        let deviation = squares.iter().zip(&mean).map(|(square, mean)| {
            let deviation = (square / n).sqrt();
            if deviation > 1e-7 * mean.abs() { deviation } else { f64::INFINITY }
        });
        Self { deviation: deviation.collect(), mean }
    }

    fn of(&self, features: &Features) -> Features {
        assert_eq!(features.width(), self.mean.len(), "a probe reads features of the width it was fitted to");
        let values = features.rows().flat_map(|row| {
            row.iter()
                .zip(&self.mean)
                .zip(&self.deviation)
                .map(|((&value, mean), deviation)| ((f64::from(value) - mean) / deviation) as f32)
        });
        Features::new(features.width(), values.collect())
    }
}

/// Standardised features with their labels.
struct Problem<'a> {
    standard: Standard,
    rows: Factor,
    columns: Factor,
    labels: &'a [usize],
    classes: usize,
    width: usize,
}

impl<'a> Problem<'a> {
    fn new(features: &Features, labels: &'a [usize], classes: usize) -> Result<Self> {
        check_count("a linear probe", 2, labels.len())?;
        check_lengths("a linear probe", features.len(), labels.len())?;
        features.check_finite()?;
        if labels.iter().all(|label| *label == labels[0]) {
            let reason = "all training images are of one class";
            return Err(StatisticsError::Undefined { what: "a linear probe", reason });
        }
        let standard = Standard::fitted(features);
        let standardised = standard.of(features);
        let (rows, columns) = (Factor::of(&standardised), Factor::of(&standardised.transposed()));
        Ok(Self { standard, rows, columns, labels, classes, width: features.width() })
    }

    fn parameters(&self) -> usize {
        self.classes * (self.width + 1)
    }

    fn solve(&self, start: Vec<f64>, penalty: f64, tolerance: f64) -> Vec<f64> {
        minimise(start, |parameters| self.loss(parameters, penalty), tolerance, MOST_STEPS).point
    }

    /// Value and gradient.
    fn loss(&self, parameters: &[f64], penalty: f64) -> (f64, Vec<f64>) {
        let (classes, n) = (self.classes, self.labels.len() as f64);
        let weights = &parameters[..classes * self.width];
        let mut scores = logits(&self.rows, parameters, classes, self.width);
        let mut loss = 0.0;
        for (row, &label) in scores.chunks_exact_mut(classes).zip(self.labels) {
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let own = row[label];
            row.iter_mut().for_each(|score| *score = (*score - largest).exp());
            let sum: f64 = row.iter().sum();
            loss += (sum.ln() + largest - own) / n;
            row.iter_mut().for_each(|score| *score /= sum * n);
            row[label] -= 1.0 / n;
        }
        loss += 0.5 * penalty * weights.iter().map(|weight| weight * weight).sum::<f64>();

        let residuals = Features::new(classes, scores.iter().map(|&score| score as f32).collect());
        // (width, classes)
        let products = self.columns.with(&residuals.transposed());
        let mut gradient: Vec<f64> = weights.iter().map(|weight| penalty * weight).collect();
        for (feature, of_classes) in products.chunks_exact(classes).enumerate() {
            for (class, &product) in of_classes.iter().enumerate() {
                gradient[class * self.width + feature] += f64::from(product);
            }
        }
        let mut of_intercepts = vec![0.0; classes];
        for row in scores.chunks_exact(classes) {
            of_intercepts.iter_mut().zip(row).for_each(|(sum, residual)| *sum += residual);
        }
        gradient.extend(of_intercepts);
        (loss, gradient)
    }
}

fn logits(rows: &Factor, parameters: &[f64], classes: usize, width: usize) -> Vec<f64> {
    let (weights, intercepts) = parameters.split_at(classes * width);
    let weights = Features::new(width, weights.iter().map(|&weight| weight as f32).collect());
    let products = rows.with(&weights);
    let with_intercepts = products.chunks_exact(classes).flat_map(|row| {
        row.iter().zip(intercepts).map(|(&product, intercept)| f64::from(product) + intercept)
    });
    with_intercepts.collect()
}

#[cfg(test)]
mod tests;
