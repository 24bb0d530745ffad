//! `archaeo attention`: what a transformer's heads attend to.

use std::iter::repeat_n;

use anyhow::Result;
use archaeo_analysis::attention_maps::AttentionMaps;
use archaeo_analysis::attention_statistics::{
    DistanceConvention, HeadStatistics, LayerStatistics, attention_statistics,
};
use archaeo_analysis::rollout::{HeadFusion, RolloutOptions, rollout};
use archaeo_experiments::export::{NamedArray, write_export};
use archaeo_experiments::images::{Batch, Preprocessed};
use archaeo_experiments::studies::Progress;
use serde_json::json;

use super::subject::{Opened, open};
use crate::cli::{Attention, Fusion, Global};
use crate::printer::Printer;
use crate::progress::Bars;

/// Mean weight on a kind of token, of each layer and head; `None` of a model that has no such token.
fn mass(images: &[Vec<LayerStatistics>], of: fn(&HeadStatistics) -> Option<f64>) -> Option<Vec<Vec<f64>>> {
    let mean = |layer: usize, head: usize| -> Option<f64> {
        let sum: Option<f64> = images.iter().map(|image| of(&image[layer].heads[head])).sum();
        Some(sum? / images.len() as f64)
    };
    let heads = |layer: usize| 0..images[0][layer].heads.len();
    (0..images[0].len()).map(|layer| heads(layer).map(|head| mean(layer, head)).collect()).collect()
}

/// Runs the command.
///
/// # Errors
/// A model without attention, or data that cannot be read.
pub fn run(arguments: &Attention, global: &Global, printer: &Printer) -> Result<()> {
    anyhow::ensure!((0.0..1.0).contains(&arguments.discard), "--discard must be at least 0 and below 1");
    let subject = &arguments.subject;
    let opened = open(subject, global, printer)?;
    opened.require_attention(subject)?;
    let Opened { model, indices, device, .. } = &opened;
    let convention = if arguments.raw { DistanceConvention::Raw } else { DistanceConvention::Renormalised };
    let fusion = match arguments.fusion {
        Fusion::Mean => HeadFusion::Mean,
        Fusion::Max => HeadFusion::Max,
        Fusion::Min => HeadFusion::Min,
    };
    let options = RolloutOptions { fusion, discard: arguments.discard };

    let images = Preprocessed { split: opened.split()?, preprocessing: &model.card().preprocessing };
    let bars = Bars::default();
    bars.begin(&model.card().name, indices.len());
    let mut statistics: Vec<Vec<LayerStatistics>> = Vec::new();
    let mut read_out = "";
    let (mut rollouts, mut grid) = (Vec::new(), [0, 0]);
    for batch in indices.chunks(subject.batch_size.into()) {
        let maps = AttentionMaps::record(model, Batch::load(&images, batch, 0)?.tensor(device))?;
        statistics.extend(attention_statistics(&maps, convention));
        rollouts.extend(rollout(&maps, &options).into_iter().flat_map(|heatmap| heatmap.values));
        grid = maps.grid();
        read_out = maps.layers[0].site.read_out.describe();
        bars.advance(batch.len());
    }
    bars.finish();

    let table = |statistic: fn(&HeadStatistics) -> f64| -> Vec<Vec<f64>> {
        let mean = |layer: usize, head: usize| {
            let sum: f64 = statistics.iter().map(|image| statistic(&image[layer].heads[head])).sum();
            sum / statistics.len() as f64
        };
        let layers = 0..statistics[0].len();
        layers
            .map(|layer| (0..statistics[0][layer].heads.len()).map(|head| mean(layer, head)).collect())
            .collect()
    };
    let (distance, entropy) = (table(|head| head.distance), table(|head| head.entropy));
    if let Some(path) = &subject.export {
        // Stages of a Swin Transformer differ in their number of heads.
        let most = distance.iter().map(Vec::len).max().unwrap_or(0);
        let shape = [distance.len(), most];
        let flat = |table: &[Vec<f64>]| -> Vec<f32> {
            let padded = |heads: &Vec<f64>| {
                let missing = most - heads.len();
                heads.iter().map(|&value| value as f32).chain(repeat_n(f32::NAN, missing)).collect::<Vec<_>>()
            };
            table.iter().flat_map(padded).collect()
        };
        let arrays = [
            NamedArray::floats("attention_distance", &shape, flat(&distance)),
            NamedArray::floats("attention_entropy", &shape, flat(&entropy)),
            NamedArray::floats("rollout", &[statistics.len(), grid[0], grid[1]], rollouts),
        ];
        write_export(path, &arrays, &[("distance", convention.describe()), ("model", &model.card().name)])?;
    }
    let result = json!({
        "model": model.card().name,
        "precision": global.precision_name(),
        "read_out": read_out,
        "distillation_token_mass": mass(&statistics, |head| head.distillation_token_mass),
        "register_mass": mass(&statistics, |head| head.register_mass),
        "n": statistics.len(),
        "distance_convention": convention.describe(),
        "attention_distance": distance,
        "attention_entropy": entropy,
        "normalised_entropy": table(|head| head.normalised_entropy),
        "hoyer_sparsity": table(|head| head.hoyer),
        "below_uniform": table(|head| head.below_uniform),
        // Absent, not zero, of a model without a class token.
        "class_token_mass": statistics[0][0].heads[0].class_token_mass.map(|_| {
            table(|head| head.class_token_mass.unwrap_or(f64::NAN))
        }),
    });
    printer.result(&result, |_| {
        let rows = |title: &str, table: &[Vec<f64>]| {
            let mut lines = format!("{title}\n");
            for (layer, heads) in table.iter().enumerate() {
                let cells: String = heads.iter().map(|value| format!("{value:8.2}")).collect();
                lines += &format!("layer {:>2} {cells}\n", layer + 1);
            }
            lines
        };
        format!(
            "{} on {} images; columns are heads, layers are counted from 1\n\n{}\n{}",
            model.card().name,
            statistics.len(),
            rows(&format!("mean attention distance, pixels ({})", convention.describe()), &distance),
            rows("entropy, nats", &entropy)
        )
    })
}
