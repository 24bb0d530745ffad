//! A made-up investigation in which every study has run, with numbers of a plausible size and counts that fit together.

use std::collections::BTreeMap;

use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, wilson};
use archaeo_models::{ModelCard, NetworkSpec, Preprocessing};

use crate::findings::*;
use crate::run_folder::Build;

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

pub fn estimate(value: f64, half_width: f64, n: usize) -> Estimate {
    Estimate {
        value,
        low: value - half_width,
        high: value + half_width,
        level: DEFAULT_LEVEL,
        n,
        method: "percentile bootstrap, 10,000 resamples".into(),
    }
}

pub fn share(successes: usize, n: usize) -> Estimate {
    wilson(successes, n, DEFAULT_LEVEL).expect("a share of at least one image")
}

pub fn both<T>(vit: T, cnn: T) -> BTreeMap<Role, T> {
    BTreeMap::from([(Role::Vit, vit), (Role::Cnn, cnn)])
}

const CLASSES: [&str; 10] =
    ["circle", "square", "triangle", "star", "cross", "ring", "crescent", "hexagon", "arrow", "heart"];
const LAYERS: usize = 6;
const HEADS: usize = 4;
const TEST: usize = 2000;

pub fn investigation() -> Investigation {
    Investigation {
        provenance: provenance(),
        data: data(),
        models: models(),
        accuracy: Some(accuracy()),
        attention: Some(attention()),
        comparisons: Some(comparisons()),
        heads: Some(heads()),
        attacks: Some(attacks()),
        errors: Some(errors()),
        localisation: Some(localisation()),
        shape_bias: Some(ShapeBiasFindings {
            n: 1000,
            models: both(
                ShapeBias { shape: 620, texture: 250, other: 130, bias: share(620, 870) },
                ShapeBias { shape: 840, texture: 110, other: 50, bias: share(840, 950) },
            ),
        }),
    }
}

fn provenance() -> Provenance {
    let parts = [
        ("data", 3.1),
        ("train vit", 161.7),
        ("train cnn", 139.2),
        ("accuracy", 6.4),
        ("attention", 4.9),
        ("comparisons", 2.2),
        ("heads", 38.0),
        ("attacks", 51.3),
        ("errors", 0.8),
        ("localisation", 7.5),
        ("shape bias", 2.0),
    ];
    Provenance {
        version: "0.1.0".into(),
        commit: "4f1c2d09ab".into(),
        earlier_builds: vec![Build { version: "0.0.9".into(), commit: "77aa88bb99".into() }],
        command: "archaeo excavate --out runs/first".into(),
        config: "[data]\nsource = \"sherds\"\ncorrelation = 0.7\n\n[train]\nepochs = 12\nbatch_size = 128\n"
            .into(),
        seed: 7,
        threads: 2,
        device: "cpu".into(),
        processor: "Example Processor 3000".into(),
        started: "2030-01-02T03:04:05Z".into(),
        seconds: parts.map(|(part, seconds)| (part.into(), seconds)).into(),
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
        contact_sheet: "pictures/contact_sheet.png".into(),
    }
}

pub fn model(role: Role, name: &str, classes: usize) -> ModelFindings {
    let network = NetworkSpec::named(name, classes, 32).expect("a known model");
    let (start, end) = if role == Role::Vit { (0.31, 0.84) } else { (0.48, 0.93) };
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
            seconds: 13.4,
        }
    };
    ModelFindings {
        role,
        card: ModelCard {
            name: name.into(),
            network,
            preprocessing: Preprocessing::plain(32),
            classes: (0..classes).map(|class| format!("class {class}")).collect(),
        },
        parameters: if role == Role::Vit { 812_426 } else { 795_010 },
        weights: format!("{name}.safetensors"),
        weights_sha256: "c0ffee".repeat(10),
        history: (1..=12).map(epoch).collect(),
    }
}

fn models() -> Vec<ModelFindings> {
    vec![model(Role::Vit, "vit_micro", 10), model(Role::Cnn, "resnet_micro", 10)]
}

/// Scores of one split from its contingency: both right, only the ViT, only the CNN, both wrong.
pub fn split(name: &str, [both_right, vit, cnn, wrong]: [usize; 4], mcnemar_p: f64) -> SplitAccuracy {
    let n = both_right + vit + cnn + wrong;
    let scores = |right: usize, ece: f64| ModelScores {
        top1: share(right, n),
        top5: Some(share((right + n) / 2, n)),
        nll: estimate(1.9 - 1.7 * right as f64 / n as f64, 0.03, n),
        ece: estimate(ece, 0.012, n),
    };
    let difference = (vit as f64 - cnn as f64) / n as f64;
    SplitAccuracy {
        split: name.into(),
        n,
        models: both(scores(both_right + vit, 0.071), scores(both_right + cnn, 0.024)),
        pair: PairComparison {
            both_right,
            only_vit_right: vit,
            only_cnn_right: cnn,
            both_wrong: wrong,
            mcnemar_p,
            difference: estimate(difference, 0.016, n),
            kappa: estimate(0.31, 0.06, n),
        },
    }
}

fn accuracy() -> AccuracyFindings {
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
    let (vit, cnn) = (confusion(11, 180), confusion(12, 192));
    let per_class = |counts: &[Vec<usize>]| -> Vec<Option<Estimate>> {
        counts.iter().enumerate().map(|(class, row)| Some(share(row[class], row.iter().sum()))).collect()
    };
    AccuracyFindings {
        main_split: "test".into(),
        splits: vec![
            split("test", [1624, 60, 238, 78], 1.3e-25),
            split("aligned", [930, 20, 22, 28], 0.88),
            split("conflict", [590, 40, 250, 120], 2.0e-33),
        ],
        per_class: both(per_class(&vit), per_class(&cnn)),
        confusion: both(vit, cnn),
    }
}

fn attention() -> AttentionFindings {
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
        }
    };
    let layer = |layer: usize| LayerAttention {
        heads: (0..HEADS).map(|index| head(layer, index)).collect(),
        diversity: estimate(0.28 - 0.03 * layer as f64 + 0.03 * uniform(24, layer), 0.01, 128),
        even_distance: Some(EVEN_DISTANCE),
    };
    AttentionFindings {
        n: 128,
        convention: "The class token is left out and each row made to sum to one again.".into(),
        image_size: 32,
        layers: (0..LAYERS).map(layer).collect(),
        head_maps: "pictures/head_maps.png".into(),
        rollouts: "pictures/rollouts.png".into(),
    }
}

fn comparisons() -> ComparisonFindings {
    let item = |i: usize| {
        let label = i % 10;
        let answer = |stream: u64, errs: f64| {
            let wrong = uniform(stream, i) < errs;
            (if wrong { (label + 3) % 10 } else { label }, 0.55 + 0.44 * uniform(stream + 1, i))
        };
        Comparison {
            index: 37 * i,
            identifier: format!("test/{:05}", 37 * i),
            label,
            predictions: both(answer(31, 0.3), answer(33, 0.2)),
            agreement: 1.2 * uniform(35, i) - 0.4,
            picture: format!("pictures/comparison_{i:02}.png"),
        }
    };
    ComparisonFindings {
        selection: "Drawn by seed: half at random, half where the models disagree".into(),
        items: (0..50).map(item).collect(),
    }
}

fn heads() -> HeadFindings {
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
        ranking,
        gradient_agreement: estimate(0.58, 0.25, 24),
    }
}

fn attacks() -> AttackFindings {
    let curve = |role: Role, attack: &str, clean: f64, decay: f64| AttackCurve {
        role,
        attack: attack.into(),
        settings: if attack == "PGD" { "10 steps of ε/4, random start".into() } else { "one step".into() },
        points: [0.0, 0.5, 1.0, 2.0, 4.0, 8.0]
            .map(|epsilon: f64| AttackPoint {
                epsilon,
                accuracy: share((500.0 * clean * (-decay * epsilon).exp()) as usize, 500),
            })
            .into(),
    };
    AttackFindings {
        n: 500,
        curves: vec![
            curve(Role::Vit, "FGSM", 0.84, 0.35),
            curve(Role::Cnn, "FGSM", 0.93, 0.62),
            curve(Role::Vit, "PGD", 0.84, 0.5),
            curve(Role::Cnn, "PGD", 0.93, 1.1),
        ],
        examples: "pictures/attacks.png".into(),
    }
}

fn errors() -> ErrorFindings {
    let group = |count: usize, confusions: [(usize, usize, usize); 3], picture: &str| ErrorGroupFindings {
        count,
        share: share(count, TEST),
        confusions: confusions.map(|(truth, predicted, count)| Confusion { truth, predicted, count }).into(),
        confidence: Some(0.4 + 0.001 * count as f64),
        picture: Some(picture.into()),
    };
    ErrorFindings {
        n: TEST,
        groups: BTreeMap::from([
            (
                ErrorGroup::VitOnly,
                group(238, [(5, 0, 31), (7, 0, 22), (3, 4, 18)], "pictures/errors_vit.png"),
            ),
            (ErrorGroup::CnnOnly, group(60, [(6, 5, 9), (0, 7, 7), (2, 8, 5)], "pictures/errors_cnn.png")),
            (ErrorGroup::Both, group(78, [(7, 0, 12), (5, 0, 11), (9, 2, 6)], "pictures/errors_both.png")),
        ]),
        same_wrong_class: Some(share(41, 78)),
        by_class: (0..10)
            .map(|class| ClassErrors {
                class,
                n: 200,
                vit_only: (48.0 * uniform(51, class)) as usize,
                cnn_only: (12.0 * uniform(52, class)) as usize,
                both: (16.0 * uniform(53, class)) as usize,
            })
            .collect(),
    }
}

fn localisation() -> LocalisationFindings {
    let score = |method: &str, role: Option<Role>, pointing: usize, mass: f64| LocalisationScore {
        method: method.into(),
        role,
        pointing: share(pointing, 500),
        mass: estimate(mass, 0.012, 500),
        mass_over_random: (method != "random").then(|| estimate(mass - 0.22, 0.013, 500)),
    };
    LocalisationFindings {
        n: 500,
        object_share: estimate(0.22, 0.008, 500),
        methods: vec![
            score("rollout", Some(Role::Vit), 291, 0.291),
            score("Grad-CAM", Some(Role::Vit), 338, 0.402),
            score("Grad-CAM", Some(Role::Cnn), 431, 0.473),
            score("centre", None, 352, 0.388),
            score("random", None, 112, 0.22),
        ],
    }
}
