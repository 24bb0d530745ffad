//! Vision Transformers and residual networks with one observable forward pass.
//!
//! A [`Classifier`] maps images in [0, 1] to logits. Its one forward pass takes a [`Pass`], which carries a [`Probe`] that
//! observes (and may alter) attention, tokens and feature maps, and, in training, a [`TrainingStep`]. The models know nothing
//! about what probes are for.

pub mod architectures;
mod attention;
mod catalogue;
pub mod checkpoint;
mod classifier;
mod depth;
mod describe;
mod export;
mod flops;
mod forward;
mod initialize;
mod layers;
mod memory;
mod names;
mod nearest;
mod outputs;
mod pass;
mod patches;
mod position_bias;
mod preprocessing;
mod probe;
mod read_out;
mod recompute;
mod spec;
mod state;
mod transformer;
mod window;

pub use architectures::airbench::{Airbench, AirbenchConfig, ConvGroup, Whitening};
pub use architectures::beit::{Beit, BeitAttention, BeitBlock, BeitConfig};
pub use architectures::cct::{Cct, CctConfig};
pub use architectures::clip;
pub use architectures::efficientvit::{
    CascadedGroupAttention, ChannelLinear, ConvMlp, ConvNorm, EfficientVit, EfficientVitBlock,
    EfficientVitConfig, EfficientVitDownsample, EfficientVitHead, EfficientVitPatchEmbed, EfficientVitStage,
    LocalWindowAttention, Mixer, PatchMerge, Relu, Residual as ResidualBranch, SqueezeExcite,
};
pub use architectures::resnet::{BranchKind, Downsample, ResNet, ResNetConfig, ResidualBlock, Stem};
pub use architectures::resnet_cifar::{CifarBlock, CifarResNet, CifarResNetConfig};
pub use architectures::swin::{
    PatchMerging, Swin, SwinBlock, SwinConfig, SwinHead, SwinPatchEmbed, SwinStage, WindowAttention,
    merged_tokens,
};
pub use architectures::vit::{Pooling, Position, PositionResampling, Vit, VitConfig, sine_positions};
pub use architectures::vit_comer::{
    ComerStage, ComerStem, DeformableAttention, DepthwiseConv, Grids, MaskHead, Mrfp, PyramidAttention,
    PyramidMlp, ReceptiveFields, ToVit, Upsample, VitComer, VitComerConfig,
};
pub use architectures::{Network, NetworkSpec};
pub use attention::{MultiHeadAttention, scaled_dot_product_attention};
pub use catalogue::{Usual, usual};
pub use checkpoint::{
    ArrayView, Checkpoint, LoadOptions, ReadOptions, TrainingCode, WeightsError, load, read_arrays,
    read_card, save, write_arrays,
};
pub use classifier::{Classifier, ModelCard};
pub use depth::Depths;
pub use describe::{DescribeError, Described, ModelRequest};
pub use export::{Library, configuration, export, write_configuration};
pub use forward::{ForwardPass, Residual, Segmentation, Tokens, Transformer};
pub use initialize::initialize;
pub use layers::{BatchNorm2d, Conv2d, FoldedConvolution, LayerNorm, Linear};
pub use memory::{TooLarge, check_memory};
pub use nearest::nearest;
pub use outputs::{heads, is_head};
pub use pass::{LayerMoments, Pass, TrainingStep};
pub use patches::{PatchEmbed, PatchProjection};
pub use preprocessing::{
    CLIP_MOMENTS, Fit, IMAGENET_MOMENTS, Interpolation, Origin, Preprocessing, PreprocessingChoice,
    SourcedPreprocessing,
};
pub use probe::{AttentionSite, FeatureSite, Probe, TokenPlace, TokenSite};
pub use read_out::{PrefixTokens, ReadOut};
pub use spec::SpecError;
pub use state::{Array, Mismatch, ParameterPath, State, shapes_of, state_of, with_state};
pub use transformer::{Block, BlockConfig, FeedForward, LayerScale, Mlp};
pub use window::{Window, WindowPadding};
