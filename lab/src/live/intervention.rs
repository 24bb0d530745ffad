//! One image with parts of a model switched off, or taken from another image.

use archaeo_analysis::ablation::{Instead, Part, PartMeans, intervene};
use archaeo_analysis::attribution::{Attribution, Rollout};
use archaeo_training::images::{preprocess, to_tensor};
use serde::Deserialize;
use serde_json::{Value, json};

use super::attention::whole;
use super::model::LiveModel;
use super::{Live, LiveError, Seen};
use archaeo_store::arrays::{Array, Arrays};

/// Images over which means are taken.
const REFERENCE_IMAGES: usize = 64;

/// Images at once.
const AT_ONCE: usize = 16;

/// Which parts are replaced on which image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterventionRequest {
    /// The image.
    pub image: String,
    /// The parts.
    #[serde(default)]
    pub off: Vec<Off>,
    /// Whether the attention that is left is handed over.
    #[serde(default)]
    pub maps: bool,
}

/// A part that is replaced.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Off {
    /// Its layer or block, counted from 1.
    pub layer: usize,
    /// Which part of it.
    pub part: PartName,
    /// Of a head its number, counted from 1.
    #[serde(default)]
    pub head: Option<usize>,
    /// By what.
    pub by: Substitution,
}

/// A part of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartName {
    /// One head.
    Head,
    /// What the attention adds.
    Attention,
    /// What the MLP adds.
    Mlp,
    /// All that the layer adds.
    Layer,
    /// The branch of a residual network's block.
    Block,
}

/// What stands in the place of a part's output.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Substitution {
    /// Zeros.
    Zero,
    /// Its mean over images of the data.
    Mean,
    /// What a head says of another image.
    Image(String),
}

impl Off {
    fn part(&self) -> Result<Part, LiveError> {
        let from_0 = |number: usize, what: &str| {
            number.checked_sub(1).ok_or_else(|| LiveError::Asked(format!("{what} are counted from 1")))
        };
        let layer = from_0(self.layer, "layers")?;
        Ok(match (self.part, self.head) {
            (PartName::Head, Some(head)) => Part::Head { layer, head: from_0(head, "heads")? },
            (PartName::Head, None) => return Err(LiveError::Asked("a head needs its number".into())),
            (PartName::Attention, _) => Part::Attention(layer),
            (PartName::Mlp, _) => Part::Mlp(layer),
            (PartName::Layer, _) => Part::Layer(layer),
            (PartName::Block, _) => Part::Block(layer),
        })
    }
}

impl Live {
    /// A model's answer to an image with parts replaced, next to its own, with rollout before and after.
    ///
    /// # Errors
    /// A part that the model does not have, or an image that is not there.
    pub fn intervene(&self, model: &str, request: &InterventionRequest) -> Result<Arrays, LiveError> {
        let (_, live) = self.model(model)?;
        if live.names.is_empty() {
            return Err(LiveError::NoClasses { model: live.name.clone() });
        }
        let seen = self.seen(model, &request.image)?;
        let mut parts = Vec::new();
        for off in &request.off {
            let instead = match &off.by {
                Substitution::Zero => Instead::Zero,
                Substitution::Mean => Instead::Mean,
                Substitution::Image(other) => Instead::Of(Box::new(self.input(live, other)?.pixels)),
            };
            parts.push((off.part()?, instead));
        }
        let wants_means = parts.iter().any(|(_, instead)| matches!(instead, Instead::Mean));
        let means = if wants_means { Some(self.means(live)?) } else { None };
        let pixels = self.input(live, &request.image)?.pixels;
        let after = intervene(&live.classifier, pixels, &parts, means.map(|(means, _)| means))?;
        let after = Seen { logits: after.logits, attention: after.attention };
        let mut arrays = Vec::new();
        let mut about = json!({
            "before": answers(live, &seen),
            "after": answers(live, &after),
            "means": means.map(|(_, images)| format!("mean over {images} images of the data")),
        });
        if Rollout::USUAL.applies(&live.classifier).holds() {
            for (name, of) in [("map_before", &*seen), ("map_after", &after)] {
                let map = Rollout::USUAL.of_maps(self.attended(live, of)?).swap_remove(0);
                arrays.push(Array::f32(name, [map.height, map.width], map.values));
            }
        }
        if request.maps && live.is_whole() {
            let whole = whole(self.attended(live, &after)?);
            arrays.extend(whole.arrays);
            about["attention"] = whole.about;
        }
        Ok(Arrays { arrays, about })
    }

    /// Means over images of the data, gathered when they are first asked for, and over how many.
    fn means<'a>(&self, model: &'a LiveModel) -> Result<(&'a PartMeans, usize), LiveError> {
        if let Some((means, images)) = model.means.get() {
            return Ok((means, *images));
        }
        let preprocessing = &model.classifier.card().preprocessing;
        let images = self.images.reference(REFERENCE_IMAGES)?;
        let count = images.len();
        let fitted: Vec<_> = images.into_iter().map(|image| preprocess(image, preprocessing)).collect();
        let mut means = PartMeans::default();
        for batch in fitted.chunks(AT_ONCE) {
            means.add(&model.classifier, to_tensor(batch, &model.device))?;
        }
        let (means, images) = model.means.get_or_init(|| (means, count));
        Ok((means, *images))
    }
}

fn answers(model: &LiveModel, seen: &Seen) -> Value {
    let (probabilities, top) = model.ranked(&seen.logits, 5);
    json!({ "top": top, "probabilities": probabilities })
}
