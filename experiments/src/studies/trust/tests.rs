//! Headline numbers by hand.

use archaeo_analysis::statistics::proportion_difference;

use super::*;

const FEW: Resampling = Resampling { resamples: 1_000, level: 0.95, seed: 1 };

/// Answers to images of the given (class, answer, probability of it) with two classes.
fn evaluation(images: &[(usize, usize, f64)]) -> Evaluation {
    let logits = images.iter().flat_map(|&(_, answer, probability)| {
        let logit = (probability / (1.0 - probability)).ln() as f32;
        if answer == 0 { [logit, 0.0] } else { [0.0, logit] }
    });
    let labels = images.iter().map(|&(class, ..)| class).collect();
    Evaluation { logits: logits.collect(), classes: 2, labels }
}

fn images(groups: &[(usize, (usize, usize, f64))]) -> Vec<(usize, usize, f64)> {
    groups.iter().flat_map(|&(count, image)| vec![image; count]).collect()
}

fn named(names: [&str; 2]) -> Vec<String> {
    names.map(str::to_owned).into()
}

/// The kind of model that looks good and is not: 60 of 100 normal films are called pneumonia.
#[test]
fn headline_numbers_are_those_of_the_counts() {
    let test = evaluation(&images(&[
        (40, (0, 0, 0.8)),
        (20, (0, 1, 0.95)),
        (40, (0, 1, 0.7)),
        (190, (1, 1, 0.99)),
        (10, (1, 0, 0.6)),
    ]));
    let validation = evaluation(&images(&[(28, (0, 0, 0.8)), (2, (0, 1, 0.8)), (70, (1, 1, 0.9))]));
    let found = headlines(&test, &named(["normal", "pneumonia"]), Some(("val", &validation)), &FEW).unwrap();

    assert_eq!(found.accuracy, wilson(230, 300, 0.95).unwrap());
    let constant = &found.constant;
    assert_eq!((constant.class, constant.images, constant.share), (1, 200, 2.0 / 3.0));
    assert!((constant.gain.value - 0.1).abs() < 1e-12 && constant.gain.low > 0.0, "{constant:?}");
    // 40 images that only the model has right, 10 that only the constant answer has.
    assert!(constant.p_value > 1e-6 && constant.p_value < 1e-4, "{constant:?}");
    assert_eq!((found.usual.class, found.usual.share.value), (1, 250.0 / 300.0));
    assert!((found.balanced.known().unwrap().value - (0.4 + 0.95) / 2.0).abs() < 1e-12);

    let worst = &found.classes[0];
    assert_eq!((worst.class, worst.accuracy.value, worst.accuracy.n), (0, 0.4, 100));
    assert!(worst.accuracy.low < wilson(40, 100, 0.95).unwrap().low, "holds for both classes at once");
    assert_eq!(worst.taken_for.as_ref().map(|taken| (taken.predicted, taken.count)), Some((1, 60)));
    let gap = found.gap.known().unwrap();
    assert_eq!(gap.difference, proportion_difference((98, 100), (230, 300), 0.95).unwrap());

    let confident = &found.confident;
    assert_eq!((confident.errors, confident.confident_errors, confident.answers), (70, 20, 210));
    assert_eq!(confident.wrong.known().unwrap().value, 20.0 / 210.0);
    let binary = found.binary.unwrap();
    assert_eq!((binary.positive, binary.by_name), (1, true));
    assert_eq!(binary.sensitivity.known().unwrap().value, 0.95);
    assert_eq!(binary.specificity.known().unwrap().value, 0.4);
    // Pairs by score: 190 positives above all, 10 of them below all but the 40 with 0.8 for the other class.
    let pairs = 190.0 * 100.0 + 10.0 * 40.0;
    assert!((binary.auc.known().unwrap().value - pairs / 20_000.0).abs() < 1e-12);
}

#[test]
fn what_has_no_value_says_why() {
    let one_class = evaluation(&images(&[(12, (1, 1, 0.6)), (3, (1, 0, 0.6))]));
    let found = headlines(&one_class, &named(["benign", "malignant"]), None, &FEW).unwrap();
    assert_eq!(found.balanced.reason(), Some("every image is of one class"));
    assert_eq!(found.gap.reason(), Some("the data has no split that the model was chosen on"));
    assert_eq!(found.confident.wrong.reason(), Some("no answer is that confident"));
    let binary = found.binary.unwrap();
    assert_eq!(binary.auc.reason(), Some("every image is of one class"));
    assert_eq!(binary.specificity.reason(), Some("there is no image of class “benign”"));
    assert_eq!((found.constant.share, found.constant.gain.value), (1.0, -0.2));

    let perfect = evaluation(&images(&[(5, (0, 0, 0.97)), (5, (1, 1, 0.97))]));
    let found = headlines(&perfect, &[], None, &FEW).unwrap();
    assert_eq!(found.confident.share_of_errors.reason(), Some("there is no error"));
    assert_eq!((found.classes.len(), found.too_small), (0, 2), "five images of a class say nothing of it");

    let one = evaluation(&[(0, 1, 0.99)]);
    let found = headlines(&one, &[], None, &FEW).unwrap();
    assert!(found.constant.gain.low.is_nan() && found.constant.gain.value == -1.0);
}
