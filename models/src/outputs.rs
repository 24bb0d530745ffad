//! The outputs of a model in another order.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use crate::classifier::Classifier;
use crate::initialize::initialize_only;
use crate::state::{ParameterPath, replaced};

/// Modules and arrays with a row, or a value, for each class.
const HEADS: [&str; 5] = ["head", "head_dist", "fc", "linear", "prototypes"];

/// The scale of all logits, which CLIP learns.
const SCALE: &str = "logit_scale";

/// Whether an array belongs to the head: logits follow from the features and these arrays alone.
pub fn is_head(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    (HEADS.contains(&first) || first == SCALE) && !is_norm_of_head(name)
}

/// Whether an array belongs to the norm after the pooling that EfficientViT counts as its head: what it returns are the features.
pub(crate) fn is_norm_of_head(name: &str) -> bool {
    name.starts_with("head.bn.")
}

/// Names of the modules and arrays of heads, for what a checkpoint may lack.
pub fn heads() -> Vec<String> {
    HEADS.iter().chain([&SCALE]).map(|head| (*head).to_owned()).collect()
}

impl Classifier {
    /// The same model with a head drawn anew, as a freshly initialised model of this seed has it; CLIP keeps its scale.
    pub fn with_fresh_head(self, seed: u64) -> Self {
        initialize_only(self, seed, |name| is_head(name) && name != SCALE)
    }

    /// The same model with output `order[i]` as its output `i`, named `names[i]`.
    ///
    /// # Panics
    /// If `order` is not a permutation of the outputs, or there is not one name per output.
    pub fn with_outputs(self, order: &[usize], names: Vec<String>) -> Self {
        let classes = self.card().classes.len();
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..classes), "`order` must have every output once");
        assert_eq!(names.len(), classes, "every output needs a name");
        let in_place = order.iter().enumerate().all(|(place, output)| place == *output);
        let model = match in_place {
            true => self,
            false => self.map(&mut HeadMapper { path: ParameterPath::default(), order }),
        };
        model.renamed(names)
    }
}

struct HeadMapper<'a> {
    path: ParameterPath,
    order: &'a [usize],
}

impl HeadMapper<'_> {
    /// Whether the array reached has a row for each class.
    fn is_of_classes(&self, rows: usize) -> bool {
        let name = self.path.name();
        is_head(&name) && name != SCALE && rows == self.order.len()
    }
}

impl ModuleMapper for HeadMapper<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape().to_vec();
        if !self.is_of_classes(shape[0]) {
            return param;
        }
        let data = param.val().inner().into_data();
        let values = data.try_into_vec::<f32>().expect("parameters are 32-bit floats");
        let row = values.len() / shape[0];
        let reordered: Vec<f32> =
            self.order.iter().flat_map(|&output| values[output * row..][..row].iter().copied()).collect();
        replaced(param, TensorData::new(reordered, shape))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::architectures::NetworkSpec;
    use crate::classifier::ModelCard;
    use crate::pass::Pass;
    use crate::preprocessing::Preprocessing;

    #[test]
    fn logits_follow_the_order_whatever_the_head_is_called() {
        let device = Device::flex();
        let order = [2, 0, 4, 1, 3];
        for (name, side) in [
            ("vit_micro", 32),
            ("resnet_micro", 32),
            ("resnet20_cifar", 32),
            ("deit_tiny_distilled_patch16", 224),
            ("swin_tiny_patch4_window7", 224),
            ("efficientvit_m0", 64),
        ] {
            let network = NetworkSpec::named(name, 5, side).unwrap();
            let classes: Vec<String> = (0..5).map(|class| class.to_string()).collect();
            let card =
                ModelCard { name: name.into(), network, preprocessing: Preprocessing::plain(side), classes };
            let model = Classifier::new(card, 3, &device).unwrap();
            let noise: Vec<f32> = (0..3 * side * side).map(|i| ((i * 7919) % 1009) as f32 / 1009.0).collect();
            let image = Tensor::<4>::from_data(TensorData::new(noise, [1, 3, side, side]), &device);
            let logits = |model: &Classifier| {
                let logits = model.logits(image.clone(), &mut Pass::evaluate(&mut ()));
                logits.into_data().try_into_vec::<f32>().unwrap()
            };
            let before = logits(&model);
            let names = order.map(|output| output.to_string()).to_vec();
            let moved = model.with_outputs(&order, names.clone());
            assert_eq!(moved.card().classes, names);
            assert_eq!(logits(&moved), order.map(|output| before[output]), "{name}");
            assert!(
                before.windows(2).any(|pair| pair[0] != pair[1]),
                "{name} answers the same to all: {before:?}"
            );
        }
    }
}
