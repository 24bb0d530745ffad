//! CLIP (Radford et al., 2021) in small: an image is to be matched with its caption among those of the batch, and a caption with its
//! image.
//!
//! A small transformer reads the captions of the training images ([`ImageSource::caption`](crate::images::ImageSource)) word by word; two
//! projections map its output and the model's features to embeddings, whose similarity has a learned temperature ([`symmetric`]). Text
//! tower and projections are left behind after training. Labels train the head alone ([`Student::learn_without_labels`]).

use std::collections::{BTreeMap, BTreeSet};

use archaeo_models::{
    AttentionSite, Block, BlockConfig, Classifier, LayerNorm, Linear, Pass, PrefixTokens, ReadOut,
};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::contrast::symmetric;
use super::simclr::{refuse_mixing, refuse_single};
use super::{Begun, Examples, Objective, ObjectiveKind, Own, OwnParameters, at_least_one, options};
use crate::backward::{Share, Student};
use crate::images::ImageSource;
use crate::{Job, RecipeError, TrainError};

pub(super) static CLIP: ObjectiveKind = ObjectiveKind {
    id: "clip",
    title: "matching images with their captions, without labels",
    of_features: false,
    weights: &[],
    check: |table| Options::read(table).map(drop),
    begin,
};

/// Temperature at the beginning, and the lowest (section 2.5).
const TEMPERATURE: f64 = 0.07;
const LOWEST_TEMPERATURE: f64 = 0.01;

/// Most words of a vocabulary: more belong to a tokenizer.
const MOST_WORDS: usize = 4096;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Width of the embeddings.
    embedding: usize,
    /// Width of the text tower.
    width: usize,
    /// Blocks of the text tower.
    depth: usize,
    /// Attention heads per block of the text tower.
    heads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { embedding: 64, width: 64, depth: 2, heads: 4 }
    }
}

impl Options {
    fn read(table: &Table) -> Result<Self, RecipeError> {
        let options: Self = options(table)?;
        let Self { embedding, width, depth, heads } = options;
        for (key, value) in [
            ("objective.embedding", embedding),
            ("objective.width", width),
            ("objective.depth", depth),
            ("objective.heads", heads),
        ] {
            at_least_one(key, value)?;
        }
        if !width.is_multiple_of(heads) {
            return Err(RecipeError::Value(format!(
                "`objective.width` is {width}, which the {heads} of `objective.heads` do not divide"
            )));
        }
        Ok(options)
    }
}

/// The captions of all training images as numbers of words.
struct Captions {
    /// Words, sorted; word 0 fills up short captions.
    words: Vec<String>,
    /// Words of the longest caption.
    length: usize,
    /// `(images, length)`
    tokens: Vec<u16>,
}

impl Captions {
    /// Reads every caption of a source.
    ///
    /// # Errors
    /// An image without a caption, or more words than a vocabulary of words should have; the end of a sentence.
    fn read(source: &dyn ImageSource) -> Result<Self, String> {
        let captions = (0..source.len()).map(|index| {
            source.caption(index).ok_or_else(|| {
                "needs images with captions, which these data do not have; Sherds have them (data.source = \"sherds\")".to_owned()
            })
        });
        let captions: Vec<String> = captions.collect::<Result<_, _>>()?;
        let known: BTreeSet<&str> = captions.iter().flat_map(|caption| caption.split_whitespace()).collect();
        if known.len() > MOST_WORDS {
            return Err(format!(
                "reads captions of at most {MOST_WORDS} different words, and these have {}",
                known.len()
            ));
        }
        let words: Vec<String> = std::iter::once("").chain(known).map(str::to_owned).collect();
        let numbers: BTreeMap<&str, u16> = words.iter().map(String::as_str).zip(0..).collect();
        let length =
            captions.iter().map(|caption| caption.split_whitespace().count()).max().unwrap_or(0).max(1);
        let tokens = captions
            .iter()
            .flat_map(|caption| {
                let of_words = caption.split_whitespace().map(|word| numbers[word]);
                of_words.chain(std::iter::repeat(0)).take(length)
            })
            .collect();
        Ok(Self { words, length, tokens })
    }

    /// The captions of some images, one row of zeros and a one for each word.
    ///
    /// # Shapes
    /// → `[batch, length, words]`
    fn one_hot(&self, indices: &[usize], device: &Device) -> Tensor<3> {
        let words = self.words.len();
        let mut values = vec![0f32; indices.len() * self.length * words];
        let tokens = indices.iter().flat_map(|index| &self.tokens[index * self.length..][..self.length]);
        for (place, &token) in tokens.enumerate() {
            values[place * words + usize::from(token)] = 1.0;
        }
        Tensor::from_data(TensorData::new(values, [indices.len(), self.length, words]), device)
    }
}

/// Text tower and projections.
#[derive(Module, Debug)]
struct Towers {
    /// `[width, words]`
    text_embedding: Linear,
    /// `[1, length, width]`
    text_pos_embed: Param<Tensor<3>>,
    text_blocks: Vec<Block>,
    text_norm: LayerNorm,
    /// `[embedding, width]`
    text_projection: Linear,
    /// `[embedding, features]`
    image_projection: Linear,
    /// Logarithm of the inverse temperature, `[1]`
    logit_scale: Param<Tensor<1>>,
}

impl Towers {
    fn new(features: usize, captions: &Captions, options: Options, device: &Device) -> Self {
        let Options { embedding, width, depth, heads } = options;
        let block = BlockConfig::plain(width, heads, 1e-5);
        let parameter = |tensor: Tensor<3>| Param::from_tensor(tensor.require_grad());
        Self {
            text_embedding: Linear::new(captions.words.len(), width, false, device),
            text_pos_embed: parameter(Tensor::zeros([1, captions.length, width], device)),
            text_blocks: (0..depth).map(|_| Block::new(&block, device)).collect(),
            text_norm: LayerNorm::new(width, block.epsilon, device),
            text_projection: Linear::new(width, embedding, false, device),
            image_projection: Linear::new(features, embedding, false, device),
            logit_scale: Param::from_tensor(
                Tensor::full([1], TEMPERATURE.recip().ln(), device).require_grad(),
            ),
        }
    }

    /// Embeddings of captions: the mean over their words after the last block, projected.
    ///
    /// # Shapes
    /// `[batch, length, words]` → `[batch, embedding]`
    fn texts(&self, words: Tensor<3>, pass: &mut Pass) -> Tensor<2> {
        let [batch, length, _] = words.dims();
        let mut x = self.text_embedding.forward(words, pass.precision) + self.text_pos_embed.val();
        for (layer, block) in self.text_blocks.iter().enumerate() {
            let (prefix, read_out) = (PrefixTokens::NONE, ReadOut::MeanOfPatches);
            x = block.forward(
                x,
                &AttentionSite { layer, grid: [1, length], prefix, read_out, window: None },
                pass,
            );
        }
        let [_, _, width] = x.dims();
        let pooled = self.text_norm.forward(x).mean_dim(1).reshape([batch, width]);
        self.text_projection.forward(pooled, pass.precision)
    }
}

struct Clip {
    captions: Captions,
    towers: Own<Towers>,
    guessing: f64,
}

fn begin(table: &Table, job: &Job, model: &Classifier) -> Begun {
    let options = Options::read(table)?;
    let recipe = job.recipe;
    refuse_mixing("clip", job)?;
    let captions =
        Captions::read(job.images).map_err(|reason| RecipeError::Value(format!("`clip` {reason}")))?;
    refuse_single("clip", "captions", recipe)?;
    let device = job.device.clone().autodiff();
    let towers = Own::new(Towers::new(model.feature_dim(), &captions, options, &device), recipe);
    Ok(Box::new(Clip { captions, towers, guessing: (recipe.shard_images() as f64).ln() }))
}

impl Objective for Clip {
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError> {
        let Examples { images, targets, indices, .. } = examples;
        let words = self.captions.one_hot(indices, &images.device());
        let towers = self.towers.module();
        Ok(student.learn_without_labels(images, targets, |model, images, step| {
            let precision = model.precision();
            let features = model.features(images, &mut Pass::train(&mut (), step));
            let texts = towers.texts(words, &mut Pass::evaluate(&mut ()).in_precision(precision));
            let pictures = towers.image_projection.forward(features.clone(), precision);
            let scale = towers.logit_scale.val().clamp_max(LOWEST_TEMPERATURE.recip().ln());
            (symmetric(pictures, texts, scale), features)
        }))
    }

    fn guessing(&self, _: usize) -> f64 {
        self.guessing
    }

    fn note(&self) -> Option<String> {
        let Captions { words, length, .. } = &self.captions;
        Some(format!("the captions have up to {length} words, of a vocabulary of {}", words.len() - 1))
    }

    fn own(&self) -> Option<&dyn OwnParameters> {
        Some(&self.towers)
    }

    fn own_mut(&mut self) -> Option<&mut dyn OwnParameters> {
        Some(&mut self.towers)
    }
}

#[cfg(test)]
mod tests {
    use archaeo_data::{DataError, Image};

    use super::*;

    struct Said(Vec<Option<&'static str>>);

    impl ImageSource for Said {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn label(&self, _: usize) -> usize {
            0
        }

        fn image(&self, _: usize, _: u64) -> Result<Image, DataError> {
            Ok(Image::filled(1, 1, [0; 3]))
        }

        fn caption(&self, index: usize) -> Option<String> {
            self.0[index].map(str::to_owned)
        }
    }

    #[test]
    fn captions_become_numbers_of_their_words() {
        let captions = Captions::read(&Said(vec![Some("a red  star"), Some("a star")])).unwrap();
        assert_eq!(captions.words, ["", "a", "red", "star"]);
        assert_eq!((captions.length, captions.tokens.as_slice()), (3, &[1, 2, 3, 1, 3, 0][..]));
        let rows = captions.one_hot(&[1], &Device::flex()).into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(rows, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        let sentence = Captions::read(&Said(vec![Some("a"), None])).err().unwrap();
        assert!(sentence.starts_with("needs images with captions"), "{sentence}");
    }
}
