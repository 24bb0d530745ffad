//! Learning where the object is, from the true masks of Sherds.

use crate::common;
use std::path::Path;

use crate::common::{StopAt, VIT, bits, identity, recipe};
use archaeo_analysis::masks::{Overlap, mask_scores};
use archaeo_analysis::statistics::Resampling;
use archaeo_data::{Dataset, OpenOptions, open};
use archaeo_training::{DataTraining, Outcome, Recipe, TrainError};
use burn::tensor::Device;

const COMER: &str = r#"
    image_size = 16
    epochs = 4
    batch_size = 16
    learning_rate = 3e-3
    objective = "segmentation"
    [model]
    architecture = "vit-comer"
    patch_size = 4
    width = 16
    depth = 2
    heads = 2
    stages = 1
    conv_width = 8
    deformable_heads = 2
    points = 2
    mask_width = 8
    [augment]
    flip = 0.5
"#;

fn sherds() -> Dataset {
    open("sherds:train=160,val=48,test=16,size=16", &OpenOptions::default()).unwrap()
}

/// A training, and the overlaps of the trained model's masks of the validation images.
fn learned(
    recipe: &Recipe,
    sherds: &Dataset,
    out: &Path,
    observer: &mut dyn archaeo_training::Observer,
) -> Result<Option<Vec<Overlap>>, TrainError> {
    let (mut data, environment) = identity();
    data.classes = sherds.classes.clone();
    let folder = recipe.runs()[0].open(out, &data, &environment)?;
    let device = Device::flex();
    let training = DataTraining {
        recipe,
        transfer: None,
        dataset: sherds,
        portion: None,
        folder: &folder,
        device: &device,
        artist: None,
    };
    match training.train(observer)? {
        Outcome::Finished(trained) => Ok(training.masks(&trained.model)?),
        Outcome::Stopped { .. } => Ok(None),
    }
}

#[test]
fn a_model_learns_where_the_object_is_and_resumes_to_the_same_bits() {
    let (root, sherds) = (tempfile::tempdir().unwrap(), sherds());
    let path = |name: &str| root.path().join(name);
    let recipe = recipe(COMER, &[]);
    let overlaps = learned(&recipe, &sherds, &path("whole"), &mut ()).unwrap().unwrap();
    assert_eq!(overlaps.len(), 48);
    let found = mask_scores(&overlaps, &Resampling::new(0)).unwrap();
    // What a mask of everything, and one of nothing, would score.
    let constant = |predicted: bool| {
        let constant = overlaps.iter().map(|overlap| Overlap {
            both: if predicted { overlap.object } else { 0 },
            predicted: if predicted { overlap.pixels } else { 0 },
            ..*overlap
        });
        mask_scores(&constant.collect::<Vec<_>>(), &Resampling::new(0)).unwrap().mean_iou.value
    };
    let best = constant(true).max(constant(false));
    assert!(found.mean_iou.value > best + 0.15, "{} against {best}", found.mean_iou.value);

    // Ten steps per epoch.
    let stopped = learned(&recipe, &sherds, &path("stopped"), &mut StopAt(25, 0)).unwrap();
    assert_eq!(stopped, None);
    assert_eq!(learned(&recipe, &sherds, &path("stopped"), &mut ()).unwrap().unwrap(), overlaps);
    for file in ["model.safetensors", "checkpoints/last.safetensors"] {
        assert!(bits(&path("whole").join(file)) == bits(&path("stopped").join(file)), "{file}");
    }
}

#[test]
fn what_cannot_be_segmented_gets_a_sentence() {
    let (root, sherds) = (tempfile::tempdir().unwrap(), sherds());
    for (number, (text, overrides, expected)) in [
        (VIT, &["image_size=16", "objective=segmentation"][..], "needs a model that predicts masks"),
        (COMER, &["model.mask_width=0"], "needs a model that predicts masks"),
        (COMER, &["augment.pad_crop=2"], "of `augment` leave out random_resized_crop, pad_crop"),
        (COMER, &["augment.mixup=0.5"], "blend images, of which `segmentation` needs each on its own"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = root.path().join(number.to_string());
        let error = learned(&recipe(text, overrides), &sherds, &folder, &mut ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let halves = common::run(&recipe(COMER, &["image_size=8"]), &root.path().join("halves"), &mut ());
    let error = halves.unwrap_err().to_string();
    assert!(error.contains("needs images whose true mask is known"), "{error}");
}
