//! Probes: small structs that watch or alter one kind of place in a forward pass.

use archaeo_models::{AttentionSite, Classifier, FeatureSite, Pass, Probe, TokenPlace, TokenSite};
use archaeo_ops::{self as ops, in_pool};
use burn::tensor::{Gradients, Tensor, s};

/// A value of a forward pass whose gradient is wanted.
///
/// Gradients of intermediates are not kept. Adding zeros that are a leaf of the gradient graph changes nothing, and the
/// leaf's gradient is the value's. The graph begins at the first tap: nothing before it is differentiated.
#[derive(Clone, Debug)]
pub struct Tap<const D: usize> {
    value: Tensor<D>,
    zeros: Tensor<D>,
}

impl<const D: usize> Tap<D> {
    /// The tap, and the value with which the pass has to go on.
    pub fn new(value: Tensor<D>) -> (Self, Tensor<D>) {
        let zeros = value.clone().inner().zeros_like().autodiff().require_grad();
        (Self { value: value.clone().inner(), zeros: zeros.clone() }, ops::add(value, zeros))
    }

    /// The value itself, outside the gradient graph.
    pub fn value(&self) -> Tensor<D> {
        self.value.clone()
    }

    /// The value's gradient; zeros where nothing depends on it.
    pub fn gradient(&self, gradients: &Gradients) -> Tensor<D> {
        self.zeros.grad(gradients).unwrap_or_else(|| self.value.zeros_like())
    }

    /// Frees the graph that begins here where no gradient was asked for: Burn keeps a graph until a backward pass goes through it, and
    /// the cheapest is that of the zeros alone. What still refers to the graph keeps its part.
    pub fn release(&self) {
        self.zeros.clone().sum().backward();
    }
}

/// Keeps the attention weights of every layer.
#[derive(Debug, Default)]
pub struct AttentionRecorder {
    /// One entry a layer: where, and the weights `[batch, heads, tokens, tokens]`.
    pub layers: Vec<(AttentionSite, Tensor<4>)>,
}

impl Probe for AttentionRecorder {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        self.layers.push((*site, weights.clone()));
        weights
    }
}

/// Keeps the attention weights of every layer, and lets their gradients be read after `backward`.
#[derive(Debug, Default)]
pub struct GradientTap {
    /// One entry a layer: where, and the tapped weights `[batch, heads, tokens, tokens]` of all heads together, or of the heads of
    /// a cascade one by one.
    pub layers: Vec<(AttentionSite, Vec<Tap<4>>)>,
    /// Of the heads of a layer so far.
    cascade: Vec<Tap<4>>,
    /// The residual stream, where it is wanted.
    pub stream: Option<StreamRecorder>,
}

impl Probe for GradientTap {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        if !self.cascade.is_empty() {
            self.layers.push((*site, std::mem::take(&mut self.cascade)));
            return weights;
        }
        let (tap, weights) = Tap::new(weights);
        self.layers.push((*site, vec![tap]));
        weights
    }

    fn cascade_attention(&mut self, _: &AttentionSite, _: usize, weights: Tensor<4>) -> Tensor<4> {
        let (tap, weights) = Tap::new(weights);
        self.cascade.push(tap);
        weights
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        match &mut self.stream {
            Some(stream) => stream.tokens(site, tokens),
            None => tokens,
        }
    }
}

/// Keeps the residual stream before the first block and after every block.
#[derive(Debug, Default)]
pub struct StreamRecorder {
    /// As each block receives it, `[batch, tokens, width]`, outside the gradient graph.
    inputs: Vec<Tensor<3>>,
    /// As the latest block left it.
    output: Option<(TokenSite, Tensor<3>)>,
}

impl StreamRecorder {
    /// Where the last block's output stands, and the stream before the first block and after each one; `None` where no block
    /// was met.
    pub fn finish(mut self) -> Option<(TokenSite, Vec<Tensor<3>>)> {
        let (site, output) = self.output?;
        self.inputs.push(output);
        Some((site, self.inputs))
    }
}

impl Probe for StreamRecorder {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        match site.place {
            TokenPlace::BlockInput => self.inputs.push(tokens.clone().inner()),
            TokenPlace::BlockOutput => self.output = Some((*site, tokens.clone().inner())),
            TokenPlace::BeforeAttention | TokenPlace::AttentionInput | TokenPlace::AfterAttention => {}
        }
        tokens
    }
}

/// Taps the place Grad-CAM looks at: a convolutional network's last feature map, and the input of attention in one block
/// of a transformer.
#[derive(Debug)]
pub struct FeatureTap {
    block: usize,
    /// The last feature map, `[batch, channels, height, width]`, if the network has feature maps.
    pub features: Option<Tap<4>>,
    /// The tokens `[batch, tokens, width]` and where they stand, if it has tokens.
    pub tokens: Option<(TokenSite, Tap<3>)>,
}

impl FeatureTap {
    /// A tap on the last feature map or on the attention's input in transformer block `block`, counted from 0.
    pub fn new(block: usize) -> Self {
        Self { block, features: None, tokens: None }
    }
}

impl Probe for FeatureTap {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.layer != self.block || site.place != TokenPlace::AttentionInput {
            return tokens;
        }
        let (tap, tokens) = Tap::new(tokens);
        self.tokens = Some((*site, tap));
        tokens
    }

    fn features(&mut self, site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        if !site.last {
            return map;
        }
        let (tap, map) = Tap::new(map);
        self.features = Some(tap);
        map
    }
}

/// Keeps what every block receives and what every head gathered: enough to resume the pass anywhere.
#[derive(Debug, Default)]
pub struct BlockRecorder {
    /// One entry a layer: where, and the residual stream `[batch, tokens, width]`.
    pub inputs: Vec<(TokenSite, Tensor<3>)>,
    /// One entry a layer, `[batch, heads, tokens, head_dim]`.
    pub heads: Vec<Tensor<4>>,
}

impl Probe for BlockRecorder {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn heads(&mut self, _: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        self.heads.push(outputs.clone());
        outputs
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.place == TokenPlace::BlockInput {
            self.inputs.push((*site, tokens.clone()));
        }
        tokens
    }
}

/// Keeps the output of the last block of each stage of a convolutional network, and that of its stem.
#[derive(Debug, Default)]
pub struct StageRecorder {
    /// One entry per stage: where, and the feature map `[batch, channels, height, width]`.
    pub stages: Vec<(FeatureSite, Tensor<4>)>,
}

impl Probe for StageRecorder {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn features(&mut self, site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        self.stages.retain(|(kept, _)| kept.stage != site.stage);
        self.stages.push((*site, map.clone()));
        map
    }
}

/// Keeps the feature maps that all blocks of a convolutional network leave, that of its stem left out.
#[derive(Debug, Default)]
pub struct FeatureRecorder {
    maps: Vec<Tensor<4>>,
}

impl FeatureRecorder {
    /// The maps of one pass, block by block, `[batch, channels, height, width]` each.
    pub fn record(model: &Classifier, images: Tensor<4>) -> Vec<Tensor<4>> {
        let mut recorder = Self::default();
        in_pool(|| model.logits(images, &mut Pass::evaluate(&mut recorder)));
        recorder.maps
    }
}

impl Probe for FeatureRecorder {
    fn features(&mut self, site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        if site.stage > 0 {
            self.maps.push(map.clone());
        }
        map
    }
}

/// Puts something else in the place of one head's output.
#[derive(Clone, Debug)]
pub struct HeadReplacement {
    /// Block, counted from 0.
    pub layer: usize,
    /// Head, counted from 0.
    pub head: usize,
    /// What the head says instead, `[batch, 1, tokens, head_dim]`.
    pub output: Tensor<4>,
}

impl Probe for HeadReplacement {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        if site.layer != self.layer {
            return outputs;
        }
        outputs.slice_assign(s![.., self.head..self.head + 1, .., ..], self.output.clone())
    }
}

/// Multiplies every head's output, for each image, by a gate: ones, whose gradients tell what each head is worth to the
/// image.
#[derive(Debug, Default)]
pub struct HeadGate {
    /// Whether gates stand before the next head of a cascade instead of before the projection.
    pub in_cascade: bool,
    /// One entry a layer: the gates of all heads, `[batch, heads, 1, 1]`, or of each head of a cascade, `[batch, 1, 1, 1]`.
    pub gates: Vec<Vec<Tensor<4>>>,
    /// Of the heads of a layer so far.
    cascade: Vec<Tensor<4>>,
}

impl HeadGate {
    /// Gates on the outputs of heads; with `in_cascade` where the next head reads them.
    pub fn new(in_cascade: bool) -> Self {
        Self { in_cascade, ..Self::default() }
    }

    fn gate<const D: usize>(output: &Tensor<D>, heads: usize) -> Tensor<4> {
        let device = output.clone().inner().device();
        Tensor::ones([output.dims()[0], heads, 1, 1], &device).autodiff().require_grad()
    }
}

impl Probe for HeadGate {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn cascade_output(&mut self, _: &AttentionSite, _: usize, output: Tensor<3>) -> Tensor<3> {
        if !self.in_cascade {
            return output;
        }
        let gate = Self::gate(&output, 1);
        self.cascade.push(gate.clone());
        output * gate.squeeze_dim::<3>(3)
    }

    fn heads(&mut self, _: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        if !self.cascade.is_empty() {
            self.gates.push(std::mem::take(&mut self.cascade));
            return outputs;
        }
        let gate = Self::gate(&outputs, outputs.dims()[1]);
        self.gates.push(vec![gate.clone()]);
        outputs * gate
    }
}
