//! What was found of one departure.

use serde::Serialize;

use crate::statistics::{Estimate, Resampling, Result, mean_bootstrap, mean_difference};

/// Both numbers of a departure, and what would be concluded from either.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// By the paper's definition.
    pub paper: Estimate,
    /// By the popular code's.
    pub popular: Estimate,
    /// The popular number minus the paper's, over the same images.
    pub difference: Estimate,
    /// What a reader would conclude from either.
    pub conclusions: Vec<Conclusion>,
    /// What else is worth knowing, one sentence each.
    pub details: Vec<String>,
}

/// A question, and the answer that either side gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conclusion {
    /// The question.
    pub question: String,
    /// By the paper's definition.
    pub paper: String,
    /// By the popular code's.
    pub popular: String,
    /// Whether the answers differ.
    pub flips: bool,
}

impl Conclusion {
    /// A question and both answers.
    pub fn new(question: impl Into<String>, paper: impl Into<String>, popular: impl Into<String>) -> Self {
        let (paper, popular) = (paper.into(), popular.into());
        Self { question: question.into(), flips: paper != popular, paper, popular }
    }
}

impl Finding {
    /// From one number for each image on either side.
    pub(super) fn of_means(paper: &[f64], popular: &[f64], resampling: &Resampling) -> Result<Self> {
        Ok(Self {
            paper: mean_bootstrap(paper, resampling)?,
            popular: mean_bootstrap(popular, resampling)?,
            difference: mean_difference(popular, paper, resampling)?,
            conclusions: Vec::new(),
            details: Vec::new(),
        })
    }

    /// Whether a conclusion changes.
    pub fn flips(&self) -> bool {
        self.conclusions.iter().any(|conclusion| conclusion.flips)
    }
}

/// Whether numbers are larger on average than others of the same images, as an answer.
pub(super) fn larger(first: &[f64], second: &[f64], resampling: &Resampling) -> Result<&'static str> {
    let difference = mean_difference(first, second, resampling)?;
    Ok(match (difference.low > 0.0, difference.high < 0.0) {
        (true, _) => "yes",
        (_, true) => "no",
        _ => "cannot be told",
    })
}

/// One number of every record.
pub(super) fn column(records: &[Vec<f64>], place: usize) -> Vec<f64> {
    records.iter().map(|record| record[place]).collect()
}
