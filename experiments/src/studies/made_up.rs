//! Made-up investigations of any models for the tests of chapters.

use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, Measured, Pairing, wilson};
use archaeo_models::{ModelCard, NetworkSpec, Preprocessing};
use archaeo_report::document::{Block, Document, Section, Text};
use serde_json::json;

use crate::findings::{HeatmapShown, ImageShown, Investigation, ModelFindings};
use crate::studies::findings::{Agreement, AgreementGroup};
use crate::studies::{autopsy, corruptions, doctor, errors, frequency, worst_case};
use crate::study::Chapter;
use crate::subjects::{ByModel, ModelName};

/// Findings of models of any names.
pub(crate) mod found {
    pub(crate) use super::autopsy::tests::found as autopsy;
    pub(crate) use super::corruptions::tests::found as corruptions;
    pub(crate) use super::doctor::tests::found as doctor;
    pub(crate) use super::errors::tests::factors as error_factors;
    pub(crate) use super::frequency::tests::found as frequency;
    pub(crate) use super::worst_case::tests::found as worst_case;
}

/// Names and architectures, of which a test takes the first few.
const MODELS: [(&str, &str, usize); 4] = [
    ("vit", "vit_micro", 32),
    ("cnn", "resnet_micro", 32),
    ("swin", "swin_tiny_patch4_window7", 224),
    ("cnn-2", "resnet18_cifar", 32),
];

const CLASSES: [&str; 5] = ["circle", "square", "triangle", "star", "cross"];

/// Models of which nothing has been asked yet: a ViT, then a ResNet, then a Swin, then a second ResNet.
pub(super) fn investigation(models: usize) -> Investigation {
    let model = |(name, network, size): (&str, &str, usize)| ModelFindings {
        name: ModelName::new(name),
        card: ModelCard {
            name: network.into(),
            network: NetworkSpec::named(network, CLASSES.len(), size).unwrap(),
            preprocessing: Preprocessing::plain(size),
            classes: CLASSES.map(str::to_owned).into(),
        },
        parameters: 800_000,
        seed: None,
        weights: format!("{name}.safetensors"),
        weights_sha256: "c0ffee".repeat(10),
        started_from: None,
        classes_matched_by: None,
        class_notes: Vec::new(),
        history: Vec::new(),
        training_end: None,
        more_runs: Vec::new(),
    };
    let mut found: Investigation = serde_json::from_value(json!({
        "provenance": {
            "version": "0.1.0", "commit": "4f1c2d09ab", "command": "archaeo excavate", "config": "", "seed": 7, "threads": 2,
            "device": "cpu", "processor": "Example", "started": "2030-01-02T03:04:05Z", "seconds": [],
        },
        "data": {
            "source": "sherds", "name": "Sherds", "classes": CLASSES, "counts": {}, "fingerprint": "", "skipped": [],
        },
        "models": [],
    }))
    .unwrap();
    found.models = MODELS[..models].iter().map(|model_of| model(*model_of)).collect();
    found
}

/// The first few models' names.
pub(super) fn names(models: usize) -> Vec<ModelName> {
    MODELS[..models].iter().map(|(name, ..)| ModelName::new(name)).collect()
}

/// One value for each of the first few models.
pub(super) fn each<T>(models: usize, of: impl Fn(usize) -> T) -> ByModel<T> {
    each_of(&names(models), of)
}

/// One value for each of some models, by their places.
pub(crate) fn each_of<T>(models: &[ModelName], of: impl Fn(usize) -> T) -> ByModel<T> {
    models.iter().enumerate().map(|(place, &name)| (name, of(place))).collect()
}

pub(super) fn share(successes: usize, n: usize) -> Estimate {
    wilson(successes, n, DEFAULT_LEVEL).unwrap()
}

/// Image `index`, of the class that it leaves divided by their number.
pub(super) fn image(index: usize) -> ImageShown {
    ImageShown {
        index,
        identifier: format!("test/{index:05}.png"),
        label: index % CLASSES.len(),
        picture: format!("pictures/image-{index:05}.png"),
    }
}

/// A heatmap of image `index` for each of the first few models.
pub(super) fn heatmaps(models: usize, index: usize) -> ByModel<HeatmapShown> {
    each(models, |place| HeatmapShown {
        grid: [8 / (place + 1); 2],
        picture: format!("pictures/map-{index:05}-{place}.png"),
    })
}

/// A section as Markdown.
pub(super) fn text(section: Section) -> String {
    let document = Document {
        kind: "test",
        title: "Made up".into(),
        lead: Text::new(),
        facts: Vec::new(),
        parts: Vec::new(),
        sections: vec![section],
    };
    archaeo_report::markdown::page(&document).text
}

/// Everything that a chapter says: sentences, tables, claims, definitions and limitations.
pub(super) fn everything(mut chapter: Chapter) -> String {
    chapter.section.blocks.push(Block::Claims(std::mem::take(&mut chapter.claims)));
    chapter.section.blocks.push(Block::Definitions(std::mem::take(&mut chapter.definitions)));
    let limitations = chapter.limitations.iter().map(|item| Text::from(item.as_str())).collect();
    chapter.section.blocks.push(Block::List(limitations));
    text(chapter.section)
}

/// Whether a text speaks of two models where there are not two.
pub(super) fn assert_speaks_of(models: usize, text: &str) {
    assert!(!text.contains("NaN"), "{text}");
    if models == 1 {
        for word in [
            "oth models",
            "oth answers",
            "the other",
            "Only ",
            "only ",
            "each model",
            "Each model",
            "the two",
        ] {
            assert!(!text.contains(word), "{word:?} with one model: {text}");
        }
    }
    if models > 2 {
        for word in ["oth models", "oth answers", "the other model", "the models fail"] {
            assert!(!text.contains(word), "{word:?} with {models} models: {text}");
        }
    }
}

pub(crate) fn estimate(value: f64, half_width: f64, n: usize) -> Estimate {
    Estimate {
        value,
        low: value - half_width,
        high: value + half_width,
        level: DEFAULT_LEVEL,
        n,
        method: "percentile bootstrap, 10,000 resamples".into(),
    }
}

/// Agreement of heatmaps of one image and of different images.
pub(crate) fn agreement(together: f64, apart: f64, p_value: f64) -> Measured<Agreement> {
    let difference = together - apart;
    let group = |n: usize, shift: f64| AgreementGroup {
        n,
        together: Some(estimate(together + shift, 0.06, n)),
        difference: Some(estimate(difference + shift, 0.06, n)),
    };
    Measured::Known(Agreement {
        pairing: Pairing {
            together: estimate(together, 0.05, 50),
            apart: estimate(apart, 0.03, 50),
            difference: estimate(difference, 0.04, 50),
            p_value,
            excess: Vec::new(),
        },
        same_answer: group(33, 0.02),
        other_answer: group(17, -0.04),
    })
}
