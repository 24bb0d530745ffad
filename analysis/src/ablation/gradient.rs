//! What each attention head is worth to the loss, by gradient (Michel et al., 2019, equation 2).

use archaeo_models::{Classifier, Pass};
use archaeo_ops as ops;
use burn::tensor::Tensor;

use super::RemovalPoint;
use crate::AnalysisError;
use crate::probes::HeadGate;
use crate::tensors::{class_indices, values};

/// |∂L/∂ξ| of each image's cross-entropy L at a gate ξ = 1 on the output of each head: `[layer][head][image]`. The
/// importance of a head is the mean over images, to first order what the loss changes when the head is taken away.
///
/// Where heads form a cascade, the gate stands at `point`. Every image has gates of its own, so that one backward pass serves all images, heads and layers.
///
/// # Errors
/// A model without attention.
///
/// # Panics
/// If there is not one label an image, or a label is not among the classes.
pub fn gradient_importance(
    model: &Classifier,
    images: Tensor<4>,
    labels: &[usize],
    point: RemovalPoint,
) -> Result<Vec<Vec<Vec<f64>>>, AnalysisError> {
    let batch = images.dims()[0];
    let mut probe = HeadGate::new(point.of(model) == RemovalPoint::Output);
    let logits = model.logits(images, &mut Pass::evaluate(&mut probe));
    if probe.gates.is_empty() {
        return Err(AnalysisError::NoAttention { model: model.card().name.clone() });
    }
    let targets = class_indices(labels, &logits);
    let gradients = ops::per_image_cross_entropy(logits, targets).sum().backward();
    let per_gate = |gate: Tensor<4>| -> Vec<Vec<f64>> {
        let heads = gate.dims()[1];
        let slopes = gate.grad(&gradients).map_or_else(|| vec![0.0; batch * heads], values);
        (0..heads)
            .map(|head| (0..batch).map(|image| f64::from(slopes[image * heads + head].abs())).collect())
            .collect()
    };
    let per_layer = |gates: Vec<Tensor<4>>| gates.into_iter().flat_map(per_gate).collect();
    Ok(probe.gates.into_iter().map(per_layer).collect())
}

#[cfg(test)]
mod tests {
    use archaeo_models::{AttentionSite, Probe};

    use super::*;
    use crate::testing::{Fixture, efficientvit, images_of, with_head_scaled};

    #[test]
    fn gradients_are_pytorchs() {
        let fixture = Fixture::load();
        let found =
            gradient_importance(&fixture.vit(), fixture.images(), &fixture.targets(), RemovalPoint::Output)
                .unwrap();
        // (layers, images, heads)
        for (index, &expected) in fixture.values("head_gradient").iter().enumerate() {
            let (found, expected) = (found[index / 12][index % 4][index / 4 % 3], f64::from(expected));
            assert!((found - expected).abs() < 2e-5 * expected.max(1.0), "{found}, not {expected}");
        }
    }

    /// One head's output times a constant.
    struct Scaled(usize, usize, f64);

    impl Probe for Scaled {
        fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
            if site.layer != self.0 {
                return outputs;
            }
            let here = burn::tensor::s![.., self.1..self.1 + 1, .., ..];
            let scaled = outputs.clone().slice(here) * self.2;
            outputs.slice_assign(here, scaled)
        }
    }

    /// In an EfficientViT, by changing the arrays that a head's values, or its columns of the projection, follow from.
    #[test]
    fn gates_of_a_cascade_stand_before_the_next_head_or_before_the_projection() {
        let (model, images, labels) = (efficientvit(), images_of(2, 48), [3, 1]);
        let losses = |model: &Classifier| {
            let logits = model.logits(images.clone(), &mut Pass::evaluate(&mut ()));
            crate::statistics::Predictions::new(&values(logits), 5, &labels).unwrap().nll()
        };
        for point in [RemovalPoint::Output, RemovalPoint::Contribution] {
            let found = gradient_importance(&model, images.clone(), &labels, point).unwrap();
            assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 3]);
            for (layer, head, of_head) in heads_of(&found) {
                let gated = |factor| losses(&with_head_scaled(&model, (layer, head), point, factor));
                let (above, at, below) = (gated(1.0005), gated(1.0), gated(0.9995));
                for (image, found) in of_head.iter().enumerate() {
                    // Next to the gate may lie the kink of a ReLU: the gradient is the slope on one side of it.
                    let sides = [above[image] - at[image], at[image] - below[image]];
                    let slopes = sides.map(|change| (change / 0.0005).abs());
                    assert!(
                        slopes.iter().any(|slope| (slope - found).abs() < 1e-2 * (0.1 + slope)),
                        "{point:?} {layer} {head}: {found}, not {slopes:?}"
                    );
                }
            }
        }
    }

    fn heads_of(found: &[Vec<Vec<f64>>]) -> impl Iterator<Item = (usize, usize, &Vec<f64>)> {
        let of_layer = |(layer, heads): (usize, &'_ Vec<Vec<f64>>)| (layer, heads.len());
        let places: Vec<(usize, usize)> = found.iter().enumerate().map(of_layer).collect();
        places
            .into_iter()
            .flat_map(move |(layer, heads)| (0..heads).map(move |head| (layer, head, &found[layer][head])))
    }

    #[test]
    fn gradients_are_finite_differences_of_a_gate() {
        let fixture = Fixture::load();
        let (vit, labels) = (fixture.vit(), fixture.targets());
        let losses = |layer, head, gate| {
            let logits = vit.logits(fixture.images(), &mut Pass::evaluate(&mut Scaled(layer, head, gate)));
            crate::statistics::Predictions::new(&values(logits), 5, &labels).unwrap().nll()
        };
        let found = gradient_importance(&vit, fixture.images(), &labels, RemovalPoint::Output).unwrap();
        for (layer, heads) in found.iter().enumerate() {
            for (head, images) in heads.iter().enumerate() {
                let (above, below) = (losses(layer, head, 1.01), losses(layer, head, 0.99));
                for (image, found) in images.iter().enumerate() {
                    let slope = ((above[image] - below[image]) / 0.02).abs();
                    assert!(
                        (slope - found).abs() < 2e-3 * (1.0 + slope),
                        "{layer} {head}: {found}, not {slope}"
                    );
                }
            }
        }
    }
}
