//! The study on real features of tiny models, and sentences that follow the numbers.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use archaeo_analysis::features::Features;
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Resampling, wilson};
use archaeo_data::{OpenOptions, open};
use archaeo_models::{ModelCard, NetworkSpec, Preprocessing};

use super::findings::FeaturesFindings;
use super::*;
use crate::report::tests::synthetic::{change, chapter_of, claim_of, investigation_of, printed};

struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, _: usize) {}
    fn interrupted(&self) -> bool {
        false
    }
}

/// A ViT and a ResNet of random weights on Sherds, with batches of a size.
fn found(batch_size: usize, kinds: &[&str]) -> FeaturesFindings {
    let source = "sherds:size=16,train=80,val=40,test=50";
    let (dataset, device) = (open(source, &OpenOptions::default()).unwrap(), Device::flex());
    let model = |kind: &&str| {
        let card = ModelCard {
            name: kind.to_string(),
            network: NetworkSpec::named(kind, 10, 16).unwrap(),
            preprocessing: Preprocessing::plain(16),
            classes: dataset.classes.clone(),
        };
        Classifier::new(card, 0, &device).unwrap()
    };
    let models: Vec<Classifier> = kinds.iter().map(model).collect();
    let named: Vec<(ModelName, &Classifier)> = models
        .iter()
        .enumerate()
        .map(|(place, model)| (ModelName::new(&format!("m{place}")), model))
        .collect();
    let scored: Vec<usize> = (0..50).collect();
    let roles = ImageRoles::of(&dataset, "test", &scored, 60, 3).unwrap();
    let laboratory =
        Laboratory { dataset: &dataset, device: &device, batch_size, seed: 3, progress: &Silent, keep: None };
    let samples: Vec<Sample> = named
        .iter()
        .map(|&model| laboratory.sample(model, &Part::new("test", scored.clone()), Some(&roles)).unwrap().0)
        .collect();
    let sizes = Sizes { draws: 2, points: 50, compared: 50, shown: 2 };
    let resampling = Resampling { resamples: 200, ..Resampling::new(3) };
    laboratory.findings(&samples, Ok(roles), &sizes, &resampling).unwrap()
}

#[test]
fn batches_do_not_matter_and_every_model_is_measured() {
    let kinds = ["vit_micro", "resnet_micro"];
    let findings = found(50, &kinds);
    let text = |findings: &FeaturesFindings| serde_json::to_string(findings).unwrap();
    assert_eq!(text(&findings), text(&found(7, &kinds)));
    // What went through a file is what was written.
    assert_eq!(text(&serde_json::from_str(&text(&findings)).unwrap()), text(&findings));
    let [vit, resnet] =
        ["m0", "m1"].map(|name| findings.models[ModelName::new(name)].learned.as_ref().unwrap());
    for learned in [vit, resnet] {
        assert_eq!(learned.neighbours.iter().map(|score| score.k).collect::<Vec<_>>(), [1, 5, 20]);
        assert_eq!((learned.probe.accuracy.n, learned.usual), (50, 0.1));
        assert_eq!(learned.few_shot.iter().map(|few| few.shots).collect::<Vec<_>>(), [1, 2, 4]);
        assert!(learned.of_class.iter().all(|of| of.as_ref().unwrap().n == 5));
        for row in &learned.retrieved {
            assert!(row.nearest.iter().all(|near| near.split == "train" || near.split == "val"));
            assert!(row.nearest.is_sorted_by(|a, b| a.similarity >= b.similarity));
        }
    }
    // Sherds have class tokens in a ViT alone: three readings of every block, and one of the input.
    assert_eq!(vit.layers.len() % 3, 1);
    let maps: Vec<[&str; 2]> = findings.cka.iter().map(|map| map.models.map(ModelName::as_str)).collect();
    assert_eq!(maps, [["m0", "m0"], ["m0", "m1"], ["m1", "m1"]]);
    for map in &findings.cka {
        assert_eq!(map.values.len(), map.rows.len() * map.columns.len());
        assert_eq!(map.null.is_some(), map.models[0] != map.models[1]);
    }
    let own = &findings.cka[0];
    let side = own.rows.len();
    for (row, column) in [(0, 0), (2, 2), (side - 1, side - 1)] {
        assert!((own.values[row * side + column].unwrap() - 1.0).abs() < 1e-6);
    }
    assert!((own.values[1].unwrap() - own.values[side].unwrap()).abs() < 1e-9, "CKA is symmetric");
    assert_eq!(findings.pairs.len(), 1);
}

/// Stops after so many images.
struct Until {
    images: usize,
    seen: AtomicUsize,
}

impl Progress for Until {
    fn begin(&self, _: &str, _: usize) {}
    fn advance(&self, images: usize) {
        self.seen.fetch_add(images, Relaxed);
    }
    fn interrupted(&self) -> bool {
        self.seen.load(Relaxed) >= self.images
    }
}

#[test]
fn features_that_were_taken_before_an_interruption_are_not_taken_again() {
    let (dataset, device) =
        (open("sherds:size=16,train=600", &OpenOptions::default()).unwrap(), Device::flex());
    let folder = tempfile::tempdir().unwrap();
    for kind in ["vit_micro", "resnet_micro"] {
        let card = ModelCard {
            name: kind.into(),
            network: NetworkSpec::named(kind, 10, 16).unwrap(),
            preprocessing: Preprocessing::plain(16),
            classes: dataset.classes.clone(),
        };
        let model = Classifier::new(card, 0, &device).unwrap();
        let part = Part::new("train", (0..600).collect());
        let take = |keep: Option<&Path>, images: usize, of: &Part| {
            let progress = &Until { images, seen: AtomicUsize::new(0) };
            let (dataset, device) = (&dataset, &device);
            let laboratory = Laboratory { dataset, device, batch_size: 64, seed: 3, progress, keep };
            laboratory.extract((ModelName::new("m"), &model), of, Depth::Layers, "features")
        };
        assert!(matches!(take(Some(folder.path()), 300, &part), Err(StudyError::Interrupted)));
        let count = || std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(count(), 1, "the first 256 images are kept");
        let pieces = Pieces::of(folder.path(), ModelName::new("m"), &part, Depth::Layers);
        let first = pieces.read(0).unwrap().unwrap();
        let resumed = take(Some(folder.path()), usize::MAX, &part).unwrap();
        let straight = take(None, usize::MAX, &part).unwrap();
        assert_eq!((count(), first.labels.len()), (3, 256));
        assert_eq!((&resumed.pooled, &resumed.labels), (&straight.pooled, &straight.labels));
        for (resumed, straight) in resumed.layers.iter().zip(&straight.layers) {
            assert_eq!(
                (&resumed.name, &resumed.class_token, &resumed.patch_mean),
                (&straight.name, &straight.class_token, &straight.patch_mean)
            );
        }
        assert_eq!(resumed.layers.len(), straight.layers.len());
        // What is kept is read, and not taken: other values there come back.
        let zeros = Extracted {
            pooled: Features::new(first.pooled.width(), vec![0.0; first.pooled.values().len()]),
            ..first
        };
        pieces.write(0, &zeros).unwrap();
        assert_eq!(take(Some(folder.path()), usize::MAX, &part).unwrap().pooled.row(255)[0], 0.0);
        // Other images are others.
        let others = Part::new("train", (1..600).collect());
        assert_eq!(
            take(Some(folder.path()), usize::MAX, &others).unwrap().pooled.row(0),
            straight.pooled.row(1)
        );
        clear(folder.path()).unwrap();
        assert_eq!(count(), 0);
    }
}

#[test]
fn a_model_against_itself_differs_in_nothing() {
    let findings = found(50, &["vit_micro", "vit_micro"]);
    let pair = &findings.pairs[0];
    assert_eq!((pair.probe.only_first, pair.probe.only_second, pair.probe.adjusted_p), (0, 0, 1.0));
    let across = &findings.cka[1];
    assert!((across.features.known().unwrap().value - 1.0).abs() < 1e-6);
    assert_eq!(across.null.as_ref().unwrap().p_value, 1.0 / 500.0);
}

#[test]
fn sentences_follow_the_numbers() {
    let mut investigation = investigation_of(&["vit", "cnn"]);
    let claim = |investigation: &_, topic| claim_of::<FeaturesStudy>(investigation, topic).statement;
    assert_eq!(
        claim(&investigation, "Features"),
        "A linear layer reads the right class from the features of the ViT on 85.0\u{a0}% of the images."
    );
    assert!(
        claim(&investigation, "Features compared")
            .starts_with("The features of the ViT tell the classes apart better")
    );
    assert!(claim(&investigation, "Similarity").contains("have a CKA of 0.70 on the same images"));
    change::<FeaturesStudy>(&mut investigation, |found| {
        let vit = ModelName::new("vit");
        let mut model = found.models[vit].clone();
        model.learned.as_mut().unwrap().probe.accuracy = wilson(45, 400, DEFAULT_LEVEL).unwrap();
        found.models.insert(vit, model);
        let probe = &mut found.pairs[0].probe;
        (probe.difference.value, probe.difference.low, probe.difference.high) = (-0.05, -0.07, -0.03);
        let map = found.cka.iter_mut().find(|map| map.null.is_some()).unwrap();
        map.adjusted_p = Some(0.3);
    });
    assert!(claim(&investigation, "Features").contains("cannot be shown"));
    assert!(claim(&investigation, "Features compared").starts_with("The features of the ResNet tell"));
    assert!(claim(&investigation, "Similarity").contains("are similar at all cannot be shown"));
    change::<FeaturesStudy>(&mut investigation, |found| {
        found.pairs[0].probe.adjusted_p = 0.2;
        let map = found.cka.iter_mut().find(|map| map.null.is_some()).unwrap();
        map.features = archaeo_analysis::statistics::Measured::undefined(
            "one of the representations is the same for all images",
        );
    });
    assert!(claim(&investigation, "Features compared").starts_with("No difference"));
    assert!(claim(&investigation, "Similarity").contains("cannot be computed, because"));
}

#[test]
fn the_chapter_has_tables_curves_clouds_and_maps_of_one_two_and_three_models() {
    for names in [&["vit"][..], &["vit", "cnn"], &["vit", "swin", "cnn"]] {
        let investigation = investigation_of(names);
        let page = printed(chapter_of::<FeaturesStudy>(&investigation));
        for part in [
            "Probes are fitted to",
            "Linear probes by depth",
            "a few images",
            "as points",
            "Similarity of layers",
            "take for alike",
        ] {
            assert!(page.contains(part), "{part} is missing:\n{page}");
        }
        let pairs = names.len() * (names.len() - 1) / 2;
        assert_eq!(chapter_of::<FeaturesStudy>(&investigation).claims.len(), names.len() + 2 * pairs);
    }
}
