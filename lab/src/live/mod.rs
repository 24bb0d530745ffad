//! Models on the table, one image at a time: what a person asks who takes them apart by hand.
//!
//! [`Session::live`] opens models, data and the findings of an investigation, and keeps them open. Every question names a model and an
//! image and is answered from them alone, with the numbers that the commands give for the same image: answers and attention are kept
//! for the images that were asked about last. Images that are added live in memory, and nothing is written.
//!
//! Layers, heads and steps are counted from 1 here, as on the command line.

mod answer;
mod attack;
mod attention;
mod bundled;
mod depth;
mod error;
mod explanation;
mod images;
mod intervention;
mod model;
mod overview;
mod run;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use archaeo_analysis::Keys;
use archaeo_analysis::attention::AttentionMaps;
use archaeo_analysis::attribution::Evidence;
use archaeo_data::OpenOptions;
use archaeo_plot::Image;
use archaeo_training::finite::first_not_finite;
use archaeo_training::images::{preprocess, to_tensor};
use burn::tensor::Tensor;

pub use self::answer::{ClassAnswer, LiveAnswer};
pub use self::attack::{AttackEnd, AttackRequest, AttackStep, ModelAtStep};
pub use self::attention::{HeadsOfLayer, LayersOfHeads, OneHead, RolloutRequest};
pub(crate) use self::bundled::BUNDLED_MODELS;
pub use self::bundled::bundled_run;
pub use self::error::LiveError;
pub use self::explanation::{Believed, MeasuredHere};
pub use self::images::{ImageCard, ImagePage};
pub use self::intervention::{InterventionRequest, Off, Substitution};
pub use self::overview::Overview;

use self::images::Images;
use self::model::LiveModel;
use self::run::Run;
use crate::error::LabError;
use crate::session::Session;
use crate::subject::{ModelSource, Subject};

/// Bytes of attention that are kept for images that were asked about before.
const KEPT_BYTES: usize = 256 << 20;

/// What is put on the table.
#[derive(Clone, Debug, Default)]
pub struct LiveOptions {
    /// Models, each under a name or that of its file.
    pub models: Vec<(Option<String>, ModelSource)>,
    /// Images; by default those of the run, or Sherds for models trained on it.
    pub data: Option<String>,
    /// Which split of them.
    pub split: Option<String>,
    /// The folder of an investigation: its models, its data and its findings, as far as nothing else is given.
    pub run: Option<PathBuf>,
}

/// Models, images and findings that stay open.
pub struct Live {
    session: Session,
    models: Vec<LiveModel>,
    images: Images,
    run: Option<Run>,
    seen: Mutex<Vec<Kept>>,
}

/// An image as one model takes it.
pub(crate) struct Input {
    /// What its random numbers are keyed by.
    key: u64,
    picture: Arc<Image>,
    pixels: Tensor<4>,
}

/// What one model makes of one image.
struct Seen {
    logits: Vec<f32>,
    attention: Option<AttentionMaps>,
}

struct Kept {
    model: usize,
    image: String,
    seen: Arc<Seen>,
}

impl Seen {
    fn bytes(&self) -> usize {
        let layers = self.attention.iter().flat_map(|maps| &maps.layers);
        4 * (self.logits.len() + layers.map(|layer| layer.values.len()).sum::<usize>())
    }
}

impl Session {
    /// Opens models, data and findings for [`Live`] questions.
    ///
    /// # Errors
    /// A folder that holds no investigation, data or weights that cannot be used, two models of one name.
    pub fn live(&self, options: &LiveOptions) -> Result<Live, LabError> {
        let run = options.run.as_deref().map(Run::open).transpose()?;
        let mut sources = options.models.clone();
        if sources.is_empty() {
            sources.extend(run.iter().flat_map(Run::models));
        }
        let recorded = run.as_ref().and_then(|run| run.data.clone());
        let data = options.data.clone().or(recorded);
        let mut models = Vec::new();
        for (name, source) in sources {
            let of_user = name.clone().filter(|_| !options.models.is_empty());
            let name = name.unwrap_or_else(|| model::name_of(&source.weights));
            models.push(self.open_live(name, of_user, Subject::new(source, data.clone()))?);
        }
        model::check_names(&models)?;
        let source = match (data, models.first()) {
            (Some(source), _) => source,
            (None, Some(model)) => {
                model.require_sherds()?;
                "sherds".into()
            }
            (None, None) => return Err(LabError::NothingOnTheTable),
        };
        let dataset = self.open_data(&source, &OpenOptions::default())?;
        let images = Images::new(dataset, options.split.as_deref(), &mut models)?;
        if let Some(run) = &run {
            models.iter_mut().for_each(|model| model.found(run));
        }
        Ok(Live { session: self.clone(), models, images, run, seen: Mutex::default() })
    }
}

impl Live {
    fn model(&self, name: &str) -> Result<(usize, &LiveModel), LiveError> {
        let found = self.models.iter().position(|model| model.name == name);
        let index = found.ok_or_else(|| LiveError::Model {
            name: name.into(),
            known: self.models.iter().map(|model| model.name.clone()).collect(),
        })?;
        Ok((index, &self.models[index]))
    }

    /// An image as a model takes it.
    fn input(&self, model: &LiveModel, image: &str) -> Result<Input, LiveError> {
        let (picture, key) = self.images.picture(image)?;
        Ok(input_of(model, (*picture).clone(), key, self.images.is_made(image)))
    }

    /// An image exactly as a model takes it, at the model's input size.
    ///
    /// # Errors
    /// A model or an image that is not there.
    pub fn input_picture(&self, model: &str, image: &str) -> Result<Arc<Image>, LiveError> {
        Ok(self.input(self.model(model)?.1, image)?.picture)
    }

    /// What a model makes of an image, computed once for the images that were asked about last.
    fn seen(&self, model: &str, image: &str) -> Result<Arc<Seen>, LiveError> {
        let (index, live) = self.model(model)?;
        let mut kept = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = kept.iter().position(|kept| kept.model == index && kept.image == image) {
            let found = kept.remove(place);
            let seen = found.seen.clone();
            kept.push(found);
            return Ok(seen);
        }
        drop(kept);
        let input = self.input(live, image)?;
        let key = [input.key];
        let evidence = evidence(live, &input, self.session.seed(), &key);
        let attention = match live.classifier.has_attention() {
            true => Some(evidence.attention()?.clone()),
            false => None,
        };
        let logits = evidence.logits().to_vec();
        if !logits.is_empty() && first_not_finite(&logits, logits.len()).is_some() {
            return Err(LiveError::NotFinite { model: live.name.clone() });
        }
        let seen = Arc::new(Seen { logits, attention });
        let mut kept = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(Kept { model: index, image: image.into(), seen: seen.clone() });
        let mut bytes: usize = kept.iter().map(|kept| kept.seen.bytes()).sum();
        while bytes > KEPT_BYTES && kept.len() > 1 {
            bytes -= kept.remove(0).seen.bytes();
        }
        Ok(seen)
    }

    /// The attention of a model in an image.
    fn attended<'a>(&self, model: &LiveModel, seen: &'a Seen) -> Result<&'a AttentionMaps, LiveError> {
        seen.attention.as_ref().ok_or_else(|| LiveError::NoAttention { model: model.name.clone() })
    }

    /// The class that is asked about: the one given, or the model's answer.
    fn target(&self, model: &LiveModel, seen: &Seen, asked: Option<usize>) -> Result<usize, LiveError> {
        let classes = model.names.len();
        match asked {
            _ if classes == 0 => Err(LiveError::NoClasses { model: model.name.clone() }),
            Some(class) if class >= classes => {
                Err(LiveError::Class { model: model.name.clone(), class, classes })
            }
            Some(class) => Ok(class),
            None => Ok(answer::largest(&seen.logits)),
        }
    }
}

/// A picture as a model takes it. One that was `made` at a model's input size, as adversarial images are, is not fitted to it again: a
/// second resize or crop would change the perturbation.
fn input_of(model: &LiveModel, picture: Image, key: u64, made: bool) -> Input {
    let preprocessing = &model.classifier.card().preprocessing;
    let side = preprocessing.image_size;
    let fitted = match made && (picture.width(), picture.height()) == (side, side) {
        true => picture,
        false => preprocess(picture, preprocessing),
    };
    let pixels = to_tensor(std::slice::from_ref(&fitted), &model.device);
    Input { key, picture: Arc::new(fitted), pixels }
}

/// The passes of a model over one image.
fn evidence<'a>(model: &'a LiveModel, input: &Input, seed: u64, key: &'a [u64]) -> Evidence<'a> {
    Evidence::new(&model.classifier, input.pixels.clone(), Keys { seed, images: key })
}
