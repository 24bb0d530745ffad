//! Two models under the same attack on the same images.

use archaeo_analysis::statistics::{DEFAULT_LEVEL, StatisticsError, benjamini_hochberg, mcnemar, wilson};

use super::Outcomes;
use crate::findings::{AttackComparison, PairedShares, Role};

/// Both models at each size of each attack: over all images, and over those in `correct` for both, which tells what the
/// attack takes away from what was there without it. The p-values of either kind are a family over sizes and attacks.
pub(super) fn comparisons(
    outcomes: &[Outcomes],
    correct: [Vec<bool>; 2],
) -> Result<Vec<AttackComparison>, StatisticsError> {
    let [vit_correct, cnn_correct] = &correct;
    let both: Vec<bool> = vit_correct.iter().zip(cnn_correct).map(|(vit, cnn)| *vit && *cnn).collect();
    let of = |role: Role| outcomes.iter().filter(move |outcomes| outcomes.role == role);
    let mut comparisons = Vec::new();
    for (vit, cnn) in of(Role::Vit).zip(of(Role::Cnn)) {
        for ((epsilon, vit_outcome), (_, cnn_outcome)) in vit.under_attack.iter().zip(&cnn.under_attack) {
            let (vit_robust, cnn_robust) = (&vit_outcome.robust, &cnn_outcome.robust);
            let chosen = |robust: &[bool]| -> Vec<bool> {
                robust.iter().zip(&both).filter(|(_, both)| **both).map(|(robust, _)| *robust).collect()
            };
            comparisons.push(AttackComparison {
                attack: vit.attack.into(),
                epsilon: *epsilon,
                robust: paired(vit_robust, cnn_robust)?,
                kept: match both.contains(&true) {
                    true => Some(paired(&chosen(vit_robust), &chosen(cnn_robust))?),
                    false => None,
                },
            });
        }
    }
    adjust(comparisons.iter_mut().map(|comparison| &mut comparison.robust).collect())?;
    adjust(comparisons.iter_mut().filter_map(|comparison| comparison.kept.as_mut()).collect())?;
    Ok(comparisons)
}

fn paired(vit: &[bool], cnn: &[bool]) -> Result<PairedShares, StatisticsError> {
    let test = mcnemar(vit, cnn)?;
    let share = |robust: &[bool]| {
        wilson(robust.iter().filter(|robust| **robust).count(), robust.len(), DEFAULT_LEVEL)
    };
    Ok(PairedShares {
        vit: share(vit)?,
        cnn: share(cnn)?,
        only_vit: test.only_first_correct,
        only_cnn: test.only_second_correct,
        p_value: test.p_value,
        adjusted_p: test.p_value,
    })
}

fn adjust(mut family: Vec<&mut PairedShares>) -> Result<(), StatisticsError> {
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

    /// 100 images: the ViT has the first 90 without an attack, the CNN the first 60; what stands under the attack is given.
    fn compare(vit: impl Fn(usize) -> bool, cnn: impl Fn(usize) -> bool) -> AttackComparison {
        let flags = |of: &dyn Fn(usize) -> bool| (0..100).map(of).collect::<Vec<bool>>();
        let correct = [flags(&|i| i < 90), flags(&|i| i < 60)];
        let outcomes = |role, robust: Vec<bool>| Outcomes {
            role,
            attack: "PGD",
            under_attack: vec![(2.0, Outcome { answers: vec![0; 100], robust, zero_gradient: 0.0 })],
        };
        let both = [outcomes(Role::Vit, flags(&vit)), outcomes(Role::Cnn, flags(&cnn))];
        comparisons(&both, correct).unwrap().remove(0)
    }

    #[test]
    fn a_difference_that_is_there_without_an_attack_is_not_one_of_robustness() {
        // The attack takes nothing from either.
        let found = compare(|i| i < 90, |i| i < 60);
        assert_eq!((found.robust.vit.value, found.robust.cnn.value), (0.9, 0.6));
        assert_eq!((found.robust.only_vit, found.robust.only_cnn), (30, 0));
        // 2 · 2⁻³⁰.
        assert!((found.robust.p_value - 2f64.powi(-29)).abs() < 1e-15);
        let kept = found.kept.unwrap();
        assert_eq!((kept.vit.value, kept.cnn.value, kept.vit.n, kept.p_value), (1.0, 1.0, 60, 1.0));
    }

    #[test]
    fn what_an_attack_takes_is_counted_where_both_had_it() {
        // The ViT loses 20 of the 60 that both have; the CNN, with the lower accuracy, none.
        let found = compare(|i| (20..90).contains(&i), |i| i < 60);
        let kept = found.kept.unwrap();
        assert_eq!((kept.only_vit, kept.only_cnn, kept.vit.n), (0, 20, 60));
        assert!(kept.p_value < 1e-5 && found.robust.vit.value > found.robust.cnn.value);
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
            (Role::Vit, "FGSM", [40, 30]),
            (Role::Vit, "PGD", [36, 20]),
            (Role::Cnn, "FGSM", [34, 24]),
            (Role::Cnn, "PGD", [36, 13]),
        ]
        .into_iter()
        .map(|(role, attack, stands)| Outcomes { role, attack, under_attack: sizes(stands) })
        .collect();
        let found = comparisons(&outcomes, [vec![true; 40], vec![true; 40]]).unwrap();
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
        let outcomes: Vec<Outcomes> = [Role::Vit, Role::Cnn]
            .into_iter()
            .map(|role| {
                let outcome = Outcome { answers: vec![0], robust: vec![false], zero_gradient: 0.0 };
                Outcomes { role, attack: "PGD", under_attack: vec![(1.0, outcome)] }
            })
            .collect();
        let found = comparisons(&outcomes, [vec![true], vec![false]]).unwrap();
        assert!(found[0].kept.is_none() && found[0].robust.p_value == 1.0);
    }
}
