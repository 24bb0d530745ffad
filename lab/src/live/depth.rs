//! How an answer comes about, layer by layer.

use archaeo_analysis::AnalysisError;
use archaeo_analysis::attention::{DistanceConvention, HeadStatistics, attention_statistics};
use archaeo_analysis::attribution::{Evidence, lens_by_layer, read_outs};
use archaeo_analysis::statistics::cosine;
use serde_json::{Value, json};

use super::model::LiveModel;
use super::{Live, LiveError, evidence};
use archaeo_store::arrays::{Array, Arrays, Numbers};

impl Live {
    /// The logit lens: what the head would read after each layer, from each patch alone and from what it reads at the end; how alike
    /// the latter is to that; and distance and entropy of attention as they grow. Probabilities are of `target`, by default the
    /// model's answer. A model whose tokens change their width has no lens: its head reads those of the last stage alone.
    ///
    /// # Errors
    /// A model without attention or without a head.
    pub fn depth(&self, model: &str, image: &str, target: Option<usize>) -> Result<Arrays, LiveError> {
        let (_, live) = self.model(model)?;
        let seen = self.seen(model, image)?;
        let maps = self.attended(live, &seen)?;
        let target = self.target(live, &seen, target)?;
        let input = self.input(live, image)?;
        let key = [input.key];
        let evidence = evidence(live, &input, self.session.seed(), &key);
        let stream = match evidence.stream() {
            Ok(stream) => Some(stream),
            Err(AnalysisError::SeveralWidths { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let read = stream.map(|stream| read_outs(&live.classifier, stream));
        let last = read.as_ref().map(|read| &read.last().expect("a transformer has a block").features);
        let statistics = attention_statistics(maps, DistanceConvention::default()).swap_remove(0);
        let mut layers = Vec::new();
        for (layer, statistics) in statistics.iter().enumerate() {
            let read = read.as_ref().map(|read| &read[layer]);
            let mean = |of: fn(&HeadStatistics) -> f64| {
                statistics.heads.iter().map(of).sum::<f64>() / statistics.heads.len() as f64
            };
            layers.push(json!({
                "layer": layer + 1,
                "read_out": read.map(|read| read_out(live, &read.logits, target)),
                "similarity": read.zip(last).map(|(read, last)| cosine(&read.features, last)),
                "distance": mean(|of| of.distance),
                "entropy": mean(|of| of.normalised_entropy),
            }));
        }
        let arrays = match stream {
            Some(stream) => lens(&evidence, target, stream.grid)?,
            None => Vec::new(),
        };
        let (probabilities, _) = live.ranked(&seen.logits, 0);
        let target = live.called(target, &seen.logits, &probabilities);
        Ok(Arrays { arrays, about: json!({ "target": target, "layers": layers }) })
    }
}

/// Of every patch after every layer, the probability of `target` and the most probable class: `(layers, rows, columns)`.
fn lens(evidence: &Evidence, target: usize, [rows, columns]: [usize; 2]) -> Result<Vec<Array>, LiveError> {
    let by_layer = lens_by_layer(evidence, target)?;
    let shape = [by_layer.len(), rows, columns];
    let probabilities = by_layer.iter().flat_map(|layer| layer.target.iter().copied()).collect();
    let number = |&class: &usize| i32::try_from(class).unwrap_or(i32::MAX);
    let classes = by_layer.iter().flat_map(|layer| layer.class.iter().map(number)).collect();
    Ok(vec![
        Array::f32("lens", shape, probabilities),
        Array { name: "lens_class".into(), shape: shape.into(), numbers: Numbers::I32(classes) },
    ])
}

fn read_out(model: &LiveModel, logits: &[f32], target: usize) -> Value {
    let (probabilities, top) = model.ranked(logits, 1);
    let best = &top[0];
    json!({
        "class": best.class,
        "name": best.name,
        "probability": best.probability,
        "target_probability": probabilities[target],
    })
}
