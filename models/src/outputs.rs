//! The outputs of a model in another order.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use crate::classifier::Classifier;
use crate::state::{ParameterPath, replaced};

/// Modules and arrays with a row, or a value, for each class.
const HEADS: [&str; 5] = ["head", "head_dist", "fc", "linear", "prototypes"];

impl Classifier {
    /// The same model whose output `i` is what output `order[i]` was; `names` are the outputs' from now on.
    ///
    /// # Panics
    /// If `order` is no permutation of the outputs, or there is not a name for each.
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
        let first = name.split('.').next().unwrap_or_default();
        HEADS.contains(&first) && rows == self.order.len()
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
