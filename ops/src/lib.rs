//! The operations that models call, with gradients, on any device.
//!
//! One function per operation, named and shaped as in PyTorch (`weight` of a linear layer is `[out, in]`), so that a checkpoint's
//! arrays are used as stored. Models call these functions, and only these functions decide how the work is done on the device at
//! hand.

mod attention;
mod convolution;
mod dense;
mod images;
mod kernels;
mod loss;
mod normalization;
mod precision;
mod rows;

/// Optimizer steps on plain numbers, which need no tensors.
pub use archaeo_kernels::{AdamW, Sgd, adamw_step, sgd_step};
/// What is gathered of attention weights that are not written ([`observed_self_attention`]).
pub use archaeo_kernels::{AttentionSums, HeadSums, Observation};
/// The allocator that suits tensors, for programs, and what work took of it.
pub use archaeo_kernels::{MiMalloc, keep_freed_memory, peak_memory, return_freed_memory};
pub use attention::{
    attention_context, attention_weights, observed_self_attention, self_attention, self_attention_context,
    self_attention_weights,
};
pub use convolution::{Convolution, conv2d, global_mean_pool, max_pool2d};
pub use dense::{MlpActivation, add, gelu, linear, linear_onto, mlp, quick_gelu, relu, swiglu};
pub use images::{patches, standardise};
pub use loss::{cross_entropy, per_image_cross_entropy, soft_cross_entropy};
pub use normalization::{
    BatchMoments, ChannelEpilogue, batch_norm, batch_norm_train, conv2d_batch_norm, conv2d_batch_norm_train,
    layer_norm,
};
pub use precision::{Precision, in_pool};
pub use rows::gather_rows;
