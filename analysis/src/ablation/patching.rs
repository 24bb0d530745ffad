//! Activation patching (Vig et al., 2020; Meng et al., 2022; Heimersheim & Nanda, 2024): two images that differ in one respect, and
//! the pass over one of them with one activation taken from the pass over the other. What moves the answer carries the difference.

use archaeo_models::{Classifier, TokenSite};
use burn::tensor::{Tensor, TensorData};

use super::RemovalPoint;
use super::heads::require_attention;
use super::stream::{Kept, Stream, finite};
use crate::AnalysisError;

/// Tokens whose values are taken over together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenGroup {
    /// Tokens before the first patch.
    Prefix,
    /// Marked patches.
    Marked,
    /// All other patches.
    Unmarked,
    /// All tokens.
    All,
}

/// Logits of each image of a batch, `images · classes`, image by image.
pub type Logits = Vec<f32>;

/// Logits of the passes over one batch of donors, and of the receivers with their activations.
#[derive(Clone, Debug, PartialEq)]
pub struct Patched {
    /// Of the images that the activations are from.
    pub donors: Logits,
    /// Of the receivers with the output of one head replaced: `[layer][head]`.
    pub heads: Vec<Vec<Logits>>,
    /// Of the receivers with the tokens that a block leaves replaced: `[layer][group]`, in the order of the groups asked for.
    pub layers: Vec<Vec<Logits>>,
}

/// A batch of images, and what the pass over each of them left behind: activations of other images can be put in its place.
#[derive(Debug)]
pub struct Receivers<'a> {
    model: &'a Classifier,
    stream: Stream,
    /// The answers as they are.
    pub logits: Logits,
}

impl<'a> Receivers<'a> {
    /// One pass over the images.
    ///
    /// # Errors
    /// A model without attention, or a logit that is not finite.
    pub fn record(model: &'a Classifier, images: Tensor<4>) -> Result<Self, AnalysisError> {
        require_attention(model)?;
        let (stream, logits) = Stream::record(model, images, Kept::HeadsAndOutputs, RemovalPoint::Output);
        Ok(Self { model, stream, logits: finite(model, logits)? })
    }

    /// Number of heads of each layer.
    pub fn heads_per_layer(&self) -> Vec<usize> {
        self.stream.heads_per_layer().collect()
    }

    /// Logits with the output of each head of each layer, `[layer][head]`, and with those of all heads of each layer, `[layer]`, replaced by
    /// those of the pass over `donors`, image by image.
    ///
    /// # Errors
    /// A logit that is not finite.
    ///
    /// # Panics
    /// If there is not one donor per image.
    pub fn with_heads_of(&self, donors: Tensor<4>) -> Result<(Vec<Vec<Logits>>, Vec<Logits>), AnalysisError> {
        let (model, own) = (self.model, &self.stream);
        assert_eq!(own.heads[0].dims()[0], donors.dims()[0], "one donor per image is needed");
        let (other, _) = Stream::record(model, donors, Kept::Heads, RemovalPoint::Output);
        let (mut by_head, mut by_layer) = (Vec::new(), Vec::new());
        for (layer, heads) in own.heads_per_layer().enumerate() {
            let each = (0..heads).map(|head| self.with_outputs_of(&other, layer, &[head]));
            by_head.push(each.collect::<Result<_, _>>()?);
            by_layer.push(self.with_outputs_of(&other, layer, &(0..heads).collect::<Vec<_>>())?);
        }
        Ok((by_head, by_layer))
    }

    /// Logits with the outputs of these heads of a layer, at least one, replaced by those of another pass.
    fn with_outputs_of(
        &self,
        other: &Stream,
        layer: usize,
        heads: &[usize],
    ) -> Result<Logits, AnalysisError> {
        let (model, own) = (self.model, &self.stream);
        if model.has_cascaded_heads() {
            let replaced = heads.iter().map(|&head| (layer, head, Some(other.head(layer, head))));
            return finite(model, own.logits_with_outputs(model, &replaced.collect::<Vec<_>>()));
        }
        // What a head that no other reads adds is linear in its output, and heads add up.
        let change = |&head: &usize| {
            let difference = other.head(layer, head) - own.head(layer, head);
            model.head_contribution(layer, head, difference)
        };
        let change = heads.iter().map(change).reduce(|sum, change| sum + change).expect("there is a head");
        finite(model, own.logits_with(model, layer, change))
    }

    /// Replaces the output of each head of each layer, which the later heads of a cascade read, and the output of each block at each
    /// of `groups` of tokens, by those of the pass over `donors`, image by image. `marked` says which patches of an image are marked,
    /// one entry per patch of the site's grid.
    ///
    /// # Errors
    /// A logit that is not finite.
    ///
    /// # Panics
    /// If there is not one donor per image, or `marked` returns another number of patches.
    pub fn patched(
        &self,
        donors: Tensor<4>,
        groups: &[TokenGroup],
        marked: &dyn Fn(usize, &TokenSite) -> Vec<bool>,
    ) -> Result<Patched, AnalysisError> {
        let (model, own) = (self.model, &self.stream);
        assert_eq!(
            own.sites.first().map(|_| own.outputs[0].dims()[0]),
            Some(donors.dims()[0]),
            "one donor per image is needed"
        );
        let kept = if groups.is_empty() { Kept::Heads } else { Kept::HeadsAndOutputs };
        let (other, donors) = Stream::record(model, donors, kept, RemovalPoint::Output);
        let head = |layer: usize, head: usize| self.with_outputs_of(&other, layer, &[head]);
        let block = |layer: usize, group: TokenGroup| {
            let (own_tokens, other_tokens) = (own.outputs[layer].clone(), other.outputs[layer].clone());
            let taken = taken(&own.sites[layer], &own_tokens, group, marked);
            let tokens = other_tokens * taken.clone() + own_tokens * (taken * -1.0 + 1.0);
            finite(model, own.logits_after_block(model, layer, tokens))
        };
        let layers = || own.heads_per_layer().enumerate();
        Ok(Patched {
            donors: finite(model, donors)?,
            heads: layers()
                .map(|(layer, heads)| (0..heads).map(|i| head(layer, i)).collect())
                .collect::<Result<_, _>>()?,
            layers: layers()
                .map(|(layer, _)| groups.iter().map(|&group| block(layer, group)).collect())
                .collect::<Result<_, _>>()?,
        })
    }
}

/// 1 at the tokens of a group, 0 at all others, `[batch, tokens, 1]`.
fn taken(
    site: &TokenSite,
    values: &Tensor<3>,
    group: TokenGroup,
    marked: &dyn Fn(usize, &TokenSite) -> Vec<bool>,
) -> Tensor<3> {
    let ([batch, tokens, _], prefix) = (values.dims(), site.prefix_tokens);
    let mut taken = Vec::with_capacity(batch * tokens);
    for image in 0..batch {
        let prefix_taken = matches!(group, TokenGroup::Prefix | TokenGroup::All);
        taken.extend(std::iter::repeat_n(f32::from(u8::from(prefix_taken)), prefix));
        let marked = marked(image, site);
        assert_eq!(marked.len(), tokens - prefix, "every patch is marked or not");
        taken.extend(marked.into_iter().map(|marked| {
            let patch_taken = match group {
                TokenGroup::Prefix => false,
                TokenGroup::Marked => marked,
                TokenGroup::Unmarked => !marked,
                TokenGroup::All => true,
            };
            f32::from(u8::from(patch_taken))
        }));
    }
    Tensor::from_data(TensorData::new(taken, [batch, tokens, 1]), &values.device())
}

#[cfg(test)]
mod tests;
