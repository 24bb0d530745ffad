//! Two models under the same attack on the same images.

use archaeo_analysis::statistics::{DEFAULT_LEVEL, StatisticsError, benjamini_hochberg, mcnemar, wilson};

use super::Outcomes;
use super::findings::{AttackComparison, PairedShares};
use crate::subjects::{ByModel, ModelName};

/// Both models of every pair at each size of each attack: over all images, and over those in `correct` for both, which tells what
/// the attack takes away from what was there without it. The p-values of either kind are a family over pairs, sizes and attacks.
pub(super) fn comparisons(
    pairs: &[[ModelName; 2]],
    outcomes: &[Outcomes],
    correct: &ByModel<Vec<bool>>,
) -> Result<Vec<AttackComparison>, StatisticsError> {
    let of = |model: ModelName| outcomes.iter().filter(move |outcomes| outcomes.model == model);
    let mut comparisons = Vec::new();
    for &models in pairs {
        let both: Vec<bool> = correct[models[0]]
            .iter()
            .zip(&correct[models[1]])
            .map(|(first, second)| *first && *second)
            .collect();
        let chosen = |robust: &[bool]| -> Vec<bool> {
            robust.iter().zip(&both).filter(|(_, both)| **both).map(|(robust, _)| *robust).collect()
        };
        for (first, second) in of(models[0]).zip(of(models[1])) {
            for ((epsilon, of_first), (_, of_second)) in first.under_attack.iter().zip(&second.under_attack) {
                comparisons.push(AttackComparison {
                    models,
                    attack: first.attack.into(),
                    epsilon: *epsilon,
                    robust: paired(&of_first.robust, &of_second.robust)?,
                    kept: match both.contains(&true) {
                        true => Some(paired(&chosen(&of_first.robust), &chosen(&of_second.robust))?),
                        false => None,
                    },
                });
            }
        }
    }
    adjust(comparisons.iter_mut().map(|comparison| &mut comparison.robust).collect())?;
    adjust(comparisons.iter_mut().filter_map(|comparison| comparison.kept.as_mut()).collect())?;
    Ok(comparisons)
}

/// The shares of two models on the same images, and the test of their difference, not adjusted yet.
///
/// # Errors
/// Different lengths or no images.
pub fn paired(first: &[bool], second: &[bool]) -> Result<PairedShares, StatisticsError> {
    let test = mcnemar(first, second)?;
    let share = |robust: &[bool]| {
        wilson(robust.iter().filter(|robust| **robust).count(), robust.len(), DEFAULT_LEVEL)
    };
    Ok(PairedShares {
        first: share(first)?,
        second: share(second)?,
        only_first: test.only_first_correct,
        only_second: test.only_second_correct,
        p_value: test.p_value,
        adjusted_p: test.p_value,
    })
}

/// Adjusts the p-values of a family of tests.
///
/// # Errors
/// As [`benjamini_hochberg`].
pub fn adjust(mut family: Vec<&mut PairedShares>) -> Result<(), StatisticsError> {
    let p_values: Vec<f64> = family.iter().map(|shares| shares.p_value).collect();
    for (shares, adjusted) in family.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        shares.adjusted_p = adjusted;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn pair() -> [ModelName; 2] {
        ["vit", "cnn"].map(ModelName::new)
    }

    fn correct(of: [Vec<bool>; 2]) -> ByModel<Vec<bool>> {
        pair().into_iter().zip(of).collect()
    }

    /// 100 images: the ViT has the first 90 without an attack, the CNN the first 60; what stands under the attack is given.
    fn compare(vit: impl Fn(usize) -> bool, cnn: impl Fn(usize) -> bool) -> AttackComparison {
        let flags = |of: &dyn Fn(usize) -> bool| (0..100).map(of).collect::<Vec<bool>>();
        let without = correct([flags(&|i| i < 90), flags(&|i| i < 60)]);
        let outcomes = |model, robust: Vec<bool>| Outcomes {
            model,
            attack: "PGD",
            under_attack: vec![(2.0, Outcome { answers: vec![0; 100], robust, zero_gradient: 0.0 })],
        };
        let both = [outcomes(pair()[0], flags(&vit)), outcomes(pair()[1], flags(&cnn))];
        comparisons(&[pair()], &both, &without).unwrap().remove(0)
    }

    #[test]
    fn a_difference_that_is_there_without_an_attack_is_not_one_of_robustness() {
        // The attack takes nothing from either.
        let found = compare(|i| i < 90, |i| i < 60);
        assert_eq!((found.robust.first.value, found.robust.second.value), (0.9, 0.6));
        assert_eq!((found.robust.only_first, found.robust.only_second), (30, 0));
        // 2 · 2⁻³⁰.
        assert!((found.robust.p_value - 2f64.powi(-29)).abs() < 1e-15);
        let kept = found.kept.unwrap();
        assert_eq!((kept.first.value, kept.second.value, kept.first.n, kept.p_value), (1.0, 1.0, 60, 1.0));
    }

    #[test]
    fn what_an_attack_takes_is_counted_where_both_had_it() {
        // The ViT loses 20 of the 60 that both have; the CNN, with the lower accuracy, none.
        let found = compare(|i| (20..90).contains(&i), |i| i < 60);
        let kept = found.kept.unwrap();
        assert_eq!((kept.only_first, kept.only_second, kept.first.n), (0, 20, 60));
        assert!(kept.p_value < 1e-5 && found.robust.first.value > found.robust.second.value);
    }

    #[test]
    fn p_values_are_adjusted_over_sizes_and_attacks() {
        let outcome = |stands: usize| Outcome {
            answers: vec![0; 40],
            robust: (0..40).map(|i| i < stands).collect(),
            zero_gradient: 0.0,
        };
        let sizes = |stands: [usize; 2]| vec![(1.0, outcome(stands[0])), (2.0, outcome(stands[1]))];
        let outcomes: Vec<Outcomes> = [
            (pair()[0], "FGSM", [40, 30]),
            (pair()[0], "PGD", [36, 20]),
            (pair()[1], "FGSM", [34, 24]),
            (pair()[1], "PGD", [36, 13]),
        ]
        .into_iter()
        .map(|(model, attack, stands)| Outcomes { model, attack, under_attack: sizes(stands) })
        .collect();
        let found = comparisons(&[pair()], &outcomes, &correct([vec![true; 40], vec![true; 40]])).unwrap();
        let p: Vec<f64> = found.iter().map(|comparison| comparison.robust.p_value).collect();
        // 6, 6, 0 and 7 images to nothing.
        let close = |found: &[f64], expected: [f64; 4]| {
            assert!(
                found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
                "{found:?}, not {expected:?}"
            );
        };
        close(&p, [0.03125, 0.03125, 1.0, 0.015625]);
        let adjusted: Vec<f64> = found.iter().map(|comparison| comparison.robust.adjusted_p).collect();
        close(&adjusted, [0.03125 * 4.0 / 3.0, 0.03125 * 4.0 / 3.0, 1.0, 0.03125 * 4.0 / 3.0]);
        assert_eq!(found[3].kept.as_ref().unwrap().adjusted_p, adjusted[3]);
    }

    #[test]
    fn models_without_a_common_image_have_nothing_to_keep() {
        let outcomes: Vec<Outcomes> = pair()
            .into_iter()
            .map(|model| {
                let outcome = Outcome { answers: vec![0], robust: vec![false], zero_gradient: 0.0 };
                Outcomes { model, attack: "PGD", under_attack: vec![(1.0, outcome)] }
            })
            .collect();
        let found = comparisons(&[pair()], &outcomes, &correct([vec![true], vec![false]])).unwrap();
        assert!(found[0].kept.is_none() && found[0].robust.p_value == 1.0);
    }
}
