//! Made-up investigations of one, two, three and more models in which every study has run, with numbers of a plausible size.
//!
//! That of two models, a ViT and a ResNet, has counts that fit together.

use archaeo_analysis::ablation::Branch;
use archaeo_analysis::attention::{HeadCriteria, HeadHalf, HeadLabel, Measure};
use archaeo_analysis::faithfulness::Gain;
use archaeo_analysis::features::layers::Pooling;
use archaeo_analysis::features::{CkaNull, FewShot, PictureTrust};
use archaeo_analysis::statistics::{
    AnswerAgreement, Better, DEFAULT_LEVEL, Estimate, Measured, RankCorrelation, RankTrend, SignFlipTest,
    proportion_difference, wilson, wilson_of_family,
};
use archaeo_data::sherds::FactorKind;
use archaeo_models::{ModelCard, NetworkSpec, Preprocessing};

use archaeo_training::{EpochRecord, TrainingEnd};

use archaeo_report::Claim;
use archaeo_report::document::{Document, Text};
use archaeo_store::run_folder::Build;

use crate::findings::*;
use crate::report::Names;
use crate::studies::causal::measure::Question;
use crate::studies::made_up::agreement;
pub(crate) use crate::studies::made_up::estimate;
use crate::studies::made_up::found as made_up;
use crate::studies::*;
use crate::study::{Chapter, Study};
use crate::subjects::{ByModel, ModelName, pairs};

/// About the distance of even attention over 8 × 8 patches of 4 px.
pub const EVEN_DISTANCE: f64 = 16.7;

/// A number in [0, 1) that depends on nothing but its arguments (SplitMix64).
pub fn uniform(stream: u64, index: usize) -> f64 {
    let mut bits = stream
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add((index as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

pub fn share(successes: usize, n: usize) -> Estimate {
    wilson(successes, n, DEFAULT_LEVEL).expect("a share of at least one image")
}

/// The transformer.
pub fn vit() -> ModelName {
    ModelName::new("vit")
}

/// The convolutional network.
pub fn cnn() -> ModelName {
    ModelName::new("cnn")
}

/// The transformer with windows.
pub fn swin() -> ModelName {
    ModelName::new("swin")
}

pub fn both<T>(of_vit: T, of_cnn: T) -> ByModel<T> {
    [(vit(), of_vit), (cnn(), of_cnn)].into()
}

fn each<T>(models: &[ModelName], of: impl FnMut(ModelName) -> T) -> ByModel<T> {
    let mut of = of;
    models.iter().map(|&model| (model, of(model))).collect()
}

/// One of two values: that of models with attention or that of the others.
fn by_kind<T>(model: ModelName, attention: T, convolution: T) -> T {
    if model == cnn() { convolution } else { attention }
}

/// What a model is; those of other names are the transformer again.
fn architecture(model: ModelName) -> (&'static str, usize) {
    match model.as_str() {
        "cnn" => ("resnet_micro", 32),
        "swin" => ("swin_tiny_patch4_window7", 224),
        _ => ("vit_micro", 32),
    }
}

const CLASSES: [&str; 10] =
    ["circle", "square", "triangle", "star", "cross", "ring", "crescent", "hexagon", "arrow", "heart"];
const LAYERS: usize = 6;
const HEADS: usize = 4;
const TEST: usize = 2000;

/// A ViT and a ResNet.
pub fn investigation() -> Investigation {
    investigation_of(&["vit", "cnn"])
}

/// A ViT alone.
pub fn of_one() -> Investigation {
    investigation_of(&["vit"])
}

/// A ViT, a Swin and a ResNet.
pub fn of_three() -> Investigation {
    investigation_of(&["vit", "swin", "cnn"])
}

/// Models under these names: `vit`, `cnn` and `swin` are what they say, all others are ViTs.
pub fn investigation_of(names: &[&str]) -> Investigation {
    let models: Vec<ModelName> = names.iter().map(|name| ModelName::new(name)).collect();
    let models = models.as_slice();
    let with_attention: Vec<ModelName> = models.iter().copied().filter(|&model| model != cnn()).collect();
    let mut found = Investigation {
        title: None,
        provenance: provenance(models),
        data: data(),
        main_split: Some(("test".into(), TEST)),
        models: models.iter().map(|&name| model(name, CLASSES.len())).collect(),
        not_applicable: [
            (SeedsStudy::ID.into(), "every model is there once, trained from one seed".into()),
            (
                RegimesStudy::ID.into(),
                "no two models whose training is known have the same architecture".into(),
            ),
        ]
        .into(),
        studies: [].into(),
    };
    found.insert::<TrustStudy>(&trust_findings(models));
    found.insert::<AccuracyStudy>(&accuracy(models));
    found.insert::<FeaturesStudy>(&features(models));
    found.insert::<ComparisonsStudy>(&comparisons(models));
    found.insert::<AttacksStudy>(&attacks(models));
    found.insert::<WorstCaseStudy>(&made_up::worst_case(models));
    found.insert::<DoctorStudy>(&made_up::doctor(models));
    found.insert::<AutopsyStudy>(&made_up::autopsy(models));
    found.insert::<FrequencyStudy>(&made_up::frequency(models));
    found.insert::<CorruptionsStudy>(&made_up::corruptions(models));
    found.insert::<ErrorsStudy>(&errors(models));
    found.insert::<FaithfulnessStudy>(&faithfulness(models));
    found.insert::<CausalStudy>(&causal(models));
    found.insert::<LocalisationStudy>(&localisation(models));
    found.insert::<ShapeBiasStudy>(&shape_bias(models));
    let not_applicable = [AttentionStudy::ID, AtlasStudy::ID, HeadsStudy::ID, PatchingStudy::ID]
        .map(|id| (id.into(), "no model here has attention heads".into()));
    match with_attention.as_slice() {
        [] => found.not_applicable.extend(not_applicable),
        some => {
            found.insert::<AttentionStudy>(&each(some, attention));
            found.insert::<AtlasStudy>(&each(some, atlas));
            found.insert::<HeadsStudy>(&each(some, heads));
            found.insert::<PatchingStudy>(&PatchingFindings { pairs: 128, models: each(some, patching) });
        }
    }
    found
}

/// What a study found.
pub fn findings<S: Study>(found: &Investigation) -> S::Findings {
    found.findings::<S>().expect("findings of this study").expect("the study has run")
}

/// The chapter of a study.
pub fn chapter_of<S: Study>(found: &Investigation) -> Chapter {
    S::chapter(&findings::<S>(found), found, &Names::of(found))
}

/// The first claim of a study about a topic.
pub fn claim_of<S: Study>(found: &Investigation, topic: &str) -> Claim {
    let mut claims = chapter_of::<S>(found).claims;
    let place = claims.iter().position(|claim| claim.topic == topic);
    claims.remove(place.unwrap_or_else(|| panic!("no claim about {topic}")))
}

/// A chapter's section as Markdown.
pub fn printed(chapter: Chapter) -> String {
    let (title, lead, facts) = (String::new(), Text::new(), Vec::new());
    archaeo_report::markdown::page(&Document {
        kind: "test",
        title,
        lead,
        facts,
        parts: Vec::new(),
        sections: vec![chapter.section],
    })
    .text
}

/// Changes what a study found.
pub fn change<S: Study>(found: &mut Investigation, change: impl FnOnce(&mut S::Findings)) {
    let mut findings = findings::<S>(found);
    change(&mut findings);
    found.insert::<S>(&findings);
}

/// A paired comparison.
pub fn paired(value: f64, half_width: f64, p_value: f64) -> SignFlipTest {
    SignFlipTest { difference: estimate(value, half_width, 500), p_value }
}

/// How often the texture's class is named, and would be.
pub fn following(observed: usize, expected: f64, p_value: f64) -> Measured<AnswerAgreement> {
    let observed = share(observed, 1000);
    let excess = estimate(observed.value - expected, 0.02, 1000);
    Measured::Known(AnswerAgreement { observed, expected, excess, p_value, alone: 0 })
}

fn shape_bias(models: &[ModelName]) -> ShapeBiasFindings {
    let of = |shape: usize, texture: usize, expected: f64, right: [usize; 3]| ShapeBias {
        shape,
        texture,
        other: 1000 - shape - texture,
        bias: Measured::Known(share(shape, shape + texture)),
        texture_following: following(texture, expected, 0.0001),
        accuracy: ["aligned", "test", "conflict"]
            .into_iter()
            .zip(right)
            .map(|(split, right)| (split.to_owned(), share(right, 1000)))
            .collect(),
        aligned_gain: Some(estimate((right[0] as f64 - right[2] as f64) / 1000.0, 0.03, 1000)),
    };
    let difference = |models: [ModelName; 2]| ShapeBiasDifference {
        models,
        difference: Measured::Known(match models == [vit(), cnn()] {
            true => paired(-0.171, 0.03, 0.0001),
            false => paired(0.01, 0.03, 0.4),
        }),
    };
    ShapeBiasFindings {
        n: 1000,
        models: each(models, |model| {
            by_kind(model, of(620, 250, 0.051, [950, 842, 620]), of(840, 110, 0.031, [952, 931, 840]))
        }),
        pairs: pairs(models).into_iter().map(difference).collect(),
        training_correlation: Some(share(703, 1000)),
    }
}

fn provenance(models: &[ModelName]) -> Provenance {
    let trained = models.iter().map(|model| (format!("train {model}"), by_kind(*model, 161.7, 139.2)));
    let parts = [
        ("accuracy", 6.4),
        ("attention", 4.9),
        ("comparisons", 2.2),
        ("heads", 38.0),
        ("attacks", 51.3),
        ("errors", 0.8),
        ("localisation", 7.5),
        ("shape bias", 2.0),
    ];
    let parts = parts.map(|(part, seconds)| (part.to_owned(), seconds));
    Provenance {
        version: "0.1.0".into(),
        commit: "4f1c2d09ab".into(),
        earlier_builds: vec![Build { version: "0.0.9".into(), commit: "77aa88bb99".into() }],
        taken_over: Vec::new(),
        command: "archaeo excavate --out runs/first".into(),
        config: "[data]\nsource = \"sherds\"\ncorrelation = 0.7\n\n[train]\nepochs = 12\nbatch_size = 128\n"
            .into(),
        seed: 7,
        threads: 2,
        device: "cpu".into(),
        processor: "Example Processor 3000".into(),
        started: "2030-01-02T03:04:05Z".into(),
        seconds: std::iter::once(("data".to_owned(), 3.1)).chain(trained).chain(parts).collect(),
    }
}

fn data() -> DataFindings {
    let counts = [("train", 1200), ("validation", 100), ("test", 200), ("aligned", 100), ("conflict", 100)];
    DataFindings {
        source: "sherds".into(),
        name: "Sherds".into(),
        classes: CLASSES.map(str::to_owned).into(),
        counts: counts.map(|(split, each)| (split.to_owned(), vec![each; CLASSES.len()])).into(),
        fingerprint: "9b1c".repeat(16),
        skipped: Vec::new(),
        notes: Vec::new(),
        shown: (0..3).flat_map(|class| (0..2).map(move |i| shown("data", 10 * i + class))).collect(),
    }
}

/// Image `index` of the class that its last digit says.
fn shown(name: &str, index: usize) -> ImageShown {
    ImageShown {
        index,
        identifier: format!("test/{index:05}.png"),
        label: index % CLASSES.len(),
        picture: format!("pictures/{name}-image-{index:05}.png"),
    }
}

fn heatmaps(name: &str, index: usize, models: &[ModelName]) -> ByModel<HeatmapShown> {
    each(models, |model| HeatmapShown {
        grid: by_kind(model, [8, 8], [4, 4]),
        picture: format!("pictures/{name}-{model}-{index:05}.png"),
    })
}

pub fn model(model: ModelName, classes: usize) -> ModelFindings {
    let (name, pixels) = architecture(model);
    let network = NetworkSpec::named(name, classes, pixels).expect("a known model");
    let (start, end) = by_kind(model, (0.31, 0.84), (0.48, 0.93));
    let epoch = |epoch: usize| {
        let done = epoch as f64 / 12.0;
        let accuracy = start + (end - start) * (1.0 - (-3.0 * done).exp()) / 0.95 - 0.02 * uniform(1, epoch);
        EpochRecord {
            epoch,
            step: 94 * epoch as u64,
            learning_rate: 1e-3 * (1.0 - done).max(1e-3),
            train_loss: 2.35 - 1.6 * accuracy,
            validation_loss: 2.3 - 2.2 * accuracy + 0.05 * uniform(2, epoch),
            validation_accuracy: accuracy.min(1.0),
            images_per_second: 900.0 + 40.0 * uniform(3, epoch),
            waiting: None,
            exchanging: None,
            seconds: 13.4,
        }
    };
    let history: Vec<EpochRecord> = (1..=12).map(epoch).collect();
    ModelFindings {
        name: model,
        card: ModelCard {
            name: name.into(),
            network,
            preprocessing: Preprocessing::plain(pixels),
            classes: (0..classes).map(|class| format!("class {class}")).collect(),
        },
        parameters: by_kind(model, 812_426, 795_010),
        seed: None,
        weights: format!("{name}.safetensors"),
        weights_sha256: "c0ffee".repeat(10),
        started_from: None,
        classes_matched_by: None,
        class_notes: Vec::new(),
        training_end: TrainingEnd::of(&history),
        history,
        more_runs: Vec::new(),
    }
}

fn scores(right: usize, n: usize, ece: f64) -> ModelScores {
    ModelScores {
        top1: share(right, n),
        top5: Some(share((right + n) / 2, n)),
        nll: estimate(1.9 - 1.7 * right as f64 / n as f64, 0.03, n),
        ece: estimate(ece, 0.012, n),
        ece_by_chance: Some(0.019),
    }
}

/// A pair on one split from its contingency: both right, only the first, only the second, both wrong.
pub fn pair(
    models: [ModelName; 2],
    [both_right, only_first_right, only_second_right, both_wrong]: [usize; 4],
    mcnemar_p: f64,
) -> PairComparison {
    let n = both_right + only_first_right + only_second_right + both_wrong;
    let difference = (only_first_right as f64 - only_second_right as f64) / n as f64;
    PairComparison {
        models,
        both_right,
        only_first_right,
        only_second_right,
        both_wrong,
        mcnemar_p,
        difference: estimate(difference, 0.016, n),
        kappa: estimate(0.31, 0.06, n).into(),
    }
}

/// Scores of one split from the contingency of the ViT and the ResNet: both right, only the ViT, only the ResNet, both wrong.
pub fn split(name: &str, counts: [usize; 4], mcnemar_p: f64) -> SplitAccuracy {
    split_of(name, &[vit(), cnn()], counts, mcnemar_p)
}

/// As [`split`], of some models of either kind: two of one kind have each the same number right.
fn split_of(name: &str, models: &[ModelName], counts: [usize; 4], mcnemar_p: f64) -> SplitAccuracy {
    let [both_right, only_vit, only_cnn, both_wrong] = counts;
    let n = counts.iter().sum();
    let of_pair = |models: [ModelName; 2]| match models.map(|model| model == cnn()) {
        [false, true] => pair(models, counts, mcnemar_p),
        [true, false] => pair(models, [both_right, only_cnn, only_vit, both_wrong], mcnemar_p),
        [..] => {
            let (right, apart) = (both_right + only_vit, only_vit / 2);
            pair(models, [right - apart, apart, apart, n - right - apart], 1.0)
        }
    };
    SplitAccuracy {
        split: name.into(),
        n,
        models: each(models, |model| {
            by_kind(model, scores(both_right + only_vit, n, 0.071), scores(both_right + only_cnn, n, 0.024))
        }),
        pairs: pairs(models).into_iter().map(of_pair).collect(),
    }
}

/// A model's headline numbers from what it gets right of each class and what it takes the worst one for; a tenth of its answers
/// are confident errors.
pub fn trust(right: &[(usize, usize)], taken_for: usize, validation: (usize, usize)) -> Trust {
    let (n, all_right) = right.iter().fold((0, 0), |sum, class| (sum.0 + class.0, sum.1 + class.1));
    let (common, most) =
        right.iter().map(|class| class.0).enumerate().rev().max_by_key(|class| class.1).unwrap();
    let shares: Vec<f64> = right.iter().map(|&(images, right)| right as f64 / images as f64).collect();
    let gain = all_right as f64 / n as f64 - most as f64 / n as f64;
    let mut classes: Vec<ClassAccuracy> = right
        .iter()
        .enumerate()
        .map(|(class, &(images, right_of_class))| ClassAccuracy {
            class,
            accuracy: wilson_of_family(right_of_class, images, DEFAULT_LEVEL, right.len()).unwrap(),
            taken_for: (right_of_class < images).then_some(Confusion {
                truth: class,
                predicted: taken_for,
                count: images - right_of_class,
            }),
        })
        .collect();
    classes.sort_by(|a, b| a.accuracy.value.total_cmp(&b.accuracy.value));
    let errors = n - all_right;
    Trust {
        n,
        accuracy: share(all_right, n),
        constant: ConstantAnswer {
            class: common,
            images: most,
            share: most as f64 / n as f64,
            gain: estimate(gain, 0.02, n),
            p_value: 1e-6,
        },
        usual: UsualAnswer { class: taken_for, share: share(n / 4, n), truth: 0.1 },
        balanced: estimate(shares.iter().sum::<f64>() / shares.len() as f64, 0.02, n).into(),
        classes,
        too_small: 0,
        gap: Measured::Known(SplitGap {
            split: "validation".into(),
            accuracy: share(validation.0, validation.1),
            difference: proportion_difference(validation, (all_right, n), DEFAULT_LEVEL).unwrap(),
        }),
        confident: ConfidentAnswers {
            errors,
            confident_errors: errors / 5,
            share_of_errors: share(errors / 5, errors).into(),
            answers: n / 2,
            wrong: share(errors / 5, n / 2).into(),
        },
        binary: (right.len() == 2).then(|| BinaryScores {
            positive: 1,
            by_name: true,
            sensitivity: share(right[1].1, right[1].0).into(),
            specificity: share(right[0].1, right[0].0).into(),
            auc: estimate(0.93, 0.02, n).into(),
        }),
    }
}

fn trust_findings(models: &[ModelName]) -> TrustFindings {
    let of_ten = |each: [usize; 10]| each.map(|right| (200, right));
    let common = |split: &str, images, n| MostCommonClass { split: split.into(), class: 0, images, n };
    TrustFindings {
        split: "test".into(),
        most_common: vec![common("train", 1200, 12_000), common("test", 200, 2000)],
        models: each(models, |model| {
            by_kind(
                model,
                trust(&of_ten([180, 175, 171, 160, 182, 149, 168, 162, 167, 170]), 4, (840, 1000)),
                trust(&of_ten([190, 188, 186, 180, 192, 179, 187, 188, 186, 186]), 7, (930, 1000)),
            )
        }),
    }
}

fn accuracy(models: &[ModelName]) -> AccuracyFindings {
    let classes = CLASSES.len();
    let confusion = |stream: u64, right: usize| -> Vec<Vec<usize>> {
        let row = |truth: usize| {
            let mut counts: Vec<usize> = (0..classes)
                .map(|predicted| (6.0 * uniform(stream, truth * classes + predicted).powi(3)) as usize)
                .collect();
            counts[truth] = 0;
            counts[truth] = (200 - counts.iter().sum::<usize>()).min(right);
            counts
        };
        (0..classes).map(row).collect()
    };
    let confusion = each(models, |model| by_kind(model, confusion(11, 180), confusion(12, 192)));
    let per_class = |counts: &[Vec<usize>]| -> Vec<Option<Estimate>> {
        counts.iter().enumerate().map(|(class, row)| Some(share(row[class], row.iter().sum()))).collect()
    };
    AccuracyFindings {
        main_split: "test".into(),
        splits: vec![
            split_of("test", models, [1624, 60, 238, 78], 1.3e-25),
            split_of("aligned", models, [930, 20, 22, 28], 0.88),
            split_of("conflict", models, [590, 40, 250, 120], 2.0e-33),
        ],
        per_class: each(models, |model| per_class(&confusion[model])),
        confusion,
    }
}

fn attention(model: ModelName) -> AttentionFindings {
    let head = |layer: usize, head: usize| {
        let index = layer * HEADS + head;
        let distance = 4.5 + 1.9 * layer as f64 + 4.0 * (uniform(21, index) - 0.4);
        let entropy = 0.45 + 0.07 * layer as f64 + 0.2 * (uniform(22, index) - 0.5);
        HeadAttention {
            distance: estimate(distance, 0.4, 128),
            entropy: estimate(entropy * 65f64.ln(), 0.05, 128),
            normalised_entropy: estimate(entropy, 0.01, 128),
            hoyer: estimate(1.0 - entropy, 0.02, 128),
            below_uniform: estimate(0.55 + 0.3 * (1.0 - entropy), 0.01, 128),
            class_token_mass: Some(estimate(0.02 + 0.1 * uniform(23, index), 0.004, 128)),
            distillation_token_mass: None,
            register_mass: None,
        }
    };
    let layer = |layer: usize| {
        let heads: Vec<HeadAttention> = (0..HEADS).map(|index| head(layer, index)).collect();
        let mean = heads.iter().map(|head| head.distance.value).sum::<f64>() / HEADS as f64;
        LayerAttention {
            heads,
            diversity: estimate(0.28 - 0.03 * layer as f64 + 0.03 * uniform(24, layer), 0.01, 128),
            even_distance: EVEN_DISTANCE,
            relative_distance: Some(estimate(mean / EVEN_DISTANCE, 0.02, 128)),
            mean_distance: Some(mean),
        }
    };
    AttentionFindings {
        n: 128,
        convention: "The class token is left out and each row made to sum to one again.".into(),
        read_out: "the class token".into(),
        image_size: architecture(model).1,
        trend: trend(1.0, 0.0028),
        layers: (0..LAYERS).map(layer).collect(),
        head_maps_shown: Some(HeadMaps {
            image: shown("heads", 7),
            layers: (0..LAYERS)
                .map(|layer| LayerMaps {
                    grid: [8, 8],
                    heads: (0..HEADS)
                        .map(|head| format!("pictures/heads-{model}-{layer}-{head}.png"))
                        .collect(),
                })
                .collect(),
        }),
        rollouts_shown: [5, 16]
            .map(|index| ExplainedImage {
                image: shown("rollout", index),
                predictions: [(model, (index % 10, 0.93))].into(),
                heatmaps: heatmaps("rollout", index, &[model]),
            })
            .into(),
    }
}

/// A trend over all layers.
pub fn trend(rho: f64, p_value: f64) -> Measured<RankTrend> {
    Measured::Known(RankTrend { rho, p_value, n: LAYERS, method: "Spearman's ρ, all orders".into() })
}

fn comparisons(models: &[ModelName]) -> ComparisonFindings {
    let item = |i: usize| {
        let label = i % 10;
        let answer = |stream: u64, errs: f64| {
            let wrong = uniform(stream, i) < errs;
            (if wrong { (label + 3) % 10 } else { label }, 0.55 + 0.44 * uniform(stream + 1, i))
        };
        let predictions = each(models, |model| by_kind(model, answer(31, 0.3), answer(33, 0.2)));
        Comparison {
            index: 37 * i,
            identifier: format!("test/{:05}", 37 * i),
            label,
            explains: each(models, |model| by_kind(model, None, Some(predictions[model].0))),
            predictions,
            agreements: pairs(models).iter().map(|_| Measured::Known(1.2 * uniform(35, i) - 0.4)).collect(),
            picture: format!("pictures/comparison-image-{i:02}.png"),
            heatmaps: heatmaps("comparison", i, models),
        }
    };
    let layer = |model: ModelName, place: usize| LayerShown {
        layer: by_kind(model, format!("layer {place}"), format!("stage {place}")),
        shown: HeatmapShown { grid: [8, 8], picture: format!("pictures/depth-{model}-{place:02}.png") },
    };
    ComparisonFindings {
        depth: each(models, |model| (1..=4).map(|place| layer(model, place)).collect()),
        selection: "Drawn by seed: half at random, half where the models disagree".into(),
        items: (0..50).map(item).collect(),
        methods: each(models, |model| by_kind(model, "rollout", "Grad-CAM").to_owned()),
        pairs: pairs(models)
            .into_iter()
            .map(|models| HeatmapAgreement {
                models,
                constant: 0,
                spread: Some(Spread { median: 0.2, lower: -0.1, upper: 0.5 }),
                agreement: agreement(0.21, 0.13, 0.0004),
            })
            .collect(),
    }
}

fn atlas(model: ModelName) -> AtlasFindings {
    let half = || {
        let measure = |value, null| Measure { value: Some(value), null: Some(null) };
        let criteria = HeadCriteria {
            positional: measure(0.2, 0.1),
            distance: measure(0.4, 1.0),
            sink: measure(0.1, 0.02),
            edge: measure(0.1, 0.0),
            orientation: measure(0.0, 0.0),
            colour: measure(0.1, 0.0),
            object: measure(0.2, 0.2),
            entropy: measure(0.7, 1.0),
        };
        HeadHalf { criteria, class: measure(0.05, 0.04) }
    };
    let head = |place: usize| {
        let (layer, head) = (place / HEADS + 1, place % HEADS + 1);
        HeadRole {
            layer,
            head,
            label: HeadLabel::Local,
            first: half(),
            second: half(),
            picture: format!("pictures/atlas-{model}-{layer}-{head}.png"),
        }
    };
    AtlasFindings {
        n: 64,
        windows: false,
        heads: (0..6 * HEADS).map(head).collect(),
        roles: Roles { confirmed: 24, heads: 24, shuffled: 20.5, adjusted_p: 0.01 },
    }
}

/// Probes are right on 340 of 400 images of the first model and on 20 fewer of each later one.
fn features(models: &[ModelName]) -> FeaturesFindings {
    const N: usize = 400;
    let place = |model: ModelName| models.iter().position(|&known| known == model).unwrap_or(0);
    let part = |split: &str, n| Part { split: split.into(), n, images: Vec::new() };
    let blocks = |count: usize| {
        let names =
            (0..=count).map(|block| if block == 0 { "input".into() } else { format!("block {block}") });
        names.collect::<Vec<String>>()
    };
    let cloud = |model: ModelName, stream: u64| Cloud {
        trust: PictureTrust { trustworthiness: 0.93, continuity: 0.95, k: 12 },
        points: (0..N)
            .map(|image| {
                let (across, up) = (uniform(stream, image), uniform(stream + 7, image + place(model)));
                [(image % CLASSES.len()) as f32 + across as f32, up as f32]
            })
            .collect(),
    };
    let of_model = |model: ModelName| {
        let right = 340 - 20 * place(model);
        let near = |rank: usize| NearImage {
            split: "train".into(),
            index: 10 + rank,
            label: rank % 2,
            similarity: 0.95 - 0.03 * rank as f32,
            picture: format!("pictures/features-train-{:05}.png", 10 + rank),
        };
        let layer = |(depth, name): (usize, &String)| LayerScore {
            layer: name.clone(),
            pooling: Pooling::PatchMean,
            accuracy: share(120 + depth * (right - 120) / 6, N),
            penalty: 0.01,
        };
        ModelFeatures {
            width: 128,
            learned: Some(Learned {
                usual: 0.1,
                neighbours: [1, 5, 20]
                    .map(|k| NeighbourScore { k, score: share(right - 20 + k, N) })
                    .to_vec(),
                of_class: CLASSES.iter().map(|_| Some(share(34, 40))).collect(),
                retrieval: [1, 5, 10].map(|k| NeighbourScore { k, score: share(right - 30 - k, N) }).to_vec(),
                retrieved: vec![Retrieved {
                    query: 3,
                    label: 0,
                    picture: "pictures/features-test-00003.png".into(),
                    nearest: (0..5).map(near).collect(),
                }],
                probe: ProbeScore {
                    accuracy: share(right, N),
                    penalty: 0.01,
                    validation: vec![(1.0, 0.7), (0.01, 0.85)],
                },
                few_shot: [1, 4, 16]
                    .map(|shots| FewShot {
                        shots,
                        accuracy: estimate(0.3 + 0.03 * shots as f64, 0.04, 5),
                        deviation: Some(0.03),
                    })
                    .to_vec(),
                layers: blocks(6).iter().enumerate().map(layer).collect(),
            }),
            picture: Some(Clouds {
                labels: (0..N).map(|image| image % CLASSES.len()).collect(),
                tsne: cloud(model, 91),
                perplexity: 30.0,
                divergence: 0.9,
                pca: cloud(model, 93),
                explained: [0.31, 0.14],
            }),
        }
    };
    let map = |[first, second]: [ModelName; 2]| {
        let names = || blocks(6).into_iter().chain(["features".into()]).collect::<Vec<String>>();
        let value = |cell: usize| {
            let apart = (cell / 8).abs_diff(cell % 8) as f64;
            Some(if first == second { 1.0 - 0.1 * apart } else { 0.7 - 0.08 * apart })
        };
        let alone = first == second;
        CkaMap {
            models: [first, second],
            n: N,
            rows: names(),
            columns: names(),
            values: (0..64).map(value).collect(),
            features: match alone {
                true => Measured::undefined("it is the same model"),
                false => estimate(0.7, 0.04, N).into(),
            },
            null: (!alone).then_some(CkaNull { mean: 0.0, largest: 0.03, p_value: 0.002, orders: 499 }),
            adjusted_p: (!alone).then_some(0.002),
        }
    };
    let score = |apart: f64| PairedScore {
        difference: estimate(0.05 * apart, 0.02, N),
        only_first: 30 + (20.0 * apart) as usize,
        only_second: 30,
        adjusted_p: 0.0008,
    };
    let itself = models.iter().map(|&model| [model; 2]);
    FeaturesFindings {
        roles: Some(ImageRoles {
            training: part("train", 500),
            validation: part("val", 125),
            test: part("test", N),
            how: "the training split is learned from, and the split val chooses the penalty".into(),
        }),
        not_learned: None,
        classes: CLASSES.map(str::to_owned).to_vec(),
        models: each(models, of_model),
        cka: itself.chain(pairs(models)).map(map).collect(),
        pairs: (pairs(models).into_iter())
            .map(|models| {
                let apart = (place(models[1]) - place(models[0])) as f64;
                FeaturePair { models, neighbours: score(apart), probe: score(apart) }
            })
            .collect(),
    }
}

fn heads(_: ModelName) -> HeadFindings {
    let ablation = |index: usize| {
        let strength = 0.35 * uniform(41, index).powi(4);
        let value = strength - 0.004 * uniform(42, index);
        HeadAblation {
            layer: index / HEADS,
            head: index % HEADS,
            mean: estimate(value, 0.006 + 0.1 * value.abs(), 1000),
            zero: estimate(1.5 * value + 0.01, 0.01 + 0.1 * value.abs(), 1000),
            resample: estimate(1.2 * value + 0.005, 0.01 + 0.1 * value.abs(), 1000),
            accuracy_drop: estimate(value / 4.0, 0.006, 1000),
            gradient: estimate(0.02 + 0.2 * strength + 0.02 * uniform(43, index), 0.002, 1000),
            adjusted_p: if value > 0.008 { 0.0004 } else { 0.2 + 0.5 * uniform(44, index) },
        }
    };
    let mut ranking: Vec<HeadAblation> = (0..LAYERS * HEADS).map(ablation).collect();
    ranking.sort_by(|a, b| b.mean.value.total_cmp(&a.mean.value));
    HeadFindings {
        n: 1000,
        baseline: share(842, 1000),
        selected: Some(SelectedHead {
            layer: ranking[0].layer,
            head: ranking[0].head,
            chosen_on: 500,
            mean: estimate(0.271, 0.034, 500),
            p_value: 0.0001,
            accuracy_drop: estimate(0.064, 0.012, 500),
        }),
        ranking,
        gradient_agreement: Some(estimate(0.58, 0.25, 24)),
        removal: None,
        reference: Reference { split: "train".into(), images: 256 },
        together: Some(together()),
    }
}

/// Every head carries something; of shape four heads, of texture three and so on are above an unrelated scene. The class token takes
/// over in the fourth layer.
fn patching(_: ModelName) -> Vec<FactorPatching> {
    const PAIRS: usize = 128;
    let carried = |share: f64, above: bool| Carried {
        share: estimate(share, 0.02, PAIRS).into(),
        unrelated: Measured::Known(if above { share - 0.09 } else { share - 0.01 }),
        over_unrelated: match above {
            true => paired(0.09, 0.02, 0.0004),
            false => paired(0.01, 0.02, 0.31),
        },
    };
    let of_factor = |(place, factor): (usize, SceneFactor)| {
        let head = |index: usize| {
            let above = index % 6 == place && index / 6 < 4 - place.min(3);
            let share = if above { 0.12 + 0.02 * uniform(51, index) } else { 0.04 * uniform(52, index) };
            PatchedHead { layer: index / HEADS, head: index % HEADS, carried: carried(share, above) }
        };
        let layer = |index: usize| {
            let (layer, tokens) = (index / 3, PatchedTokens::ALL[index % 3]);
            let taken_over = (layer as f64 / 5.0).powi(2);
            let share = match tokens {
                PatchedTokens::Prefix => taken_over,
                PatchedTokens::Object => 0.8 * (1.0 - taken_over),
                PatchedTokens::Background => 0.1 * (1.0 - taken_over),
            };
            PatchedLayer { layer, tokens, carried: carried(share, share > 0.3) }
        };
        FactorPatching {
            factor,
            change: estimate(4.0 - 0.7 * place as f64, 0.3, PAIRS),
            other_answer: share(80 - 15 * place, PAIRS),
            heads: (0..LAYERS * HEADS).map(head).collect(),
            layers: (0..3 * LAYERS).map(layer).collect(),
            selected: Some(SelectedCarrier {
                layer: 2,
                head: place % HEADS,
                chosen_on: 64,
                carried: carried(0.13, place < 3),
            }),
        }
    };
    SceneFactor::ALL.into_iter().enumerate().map(of_factor).collect()
}

fn together() -> Together {
    let removed: Vec<usize> = (0..=12).map(|point| 2 * point).collect();
    let accuracy = |power: f64| {
        let kept = removed.iter().map(|&gone| (1.0 - gone as f64 / 24.0).powf(power));
        kept.map(|kept| share((50.0 + 371.0 * kept) as usize, 500)).collect::<Vec<_>>()
    };
    let random = accuracy(1.0).into_iter().map(|of| RandomOrders {
        mean: of.value,
        lowest: (of.value - 0.08).max(0.0),
        highest: of.value + 0.08,
    });
    let pair = |index: usize| HeadPair {
        first: (index % LAYERS, 0).into(),
        second: ((index + 1) % LAYERS, 1).into(),
        both: 0.05 + 0.02 * index as f64,
        apart: 0.05,
        interaction: estimate(0.02 * index as f64, 0.03, 500),
        adjusted_p: if index > 1 { 0.01 } else { 0.4 },
    };
    let branch = |index: usize| BranchAblation {
        layer: index / 3,
        branch: Branch::ALL[index % 3],
        mean: estimate(0.1 + 0.3 * uniform(45, index), 0.03, 500),
        zero: estimate(0.2 + 0.5 * uniform(45, index), 0.03, 500),
        accuracy_drop: estimate(0.05 * uniform(46, index), 0.02, 500),
        adjusted_p: 0.0004,
    };
    Together {
        n: 500,
        chosen_on: 500,
        curve: Some(PruningCurve {
            most_first: accuracy(4.0),
            least_first: accuracy(0.3),
            gradient_first: accuracy(2.5),
            random: random.collect(),
            random_orders: 5,
            most_against_random: Some(paired(-0.2, 0.02, 0.0001)),
            least_against_random: Some(paired(0.15, 0.02, 0.0001)),
            gradient_against_random: Some(paired(-0.12, 0.02, 0.0001)),
            removed,
        }),
        pairs: (0..4).map(pair).collect(),
        branches: (0..3 * LAYERS).map(branch).collect(),
    }
}

/// Two models on some images: what each has, and what each alone has.
pub fn paired_shares(
    n: usize,
    [first, second]: [usize; 2],
    [only_first, only_second]: [usize; 2],
    p: f64,
) -> PairedShares {
    PairedShares {
        first: share(first, n),
        second: share(second, n),
        only_first,
        only_second,
        p_value: p,
        adjusted_p: p,
    }
}

fn attacks(models: &[ModelName]) -> AttackFindings {
    let curve = |model: ModelName, attack: &str, clean: f64, decay: f64| AttackCurve {
        model,
        attack: attack.into(),
        settings: if attack == "PGD" { "10 steps of ε/4, random start".into() } else { "one step".into() },
        points: [0.0, 1.0, 2.0, 4.0, 8.0]
            .map(|epsilon: f64| {
                let robust = (500.0 * clean * (-decay * epsilon).exp()) as usize;
                let kept = Some(share(robust, (500.0 * clean) as usize));
                AttackPoint { epsilon, accuracy: share(robust, 500), kept }
            })
            .into(),
        // Exponential decay, as the points have it.
        half_at: Some(std::f64::consts::LN_2 / decay),
        zero_gradient: 0.0,
    };
    let compared =
        |models: [ModelName; 2], attack: &str, epsilon: f64, kept: [usize; 2], p: f64| AttackComparison {
            models,
            attack: attack.into(),
            epsilon,
            robust: paired_shares(500, kept.map(|kept| kept + 10), [kept[0], kept[1] / 2], p),
            kept: Some(paired_shares(400, kept, [kept[0], kept[1] / 2], p)),
        };
    let panels = |model: ModelName, index: usize| -> Vec<String> {
        let all = ["clean", "change", "attacked"];
        all.map(|name| format!("pictures/attack-image-{index:05}-{model}-{name}.png")).into()
    };
    let example = |index: usize| AttackExample {
        index,
        identifier: format!("test/{index:05}.png"),
        pictures: each(models, |model| panels(model, index)),
        label: index % 10,
        answers: each(models, |model| [index % 10, by_kind(model, (index + 3) % 10, index % 10)]),
    };
    AttackFindings {
        n: 500,
        unit: epsilon_unit(),
        curves: ["FGSM", "PGD"]
            .into_iter()
            .flat_map(|attack| models.iter().map(move |&model| (attack, model)))
            .map(|(attack, model)| match attack {
                "FGSM" => curve(model, attack, by_kind(model, 0.84, 0.93), by_kind(model, 0.35, 0.62)),
                _ => curve(model, attack, by_kind(model, 0.84, 0.93), by_kind(model, 0.5, 1.1)),
            })
            .collect(),
        comparisons: pairs(models)
            .into_iter()
            .flat_map(|models| {
                [
                    compared(models, "FGSM", 1.0, [300, 240], 0.0001),
                    compared(models, "FGSM", 2.0, [210, 130], 0.0001),
                    compared(models, "FGSM", 4.0, [100, 80], 0.31),
                    compared(models, "FGSM", 8.0, [20, 3], 0.02),
                    compared(models, "PGD", 1.0, [250, 150], 0.0001),
                    compared(models, "PGD", 2.0, [150, 50], 0.0001),
                    compared(models, "PGD", 4.0, [55, 50], 0.72),
                    compared(models, "PGD", 8.0, [7, 5], 0.81),
                ]
            })
            .collect(),
        example_attack: Some(("PGD".into(), 4.0)),
        example_answers: [12, 87, 205, 333].map(example).into(),
    }
}

/// The sets of models that err together: one alone, two, all of more.
fn erring(models: &[ModelName]) -> Vec<Vec<ModelName>> {
    let mut sets: Vec<Vec<ModelName>> = models.iter().map(|&model| vec![model]).collect();
    sets.extend(pairs(models).iter().map(|pair| pair.to_vec()));
    sets.extend((models.len() > 2).then(|| models.to_vec()));
    sets
}

fn errors(models: &[ModelName]) -> ErrorFindings {
    let surest = |index: usize, probability: f64, erring: &[ModelName]| {
        let answer = |model| ((index + usize::from(erring.contains(&model))) % 10, probability);
        ExplainedImage {
            image: shown("errors", index),
            predictions: each(models, answer),
            heatmaps: heatmaps("errors", index, models),
        }
    };
    let group = |(place, erring): (usize, Vec<ModelName>)| {
        // As many as the splits of accuracy say of a ViT and a ResNet.
        let (count, confusions) = match *erring.as_slice() {
            [model] if model == vit() => (238, [(5, 0, 31), (7, 0, 22), (3, 4, 18)]),
            [model] if model == cnn() => (60, [(6, 5, 9), (0, 7, 7), (2, 8, 5)]),
            [first, second] if [first, second] == [vit(), cnn()] => (78, [(7, 0, 12), (5, 0, 11), (9, 2, 6)]),
            _ => (40 + 3 * place, [(7, 0, 9), (5, 0, 8), (9, 2, 4)]),
        };
        ErrorGroup {
            count,
            share: share(count, TEST),
            confusions: confusions
                .map(|(truth, predicted, count)| Confusion { truth, predicted, count })
                .into(),
            confidence: Some(0.4 + 0.001 * count as f64),
            surest: (0..3).map(|place| surest(count + place, 0.97 - 0.01 * place as f64, &erring)).collect(),
            erring,
        }
    };
    let groups: Vec<ErrorGroup> = erring(models).into_iter().enumerate().map(group).collect();
    let shared = |models| SharedErrors {
        models,
        same_wrong_class: Some(share(41, 78)),
        same_answer: Measured::Known(AnswerAgreement {
            observed: share(40, 77),
            expected: 0.237,
            excess: estimate(40.0 / 77.0 - 0.237, 0.11, 77),
            p_value: 0.0004,
            alone: 1,
        }),
    };
    let most = |place: usize| [48.0, 12.0, 16.0][place % 3];
    ErrorFindings {
        n: TEST,
        pairs: pairs(models).into_iter().map(shared).collect(),
        by_class: (0..10)
            .map(|class| ClassErrors {
                class,
                n: 200,
                counts: (0..groups.len())
                    .map(|place| (most(place) * uniform(51 + place as u64, class)) as usize)
                    .collect(),
            })
            .collect(),
        groups,
        factors: made_up::error_factors(models),
    }
}

/// Gains of an explanation with these scores over a baseline with those: mass, AUROC, average precision, pointing.
fn gains(own: [f64; 4], baseline: [f64; 4]) -> Gains {
    let [mass, auroc, average_precision, pointing] = [0, 1, 2, 3].map(|score| {
        let gain = own[score] - baseline[score];
        paired(gain, 0.013, if gain.abs() > 0.013 { 0.0003 } else { 0.4 })
    });
    Gains { mass, auroc, average_precision, pointing }
}

fn faithfulness(models: &[ModelName]) -> FaithfulnessFindings {
    let metrics = ["deletion", "insertion", "sensitivity"];
    let gained = |difference: f64| {
        let test = paired(difference, 0.05, 0.001);
        let better = Better::of(&test.difference, test.p_value);
        Some(Gain { difference: test.difference, p_value: test.p_value, better })
    };
    let method = |id: &str, title: &str, baseline: bool, rank: f64| {
        let score = |metric: &&str| {
            let way = if *metric == "insertion" { -1.0 } else { 1.0 };
            let compared = !baseline && *metric != "sensitivity";
            let score = MetricScore {
                mean: estimate(0.5 + way * 0.05 * (rank - 3.0), 0.06, 32).into(),
                curve: match *metric {
                    "sensitivity" => Vec::new(),
                    _ => (0..11).map(|point| 0.9 - way * 0.06 * f64::from(point)).collect(),
                },
                over_random: if compared { gained(0.1) } else { None },
                over_centre: if compared { gained(0.02) } else { None },
            };
            ((*metric).to_owned(), score)
        };
        let scores = metrics.iter().map(score).collect();
        MethodFaithfulness { method: id.into(), title: title.into(), baseline, rank: Some(rank), scores }
    };
    let of_model = |model: ModelName| {
        let mut methods = vec![method("grad-cam", "Grad-CAM", false, 1.5)];
        if model != cnn() {
            methods.push(method("rollout", "rollout", false, 2.5));
        }
        methods.extend([method("centre", "centre", true, 3.0), method("random", "random", true, 4.0)]);
        let agreement = MetricAgreement {
            metrics: ["deletion".into(), "insertion".into()],
            correlation: Measured::Known(RankCorrelation {
                correlation: estimate(0.6, 0.3, 12),
                p_value: 0.04,
            }),
        };
        let undefined = MetricAgreement {
            metrics: ["deletion".into(), "sensitivity".into()],
            correlation: Measured::undefined("one of the inputs is constant"),
        };
        ModelFaithfulness {
            images: 32,
            images_asked_again: 16,
            left_out: [].into(),
            methods,
            agreement: vec![agreement, undefined],
        }
    };
    FaithfulnessFindings { metrics: metrics.map(str::to_owned).into(), models: each(models, of_model) }
}

fn localisation(models: &[ModelName]) -> LocalisationFindings {
    const RANDOM: [f64; 4] = [0.22, 0.5, 0.24, 0.224];
    const CENTRE: [f64; 4] = [0.388, 0.74, 0.5, 0.704];
    let score = |method: &str, model: Option<ModelName>, scores: [f64; 4]| LocalisationScore {
        method: method.into(),
        model,
        mass: estimate(scores[0], 0.012, 500),
        auroc: estimate(scores[1], 0.011, 500),
        average_precision: estimate(scores[2], 0.014, 500),
        pointing: share((500.0 * scores[3]) as usize, 500),
        constant: 0,
        over_random: model.map(|_| gains(scores, RANDOM)),
        over_centre: model.map(|_| gains(scores, CENTRE)),
    };
    let mut methods = vec![
        score("random", None, RANDOM),
        score("centre", None, CENTRE),
        score("edges", None, [0.36, 0.63, 0.38, 0.41]),
    ];
    for &model in models {
        if model == cnn() {
            methods.push(score("Grad-CAM", Some(model), [0.473, 0.81, 0.6, 0.862]));
        } else {
            methods.push(score("rollout", Some(model), [0.291, 0.66, 0.41, 0.582]));
            methods.push(score("Grad-CAM", Some(model), [0.402, 0.71, 0.53, 0.676]));
        }
    }
    LocalisationFindings { n: 500, left_out: 0, object_share: estimate(0.22, 0.008, 500), methods }
}

/// Chefer's relevance, or Grad-CAM for a CNN, knows what the answers depend on; saliency does not.
fn causal(models: &[ModelName]) -> CausalFindings {
    const IMAGES: usize = 96;
    let score = |id: &str, title: &str, baseline: bool, single_deletion: f64, gained: [f64; 2]| {
        let [over_random, over_centre] =
            gained.map(|difference| (!baseline).then(|| paired(difference, 0.05, 0.001)));
        CausalScore {
            id: id.into(),
            method: title.into(),
            baseline,
            single_deletion: estimate(single_deletion, 0.04, IMAGES),
            strength: estimate(single_deletion / 1.5, 0.04, IMAGES).into(),
            contrastivity: estimate(single_deletion / 2.0, 0.05, IMAGES),
            independence: estimate(0.5, 0.05, IMAGES).into(),
            preserved: share(50, IMAGES),
            lost: share(40, IMAGES),
            auroc: estimate(0.6, 0.02, IMAGES),
            mass: estimate(0.3, 0.02, IMAGES),
            deletion: estimate(0.4, 0.03, IMAGES),
            over_random,
            over_centre,
        }
    };
    let agree = |value: f64| Measured::Known(estimate(value, 0.2, IMAGES));
    let of_model = |model: ModelName| ModelTruth {
        n: IMAGES - 2,
        left_out: 2,
        accuracy: share(84, IMAGES),
        kinds: vec![KindEffect {
            kind: FactorKind::Interior,
            share: 0.12,
            effect: estimate(4.1, 0.5, IMAGES),
            negligible: 0.05,
        }],
        changes: vec![ChangeEffect {
            change: Question::Object,
            effect: estimate(6.0, 0.6, IMAGES),
            kept: share(9, IMAGES),
        }],
        methods: vec![
            match model == cnn() {
                true => score("grad-cam", "Grad-CAM", false, 0.5, [0.4, 0.2]),
                false => score("chefer", "Attention relevance", false, 0.5, [0.4, 0.2]),
            },
            score("saliency", "saliency", false, -0.1, [-0.2, -0.4]),
            score("centre", "centre", true, 0.3, [0.0; 2]),
            score("random", "random", true, 0.1, [0.0; 2]),
        ],
        agreement: ScoreAgreement {
            mask_and_causal: agree(0.6),
            deletion_and_causal: agree(0.4),
            mask_and_deletion: agree(0.5),
        },
        shown: None,
    };
    CausalFindings { images: IMAGES, models: each(models, of_model) }
}
