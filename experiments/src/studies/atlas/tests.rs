//! Made-up heads with a known role, and claims of the right model.

use archaeo_analysis::attention::{HeadCriteria, Measure};

use super::*;
use crate::report::tests::synthetic::{chapter_of, investigation_of};

/// Of two heads, the first sends its weight to the class token and the second does nothing in particular.
fn records() -> Vec<AtlasRecord> {
    let head = |sink: f64, value: f32| {
        let measure = |value, null| Measure { value: Some(value), null: Some(null) };
        let criteria = HeadCriteria {
            positional: measure(0.1, 0.1),
            distance: measure(0.8, 1.0),
            sink: measure(sink, 0.1),
            edge: measure(0.0, 0.1),
            orientation: measure(0.0, 0.1),
            colour: measure(0.0, 0.1),
            object: measure(0.1, 0.2),
            entropy: measure(0.6, 1.0),
        };
        (HeadOnImage { criteria, offset: [0, 0], ninth: 0 }, vec![value, 0.0])
    };
    let record = |image: usize| {
        let (heads, read) = [head(0.9, image as f32), head(0.1, 1.0)].into_iter().unzip();
        AtlasRecord {
            class: image % 2,
            layers: vec![LayerRecord { grid: [1, 2], windows: false, heads, read }],
        }
    };
    (0..8).map(record).collect()
}

#[test]
fn a_sink_is_told_from_a_head_without_a_role() {
    let found = roles(&records(), 3);
    let labels: Vec<HeadLabel> = found.heads.iter().map(|head| head.2).collect();
    assert_eq!(labels, [HeadLabel::Sink, HeadLabel::Unexplained]);
    assert_eq!((found.confirmed.confirmed, found.confirmed.heads), (1, 2));
    // About half of the shuffles keep the heads where they are.
    assert!((found.confirmed.shuffled - 0.5).abs() < 0.1, "{}", found.confirmed.shuffled);
    assert_eq!(mean_map(&records(), 0, 0).values, [3.5, 0.0]);
}

#[test]
fn each_model_has_its_own_claim() {
    let mut found = investigation_of(&["vit", "swin"]);
    let atlas = |confirmed| AtlasFindings {
        n: 8,
        windows: false,
        heads: Vec::new(),
        roles: Roles { confirmed, heads: 9, shuffled: 0.5, adjusted_p: 0.01 },
    };
    let models: Vec<_> = found.models.iter().map(|model| model.name).collect();
    found.insert::<AtlasStudy>(&[(models[0], atlas(7)), (models[1], atlas(2))].into_iter().collect());
    let claims = chapter_of::<AtlasStudy>(&found).claims;
    assert!(claims[0].statement.starts_with("7 of 9") && claims[0].statement.contains("ViT"), "{claims:?}");
    assert!(claims[1].statement.starts_with("2 of 9") && claims[1].statement.contains("Swin"), "{claims:?}");
}
