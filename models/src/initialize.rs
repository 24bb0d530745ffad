//! Initial values of a model's parameters, each drawn from its own generator, so a layer's values do not depend on the model's
//! other layers.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use crate::state::ParameterPath;
use archaeo_random::{keyed_rng, standard_normal};

/// Initialises a model for training from scratch.
///
/// ViT and Swin as in timm's default: linear weights, positions and position biases from a normal with standard deviation 0.02
/// (timm truncates it, but at a hundred standard deviations), prefix tokens 1e-6, patch projection uniform within `1 / √fan_in`.
/// ResNet as in torchvision: convolutions from He et al.'s normal (2015, equation 14, over the outputs), heads uniform within `1
/// / √fan_in`. EfficientViT as in timm: convolutions uniform within `1 / √fan_in`, the head as ViT's. airbench as in its code:
/// convolutions uniform within `1 / √fan_in`, whose first outputs repeat the inputs instead. ViT-CoMer as ViT, with the points of its deformable attention on rays. Biases are zero, and everything
/// else keeps its initial value.
pub fn initialize<M: Module>(model: M, seed: u64) -> M {
    model.map(&mut Initializer { seed, path: ParameterPath::default(), only: None })
}

/// Initialises the arrays that `only` names anew; those that [`initialize`] does not draw become zero.
pub(crate) fn initialize_only<M: Module>(model: M, seed: u64, only: fn(&str) -> bool) -> M {
    model.map(&mut Initializer { seed, path: ParameterPath::default(), only: Some(only) })
}

struct Initializer {
    seed: u64,
    path: ParameterPath,
    only: Option<fn(&str) -> bool>,
}

/// Distribution of one array's initial values.
enum Fill {
    Normal(f64),
    Uniform(f64),
    /// Uniform, but the first outputs of a convolution, as many as it has inputs, are these.
    Repeating(f64),
    Keep,
}

fn fill_of(name: &str, shape: &[usize]) -> Fill {
    // The image tower of CLIP is a ViT within another model.
    let name = name.strip_prefix("visual.").unwrap_or(name);
    let fan_in = shape.iter().skip(1).product::<usize>() as f64;
    match (name, shape.len()) {
        ("pos_embed" | "text_pos_embed" | "mask_token", _) => Fill::Normal(0.02),
        ("cls_token" | "dist_token" | "reg_token", _) => Fill::Normal(1e-6),
        ("fc.weight" | "linear.weight" | "patch_embed.proj.weight", _) => Fill::Uniform(fan_in.powf(-0.5)),
        _ if name.ends_with(".attention_biases") => Fill::Keep,
        // Deformable attention begins with the points of its biases, all with one share.
        _ if name.ends_with(".sampling_offsets.weight") || name.ends_with(".attention_weights.weight") => {
            Fill::Keep
        }
        (_, 2) => Fill::Normal(0.02),
        (_, 4) if name.starts_with("layers.") => Fill::Repeating(fan_in.powf(-0.5)),
        (_, 4) if name.ends_with(".conv.weight") || name.contains(".se.") => Fill::Uniform(fan_in.powf(-0.5)),
        (_, 4) => Fill::Normal((2.0 / (shape[0] * shape[2] * shape[3]) as f64).sqrt()),
        _ => Fill::Keep,
    }
}

impl ModuleMapper for Initializer {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let shape = param.lazy_shape();
        if self.only.is_some_and(|only| !only(&name)) {
            return param;
        }
        let mut rng = keyed_rng(self.seed, &format!("initial {name}"), 0, 0);
        let fill = fill_of(&name, &shape);
        let mut draw: Box<dyn FnMut() -> f64> = match fill {
            Fill::Keep if self.only.is_none() => return param,
            Fill::Keep => Box::new(|| 0.0),
            Fill::Normal(deviation) => Box::new(move || deviation * standard_normal(&mut rng)),
            Fill::Uniform(bound) | Fill::Repeating(bound) => {
                Box::new(move || bound * (2.0 * rng.random::<f64>() - 1.0))
            }
        };
        let mut values: Vec<f32> = (0..shape.num_elements()).map(|_| draw() as f32).collect();
        if let (Fill::Repeating(_), &[_, inputs, height, width]) = (&fill, &shape[..]) {
            let kernel = height * width;
            for (output, kernels) in values.chunks_exact_mut(inputs * kernel).take(inputs).enumerate() {
                kernels.fill(0.0);
                kernels[output * kernel + kernel / 2] = 1.0;
            }
        }
        crate::state::replaced(param, TensorData::new(values, shape))
    }
}
