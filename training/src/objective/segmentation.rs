//! Segmentation: which pixels belong to the object that an image shows, learned from its true mask.
//!
//! The loss is the binary cross-entropy of every pixel. A model learns it whose network has a head for masks
//! ([`Classifier::has_masks`]), such as a ViT-CoMer with `mask_width`. Labels train the classifier's head alone, on features that nothing
//! else of it changes ([`Student::learn_without_labels`]).

use archaeo_models::{Classifier, Pass};
use archaeo_ops::relu;
use burn::tensor::Tensor;
use toml::Table;

use super::simclr::refuse_mixing;
use super::{Begun, Examples, NoOptions, Objective, ObjectiveKind, options};
use crate::backward::{Share, Student};
use crate::{Job, RecipeError, TrainError};

pub(super) static SEGMENTATION: ObjectiveKind = ObjectiveKind {
    id: "segmentation",
    title: "which pixels belong to the object, from its true mask",
    of_features: false,
    weights: &[],
    check: |table| options::<NoOptions>(table).map(drop),
    begin,
};

struct Segmentation;

fn begin(_: &Table, job: &Job, model: &Classifier) -> Begun {
    let refuse = |sentence: &str| Err(RecipeError::Value(sentence.into()).into());
    refuse_mixing("segmentation", job)?;
    if !model.has_masks() {
        return refuse(
            "`segmentation` needs a model that predicts masks: a section [model] with architecture = \"vit-comer\" and a `mask_width`, \
             as in `archaeo configs sherds-vit-comer`",
        );
    }
    if !job.recipe.augment.keeps_places() {
        return refuse(
            "`segmentation` mirrors masks with their images and moves them in no other way; of `augment` leave out random_resized_crop, \
             pad_crop, rand_augment and erasing",
        );
    }
    for images in [job.images, job.validation] {
        if images.mask(0, 0)?.is_none() {
            return refuse(
                "`segmentation` needs images whose true mask is known, such as Sherds, or pictures of masks in a folder `masks/` next to the \
                 images",
            );
        }
    }
    Ok(Box::new(Segmentation))
}

impl Objective for Segmentation {
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError> {
        let masks = examples.masks()?;
        let Examples { images, targets, .. } = examples;
        Ok(student.learn_without_labels(images, targets, |model, images, step| {
            let answer = model.masks(images, &mut Pass::train(&mut (), step));
            let (logits, features) = answer.expect("the model was seen to predict masks");
            (binary_cross_entropy(logits, masks), features)
        }))
    }

    fn guessing(&self, _: usize) -> f64 {
        std::f64::consts::LN_2
    }
}

/// Mean over pixels of `−y ln σ(x) − (1 − y) ln(1 − σ(x))`, as `max(x, 0) − x y + ln(1 + e^−|x|)`, which does not overflow.
///
/// # Shapes
/// `logits` and `masks` (0 or 1) `[batch, height, width]` → `[1]`
fn binary_cross_entropy(logits: Tensor<3>, masks: Tensor<3>) -> Tensor<1> {
    let softened = (logits.clone().abs() * -1.0).exp().log1p();
    (relu(logits.clone()) - logits * masks + softened).mean()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn loss_and_gradient_are_those_of_the_closed_form() {
        let device = Device::flex().autodiff();
        let (x, y) = ([-200.0f32, -1.5, 0.25, 3.0, 90.0, 0.5], [1.0f32, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let tensor =
            |values: [f32; 6]| Tensor::<3>::from_data(TensorData::new(values.to_vec(), [1, 2, 3]), &device);
        let logits = tensor(x).require_grad();
        let loss = binary_cross_entropy(logits.clone(), tensor(y));
        let exact = |(x, y): (f32, f32)| {
            let (x, y) = (f64::from(x), f64::from(y));
            // ln(1 + eˣ) is x itself where eˣ is huge.
            let softplus = if x > 40.0 { x } else { x.exp().ln_1p() };
            (softplus - x * y, 1.0 / (1.0 + (-x).exp()) - y)
        };
        let expected: Vec<(f64, f64)> = x.into_iter().zip(y).map(exact).collect();
        let mean = expected.iter().map(|pair| pair.0).sum::<f64>() / 6.0;
        let found = f64::from(loss.clone().into_scalar::<f32>());
        assert!((found - mean).abs() < 1e-5 * mean, "{found}, not {mean}");
        let gradient = logits.grad(&loss.backward()).unwrap().into_data().try_into_vec::<f32>().unwrap();
        for (found, (_, exact)) in gradient.into_iter().zip(expected) {
            assert!((f64::from(found) - exact / 6.0).abs() < 1e-6, "{found}, not {}", exact / 6.0);
        }
    }
}
