//! Sentences and choices follow the numbers.

use archaeo_analysis::statistics::{DEFAULT_LEVEL, Resampling, wilson};
use archaeo_training::EpochRecord;

use super::conclusion::{advisable, convergence};
use super::page::claims::claims;
use super::*;

const TEST_IMAGES: usize = 200;

fn epoch(number: usize, validation_accuracy: f64) -> EpochRecord {
    EpochRecord {
        epoch: number,
        step: 10 * number as u64,
        learning_rate: 0.0,
        train_loss: 0.0,
        validation_loss: 0.0,
        validation_accuracy,
        images_per_second: 0.0,
        waiting: None,
        exchanging: None,
        seconds: 2.0,
    }
}

/// A run that is right on the first `right` test images.
fn run(share: f64, right: usize, history: &[f64]) -> RegimeRun {
    RegimeRun {
        share,
        images: (1000.0 * share) as usize,
        weights: String::new(),
        history: (1..).zip(history).map(|(number, &accuracy)| epoch(number, accuracy)).collect(),
        step_images: 8,
        accuracy: wilson(right, TEST_IMAGES, DEFAULT_LEVEL).unwrap(),
        correct: (0..TEST_IMAGES).map(|image| image < right).collect(),
    }
}

fn regime(name: &str, kind: RegimeKind, runs: Vec<RegimeRun>) -> Regime {
    Regime { name: name.into(), kind, model: "vit".into(), runs }
}

fn regimes(regimes: Vec<Regime>) -> Regimes {
    let resampling = Resampling { resamples: 500, ..Resampling::new(0) };
    Regimes {
        environment: Environment::here("0", "none", "archaeo", "cpu", 1),
        data: "scans".into(),
        classes: 4,
        split: "test".into(),
        n: TEST_IMAGES,
        compared: RegimesCompared::of(regimes, Vec::new(), &resampling).unwrap(),
    }
}

fn three() -> Regimes {
    regimes(vec![
        regime(
            "scratch",
            RegimeKind::Scratch,
            vec![run(0.1, 60, &[0.2, 0.3]), run(1.0, 150, &[0.5, 0.6, 0.7, 0.72])],
        ),
        regime(
            "frozen",
            RegimeKind::Frozen,
            vec![run(0.1, 140, &[0.6, 0.7]), run(1.0, 170, &[0.8, 0.84, 0.85, 0.85])],
        ),
        regime(
            "full",
            RegimeKind::FineTuned,
            vec![run(0.1, 138, &[0.5, 0.68]), run(1.0, 190, &[0.85, 0.9, 0.94, 0.95])],
        ),
    ])
}

#[test]
fn training_converges_at_the_first_epoch_near_its_end() {
    let scratch = run(1.0, 0, &[0.5, 0.6, 0.7, 0.72]);
    let found = scratch.converged().unwrap();
    // 0.9 · 0.72 = 0.648.
    assert_eq!((found.epochs, found.images, found.seconds), (3, 240.0, 6.0));
    assert_eq!(convergence(&scratch, 0.9), None);
}

#[test]
fn every_two_regimes_are_compared_on_every_share() {
    let found = three().compared;
    assert_eq!(found.pairs.len(), 6);
    let all = &found.pairs[1];
    assert_eq!((all.regimes.clone(), all.share), (["scratch".into(), "frozen".into()], 1.0));
    // 20 images that only the second gets right: 2 · 2⁻²⁰.
    assert!((all.difference.value + 0.1).abs() < 1e-12);
    assert!((all.p_value - 2f64.powi(-19)).abs() < 1e-12, "{}", all.p_value);
    assert!(all.adjusted >= all.p_value);
}

#[test]
fn a_regime_is_advised_where_it_is_not_shown_to_be_worse() {
    let found = three().compared;
    let names = |share| -> Vec<&str> {
        let advised = advisable(&found.regimes, &found.pairs, share, 0.05);
        advised.into_iter().map(|regime| regime.name.as_str()).collect()
    };
    assert_eq!(names(0.1), ["frozen", "full"]);
    assert_eq!(names(1.0), ["full"]);
}

#[test]
fn sentences_say_what_the_tests_show() {
    let said: Vec<String> = claims(&three().compared).into_iter().map(|claim| claim.statement).collect();
    for expected in [
        "full is more accurate than every other regime.",
        "frozen gains more over scratch with 10.0\u{a0}% of the images than with 100.0\u{a0}%.",
        "frozen reaches the final validation accuracy of scratch after 80 images, scratch after 320.",
        "full is more accurate than frozen: the pretrained features alone are not enough.",
        "Which regime when: with 100.0\u{a0}% of the training images, take full: every other regime is shown to be less accurate.",
        "Which regime when: with 10.0\u{a0}% of the training images, take frozen, the quickest of frozen and full, whose accuracies cannot be told apart.",
        "Transfer wins here by the features of its weights: frozen, a head on them as they are, is more accurate than scratch.",
    ] {
        assert!(said.iter().any(|statement| statement == expected), "{expected}\n{said:#?}");
    }
    // The same answers the other way round: nothing depends on names or order.
    let mut turned = three().compared;
    turned.regimes.swap(1, 2);
    let resampling = Resampling { resamples: 500, ..Resampling::new(0) };
    turned.pairs = conclusion::compared(&turned.regimes, &resampling).unwrap();
    let said: Vec<String> = claims(&turned).into_iter().map(|claim| claim.statement).collect();
    assert!(
        said.iter().any(|statement| statement.starts_with("full is more accurate than frozen")),
        "{said:#?}"
    );

    let alike = regimes(vec![
        regime("a", RegimeKind::Scratch, vec![run(1.0, 150, &[0.7])]),
        regime("b", RegimeKind::Distilled, vec![run(1.0, 151, &[0.7])]),
    ]);
    assert_eq!(
        claims(&alike.compared)[0].statement,
        "b is the most accurate, but no other regime is shown to be worse."
    );
    assert!(alike.compared.leads.is_empty(), "one share shows nothing of leads");
    assert_eq!(
        claims(&alike.compared)[1].statement,
        "Which regime when: take a, the quickest of a and b, whose accuracies cannot be told apart."
    );

    let answer = |frozen: usize, full: usize| {
        let regimes = regimes(vec![
            regime("scratch", RegimeKind::Scratch, vec![run(1.0, 150, &[0.5, 0.7])]),
            regime("frozen", RegimeKind::Frozen, vec![run(1.0, frozen, &[0.6, 0.6])]),
            regime("full", RegimeKind::FineTuned, vec![run(1.0, full, &[0.8, 0.9])]),
        ]);
        let said = claims(&regimes.compared);
        said.into_iter().find(|claim| claim.topic == "Transfer").unwrap().statement
    };
    assert!(answer(120, 190).starts_with("Transfer wins here by where it starts, not by the features"));
    assert!(answer(150, 190).starts_with("Transfer wins here, and starts ahead; whether the features"));
    assert!(answer(100, 151).starts_with("Whether transfer wins here cannot be told: full and scratch"));
    assert_eq!(answer(80, 100), "Transfer does not win here: full is less accurate than scratch.");
}

#[test]
fn the_page_is_written_with_everything_that_it_links_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut found = three();
    found.compared.attention = vec![AttentionShift {
        regime: "full".into(),
        n: 8,
        layers: vec![
            LayerShift {
                layer: 1,
                distance: [9.0, 8.0],
                entropy: [3.0, 2.5],
                divergence: 0.05,
                between_images: Some(0.1),
                heads: Vec::new(),
            },
            LayerShift {
                layer: 2,
                distance: [9.5, 8.5],
                entropy: [3.0, 2.0],
                divergence: 0.2,
                between_images: Some(0.3),
                heads: Vec::new(),
            },
        ],
    }];
    write(&found, folder.path()).unwrap();
    let text = std::fs::read_to_string(folder.path().join("report.md")).unwrap();
    assert!(text.contains("Training changed the attention of full most in layer 2."), "{text}");
    for link in text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| link.starts_with("charts/"))
    {
        assert!(folder.path().join(link).is_file(), "{link}");
    }
    assert!(text.contains("Data efficiency") && text.contains("Which regime when"));
}
