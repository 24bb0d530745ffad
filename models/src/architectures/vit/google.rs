//! The names and axes of the original ViT release (Dosovitskiy et al., 2021: Flax arrays in `.npz`).
//!
//! Dense kernels are `(in, out)`, convolutions `(height, width, in, out)`, and attention heads are a separate axis: `(width,
//! heads, head_dim)` for query, key and value, `(heads, head_dim, width)` for the output.

use crate::names::rules::{Rule, permuted, rename};
use crate::names::without_prefix;
use crate::state::{Array, State};

/// Where an optimiser's or a training framework's file keeps the model.
const WRAPPERS: [&str; 3] = ["opt.target.", "params.img.", "params."];

const RULES: &[Rule] = &[
    ("cls", "cls_token"),
    ("embedding", "patch_embed.proj"),
    ("Transformer.posembed_input.pos_embedding", "pos_embed"),
    ("Transformer.encoderblock_*.LayerNorm_0", "blocks.*.norm1"),
    ("Transformer.encoderblock_*.MultiHeadDotProductAttention_1.query", "blocks.*.attn.query"),
    ("Transformer.encoderblock_*.MultiHeadDotProductAttention_1.key", "blocks.*.attn.key"),
    ("Transformer.encoderblock_*.MultiHeadDotProductAttention_1.value", "blocks.*.attn.value"),
    ("Transformer.encoderblock_*.MultiHeadDotProductAttention_1.out", "blocks.*.attn.proj"),
    ("Transformer.encoderblock_*.LayerNorm_2", "blocks.*.norm2"),
    ("Transformer.encoderblock_*.MlpBlock_3.Dense_0", "blocks.*.mlp.fc1"),
    ("Transformer.encoderblock_*.MlpBlock_3.Dense_1", "blocks.*.mlp.fc2"),
    ("Transformer.encoder_norm", "norm"),
    ("head", "head"),
];

/// Whether these are arrays of the original release: paths of names with slashes.
pub(super) fn recognises(state: &State) -> bool {
    state.keys().any(|name| name.ends_with("embedding/kernel"))
}

/// The arrays with PyTorch's axes and under timm's names, except query, key and value, which stay separate.
pub(super) fn renamed(state: State) -> State {
    let dotted = state.into_iter().map(|(name, array)| (name.replace('/', "."), array)).collect();
    let state = rename(without_prefix(dotted, &WRAPPERS), RULES);
    state.into_iter().map(|(name, array)| turned(name, array)).collect()
}

fn turned(name: String, array: Array) -> (String, Array) {
    let joined = |array: Array, shape: Vec<usize>| Array { shape, ..array };
    if let Some(stem) = name.strip_suffix(".scale") {
        return (format!("{stem}.weight"), array);
    }
    if name.ends_with(".bias") {
        let length = array.values.len();
        return (name, joined(array, vec![length]));
    }
    let Some(stem) = name.strip_suffix(".kernel") else { return (name, array) };
    let array = match *array.shape.as_slice() {
        [width, heads, head_dim] if !stem.ends_with(".proj") => joined(array, vec![width, heads * head_dim]),
        [heads, head_dim, width] => joined(array, vec![heads * head_dim, width]),
        _ => array,
    };
    let turned = match array.shape.len() {
        2 => permuted(&array, &[1, 0]),
        4 => permuted(&array, &[3, 2, 0, 1]),
        _ => array,
    };
    (format!("{stem}.weight"), turned)
}
