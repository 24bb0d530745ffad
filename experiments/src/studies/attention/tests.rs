//! Trends with depth are over layers, and sentences follow the numbers, of one model or of several.

use archaeo_report::Claim;

use super::*;
use crate::report::tests::synthetic::{
    EVEN_DISTANCE, change, chapter_of, claim_of, estimate, findings, investigation, investigation_of, of_one,
    of_three, printed, swin, trend, vit,
};

fn layers(relative: &[Option<f64>]) -> Vec<LayerAttention> {
    let nothing = || Estimate::of_one(0.0, DEFAULT_LEVEL);
    let layer = |share: &Option<f64>| LayerAttention {
        heads: Vec::new(),
        diversity: nothing(),
        even_distance: 1.0,
        relative_distance: share.map(|share| Estimate::of_one(share, DEFAULT_LEVEL)),
        mean_distance: None,
    };
    relative.iter().map(layer).collect()
}

fn trend_over(relative: &[Option<f64>]) -> Measured<RankTrend> {
    depth_trend(&layers(relative), &Resampling::new(0)).unwrap()
}

#[test]
fn the_trend_is_over_layers_that_have_a_distance() {
    let found = trend_over(&[Some(0.5), Some(0.6), Some(0.7), Some(0.8), Some(0.9), None]);
    let found = found.known().unwrap();
    assert_eq!((found.n, (found.rho * 1e9).round()), (5, 1e9));
    assert!((found.p_value - 2.0 / 120.0).abs() < 1e-12);
}

#[test]
fn few_layers_and_even_attention_are_results() {
    let few = trend_over(&[Some(0.5), Some(0.6), Some(0.7), Some(0.8)]);
    assert_eq!(few.reason(), Some("it takes 5 or more layers to show one, and there are 4"));
    let few = trend_over(&[Some(0.5)]);
    assert_eq!(few.reason(), Some("it takes 5 or more layers to show one, and there is 1"));
    // Even attention, as rounding leaves it.
    let even: Vec<_> = (0..12).map(|layer| Some(1.0 + 1e-12 * f64::from(layer))).collect();
    let even = trend_over(&even);
    assert!(even.reason().unwrap().starts_with("attention reaches equally far"), "{even:?}");
}

fn with_trend(found_trend: Measured<RankTrend>) -> Claim {
    let mut found = investigation();
    change::<AttentionStudy>(&mut found, |models| {
        models.values_mut().for_each(|of| of.trend = found_trend.clone())
    });
    claim_of::<AttentionStudy>(&found, "Attention and depth")
}

fn near(found: &Investigation) -> Claim {
    claim_of::<AttentionStudy>(found, "Near heads")
}

#[test]
fn attention_trend_takes_direction_and_significance_from_one_statistic() {
    let further = with_trend(trend(0.94, 0.017));
    assert_eq!(further.statement, "Attention reaches further in deeper layers.");
    assert!(
        further.evidence.starts_with("As a share of the distance of even attention, the mean over heads is ")
    );
    assert!(
        further
            .evidence
            .ends_with("over 6\u{a0}layers is 0.94, p\u{a0}=\u{a0}0.017 (permutations of the layers)."),
        "{}",
        further.evidence
    );
    assert_eq!(with_trend(trend(-0.94, 0.017)).statement, "Attention reaches less far in deeper layers.");
    for rho in [0.77, -0.77] {
        let none = with_trend(trend(rho, 0.1)).statement;
        assert_eq!(none, "No trend of attention distance with depth can be shown.");
    }
    let few = with_trend(Measured::undefined("it takes 5 or more layers to show one, and there are 4"));
    assert_eq!(
        few.statement,
        "No trend of attention distance with depth can be tested, because it takes 5 or more layers to show one, and there are \
         4."
    );
}

#[test]
fn near_heads_are_counted_against_even_attention() {
    let (mut found, even) = (investigation(), EVEN_DISTANCE);
    let set = |found: &mut Investigation, of: &dyn Fn(&mut Vec<LayerAttention>)| {
        change::<AttentionStudy>(found, |models| of(&mut models.values_mut().next().unwrap().layers));
    };
    set(&mut found, &|layers| {
        let heads = layers.iter_mut().flat_map(|layer| &mut layer.heads);
        heads.for_each(|head| head.distance = estimate(even, 0.1, 128));
        layers[0].heads[2].distance = estimate(0.75 * even, 0.1, 128);
        layers[5].heads[0].distance = estimate(even - 0.05, 0.1, 128); // its interval crosses the limit
        layers[5].heads[1].distance = estimate(even + 0.2, 0.1, 128);
    });
    let claim = near(&found);
    assert_eq!(claim.statement, "1 of 24\u{a0}heads look nearer than attention spread evenly would.");
    assert!(
        claim
            .evidence
            .starts_with("Spread evenly, attention would lie at 16.7\u{a0}px on average; a head is")
    );
    assert!(claim.evidence.contains("and 1 of 24 are farther"), "{}", claim.evidence);
    assert!(claim.evidence.contains("The nearest, head 3 of layer 1, looks"), "{}", claim.evidence);
    assert!(claim.evidence.contains("far, 75.0\u{a0}% of the even distance."), "{}", claim.evidence);
    assert!(
        claim
            .evidence
            .ends_with("In the first half of the layers 1 of 12 are nearer, in the second 0 of 12."),
        "{}",
        claim.evidence
    );
    set(&mut found, &|layers| layers[0].heads[2].distance = estimate(even, 0.1, 128));
    assert_eq!(
        near(&found).statement,
        "None of the 24\u{a0}heads is shown to look nearer than attention spread evenly would."
    );

    // Windows: what counts as near differs from layer to layer.
    set(&mut found, &|layers| layers[0].even_distance = 4.0 * even);
    let claim = near(&found);
    assert_eq!(claim.statement, "4 of 24\u{a0}heads look nearer than attention spread evenly would.");
    let spread = "lie at 66.8\u{a0}px in layer 1 to 16.7\u{a0}px in layer 6 on average";
    assert!(claim.evidence.contains(spread), "{}", claim.evidence);
    // A window of one patch: nothing is near or far.
    set(&mut found, &|layers| {
        layers[5].even_distance = 0.0;
        layers[5].heads.iter_mut().for_each(|head| head.distance = estimate(0.0, 0.0, 128));
    });
    assert!(!near(&found).evidence.contains("NaN"));
}

#[test]
fn one_model_with_attention_reads_the_same_alone_and_next_to_another() {
    let (alone, two) = [of_one(), investigation()].map(|found| chapter_of::<AttentionStudy>(&found)).into();
    assert_eq!(alone.claims, two.claims);
    let (alone, two) = (printed(alone), printed(two));
    assert_eq!(alone, two);
    assert!(alone.contains(
        "Every layer of the ViT weighs every patch of the image against every other, once a head."
    ));
    assert!(!alone.contains("\n### ") && !alone.contains("Each model with attention"));
}

#[test]
fn several_models_have_a_part_each_and_share_their_claims() {
    let mut found = of_three();
    let chapter = chapter_of::<AttentionStudy>(&found);
    assert_eq!(chapter.claims.len(), 2);
    assert_eq!(
        chapter.claims[0].statement,
        "Attention of the ViT and the Swin reaches further in deeper layers."
    );
    let each = &chapter.claims[0].evidence;
    assert!(
        each.starts_with("The ViT: as a share of") && each.contains(". The Swin: as a share of"),
        "{each}"
    );
    let near = &chapter.claims[1].statement;
    assert!(
        near.contains("heads of the ViT and ") && near.contains("heads of the Swin look nearer than"),
        "{near}"
    );
    let text = printed(chapter);
    assert!(text.contains("\n### ViT\n") && text.contains("\n### Swin\n"));
    assert!(text.contains("\n| ViT | 6 | 24 | ") && text.contains("\n| Swin | 6 | 24 | "));
    assert!(text.contains("Every layer of the Swin weighs every patch of a window of the image"));
    assert!(!text.contains("ResNet"), "a model without attention has no part here");

    change::<AttentionStudy>(&mut found, |models| {
        let few = Measured::undefined("it takes 5 or more layers to show one, and there are 4");
        models.insert(swin(), AttentionFindings { trend: few, ..models[swin()].clone() });
    });
    assert_eq!(
        claim_of::<AttentionStudy>(&found, "Attention and depth").statement,
        "Attention of the ViT reaches further in deeper layers; no trend of attention distance of the Swin with depth can be \
         tested, because it takes 5 or more layers to show one, and there are 4."
    );
}

#[test]
fn of_many_models_the_extremes_are_told() {
    let mut found = investigation_of(&["vit", "swin", "a", "b", "cnn"]);
    change::<AttentionStudy>(&mut found, |models| {
        let heads = models.values_mut().next().unwrap().layers.iter_mut().flat_map(|layer| &mut layer.heads);
        heads.for_each(|head| head.distance = estimate(EVEN_DISTANCE, 0.1, 128));
    });
    let near = near(&found);
    assert!(near.statement.starts_with("From 0 of 24\u{a0}heads of “vit” to "), "{}", near.statement);
    assert!(near.evidence.contains("vit 0 of 24, Swin "), "{}", near.evidence);
    let depth = claim_of::<AttentionStudy>(&found, "Attention and depth");
    assert_eq!(
        depth.statement,
        "Attention of “vit”, the Swin, “a” and “b” reaches further in deeper layers."
    );
    assert!(depth.evidence.ends_with(": vit 1.00 (p\u{a0}=\u{a0}0.003), Swin 1.00 (p\u{a0}=\u{a0}0.003), a 1.00 (p\u{a0}=\u{a0}0.003), b 1.00 (p\u{a0}=\u{a0}0.003)."), "{}", depth.evidence);
}

#[test]
fn a_model_without_layers_claims_nothing() {
    let found = investigation();
    let mut models = findings::<AttentionStudy>(&found);
    models.values_mut().for_each(|of| of.layers.clear());
    let chapter = AttentionStudy::chapter(&models, &found, &Names::of(&found));
    assert!(chapter.claims.is_empty() && chapter.intervals.is_empty());
    assert_eq!(chapter.sample, Some(("attention statistics", models[vit()].n)));
}
