//! A model on the table, and what is known of it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use archaeo_analysis::ablation::PartMeans;
use archaeo_data::Dataset;
use archaeo_experiments::classes::{Matching, Outputs};
use archaeo_models::{AttentionSite, Classifier, Pass, Probe};
use archaeo_ops::in_pool;
use burn::tensor::{Device, Tensor};
use serde_json::{Map, Value};

use super::run::Run;
use crate::checkpoint::require_decided;
use crate::classes::{matched, outputs};
use crate::data::require_sherds_classes;
use crate::error::LabError;
use crate::session::Session;
use crate::subject::Subject;

/// A model, what its outputs are called, and what an investigation found of it.
pub(super) struct LiveModel {
    pub name: String,
    /// What the page calls it: the name that the user gave it, or its own.
    pub title: String,
    pub subject: Subject,
    pub classifier: Classifier,
    pub device: Device,
    /// Names of the outputs; none without a head.
    pub names: Vec<String>,
    outputs: Option<Outputs>,
    /// Output of each class of the data.
    output_of: Vec<Option<usize>>,
    /// Its attention, layer by layer; none of a model without.
    pub layout: Vec<LayerLayout>,
    /// Hash of the weights, once it is known.
    hash: OnceLock<Option<String>>,
    /// Means over reference images, once they are asked for, and over how many.
    pub means: OnceLock<(PartMeans, usize)>,
    /// By method, what an investigation measured.
    pub verdicts: Map<String, Value>,
    /// By layer and head, what the head does.
    pub atlas: Option<Value>,
}

/// The attention of one layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerLayout {
    pub site: AttentionSite,
    pub heads: usize,
}

/// Notes where attention is.
#[derive(Default)]
struct LayoutProbe(Vec<LayerLayout>);

impl Probe for LayoutProbe {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        self.0.push(LayerLayout { site: *site, heads: outputs.dims()[1] });
        outputs
    }
}

fn layout(model: &Classifier, device: &Device) -> Vec<LayerLayout> {
    let side = model.card().preprocessing.image_size;
    let mut probe = LayoutProbe::default();
    if model.has_attention() {
        let grey = Tensor::<4>::full([1, 3, side, side], 0.5, device);
        in_pool(|| model.logits(grey, &mut Pass::evaluate(&mut probe)));
    }
    probe.0
}

/// What a model is called after its weights: the file's name, or the folder's where the file is called as all are.
pub(super) fn name_of(weights: &Path) -> String {
    let words = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let own = words(weights).unwrap_or_else(|| "model".into());
    let usual = ["model", "pytorch_model", "open_clip_model", "weights", "checkpoint"];
    match weights.parent().and_then(words) {
        Some(folder) if usual.contains(&own.as_str()) => folder,
        _ => own,
    }
}

/// Refuses two models of one name, which could not be told apart.
pub(super) fn check_names(models: &[LiveModel]) -> Result<(), LabError> {
    let twice =
        models.iter().enumerate().find(|(i, model)| models[..*i].iter().any(|m| m.name == model.name));
    match twice {
        Some((_, model)) => Err(LabError::SameName { name: model.name.clone() }),
        None => Ok(()),
    }
}

impl Session {
    pub(super) fn open_live(
        &self,
        name: String,
        of_user: Option<String>,
        subject: Subject,
    ) -> Result<LiveModel, LabError> {
        let device = self.device()?;
        let found = self.find(&subject.model)?;
        let own = subject.model.name.is_none() && matches!(found.checkpoint.card(), Ok(Some(_)));
        let described = found.described.clone();
        let classifier = self.load(&subject.model, found, &[], &device)?;
        require_decided(&subject.model.weights, &described, &classifier, &device)?;
        let outputs = match classifier.card().classes.is_empty() {
            true => None,
            false => Some(outputs(&subject, &classifier, own)?),
        };
        Ok(LiveModel {
            layout: layout(&classifier, &device),
            title: of_user.unwrap_or_else(|| classifier.card().name.clone()),
            name,
            subject,
            classifier,
            device,
            names: outputs.as_ref().map(|outputs| outputs.names.clone()).unwrap_or_default(),
            outputs,
            output_of: Vec::new(),
            hash: OnceLock::new(),
            means: OnceLock::new(),
            verdicts: Map::new(),
            atlas: None,
        })
    }
}

impl LiveModel {
    /// The weights.
    pub fn weights(&self) -> &PathBuf {
        &self.subject.model.weights
    }

    /// SHA-256 of the weights; `None` of a file that cannot be read any more. Computed when it is first asked for.
    pub fn hash(&self) -> Option<&str> {
        self.hash.get_or_init(|| archaeo_store::sha256_path(self.weights()).ok()).as_deref()
    }

    /// The output of a class of the data, where there is one.
    pub fn output_of(&self, label: usize) -> Option<usize> {
        self.output_of.get(label).copied().flatten()
    }

    /// Refuses a model that was not trained on Sherds where there are no other data.
    pub fn require_sherds(&self) -> Result<(), LabError> {
        require_sherds_classes(self.weights(), &self.classifier.card().classes)
    }

    /// Finds which class of the data is which output. Where that cannot be told, images have no label for this model.
    pub fn match_with(&mut self, dataset: &Dataset, split: &str) -> Result<(), LabError> {
        let Some(outputs) = self.outputs.as_ref().filter(|_| dataset.has_labels()) else { return Ok(()) };
        if let Ok(Matching { output_of, outputs, .. }) = matched(&self.subject, dataset, split, outputs)? {
            self.output_of = output_of;
            self.names = outputs.names;
        }
        Ok(())
    }

    /// Takes over what an investigation found of these weights under this name.
    pub fn found(&mut self, run: &Run) {
        if run.has(&self.name, self.hash()) {
            self.verdicts = run.verdicts(&self.name);
            self.atlas = run.atlas(&self.name);
        }
    }
}
