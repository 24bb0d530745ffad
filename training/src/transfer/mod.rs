//! Transfer: a training that starts from the weights of another model (Yosinski et al., 2014).
//!
//! A [`Transfer`] reads a checkpoint once, replaces its head by one for the classes of the data, and completes the recipe by what
//! the checkpoint determines. Sizes and preprocessing are the checkpoint's; learned positions, and tables of position biases, are
//! resampled to the recipe's `image_size`. The head is kept where the checkpoint names the same classes, in any order.

mod error;
pub(crate) mod features;
mod freeze;
mod rates;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use archaeo_models::{
    Checkpoint, Classifier, Described, LoadOptions, Mismatch, ModelCard, ModelRequest, NetworkSpec,
    PreprocessingChoice, WeightsError, checkpoint, heads, is_head,
};
use archaeo_store::sha256_path;
use burn::module::Module;
use burn::tensor::Device;

pub use self::error::TransferError;
pub use self::freeze::Freeze;
pub(crate) use self::rates::scales;
use crate::recipe::{CHECKPOINTED_MOMENTS, ModelChoice, Recipe, missing};
use crate::{Job, Observer, RecipeError, TrainError, memory};
use features::Lessons;

/// A model that trainings start from.
pub struct Transfer {
    recipe: Recipe,
    /// With the head of a freshly initialised model of seed 0, unless it is kept.
    model: Classifier,
    keeps_head: bool,
    notes: Vec<String>,
    features: Option<PathBuf>,
    lessons: Mutex<Option<Arc<Lessons>>>,
}

impl Transfer {
    /// Reads the weights at `file`, which the `init` of `recipe` means, for data of these classes.
    ///
    /// # Errors
    /// Weights that cannot be read, do not hold the recipe's model, or are not those of its `init_sha256`; a recipe without `init`,
    /// or with layers that the model does not have.
    pub fn read(
        recipe: &Recipe,
        file: &Path,
        classes: &[String],
        device: &Device,
    ) -> Result<Self, TransferError> {
        let init = recipe.init.clone().ok_or_else(|| missing("init"))?;
        let found = sha256_path(file)?;
        if let Some(stated) = recipe.init_sha256.clone().filter(|stated| *stated != found) {
            return Err(TransferError::Changed { init, stated, found });
        }
        let checkpoint = checkpoint::read(file)?;
        let own = matches!(checkpoint.card(), Ok(Some(_)));
        let Described { card, inferred, mut notes, doubt, .. } = described(recipe, &init, &checkpoint, own)?;
        if let Some(doubt) = doubt {
            return Err(TransferError::Undecided { init, doubt });
        }
        notes.extend(inferred.map(|inferred| format!("is {inferred}")));

        let recipe =
            Recipe { init_sha256: Some(found), image_size: card.preprocessing.image_size, ..recipe.clone() };
        let order = kept_outputs(&card, classes, own);
        let keeps_head = order.is_some();
        let network = card.network.with_rates(recipe.drop_path, recipe.dropout);
        if recipe.drop_path + recipe.dropout > 0.0 && network.attention_layers() == 0 {
            return Err(RecipeError::Value(
                "`drop_path` and `dropout` are for transformers; the model of `init` has neither".into(),
            )
            .into());
        }
        if recipe.gradient_checkpointing && network.attention_layers() == 0 {
            return Err(RecipeError::Value(
                "`gradient_checkpointing` computes the blocks of a transformer twice, and the model of `init` is none; leave the key \
                 out"
                .into(),
            )
            .into());
        }
        if recipe.gradient_checkpointing && network.normalises_over_batch() {
            return Err(RecipeError::Value(CHECKPOINTED_MOMENTS.into()).into());
        }
        let card = match keeps_head {
            true => ModelCard { network, ..card },
            false => {
                ModelCard { network: network.with_classes(classes.len()), classes: classes.to_vec(), ..card }
            }
        };
        memory::check(&recipe, &card.network)?;
        let model = loaded(checkpoint, card, keeps_head, &init, device)?;
        let model = match order {
            Some(order) => model.with_outputs(&order, classes.to_vec()),
            None => model.with_fresh_head(0),
        };
        recipe.freeze.arrays(&model)?;
        notes.push(match keeps_head {
            true => "keeps its head: its classes are those of the data".to_owned(),
            false => format!("gets a new head for the {} classes of the data", classes.len()),
        });
        let model = model.in_precision(recipe.precision);
        Ok(Self { recipe, model, keeps_head, notes, features: None, lessons: Mutex::new(None) })
    }

    /// The same with the features of a frozen backbone kept in the folder at `path`, which all runs of a recipe share; without it
    /// each run has its own.
    pub fn keeping_features_in(self, path: PathBuf) -> Self {
        Self { features: Some(path), ..self }
    }

    /// The recipe, completed by the weights' hash and image size.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The card of the model that is trained.
    pub fn card(&self) -> &ModelCard {
        self.model.card()
    }

    /// What was decided: ends of sentences about the weights.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The features of all images, from an earlier run, from files, or computed now; `None` if the observer stops it.
    pub(crate) fn lessons(
        &self,
        job: &Job,
        model: &Classifier,
        observer: &mut dyn Observer,
    ) -> Result<Option<Arc<Lessons>>, TrainError> {
        let mut lessons = self.lessons.lock().unwrap_or_else(PoisonError::into_inner);
        if lessons.is_none() {
            let folder = self.features.as_deref().unwrap_or(job.folder.path());
            *lessons = Lessons::prepare(job, model, folder, observer)?.map(Arc::new);
        }
        Ok(lessons.clone())
    }

    /// The model before the first step of a run with this seed, on the device of the weights, with autodiff.
    ///
    /// # Errors
    /// Layers to freeze that the model does not have.
    pub fn begin(&self, seed: u64) -> Result<Classifier, RecipeError> {
        let model = match self.keeps_head {
            true => self.model.clone(),
            false => self.model.clone().with_fresh_head(seed),
        };
        let frozen = self.recipe.freeze.arrays(&model)?;
        Ok(model.train().frozen(&frozen))
    }
}

/// Outputs of the checkpoint's head in the order of `classes`, where it names the same.
fn kept_outputs(card: &ModelCard, classes: &[String], own: bool) -> Option<Vec<usize>> {
    let numbered = card.classes.iter().enumerate().all(|(index, class)| *class == index.to_string());
    if card.classes.len() != classes.len() || (numbered && !own) {
        return None;
    }
    let output = |class: &String| card.classes.iter().position(|known| known == class);
    let order: Vec<usize> = classes.iter().map(output).collect::<Option<_>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..classes.len()).then_some(order)
}

/// What the checkpoint holds, for images of the recipe's size. Where it carries no card, the recipe may name its model.
fn described(
    recipe: &Recipe,
    init: &str,
    checkpoint: &Checkpoint,
    own: bool,
) -> Result<Described, TransferError> {
    let image_size = (recipe.image_size > 0).then_some(recipe.image_size);
    let request = |model: Option<&String>| ModelRequest {
        model: model.cloned(),
        preprocessing: PreprocessingChoice { image_size, ..PreprocessingChoice::default() },
        ..ModelRequest::default()
    };
    let of_itself = checkpoint.describe(&request(None));
    let named = match &recipe.model {
        Some(ModelChoice::Named(name)) if !own => Some(checkpoint.describe(&request(Some(name)))?),
        _ => None,
    };
    let Some(model) = &recipe.model else { return Ok(of_itself?) };
    let found = match (of_itself, &named) {
        (Ok(found), _) => found,
        // Nothing but the name says what it is; loading will tell whether that is right.
        (Err(_), Some(_)) => return Ok(named.expect("it is there")),
        (Err(error), None) => return Err(error.into()),
    };
    let side = found.card.preprocessing.image_size;
    let sized = Recipe { image_size: side, ..recipe.clone() };
    let needed = match &named {
        Some(named) => named.card.network.clone(),
        None => sized.network(found.card.network.classes().max(1))?,
    };
    match first_difference(&found.card.network, &needed)? {
        Some(array) => Err(TransferError::OtherModel {
            init: init.to_owned(),
            found: found.card.network.describe(),
            needed: needed.describe(),
            array,
        }),
        None if matches!(model, ModelChoice::Sizes(_)) => {
            Ok(Described { card: ModelCard { network: needed, ..found.card }, ..found })
        }
        None => Ok(named.unwrap_or(found)),
    }
}

/// The first array outside the head that one of two networks lacks or has in another shape.
fn first_difference(a: &NetworkSpec, b: &NetworkSpec) -> Result<Option<String>, TransferError> {
    let arrays = |network: &NetworkSpec| {
        let arrays = network.clone().with_classes(1).arrays().map_err(RecipeError::from)?;
        Ok::<_, TransferError>(arrays.into_iter().filter(|(name, _)| !is_head(name)).collect::<Vec<_>>())
    };
    let (a, b) = (arrays(a)?, arrays(b)?);
    let differs = |place: &usize| a.get(*place) != b.get(*place);
    let place = (0..a.len().max(b.len())).find(differs);
    Ok(place.and_then(|place| a.get(place).or(b.get(place))).map(|(name, _)| name.clone()))
}

/// The checkpoint's model with all of its arrays except those of a head that is replaced.
fn loaded(
    checkpoint: Checkpoint,
    card: ModelCard,
    keeps_head: bool,
    init: &str,
    device: &Device,
) -> Result<Classifier, TransferError> {
    let model = card.name.clone();
    let network = card.network.clone();
    let options = match keeps_head {
        true => LoadOptions::default(),
        false => LoadOptions { allow_missing: heads(), replace_head: true },
    };
    let mut checkpoint = checkpoint;
    if !keeps_head {
        checkpoint.state.remove("prototypes");
    }
    checkpoint.into_model(Some(card), &options, device).map_err(|error| match error {
        WeightsError::Mismatch { mismatch: Mismatch { missing, unexpected, misshapen }, .. } => {
            let lacking: Vec<&String> =
                missing.iter().chain(misshapen.iter().map(|(name, ..)| name)).collect();
            let needed =
                network.arrays().map_or(0, |arrays| arrays.iter().filter(|(name, _)| !is_head(name)).count());
            let init = init.to_owned();
            match lacking.first() {
                Some(_) if lacking.len() >= needed => TransferError::NoArray { init, model },
                first => TransferError::Arrays {
                    init,
                    model,
                    missing: lacking.len(),
                    first: first.map_or_else(String::new, |first| (*first).clone()),
                    unexpected: unexpected.len(),
                },
            }
        }
        error => error.into(),
    })
}
