//! Features of every layer, pooled while the forward pass runs: the class token and the mean of the patches of a transformer, the mean of
//! each map of a convolutional network.

use archaeo_models::{AttentionSite, Classifier, FeatureSite, Pass, Probe, TokenPlace, TokenSite};
use archaeo_ops::in_pool;
use burn::tensor::Tensor;

use super::Features;
use crate::tensors::values;

/// What is read of the tokens of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The class token.
    ClassToken,
    /// The mean of all patches, or of a feature map's places.
    PatchMean,
    /// The class token and then the mean of the patches.
    Both,
}

impl Pooling {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::ClassToken => "class token",
            Self::PatchMean => "mean of the patches",
            Self::Both => "class token and mean",
        }
    }
}

/// Features of images at one depth of a model.
#[derive(Clone, Debug)]
pub struct LayerFeatures {
    /// `input`, `block 3`; `stem`, `stage 2 block 1`.
    pub name: String,
    /// The class token; `None` of a model without one.
    pub class_token: Option<Features>,
    /// Mean of the patches, or of the places of a map.
    pub patch_mean: Features,
}

impl LayerFeatures {
    /// What can be read of this layer. At the input of the first block the class token has not seen the image.
    pub fn poolings(&self) -> &'static [Pooling] {
        match self.class_token {
            Some(_) if self.name != INPUT => &[Pooling::ClassToken, Pooling::PatchMean, Pooling::Both],
            _ => &[Pooling::PatchMean],
        }
    }

    /// What `pooling` reads; `None` of a class token that is not there.
    pub fn pooled(&self, pooling: Pooling) -> Option<Features> {
        match pooling {
            Pooling::PatchMean => Some(self.patch_mean.clone()),
            Pooling::ClassToken => self.class_token.clone(),
            Pooling::Both => Some(self.class_token.as_ref()?.joined(&self.patch_mean)),
        }
    }

    /// Those of some images, in the order of `images`.
    pub fn select(&self, images: &[usize]) -> Self {
        Self {
            name: self.name.clone(),
            class_token: self.class_token.as_ref().map(|features| features.select(images)),
            patch_mean: self.patch_mean.select(images),
        }
    }

    /// These images and then those of `other`.
    ///
    /// # Panics
    /// Another layer.
    pub fn followed_by(&self, other: &Self) -> Self {
        assert_eq!(self.name, other.name, "features of one layer are joined");
        let class_token = self.class_token.as_ref().zip(other.class_token.as_ref());
        Self {
            name: self.name.clone(),
            class_token: class_token.map(|(own, others)| own.followed_by(others)),
            patch_mean: self.patch_mean.followed_by(&other.patch_mean),
        }
    }
}

/// What every block receives or leaves is called.
const INPUT: &str = "input";

/// Features of a batch of images with values in [0, 1]: the input of the head ([`Classifier::features`]).
pub fn pooled_features(model: &Classifier, images: Tensor<4>) -> Features {
    let features = in_pool(|| model.features(images, &mut Pass::evaluate(&mut ())));
    Features::new(model.feature_dim(), values(features))
}

/// As [`pooled_features`], with those of every layer from the same pass.
pub fn layer_features(model: &Classifier, images: Tensor<4>) -> (Features, Vec<LayerFeatures>) {
    let class_token = model.network.transformer().and_then(|transformer| transformer.prefix().class_token());
    let mut recorder = Recorder { class_token, layers: Vec::new() };
    let features = in_pool(|| model.features(images, &mut Pass::evaluate(&mut recorder)));
    let layer = |(name, class_token, mean): (String, Option<Tensor<2>>, Tensor<2>)| LayerFeatures {
        name,
        class_token: class_token.map(plain),
        patch_mean: plain(mean),
    };
    let layers = recorder.layers.into_iter().map(layer).collect();
    (Features::new(model.feature_dim(), values(features)), layers)
}

fn plain(features: Tensor<2>) -> Features {
    Features::new(features.dims()[1], values(features))
}

/// Pools the residual stream before the first block and after each one, or each feature map.
struct Recorder {
    class_token: Option<usize>,
    layers: Vec<(String, Option<Tensor<2>>, Tensor<2>)>,
}

impl Recorder {
    fn record(&mut self, name: String, site: &TokenSite, tokens: &Tensor<3>) {
        let [batch, count, width] = tokens.dims();
        let token = |place: usize| tokens.clone().narrow(1, place, 1).reshape([batch, width]);
        let patches = tokens.clone().narrow(1, site.prefix_tokens, count - site.prefix_tokens);
        let mean = patches.mean_dim(1).reshape([batch, width]);
        self.layers.push((name, self.class_token.map(token), mean));
    }
}

impl Probe for Recorder {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        match site.place {
            TokenPlace::BlockInput if site.layer == 0 => self.record(INPUT.into(), site, &tokens),
            TokenPlace::BlockOutput => self.record(format!("block {}", site.layer + 1), site, &tokens),
            _ => {}
        }
        tokens
    }

    fn features(&mut self, site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = map.dims();
        let mean = map.clone().reshape([batch, channels, height * width]).mean_dim(2);
        let name = match site.stage {
            0 => "stem".into(),
            stage => format!("stage {stage} block {}", site.block + 1),
        };
        self.layers.push((name, None, mean.reshape([batch, channels])));
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::{StageRecorder, StreamRecorder};
    use crate::testing::Fixture;

    fn close(own: &Features, expected: &[f32]) {
        assert_eq!(own.values().len(), expected.len());
        for (a, b) in own.values().iter().zip(expected) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    #[test]
    fn layers_of_a_transformer_are_its_stream_pooled() {
        let fixture = Fixture::load();
        let model = fixture.vit();
        let (features, layers) = layer_features(&model, fixture.images());
        assert_eq!(features, pooled_features(&model, fixture.images()), "a recorder changes nothing");
        let mut stream = StreamRecorder::default();
        model.features(fixture.images(), &mut Pass::evaluate(&mut stream));
        let (site, stream) = stream.finish().unwrap();
        assert_eq!(layers.len(), stream.len());
        assert_eq!((layers[0].name.as_str(), layers[1].name.as_str()), ("input", "block 1"));
        for (layer, tokens) in layers.iter().zip(stream) {
            let [batch, count, width] = tokens.dims();
            let all = values(tokens);
            let token = |image: usize, place: usize| &all[(image * count + place) * width..][..width];
            let class: Vec<f32> = (0..batch).flat_map(|image| token(image, 0).to_vec()).collect();
            close(layer.class_token.as_ref().unwrap(), &class);
            let patches = site.prefix_tokens..count;
            let mean = (0..batch * width).map(|place| {
                let of = |patch| token(place / width, patch)[place % width];
                patches.clone().map(of).sum::<f32>() / patches.len() as f32
            });
            close(&layer.patch_mean, &mean.collect::<Vec<_>>());
            let both = layer.pooled(Pooling::Both).unwrap();
            assert_eq!(both.width(), 2 * width);
            assert_eq!(both.row(1)[..width], *layer.class_token.as_ref().unwrap().row(1));
        }
        assert_eq!(layers[0].poolings(), [Pooling::PatchMean]);
        assert_eq!(layers[1].poolings().len(), 3);
        // The class token has not seen the image before the first block.
        let class = layers[0].class_token.as_ref().unwrap();
        assert_eq!(class.row(0), class.row(1));
    }

    #[test]
    fn layers_of_a_residual_network_are_its_maps_pooled() {
        let fixture = Fixture::load();
        let model = fixture.resnet();
        let (features, layers) = layer_features(&model, fixture.images());
        let mut stages = StageRecorder::default();
        model.features(fixture.images(), &mut Pass::evaluate(&mut stages));
        let (_, last) = stages.stages.pop().unwrap();
        let [batch, channels, height, width] = last.dims();
        let mean = last.reshape([batch, channels, height * width]).mean_dim(2);
        close(&layers.last().unwrap().patch_mean, &values(mean));
        // The last one is what the head reads.
        close(&features, layers.last().unwrap().patch_mean.values());
        assert_eq!(layers[0].poolings(), [Pooling::PatchMean]);
        assert!(layers[0].pooled(Pooling::ClassToken).is_none());
    }

    #[test]
    fn batches_do_not_matter() {
        let fixture = Fixture::load();
        for model in [fixture.vit(), fixture.resnet()] {
            let (all, layers) = layer_features(&model, fixture.images());
            let (one, of_one) = layer_features(&model, fixture.images().narrow(0, 1, 1));
            assert_eq!(one, all.select(&[1]));
            assert!(
                layers.iter().zip(&of_one).all(|(all, one)| all.select(&[1]).patch_mean == one.patch_mean)
            );
        }
    }
}
