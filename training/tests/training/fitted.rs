//! Arrays that are set from training images before the first step: of what images, that nothing moves them, and that a resumed training
//! has the same.

use std::path::Path;

use crate::common::{Halves, StopAt, bits, identity, recipe};
use archaeo_data::{DataError, Image};
use archaeo_models::read_arrays;
use archaeo_training::images::{Batch, ImageSource};
use archaeo_training::{Job, Observer, Outcome, train};
use burn::tensor::Device;

const AIRBENCH: &str = r#"
    image_size = 16
    epochs = 6
    batch_size = 16
    learning_rate = 1.0
    weight_decay = 5e-4
    [model]
    architecture = "airbench"
    widths = [4, 8, 8]
    [optimizer]
    name = "sgd"
    momentum = 0.85
    nesterov = true
"#;

const IMAGES: Enlarged = Enlarged(Halves { count: 200, seed: 1 });

/// [`Halves`] of twice the side.
struct Enlarged(Halves);

impl ImageSource for Enlarged {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        let image = self.0.image(index, epoch)?;
        let pixel = |at: usize| (at / 16 / 2 * 8 + at % 16 / 2) * 3;
        let pixels = (0..256).flat_map(|at| image.pixels()[pixel(at)..][..3].iter().copied());
        Ok(Image::new(16, 16, pixels.collect()))
    }
}

fn run(folder: &Path, observer: &mut dyn Observer) -> Outcome {
    let recipe = recipe(AIRBENCH, &[]);
    let (data, environment) = identity();
    let folder = recipe.runs()[0].open(folder, &data, &environment).unwrap();
    let job = Job {
        recipe: &recipe,
        classes: &data.classes,
        images: &IMAGES,
        validation: &Enlarged(Halves { count: 60, seed: 2 }),
        transfer: None,
        folder: &folder,
        device: &Device::flex(),
        artist: None,
    };
    train(&job, observer).unwrap()
}

#[test]
fn whitening_is_that_of_the_training_images_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let Outcome::Finished(trained) = run(folder.path(), &mut ()) else { panic!("nothing stops it") };
    let last = trained.history.last().unwrap();
    assert!(last.validation_accuracy > 0.6, "{last:?}");
    let (state, _) = read_arrays(&trained.weights).unwrap();
    assert!(state["whiten.bias"].values.iter().any(|value| *value != 0.0), "the bias learns");

    // The covariance of the patches that the first epoch sees, by its definition.
    let all: Vec<usize> = (0..IMAGES.len()).collect();
    let batch = Batch::load(&IMAGES, &all, 0).unwrap();
    let images = trained.model.normalised(batch.tensor(&Device::flex()));
    let pixels: Vec<f32> = images.into_data().try_into_vec().unwrap();
    let mut patches = Vec::new();
    for (image, row, column) in (0..200 * 225).map(|at| (at / 225, at / 15 % 15, at % 15)) {
        let at = |value: usize| {
            let [channel, y, x] = [value / 4, value / 2 % 2, value % 2];
            f64::from(pixels[((image * 3 + channel) * 16 + row + y) * 16 + column + x])
        };
        patches.push(std::array::from_fn::<f64, 12, _>(at));
    }
    let kernels: Vec<Vec<f64>> = state["whiten.weight"]
        .values
        .chunks(12)
        .map(|kernel| kernel.iter().copied().map(f64::from).collect())
        .collect();
    let answers = |kernel: &[f64]| -> Vec<f64> {
        patches.iter().map(|patch| patch.iter().zip(kernel).map(|(a, b)| a * b).sum()).collect()
    };
    let answers: Vec<Vec<f64>> = kernels[..12].iter().map(|kernel| answers(kernel)).collect();
    for (i, j) in (0..12).flat_map(|i| (0..=i).map(move |j| (i, j))) {
        let mean = answers[i].iter().zip(&answers[j]).map(|(a, b)| a * b).sum::<f64>() / patches.len() as f64;
        // 5e-4 is added to the variances.
        let added = 5e-4 * kernels[i].iter().zip(&kernels[j]).map(|(a, b)| a * b).sum::<f64>();
        let expected = f64::from(u8::from(i == j));
        assert!((mean + added - expected).abs() < 1e-3, "{i}, {j}: {mean}");
    }
    assert!(kernels[..12].iter().zip(&kernels[12..]).all(|(a, b)| a.iter().zip(b).all(|(a, b)| *a == -b)));
}

#[test]
fn a_resumed_training_has_the_same_bits() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [whole, parts] = folders.each_ref().map(tempfile::TempDir::path);
    run(whole, &mut ());
    // In the second of six epochs of 12 steps.
    let stopped = run(parts, &mut StopAt(18, 0));
    assert!(matches!(stopped, Outcome::Stopped { epochs: 1 }), "{stopped:?}");
    run(parts, &mut ());
    let weights = |folder: &Path| bits(&folder.join("model.safetensors"));
    assert!(weights(whole) == weights(parts));
}
