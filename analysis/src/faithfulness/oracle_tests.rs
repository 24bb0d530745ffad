//! What Quantus 0.6 and pytorch-grad-cam say of the same heatmaps (`make_faithfulness.py`).

use serde_json::Value;

use super::perturbation::{Alteration, Answers, Explained};
use super::tests::Table;
use super::*;
use crate::Keys;
use crate::attribution::Heatmap;

struct Fixture(Value);

impl Fixture {
    fn load() -> Self {
        Self(serde_json::from_str(include_str!("../../tests/fixtures/faithfulness.json")).unwrap())
    }

    fn rows(&self, path: &str) -> Vec<Vec<f32>> {
        serde_json::from_value(self.0.pointer(path).unwrap_or_else(|| panic!("{path} is there")).clone())
            .unwrap()
    }

    fn numbers(&self, path: &str) -> Vec<f64> {
        serde_json::from_value(self.0.pointer(path).unwrap().clone()).unwrap()
    }

    fn side(&self) -> usize {
        self.0["side"].as_u64().unwrap() as usize
    }

    fn table(&self) -> Table {
        let weights: Vec<f32> = serde_json::from_value(self.0["weights"].clone()).unwrap();
        let weights = weights.into_iter().map(|weight| weight / 8.0).collect();
        Table { size: [self.side(); 2], images: self.rows("/images"), weights, bias: 0.0 }
    }

    fn maps(&self) -> Vec<Heatmap> {
        self.rows("/maps").into_iter().map(|values| Heatmap::new(self.side(), self.side(), values)).collect()
    }
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4 * expected.abs().max(1e-2), "{found}, not {expected}");
    }
}

/// Quantus gives no point before the first pixel.
#[test]
fn deletion_to_black_is_quantus_pixel_flipping() {
    let fixture = Fixture::load();
    let (table, maps) = (fixture.table(), [fixture.maps()]);
    let explained =
        Explained { keys: Keys { seed: 0, images: &[0, 1, 2, 3] }, targets: &[0; 4], heatmaps: &maps };
    let found = deletion::scores([0.0; 3], &table, &explained);
    for (score, expected) in found[0].iter().zip(fixture.rows("/black")) {
        let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
        assert_near(&score.curve[1..], &expected);
        let area = (score.curve[0] / 2.0 + expected[..9].iter().sum::<f64>() + expected[9] / 2.0) / 10.0;
        assert_near(&[score.value.unwrap()], &[area]);
    }
}

#[test]
fn imputation_is_that_of_both_programs() {
    let fixture = Fixture::load();
    let (table, maps) = (fixture.table(), fixture.maps());
    for (image, map) in maps.iter().enumerate() {
        let order = perturbation::descending(map, 0, 0);
        let originals = table.originals();
        let counts = [10, 50, 90];
        let (original, size) = (&originals[image][..], table.size());
        let alteration = Alteration { original, size, order: &order, counts: &counts, seed: 0, image: 0 };
        let found = road::imputed(&alteration, 0.0);
        for (found, share) in found.iter().zip(["0.1", "0.5", "0.9"]) {
            for program in ["quantus", "gradcam"] {
                let expected = &fixture.rows(&format!("/imputed/{share}/{program}"))[image];
                let [found, expected] =
                    [found, expected].map(|v| v.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
                assert_near(&found, &expected);
            }
        }
    }
}

/// A heatmap of a table is the sum over channels of pixel times weight.
#[test]
fn sensitivity_is_quantus() {
    let fixture = Fixture::load();
    let (table, noise) = (fixture.table(), fixture.numbers("/sensitivity/noise"));
    let expected = fixture.numbers("/sensitivity/relative");
    for (image, expected) in table.originals().iter().zip(expected) {
        let moved: Vec<f32> = image.iter().zip(&noise).map(|(value, noise)| value + *noise as f32).collect();
        assert_near(
            &[sensitivity::change(&table.contributions(image), &table.contributions(&moved))],
            &[expected],
        );
    }
}

#[test]
fn scores_against_masks_are_quantus() {
    let fixture = Fixture::load();
    let masks: Vec<Vec<bool>> = serde_json::from_value(fixture.0["masks"].clone()).unwrap();
    let size = [fixture.side(); 2];
    let found: Vec<MaskScores> = fixture
        .maps()
        .iter()
        .zip(&masks)
        .map(|(map, mask)| MaskScores::of(map, mask, size).unwrap())
        .collect();
    for (name, read) in [
        ("pointing", (|s| s.pointing) as fn(&MaskScores) -> f64),
        ("mass", |s| s.mass),
        ("auroc", |s| s.auroc),
    ] {
        let found: Vec<f64> = found.iter().map(read).collect();
        assert_near(&found, &fixture.numbers(&format!("/localisation/{name}")));
    }
}
