//! How deep each array of a model lies: what learning rates that decay by layer, and frozen layers, are counted by.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::classifier::Classifier;
use crate::outputs::{is_head, is_norm_of_head};
use crate::state::{ParameterPath, shapes_of};

/// The layer of each array: 0 for everything before the first block, 1 to `blocks` for the blocks, and `blocks + 1` for the head.
///
/// These are the layers of timm's `param_groups_layer_decay`, which go back to BEiT's fine-tuning code (Bao et al., 2022, appendix
/// F). As there, blocks are counted through all stages, a downsampling belongs to the block after it, the norm after the
/// last block to that block, and a norm after the pooling (`fc_norm`, `head.bn`) to the head. Unlike there, register tokens
/// and a norm before the first block belong to layer 0: timm gives the former the rate of the head, the latter that of the last
/// block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depths {
    layers: BTreeMap<String, usize>,
    blocks: usize,
}

/// A field before the block's number, such as `blocks` in `blocks.3.norm1.weight`.
fn holds_blocks(field: &str) -> bool {
    matches!(field, "blocks" | "layers" | "stages")
}

/// Stage and block of an array, or the block alone; a downsampling, which has the stage alone, comes with its first block.
fn block_of(name: &str) -> Option<[usize; 2]> {
    let mut numbers = Vec::new();
    for field in name.split('.') {
        match field.parse().or_else(|_| field.strip_prefix("layer").unwrap_or(field).parse()) {
            Ok(number) => numbers.push(number),
            Err(_) if holds_blocks(field) => {}
            Err(_) => break,
        }
    }
    match numbers[..] {
        [] => None,
        [stage] => Some([stage, 0]),
        [stage, block, ..] => Some([stage, block]),
    }
}

impl Depths {
    /// The layer of every array of `model`.
    pub fn of<M: Module>(model: &M) -> Self {
        Self::of_names(shapes_of(model).into_keys())
    }

    fn of_names(names: impl Iterator<Item = String>) -> Self {
        // The image tower of CLIP is a ViT within another model.
        let short = |name: &str| name.strip_prefix("visual.").unwrap_or(name).to_owned();
        let names: Vec<String> = names.collect();
        let blocks: BTreeSet<[usize; 2]> = names.iter().filter_map(|name| block_of(&short(name))).collect();
        let layer = |name: &str| match block_of(name) {
            Some(block) => 1 + blocks.range(..block).count(),
            None if is_head(name) || is_norm_of_head(name) || name.starts_with("fc_norm.") => {
                blocks.len() + 1
            }
            None if name.starts_with("norm.") || name.starts_with("visual_projection.") => blocks.len(),
            None => 0,
        };
        let layers = names.iter().map(|name| (name.clone(), layer(&short(name)))).collect();
        Self { layers, blocks: blocks.len() }
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The layer of an array; `None` if the model does not have it.
    pub fn layer(&self, name: &str) -> Option<usize> {
        self.layers.get(name).copied()
    }

    /// Every array with its layer, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.layers.iter().map(|(name, layer)| (name.as_str(), *layer))
    }
}

impl Classifier {
    /// The same model with the arrays called `names` frozen: no gradient is computed for them, none is passed on to what only leads
    /// to frozen arrays, and a batch norm with frozen arrays uses its running moments in training too.
    pub fn frozen(self, names: &BTreeSet<String>) -> Self {
        self.map(&mut Freezer { path: ParameterPath::default(), names })
    }

    /// The lowest layer with an array that is trained; `None` if none is. On a device without autodiff none is.
    pub fn first_trained_layer(&self) -> Option<usize> {
        let mut trained = Trained { path: ParameterPath::default(), names: Vec::new() };
        self.visit(&mut trained);
        let depths = Depths::of(self);
        trained.names.iter().filter_map(|name| depths.layer(name)).min()
    }
}

struct Freezer<'a> {
    path: ParameterPath,
    names: &'a BTreeSet<String>,
}

impl ModuleMapper for Freezer<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.names.contains(&self.path.name()) {
            true => param.set_require_grad(false),
            false => param,
        }
    }
}

struct Trained {
    path: ParameterPath,
    names: Vec<String>,
}

impl ModuleVisitor for Trained {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.names.push(self.path.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::NetworkSpec;

    /// timm's scale of every parameter at a decay of ½, by model.
    type Scales = BTreeMap<String, BTreeMap<String, f64>>;

    #[test]
    fn layers_are_those_that_timm_groups_parameters_by() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/layer_scales.json");
        let scales: Scales = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(scales.len(), 6);
        for (model, scales) in scales {
            let depths = Depths::of_names(scales.keys().cloned());
            for (name, scale) in scales {
                let away = depths.blocks() + 1 - depths.layer(&name).unwrap();
                assert_eq!(0.5f64.powi(away as i32), scale, "{model}: {name}");
            }
        }
    }

    #[test]
    fn every_architecture_has_a_stem_blocks_and_a_head() {
        for name in NetworkSpec::names() {
            let network =
                NetworkSpec::named(&name, 10, crate::usual(&name).preprocessing.image_size).unwrap();
            let arrays = network.arrays().unwrap();
            let depths = Depths::of_names(arrays.into_iter().map(|(name, _)| name));
            if network.attention_layers() > 0 {
                assert_eq!(depths.blocks(), network.attention_layers(), "{name}");
            }
            let found: BTreeSet<usize> = depths.iter().map(|(_, layer)| layer).collect();
            assert!(found.into_iter().eq(0..depths.blocks() + 2), "{name}");
            let heads = depths.iter().filter(|(array, _)| is_head(array)).count();
            assert!((1..=4).contains(&heads), "{name}: {heads} arrays of the head");
        }
    }

    #[test]
    fn where_timm_differs_tokens_and_norms_before_the_blocks_belong_to_the_stem() {
        let names = ["reg_token", "norm_pre.weight", "blocks.0.norm1.weight", "blocks.1.norm1.weight"];
        let depths = Depths::of_names(names.map(String::from).into_iter());
        assert_eq!(names.map(|name| depths.layer(name).unwrap()), [0, 0, 1, 2]);
    }
}
