//! Cost of a forward pass, in closed form from the sizes.
//!
//! Counted are the multiply-adds of convolutions, dense layers and the two products of attention, each once: the usual
//! meaning of "FLOPs" in papers and of GMACs in timm's tables. Norms, activations, softmax and pooling are left out; for common
//! models they add less than one per cent.

/// Blocks of full attention over `tokens`: projections, both products, and an MLP with `mlp` weights in total.
pub(crate) fn blocks(depth: usize, tokens: usize, width: usize, mlp: usize) -> u64 {
    let [depth, tokens, width, mlp] = [depth, tokens, width, mlp].map(|size| size as u64);
    depth * tokens * (4 * width * width + mlp) + attention_products(depth, tokens, width)
}

/// The two products of full attention, which grow with the square of the tokens: queries with keys, weights with values.
pub(crate) fn attention_products(depth: u64, tokens: u64, width: u64) -> u64 {
    depth * 2 * tokens * tokens * width
}

/// The projection of `grid` by `grid` patches.
pub(crate) fn patches(grid: usize, patch_size: usize, width: usize) -> u64 {
    (grid * grid * 3 * patch_size * patch_size) as u64 * width as u64
}

/// A square convolution to `side` by `side` outputs.
pub(crate) fn convolution(side: u64, kernel: u64, inputs: u64, outputs: u64) -> u64 {
    side * side * kernel * kernel * inputs * outputs
}
