//! Sentences follow the numbers.

use archaeo_analysis::statistics::{DEFAULT_LEVEL, Measured, mean_t, welch, wilson};
use archaeo_report::Claim;

use super::findings::{OverSeeds, RunScore, SeedsDifference, SeedsFindings};
use super::*;
use crate::studies::made_up;
use crate::subjects::ModelName;

fn over(right: &[usize]) -> OverSeeds {
    let share = |of: usize| wilson(of, 200, DEFAULT_LEVEL).unwrap();
    let runs: Vec<RunScore> = (right.iter().enumerate())
        .map(|(seed, &right)| RunScore { seed: Some(seed as u64), accuracy: share(right), loss: 0.4 })
        .collect();
    let accuracies: Vec<f64> = runs.iter().map(|run| run.accuracy.value).collect();
    OverSeeds {
        accuracy: mean_t(&accuracies, DEFAULT_LEVEL).unwrap(),
        deviation: standard_deviation(&accuracies).unwrap(),
        loss: mean_t(&[0.4, 0.5], DEFAULT_LEVEL).unwrap(),
        disagreement: share(24),
        always_right: share(150),
        always_wrong: share(10),
        runs,
    }
}

fn claims_of(first: &[usize], second: &[usize]) -> Vec<Claim> {
    let investigation = made_up::investigation(2);
    let names = Names::of(&investigation);
    let models = ["vit", "cnn"].map(ModelName::new);
    let accuracies = |right: &[usize]| right.iter().map(|&n| n as f64 / 200.0).collect::<Vec<_>>();
    let difference = Measured::of(welch(&accuracies(first), &accuracies(second), DEFAULT_LEVEL)).unwrap();
    let findings = SeedsFindings {
        split: "test".into(),
        n: 200,
        models: models.into_iter().zip([over(first), over(second)]).collect(),
        pairs: vec![SeedsDifference { models, difference }],
    };
    SeedsStudy::chapter(&findings, &investigation, &names).claims
}

#[test]
fn a_difference_is_stated_only_where_the_runs_show_it() {
    let statement = |first: &[usize], second: &[usize]| claims_of(first, second)[2].statement.clone();
    assert_eq!(
        statement(&[180, 182, 181], &[160, 161, 159]),
        "Over seeds, the ViT is more accurate than the ResNet."
    );
    assert_eq!(
        statement(&[160, 161, 159], &[180, 182, 181]),
        "Over seeds, the ResNet is more accurate than the ViT."
    );
    assert_eq!(
        statement(&[150, 182], &[160, 140]),
        "No difference in accuracy between the ViT and the ResNet can be shown over seeds."
    );
    assert!(
        statement(&[150, 150], &[140, 140]).starts_with("Whether the ViT or the ResNet is more accurate")
    );
}

#[test]
fn the_spread_is_told_with_its_runs() {
    let claims = claims_of(&[150, 170], &[160, 161]);
    assert_eq!(
        claims[0].statement,
        "From seed to seed, the accuracy of the ViT ranges from 75.0\u{a0}% to 85.0\u{a0}%, and two of its runs answer 12.0\u{a0}% \
         of the images differently."
    );
    assert!(
        claims[0]
            .evidence
            .starts_with("Over 2\u{a0}runs and 200\u{a0}images of the test split: mean accuracy 80.0")
    );
    assert!(
        claims[2].evidence.starts_with("2\u{a0}runs of the ViT, 2\u{a0}runs of the ResNet: the difference")
    );
}
