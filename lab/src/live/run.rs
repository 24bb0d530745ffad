//! What an investigation left: its models, its data and its findings.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::LabError;
use crate::subject::ModelSource;

/// Bytes of the longest record that is read.
const LONGEST: u64 = 256 << 20;

/// The metric whose verdict pictures carry.
const SHOWN_METRIC: &str = "deletion";

/// The folder of an investigation. Of its findings, only what can be read is used: a study that is not there leaves nothing to say.
pub(super) struct Run {
    pub folder: PathBuf,
    /// What it is called.
    pub name: String,
    /// Source of the images.
    pub data: Option<String>,
    models: Vec<Value>,
    faithfulness: Value,
    causal: Value,
    atlas: Value,
}

impl Run {
    pub fn open(folder: &Path) -> Result<Self, LabError> {
        let investigation = read(&folder.join("investigation.json"))
            .ok_or_else(|| LabError::NoInvestigation(folder.to_owned()))?;
        let findings = |study: &str| {
            let file = folder.join("findings").join(format!("{study}.json"));
            read(&file).map(|mut found| found["findings"].take()).unwrap_or_default()
        };
        Ok(Self {
            folder: folder.to_owned(),
            name: match investigation["called"].as_str() {
                Some(name) => name.to_owned(),
                None => folder.display().to_string(),
            },
            data: investigation["data"]["source"].as_str().map(str::to_owned),
            models: investigation["models"].as_array().cloned().unwrap_or_default(),
            faithfulness: findings("faithfulness"),
            causal: findings("causal"),
            atlas: findings("atlas"),
        })
    }

    /// The models under their names.
    pub fn models(&self) -> impl Iterator<Item = (Option<String>, ModelSource)> {
        self.models.iter().filter_map(|model| {
            let weights = self.weights(model)?;
            Some((model["name"].as_str().map(str::to_owned), ModelSource::new(weights)))
        })
    }

    /// Where the weights of a model are: in the folder, or where they were given from.
    fn weights(&self, model: &Value) -> Option<PathBuf> {
        let written = Path::new(model["weights"].as_str()?);
        let inside = self.folder.join(written);
        Some(if inside.exists() { inside } else { written.to_owned() })
    }

    /// Whether it investigated the model of this name with these weights.
    pub fn has(&self, name: &str, hash: Option<&str>) -> bool {
        self.models.iter().any(|model| {
            model["name"].as_str() == Some(name) && hash.is_some() && model["weights_sha256"].as_str() == hash
        })
    }

    /// By method, how far its heatmaps of a model can be believed.
    pub fn verdicts(&self, model: &str) -> Map<String, Value> {
        let methods = self.faithfulness["models"][model]["methods"].as_array();
        let causal = self.causal["models"][model]["methods"].as_array();
        let of_method = |method: &Value| {
            let id = method["method"].as_str()?;
            let score = &method["scores"][SHOWN_METRIC];
            let mean = score.get("mean")?;
            let true_to = causal.and_then(|all| all.iter().find(|other| other["id"].as_str() == Some(id)));
            let verdict = json!({
                "metric": SHOWN_METRIC,
                "higher_is_better": false,
                "score": mean["value"],
                "low": mean["low"],
                "high": mean["high"],
                "n": mean["n"],
                "over_random": score["over_random"]["better"],
                "over_centre": score["over_centre"]["better"],
                "causal": true_to.map(|of| of["strength"].clone()),
                "source": self.name,
            });
            Some((id.to_owned(), verdict))
        };
        methods.into_iter().flatten().filter_map(of_method).collect()
    }

    /// By layer and head, what the head does.
    pub fn atlas(&self, model: &str) -> Option<Value> {
        let mut layers: Vec<Vec<Value>> = Vec::new();
        for head in self.atlas[model]["heads"].as_array()? {
            let layer = usize::try_from(head["layer"].as_u64()?).ok()?;
            layers.resize_with(layers.len().max(layer), Vec::new);
            layers.get_mut(layer.checked_sub(1)?)?.push(json!({ "label": head["label"] }));
        }
        Some(json!(layers))
    }
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_str(&archaeo_store::read_text(file, LONGEST).ok()?).ok()
}
