//! Whose perturbations are finer.

use archaeo_analysis::statistics::Better;
use archaeo_report::Claim;
use archaeo_report::numbers::{Unit, counted, decimal, epsilon, p_value};

use super::FrequencyStudy;
use super::findings::{FrequencyFindings, FrequencyPair};
use crate::report::Names;
use crate::study::Study;

/// Up to so many pairs of models each has a sentence of its own.
const FEW_PAIRS: usize = 3;

pub(super) fn claims(findings: &FrequencyFindings, names: &Names) -> Vec<Claim> {
    if findings.pairs.len() > FEW_PAIRS {
        return Vec::new();
    }
    findings.pairs.iter().filter_map(|pair| of_pair(findings, pair, names)).collect()
}

fn of_pair(findings: &FrequencyFindings, pair: &FrequencyPair, names: &Names) -> Option<Claim> {
    let test = pair.finer.known()?;
    let [first, second] = pair.models.map(|model| names.the(model));
    let finer = |finer: &str, coarser: &str| {
        format!("What an attack adds to images is finer for {finer} than for {coarser}.")
    };
    let statement = match Better::of(&test.difference, test.p_value) {
        Better::Yes => finer(&first, &second),
        Better::No => finer(&second, &first),
        Better::CannotBeTold => {
            format!(
                "That what an attack adds to images is finer for {first} or for {second} cannot be shown."
            )
        }
    };
    let mean = |place: usize| {
        let model = pair.models[place];
        let white = &findings.white[model];
        let bands = white.len() as f64;
        let of_noise: f64 = white
            .iter()
            .enumerate()
            .map(|(band, share)| share * (band as f64 + 0.5) / bands * std::f64::consts::SQRT_2)
            .sum();
        let found = findings.models[model].mean_frequency.known()?;
        Some(format!(
            "{} for {} (white noise: about {})",
            Unit::Coefficient.sentence(found),
            names.the(model),
            decimal(of_noise, 2)
        ))
    };
    let evidence = format!(
        "Mean frequency of PGD's perturbations at ε = {}, in units of the Nyquist frequency: {} and {}. On the {} that both have right \
         without an attack the difference is {} ({}; sign-flip permutation test, whose null is that both are equally fine).",
        epsilon(findings.epsilon),
        mean(0)?,
        mean(1)?,
        counted(test.difference.n, "image"),
        Unit::Coefficient.sentence(&test.difference),
        p_value(test.p_value)
    );
    Some(Claim { section: FrequencyStudy::ID, topic: "Frequencies", statement, evidence })
}
