//! What is on the table, and what can be asked of it.

use archaeo_analysis::attacks::{Goal, Norm};
use archaeo_analysis::attribution::{Cost, Kind, MethodInfo, methods};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Live;
use super::attack::attacks;
use super::explanation::{applying, over};
use super::images::MOST_PIXELS;
use super::model::{LayerLayout, LiveModel};

/// What is on the table. Serialises to one JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Overview(pub Map<String, Value>);

impl Live {
    /// What is on the table, and what can be asked of it.
    pub fn overview(&self) -> Overview {
        let (name, labels, count) = self.images.about();
        let norms: Vec<Value> = Norm::ALL.into_iter().map(norm).collect();
        let overview = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "device": self.session.device_name(),
            "precision": self.session.precision_name(),
            "run": self.run.as_ref().map(|run| run.name.clone()),
            "models": self.models.iter().map(model).collect::<Vec<_>>(),
            "methods": all_methods(),
            "attacks": all_attacks(),
            "norms": norms,
            "images": { "count": count, "name": name, "labels": labels },
            "first": "d1",
            "limits": { "pixels": MOST_PIXELS },
        });
        match overview {
            Value::Object(entries) => Overview(entries),
            _ => unreachable!("it is an object"),
        }
    }

    /// SHA-256 of a model's weights; `None` where they cannot be read any more. It is computed when it is first asked for.
    pub fn weights_hash(&self, model: &str) -> Option<String> {
        self.model(model).ok()?.1.hash().map(str::to_owned)
    }
}

fn model(model: &LiveModel) -> Value {
    let card = model.classifier.card();
    let attention = model.layout.first().map(|first| {
        let of_layers =
            |of: &dyn Fn(&LayerLayout) -> Value| -> Vec<Value> { model.layout.iter().map(of).collect() };
        json!({
            "layers": model.layout.len(),
            "heads": of_layers(&|layer| json!(layer.heads)),
            "grids": of_layers(&|layer| json!(layer.site.grid)),
            "tokens": of_layers(&|layer| json!(layer.site.tokens())),
            "prefix": first.site.prefix.count(),
            "whole": model.is_whole(),
            "windows": model.layout.iter().any(|layer| layer.site.window.is_some()),
            "cascade": model.classifier.has_cascaded_heads(),
            "read_out": first.site.read_out.describe(),
        })
    });
    let blocks = model.classifier.network.residual().map_or(0, |network| network.depth());
    json!({
        "name": model.name,
        "title": model.title,
        "describe": card.network.describe(),
        "weights": model.weights().display().to_string(),
        "parameters": model.classifier.parameter_count(),
        "image_size": card.preprocessing.image_size,
        "classes": model.names,
        "attention": attention,
        "blocks": if model.layout.is_empty() { blocks } else { 0 },
        "methods": applying(model),
        "verdicts": model.verdicts,
        "atlas": model.atlas,
    })
}

fn all_methods() -> Vec<Value> {
    let one = |info: &MethodInfo| {
        json!({
            "id": info.id,
            "title": info.title,
            "summary": info.summary,
            "kind": match info.kind { Kind::Explanation => "explanation", Kind::Baseline => "baseline" },
            "over": over(info),
            "signed": info.signed,
            "targeted": info.depends_on_class,
            "cost": match info.cost { Cost::Shared => "one pass", Cost::Dozens => "dozens of passes", Cost::Hundreds => "hundreds of passes" },
            "paper": info.paper,
        })
    };
    methods().iter().map(|method| one(method.info())).collect()
}

fn all_attacks() -> Vec<Value> {
    attacks()
        .map(|info| {
            let norms: Vec<&str> = info.norms.iter().map(|norm| norm.id()).collect();
            let losses: Vec<&str> = info.losses.iter().map(|loss| loss.id()).collect();
            json!({
                "id": info.id,
                "title": info.title,
                "summary": info.summary,
                "norms": norms,
                "steps": info.steps,
                "losses": losses,
                "restarts": info.restarts,
                "targeted": info.targeted,
                "goal": match info.goal { Goal::Within => "within", Goal::Smallest => "smallest" },
                "paper": info.paper,
            })
        })
        .collect()
}

fn norm(norm: Norm) -> Value {
    json!({
        "id": norm.id(),
        "title": norm.title(),
        "unit": norm.suffix(),
        "size": norm.usual()[1],
        "sizes": norm.usual(),
    })
}
