//! One image with any number of a model's parts replaced at once, in a single pass: what a person does who takes a model apart by
//! hand. The studies replace one part at a time over many images, which is faster when the stream is kept.

use std::collections::BTreeMap;

use archaeo_models::{AttentionSite, Classifier, Pass, Probe, TokenPlace, TokenSite};
use archaeo_ops::{self as ops, in_pool};
use burn::tensor::{Tensor, s};

use super::branches::BranchMeans;
use super::heads::{HeadMeans, RemovalPoint};
use super::stream::{Kept, Stream, finite};
use crate::AnalysisError;
use crate::attention::AttentionMaps;

/// A part of a model, with layers, heads and blocks counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// One head of a transformer's layer. The heads of a cascade are replaced where the next head reads them.
    Head {
        /// Its layer.
        layer: usize,
        /// Its number there.
        head: usize,
    },
    /// What the attention of a layer adds to the residual stream.
    Attention(usize),
    /// What the MLP of a layer adds to it.
    Mlp(usize),
    /// All that a layer adds to it.
    Layer(usize),
    /// What the branch of a residual network's block adds to its shortcut.
    Block(usize),
}

/// What stands in the place of a part's output.
#[derive(Clone, Debug)]
pub enum Instead {
    /// Zeros.
    Zero,
    /// Its mean over a reference set, for each token position.
    Mean,
    /// Its output for another image, `[1, 3, height, width]`; of heads alone.
    Of(Box<Tensor<4>>),
}

/// Means over a reference set, of all that can be replaced by them.
#[derive(Clone, Debug, Default)]
pub struct PartMeans {
    heads: HeadMeans,
    branches: BranchMeans,
}

impl PartMeans {
    /// Adds a batch of images.
    ///
    /// # Errors
    /// A model whose blocks are neither a transformer's nor residual ones.
    pub fn add(&mut self, model: &Classifier, images: Tensor<4>) -> Result<(), AnalysisError> {
        if model.has_attention() {
            self.heads.add(model, images.clone())?;
        }
        self.branches.add(model, images)
    }
}

/// A model's answer to one image with some parts replaced.
#[derive(Clone, Debug)]
pub struct Intervened {
    /// One for each class.
    pub logits: Vec<f32>,
    /// The attention of all layers then; `None` of a model without attention.
    pub attention: Option<AttentionMaps>,
}

/// The answer to `image`, `[1, 3, height, width]`, with each of `parts` replaced. Parts of one layer are replaced in the order head,
/// attention, MLP, layer: the larger one has the last word.
///
/// # Errors
/// A part that the model does not have, another image's output of a part that is no head, or a logit that is not finite.
///
/// # Panics
/// If there is not exactly one image, or a mean is asked for and `means` is `None` or empty.
pub fn intervene(
    model: &Classifier,
    image: Tensor<4>,
    parts: &[(Part, Instead)],
    means: Option<&PartMeans>,
) -> Result<Intervened, AnalysisError> {
    let [count, _, height, width] = image.dims();
    assert_eq!(count, 1, "an intervention is on one image");
    let parts: BTreeMap<Part, &Instead> = parts.iter().map(|(part, instead)| (*part, instead)).collect();
    check(model, &parts)?;
    if !model.has_attention() {
        let logits = in_pool(|| without_blocks(model, image, &parts, means));
        return Ok(Intervened { logits: finite(model, logits)?, attention: None });
    }
    let mut probe = Replaced::new(model, &image, &parts, means);
    let logits = in_pool(|| model.logits(image, &mut Pass::evaluate(&mut probe)));
    let attention = AttentionMaps::gathered([1, height, width], probe.attention);
    Ok(Intervened { logits: finite(model, logits)?, attention })
}

/// Refuses parts that a model does not have.
fn check(model: &Classifier, parts: &BTreeMap<Part, &Instead>) -> Result<(), AnalysisError> {
    let name = || model.card().name.clone();
    let layers = model.card().network.attention_layers();
    let heads = |layer| model.network.transformer().map_or(0, |network| network.heads(layer));
    for (&part, instead) in parts {
        let there = match part {
            Part::Head { layer, head } => layer < layers && head < heads(layer),
            Part::Attention(layer) | Part::Mlp(layer) | Part::Layer(layer) => layer < layers,
            Part::Block(block) => model.network.residual().is_some_and(|network| block < network.depth()),
        };
        if !there {
            return Err(AnalysisError::NoPart { model: name(), part: part.describe() });
        }
        if matches!(instead, Instead::Of(_)) && !matches!(part, Part::Head { .. }) {
            return Err(AnalysisError::NotAHead { part: part.describe() });
        }
    }
    Ok(())
}

impl Part {
    /// `head 3 of layer 2`, counted from 1.
    pub fn describe(self) -> String {
        match self {
            Self::Head { layer, head } => format!("head {} of layer {}", head + 1, layer + 1),
            Self::Attention(layer) => format!("the attention of layer {}", layer + 1),
            Self::Mlp(layer) => format!("the MLP of layer {}", layer + 1),
            Self::Layer(layer) => format!("layer {}", layer + 1),
            Self::Block(block) => format!("block {}", block + 1),
        }
    }
}

/// Logits of a residual network without the branches of some blocks.
fn without_blocks(
    model: &Classifier,
    image: Tensor<4>,
    parts: &BTreeMap<Part, &Instead>,
    means: Option<&PartMeans>,
) -> Tensor<2> {
    let depth = model.network.residual().map_or(0, |network| network.depth());
    if parts.is_empty() || depth == 0 {
        return model.logits(image, &mut Pass::evaluate(&mut ()));
    }
    let mut map = model.stem(image, &mut Pass::evaluate(&mut ()));
    for block in 0..depth {
        let [shortcut, branch] = model.addends(block, map, &mut Pass::evaluate(&mut ()));
        let sum = match parts.get(&Part::Block(block)) {
            None => ops::add(shortcut, branch),
            Some(Instead::Mean) => {
                let mean = means.expect("means were gathered").branches.of::<4>(block, 0, &shortcut.device());
                ops::add(shortcut, mean)
            }
            Some(_) => shortcut,
        };
        map = ops::relu(sum);
    }
    model.logits_from_block(depth, map, &mut Pass::evaluate(&mut ()))
}

/// Puts something else in the place of parts of a transformer, and keeps its attention.
struct Replaced<'a> {
    parts: &'a BTreeMap<Part, &'a Instead>,
    branches: Option<&'a BranchMeans>,
    /// What each replaced head says instead, `[1, 1, tokens, head_dim]`; `None` for nothing.
    heads: BTreeMap<(usize, usize), Option<Tensor<4>>>,
    cascade: bool,
    attention: Vec<(AttentionSite, Tensor<4>)>,
    /// As the block's attention receives the stream.
    before: Option<Tensor<3>>,
    /// Between attention and MLP.
    after: Option<Tensor<3>>,
}

impl<'a> Replaced<'a> {
    fn new(
        model: &Classifier,
        image: &Tensor<4>,
        parts: &'a BTreeMap<Part, &'a Instead>,
        means: Option<&'a PartMeans>,
    ) -> Self {
        let point = RemovalPoint::default().of(model);
        let averages = means.map(|means| means.heads.outputs(&image.device()));
        let mut heads = BTreeMap::new();
        for (part, instead) in parts {
            let Part::Head { layer, head } = *part else { continue };
            let of_layer = match instead {
                Instead::Zero => None,
                Instead::Mean => Some(averages.as_ref().expect("means were gathered")[layer].clone()),
                Instead::Of(other) => {
                    let (stream, _) =
                        in_pool(|| Stream::record(model, (**other).clone(), Kept::Heads, point));
                    Some(stream.heads[layer].clone())
                }
            };
            heads.insert((layer, head), of_layer.map(|of_layer| of_layer.narrow(1, head, 1)));
        }
        Self {
            parts,
            branches: means.map(|means| &means.branches),
            heads,
            cascade: point == RemovalPoint::Output,
            attention: Vec::new(),
            before: None,
            after: None,
        }
    }

    /// What replaces one of these parts; the last that is asked for.
    fn instead(&self, parts: &[Part]) -> Option<&'a Instead> {
        parts.iter().rev().find_map(|part| self.parts.get(part).copied())
    }

    /// The stream without what a branch adds: `from`, with its mean where that is asked for.
    fn skipped(&self, from: &Tensor<3>, instead: &Instead, layer: usize, branch: usize) -> Tensor<3> {
        match instead {
            Instead::Mean => {
                let means = self.branches.expect("means were gathered");
                ops::add(from.clone(), means.of::<3>(layer, branch, &from.device()))
            }
            _ => from.clone(),
        }
    }
}

impl Probe for Replaced<'_> {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        self.attention.push((*site, weights.clone()));
        weights
    }

    fn cascade_output(&mut self, site: &AttentionSite, head: usize, output: Tensor<3>) -> Tensor<3> {
        match self.heads.get(&(site.layer, head)) {
            Some(instead) if self.cascade => match instead {
                None => output.zeros_like(),
                Some(instead) => instead.clone().squeeze_dim::<3>(1),
            },
            _ => output,
        }
    }

    fn heads(&mut self, site: &AttentionSite, mut outputs: Tensor<4>) -> Tensor<4> {
        if self.cascade {
            return outputs;
        }
        for (&(_, head), instead) in self.heads.range((site.layer, 0)..(site.layer + 1, 0)) {
            let place = s![.., head..head + 1, .., ..];
            let instead = match instead {
                Some(instead) => instead.clone(),
                None => outputs.clone().narrow(1, head, 1).zeros_like(),
            };
            outputs = outputs.slice_assign(place, instead);
        }
        outputs
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        let layer = site.layer;
        match site.place {
            TokenPlace::BlockInput => {
                self.before = Some(tokens.clone());
                tokens
            }
            TokenPlace::BeforeAttention => {
                // The whole layer takes what precedes its attention with it.
                let input = self.before.take().expect("a block begins with its input");
                let tokens = match self.instead(&[Part::Layer(layer)]) {
                    Some(instead) => self.skipped(&input, instead, layer, 2),
                    None => tokens,
                };
                self.before = Some(tokens.clone());
                tokens
            }
            TokenPlace::AttentionInput => tokens,
            TokenPlace::AfterAttention => {
                let before = self.before.take().expect("a block begins with its input");
                let tokens = match self.instead(&[Part::Attention(layer), Part::Layer(layer)]) {
                    Some(instead) => self.skipped(&before, instead, layer, 0),
                    None => tokens,
                };
                self.after = Some(tokens.clone());
                tokens
            }
            TokenPlace::BlockOutput => {
                let after = self.after.take().expect("attention comes before the block's output");
                match self.instead(&[Part::Mlp(layer), Part::Layer(layer)]) {
                    Some(instead) => self.skipped(&after, instead, layer, 1),
                    None => tokens,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
