//! The CPU operations that dominate archaeo's run time: slices and strides in, slices out.
//!
//! Everything is `f32`, but products may round their operands to bfloat16 ([`Precision`]), and values between a convolution and
//! its batch norm may be stored as bfloat16 ([`Stored`]). The instructions are chosen at run time ([`Level`]), the threads are
//! those of the current rayon pool, and no result depends on their number, nor an image's forward result on its batch. Outputs
//! are slices that the caller allocates. Shapes are checked: a mismatch is a programming error and panics with a sentence.
#![allow(unsafe_code, reason = "vector instructions, unchecked inner loops; the only crate that may")]

mod activation;
mod allocator;
mod attention;
mod batch_norm;
mod convolution;
mod elementwise;
mod gemm;
mod heads;
mod level;
mod linear;
mod math;
mod matrix;
mod mlp;
mod norm;
mod optimizer;
mod parallel;
mod patches;
mod peak;
mod pool;
mod reduce;
mod rows;
mod scratch;
mod simd;
mod softmax;
mod stored;
mod strided;
mod transpose;

pub use activation::{Activation, activation_backward, activation_forward, swiglu_backward, swiglu_forward};
pub use allocator::{MiMalloc, keep_freed_memory, peak_memory, return_freed_memory, unspecified};
pub use attention::{
    AttentionSums, HeadSums, Observation, ScoreBias, attention_backward, attention_context,
    attention_context_backward, attention_forward, attention_observed, attention_weights,
    attention_weights_backward, observe_weights,
};
pub use batch_norm::{
    BatchNormGradients, BatchStatistics, ChannelEpilogue, ChannelShape, ReluMask, batch_norm_backward,
    batch_norm_forward, scale_shift_backward,
};
pub use convolution::{
    Convolution, ConvolutionEpilogue, Filters, PackedFilters, convolution_forward,
    convolution_input_gradient, convolution_weight_gradient,
};
pub use elementwise::{add, add_assign, add_backward, standardise, standardise_backward};
pub use gemm::{Epilogue, gemm};
pub use heads::{Heads, HeadsMut, HeadsShape};
pub use level::{Level, with_level};
pub use linear::{
    PackedWeight, Weight, WeightLayout, WeightUse, linear_forward, linear_input_gradient,
    linear_weight_gradient,
};
pub use matrix::{Matrix, MatrixMut};
pub use mlp::{Layer, mlp_forward};
pub use norm::{layer_norm_backward, layer_norm_forward};
pub use optimizer::{AdamW, Sgd, adamw_step, sgd_step};
pub use parallel::enter;
pub use patches::{Patches, patches_backward, patches_forward};
pub use peak::multiply_add_burst;
pub use pool::{Pooling, max_pool_backward, max_pool_forward, mean_pool_backward, mean_pool_forward};
pub use reduce::sum_of_parts;
pub use rows::gather_rows;
pub use softmax::{softmax_backward, softmax_forward};
pub use stored::{Bf16, Stored};
pub use strided::copy_strided;

/// Precision to which the operands of a matrix product are rounded; sums are always `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Not at all.
    #[default]
    F32,
    /// bfloat16, 8 significant bits, rounded to nearest even.
    Bf16,
}

#[cfg(test)]
mod reference;
