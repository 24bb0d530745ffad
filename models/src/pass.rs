//! The arguments of a forward pass besides its images: a probe, a precision, and the training step if it is one.

use archaeo_ops::{BatchMoments, Precision};
use burn::module::ParamId;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use crate::probe::Probe;
use archaeo_random::keyed_rng;

/// One forward pass: a probe, a precision, and the training step it belongs to, if any.
pub struct Pass<'a> {
    /// Sees every site of the pass.
    pub probe: &'a mut dyn Probe,
    /// Precision of matrix products, convolutions and their gradients. A [`Classifier`](crate::Classifier) sets its own.
    pub precision: Precision,
    /// `None` at evaluation: no dropout, no stochastic depth, batch norm with its running moments.
    pub training: Option<&'a mut TrainingStep>,
}

impl<'a> Pass<'a> {
    /// A pass at evaluation, observed by `probe` (`&mut ()` for none).
    pub fn evaluate(probe: &'a mut dyn Probe) -> Self {
        Self { probe, precision: Precision::F32, training: None }
    }

    /// A pass in training, observed by `probe`.
    pub fn train(probe: &'a mut dyn Probe, step: &'a mut TrainingStep) -> Self {
        Self { probe, precision: Precision::F32, training: Some(step) }
    }

    /// The same pass in another precision; the default is f32.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Inverted dropout (Srivastava et al., 2014) on each element with probability `rate`; nothing at evaluation.
    pub(crate) fn dropout<const D: usize>(&self, x: Tensor<D>, rate: f64, stream: &str) -> Tensor<D> {
        match &self.training {
            Some(step) if rate > 0.0 => {
                let shape = x.dims();
                let per_image = shape[1..].iter().product();
                x.clone() * step.survivors(rate, stream, per_image, shape, &x.device())
            }
            _ => x,
        }
    }

    /// Whether anything is dropped at this rate: only in training, and if it is not 0.
    pub(crate) fn drops(&self, rate: f64) -> bool {
        self.training.is_some() && rate > 0.0
    }

    /// Stochastic depth (Huang et al., 2016): drops an image's whole residual branch with probability `rate`; nothing
    /// at evaluation.
    pub(crate) fn drop_path<const D: usize>(&self, branch: Tensor<D>, rate: f64, stream: &str) -> Tensor<D> {
        match &self.training {
            Some(step) if rate > 0.0 => {
                let mut shape = [1; D];
                shape[0] = branch.dims()[0];
                branch.clone() * step.survivors(rate, stream, 1, shape, &branch.device())
            }
            _ => branch,
        }
    }
}

/// One training step: the key of its randomness, and the moments of its batch-norm layers.
#[derive(Debug)]
pub struct TrainingStep {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the step within the run.
    pub step: u64,
    /// Identity of each image of the batch: with seed and step, the key of its random numbers.
    pub images: Vec<u64>,
    /// Filled by the pass, one entry per batch-norm layer.
    pub moments: Vec<LayerMoments>,
}

/// The batch moments of one batch-norm layer, and the running averages they belong to.
#[derive(Debug)]
pub struct LayerMoments {
    /// The layer's `running_mean` parameter.
    pub running_mean: ParamId,
    /// The layer's `running_var` parameter.
    pub running_var: ParamId,
    /// Moments of the batch.
    pub batch: BatchMoments,
}

impl TrainingStep {
    /// A step without moments.
    pub fn new(seed: u64, step: u64, images: Vec<u64>) -> Self {
        Self { seed, step, images, moments: Vec::new() }
    }

    /// Zero where dropped, `1 / (1 − rate)` where kept; `per_image` draws once per image, each from its own generator.
    fn survivors<const D: usize>(
        &self,
        rate: f64,
        stream: &str,
        per_image: usize,
        shape: [usize; D],
        device: &Device,
    ) -> Tensor<D> {
        assert_eq!(
            shape[0],
            self.images.len(),
            "a training step needs one identity for each image of its batch"
        );
        let kept = (1.0 / (1.0 - rate)) as f32;
        let mut values = Vec::with_capacity(per_image * self.images.len());
        for &image in &self.images {
            let mut rng = keyed_rng(self.seed, stream, image, self.step);
            values.extend((0..per_image).map(|_| if rng.random::<f64>() < rate { 0.0 } else { kept }));
        }
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}
