//! What methods look at: the passes of one model over one batch of images, each made once, when it is first asked for.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use archaeo_models::{AttentionSite, Classifier, Network, Pass, Probe, TokenSite};
use archaeo_ops::in_pool;
use burn::tensor::Tensor;

use crate::answers::predicted_classes;
use crate::attention::{AttentionMaps, target_score};
use crate::probes::{AttentionRecorder, FeatureTap, GradientTap, StreamRecorder, Tap};
use crate::tensors::values;
use crate::{AnalysisError, Keys};

/// One model and one batch of images, with what was computed of them so far.
///
/// Two passes serve most methods: one that taps the last spatial representation, which also gives the logits; and one for the
/// gradients at the attention weights and at the pixels, which keeps the weights and the residual stream too. What is asked for
/// alone, and first, takes a smaller pass of its own. Gradients belong to the classes they were asked for, and only the latest are
/// kept. Methods that look at other images than the batch's make passes of their own.
pub struct Evidence<'a> {
    model: &'a Classifier,
    images: Tensor<4>,
    keys: Keys<'a>,
    passes: Cell<usize>,
    features: OnceCell<FeaturePass>,
    feature_gradients: Latest<Tensor<4>>,
    attention: OnceCell<AttentionMaps>,
    attention_gradients: Latest<AttentionMaps>,
    pixel_gradients: Latest<Tensor<4>>,
    stream: OnceCell<Stream>,
}

/// A transformer's residual stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Before the first block and after each, `[batch, tokens, width]`.
    pub tokens: Vec<Tensor<3>>,
    /// Patch tokens as rows and columns.
    pub grid: [usize; 2],
    /// Tokens before the first patch.
    pub prefix_tokens: usize,
}

/// What was computed last, and for which classes.
type Latest<T> = RefCell<Option<(Vec<usize>, Rc<T>)>>;

/// A pass that tapped the last spatial representation.
struct FeaturePass {
    tap: SpatialTap,
    /// `(batch, classes)`, row by row.
    plain: Vec<f32>,
    /// With the graph that goes back to the tap, until it is used.
    logits: RefCell<Option<Tensor<2>>>,
}

enum SpatialTap {
    Maps(Tap<4>),
    Tokens(TokenSite, Tap<3>),
}

impl Drop for FeaturePass {
    fn drop(&mut self) {
        if self.logits.take().is_some() && !std::thread::panicking() {
            match &self.tap {
                SpatialTap::Maps(tap) => tap.release(),
                SpatialTap::Tokens(_, tap) => tap.release(),
            }
        }
    }
}

impl<'a> Evidence<'a> {
    /// Nothing is computed yet. `images` are `[batch, 3, height, width]` in [0, 1].
    ///
    /// # Panics
    /// If there is not one key for each image.
    pub fn new(model: &'a Classifier, images: Tensor<4>, keys: Keys<'a>) -> Self {
        assert_eq!(images.dims()[0], keys.images.len(), "one key for each image is needed");
        Self {
            model,
            images,
            keys,
            passes: Cell::new(0),
            features: OnceCell::new(),
            feature_gradients: RefCell::default(),
            attention: OnceCell::new(),
            attention_gradients: RefCell::default(),
            pixel_gradients: RefCell::default(),
            stream: OnceCell::new(),
        }
    }

    /// The model.
    pub fn model(&self) -> &Classifier {
        self.model
    }

    /// The images, `[batch, 3, height, width]` in [0, 1].
    pub fn images(&self) -> &Tensor<4> {
        &self.images
    }

    /// The key of random numbers.
    pub fn keys(&self) -> Keys<'a> {
        self.keys
    }

    /// Logits, `(batch, classes)` row by row.
    pub fn logits(&self) -> &[f32] {
        &self.feature_pass().plain
    }

    /// The class of each image's largest logit.
    ///
    /// # Errors
    /// A model without a head.
    pub fn predicted(&self) -> Result<Vec<usize>, AnalysisError> {
        Ok(predicted_classes(self.logits(), self.classes()?))
    }

    /// The last spatial representation, `[batch, channels, height, width]`: a convolutional network's last feature map, or
    /// what enters the attention of a transformer's last block, without prefix tokens. Under a head that reads the class token,
    /// nothing after that has a gradient at the patches.
    pub fn features(&self) -> Tensor<4> {
        match &self.feature_pass().tap {
            SpatialTap::Maps(tap) => tap.value(),
            SpatialTap::Tokens(site, tap) => on_grid(site, tap.value()),
        }
    }

    /// The gradients at [`Evidence::features`] of each image's logit of its class.
    ///
    /// # Errors
    /// A model without a head.
    ///
    /// # Panics
    /// If `targets` does not name a class for each image.
    pub fn feature_gradients(&self, targets: &[usize]) -> Result<Rc<Tensor<4>>, AnalysisError> {
        self.classes()?;
        Ok(latest(&self.feature_gradients, targets, || {
            let first = self.feature_pass();
            let again;
            let (tap, logits) = match first.logits.take() {
                Some(logits) => (&first.tap, logits),
                // `backward` consumes the graph: for other classes it takes another pass.
                None => {
                    again = self.tap_features();
                    (&again.tap, again.logits.take().expect("a pass that was just made has its graph"))
                }
            };
            let gradients = target_score(logits, targets).backward();
            match tap {
                SpatialTap::Maps(tap) => tap.gradient(&gradients),
                SpatialTap::Tokens(site, tap) => on_grid(site, tap.gradient(&gradients)),
            }
        }))
    }

    /// The attention weights of every layer.
    ///
    /// # Errors
    /// A model without attention.
    pub fn attention(&self) -> Result<&AttentionMaps, AnalysisError> {
        self.require_attention()?;
        Ok(self.attention.get_or_init(|| {
            let mut recorder = AttentionRecorder::default();
            self.pass(&mut recorder);
            self.gathered(recorder.layers)
        }))
    }

    /// The gradients at the attention weights of each image's logit of its class.
    ///
    /// # Errors
    /// A model without attention or without a head.
    ///
    /// # Panics
    /// If `targets` does not name a class for each image.
    pub fn attention_gradients(&self, targets: &[usize]) -> Result<Rc<AttentionMaps>, AnalysisError> {
        self.require_attention()?;
        self.classes()?;
        Ok(latest(&self.attention_gradients, targets, || {
            let stream = self.has_one_stream().then(StreamRecorder::default);
            let mut tap = GradientTap::default();
            tap.stream = stream;
            let (pixels, images) = Tap::new(self.images.clone());
            let gradients = target_score(self.pass_of(images, &mut tap), targets).backward();
            latest(&self.pixel_gradients, targets, || pixels.gradient(&gradients));
            if let Some(stream) = tap.stream.take().and_then(gathered_stream) {
                self.stream.get_or_init(|| stream);
            }
            let of_layers = |of: &dyn Fn(&Tap<4>) -> Tensor<4>| {
                let heads = |taps: &[Tap<4>]| Tensor::cat(taps.iter().map(of).collect(), 1);
                self.gathered(tap.layers.iter().map(|(site, taps)| (*site, heads(taps))).collect())
            };
            self.attention.get_or_init(|| of_layers(&Tap::value));
            of_layers(&|tap| tap.gradient(&gradients))
        }))
    }

    /// The gradients at the pixels, in [0, 1], of each image's logit of its class, `[batch, 3, height, width]`.
    ///
    /// # Errors
    /// A model without a head.
    ///
    /// # Panics
    /// If `targets` does not name a class for each image.
    pub fn pixel_gradients(&self, targets: &[usize]) -> Result<Rc<Tensor<4>>, AnalysisError> {
        self.classes()?;
        Ok(latest(&self.pixel_gradients, targets, || self.gradients_at(self.images.clone(), targets)))
    }

    /// The residual stream of a transformer whose tokens keep their width.
    ///
    /// # Errors
    /// A model without attention, or one whose tokens change their width.
    pub fn stream(&self) -> Result<&Stream, AnalysisError> {
        self.require_attention()?;
        if !self.has_one_stream() {
            return Err(AnalysisError::SeveralWidths { model: self.model.card().name.clone() });
        }
        Ok(self.stream.get_or_init(|| {
            let mut recorder = StreamRecorder::default();
            self.pass(&mut recorder);
            gathered_stream(recorder).expect("a transformer has a block")
        }))
    }

    /// Forward passes made so far.
    pub fn passes(&self) -> usize {
        self.passes.get()
    }

    fn pass(&self, probe: &mut (dyn Probe + Send)) -> Tensor<2> {
        self.pass_of(self.images.clone(), probe)
    }

    pub(crate) fn pass_of(&self, images: Tensor<4>, probe: &mut (dyn Probe + Send)) -> Tensor<2> {
        self.passes.set(self.passes.get() + 1);
        let model = self.model;
        in_pool(|| model.logits(images, &mut Pass::evaluate(probe)))
    }

    fn has_one_stream(&self) -> bool {
        self.model.has_attention()
            && !matches!(self.model.network, Network::Swin(_) | Network::EfficientVit(_))
    }

    fn gathered(&self, layers: Vec<(AttentionSite, Tensor<4>)>) -> AttentionMaps {
        let [batch, _, height, width] = self.images.dims();
        AttentionMaps::gathered([batch, height, width], layers).expect("a model with attention hands it over")
    }

    fn require_attention(&self) -> Result<(), AnalysisError> {
        let refused = || AnalysisError::NoAttention { model: self.model.card().name.clone() };
        self.model.has_attention().then_some(()).ok_or_else(refused)
    }

    fn classes(&self) -> Result<usize, AnalysisError> {
        match self.model.card().classes.len() {
            0 => Err(AnalysisError::NoClasses { model: self.model.card().name.clone() }),
            classes => Ok(classes),
        }
    }

    fn feature_pass(&self) -> &FeaturePass {
        self.features.get_or_init(|| self.tap_features())
    }

    fn tap_features(&self) -> FeaturePass {
        let mut tap = FeatureTap::new(self.model.card().network.attention_layers().saturating_sub(1));
        let logits = self.pass(&mut tap);
        let tap = match (tap.features, tap.tokens) {
            (Some(maps), _) => SpatialTap::Maps(maps),
            (None, Some((site, tokens))) => SpatialTap::Tokens(site, tokens),
            (None, None) => unreachable!("every network hands its last representation to the probe"),
        };
        FeaturePass { tap, plain: values(logits.clone()), logits: RefCell::new(Some(logits)) }
    }
}

fn gathered_stream(recorder: StreamRecorder) -> Option<Stream> {
    let (TokenSite { grid, prefix_tokens, .. }, tokens) = recorder.finish()?;
    Some(Stream { tokens, grid, prefix_tokens })
}

/// What is kept for these classes, or what `compute` gives.
fn latest<T>(kept: &Latest<T>, targets: &[usize], compute: impl FnOnce() -> T) -> Rc<T> {
    if let Some((of, found)) = &*kept.borrow()
        && of == targets
    {
        return found.clone();
    }
    let found = Rc::new(compute());
    *kept.borrow_mut() = Some((targets.to_vec(), found.clone()));
    found
}

/// Tokens `[batch, tokens, width]` without prefix tokens on their grid, `[batch, width, rows, columns]`.
fn on_grid(site: &TokenSite, tokens: Tensor<3>) -> Tensor<4> {
    let [batch, count, width] = tokens.dims();
    let patches = tokens.narrow(1, site.prefix_tokens, count - site.prefix_tokens);
    patches.swap_dims(1, 2).reshape([batch, width, site.grid[0], site.grid[1]])
}
