//! How an answer comes about, layer by layer.

use archaeo_analysis::attention::{DistanceConvention, HeadStatistics, attention_statistics};
use archaeo_analysis::attribution::{lens_by_layer, read_outs};
use archaeo_analysis::statistics::cosine;
use serde_json::{Value, json};

use super::model::LiveModel;
use super::{Live, LiveError, evidence};
use archaeo_store::arrays::{Array, Arrays, Numbers};

impl Live {
    /// The logit lens: what the head would read after each layer, from each patch alone and from what it reads at the end; how alike
    /// the latter is to that; and distance and entropy of attention as they grow. Probabilities are of `target`, by default the
    /// model's answer.
    ///
    /// # Errors
    /// A model without attention or without a head, or whose tokens change their width from layer to layer.
    pub fn depth(&self, model: &str, image: &str, target: Option<usize>) -> Result<Arrays, LiveError> {
        let (_, live) = self.model(model)?;
        let seen = self.seen(model, image)?;
        let maps = self.attended(live, &seen)?;
        let target = self.target(live, &seen, target)?;
        let input = self.input(live, image)?;
        let key = [input.key];
        let evidence = evidence(live, &input, self.session.seed(), &key);
        let stream = evidence.stream()?;
        let read = read_outs(&live.classifier, stream);
        let last = &read.last().expect("a transformer has a block").features;
        let statistics = attention_statistics(maps, DistanceConvention::default()).swap_remove(0);
        let (mut lens, mut lens_class, mut layers) = (Vec::new(), Vec::new(), Vec::new());
        for of_layer in lens_by_layer(&evidence, target)? {
            lens.extend(of_layer.target);
            lens_class
                .extend(of_layer.class.into_iter().map(|class| i32::try_from(class).unwrap_or(i32::MAX)));
        }
        for (layer, (read, statistics)) in read.iter().zip(&statistics).enumerate() {
            let mean = |of: fn(&HeadStatistics) -> f64| {
                statistics.heads.iter().map(of).sum::<f64>() / statistics.heads.len() as f64
            };
            layers.push(json!({
                "layer": layer + 1,
                "read_out": read_out(live, &read.logits, target),
                "similarity": cosine(&read.features, last),
                "distance": mean(|of| of.distance),
                "entropy": mean(|of| of.normalised_entropy),
            }));
        }
        let shape = [layers.len(), stream.grid[0], stream.grid[1]];
        let arrays = vec![
            Array::f32("lens", shape, lens),
            Array { name: "lens_class".into(), shape: shape.into(), numbers: Numbers::I32(lens_class) },
        ];
        let (probabilities, _) = live.ranked(&seen.logits, 0);
        let target = live.called(target, &seen.logits, &probabilities);
        Ok(Arrays { arrays, about: json!({ "target": target, "layers": layers }) })
    }
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
