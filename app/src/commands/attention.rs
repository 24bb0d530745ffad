//! `archaeo attention`: what a transformer's heads attend to.

use std::iter::repeat_n;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use archaeo_analysis::Keys;
use archaeo_analysis::attention::{
    DistanceConvention, HeadStatistics, LayerStatistics, attention_statistics,
};
use archaeo_analysis::attribution::{
    Attribution, Evidence, HeadFusion, Heatmap, Rollout, RolloutOptions, method,
};
use archaeo_experiments::scene::Progress;
use archaeo_models::Classifier;
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::finite::{NotFinite, check_maps, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed};
use serde_json::json;

use super::subject::{Opened, Purpose, not_finite, open};
use crate::cli::{Attention, Fusion, Global};
use crate::printer::Printer;
use crate::progress::Bars;

/// Runs the command.
///
/// # Errors
/// A model without attention, or data that cannot be read.
pub fn run(arguments: &Attention, global: &Global, printer: &Printer) -> Result<()> {
    ensure!((0.0..1.0).contains(&arguments.discard), "--discard must be at least 0 and below 1");
    let subject = &arguments.subject;
    let opened = open(subject, global, Purpose::Look, printer)?;
    opened.require_attention(subject)?;
    let shown = shown(&arguments.layer, &opened)?;
    let Opened { model, indices, device, .. } = &opened;
    let convention = if arguments.raw { DistanceConvention::Raw } else { DistanceConvention::Renormalised };
    let fusion = match arguments.fusion {
        Fusion::Mean => HeadFusion::Mean,
        Fusion::Max => HeadFusion::Max,
        Fusion::Min => HeadFusion::Min,
    };
    let rollout =
        Rollout { options: RolloutOptions { fusion, discard: arguments.discard, ..RolloutOptions::USUAL } };
    let methods = chosen(&arguments.methods, &rollout, model)?;

    let split = opened.split()?;
    let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
    let bars = Bars::default();
    bars.begin(&model.card().name, indices.len());
    let mut statistics: Vec<Vec<LayerStatistics>> = Vec::new();
    let mut read_out = "";
    let mut heatmaps: Vec<Vec<Heatmap>> = vec![Vec::new(); methods.len()];
    for batch in indices.chunks(subject.batch_size.into()) {
        let pixels = Batch::load(&images, batch, 0)?.tensor(device);
        let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
        let keys = Keys { seed: global.seed.unwrap_or(0), images: &ids };
        let evidence = Evidence::new(model, pixels.clone(), keys);
        let maps = evidence.attention()?;
        let image = |row: usize| (split.identifier(batch[row]), pixels.clone().narrow(0, row, 1));
        check_maps(model, maps, image).map_err(|error| not_finite(error, subject, global))?;
        let of_shown = |image: Vec<LayerStatistics>| {
            image.into_iter().zip(1..).filter(|(_, number)| shown.contains(number)).map(|(layer, _)| layer)
        };
        let all = attention_statistics(maps, convention).into_iter();
        statistics.extend(all.map(|image| of_shown(image).collect::<Vec<_>>()));
        for (of_method, method) in heatmaps.iter_mut().zip(&methods) {
            if method.info().depends_on_class
                && let Some(row) = first_not_finite(evidence.logits(), model.card().classes.len())
            {
                let (name, image) = image(row);
                return Err(not_finite(NotFinite::traced(model, &name, image), subject, global));
            }
            of_method.extend(method.explain_predicted(&evidence)?);
        }
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
    let mut tables = vec![
        ("attention_distance", distance.clone()),
        ("attention_entropy", entropy.clone()),
        ("normalised_entropy", table(|head| head.normalised_entropy)),
        ("hoyer_sparsity", table(|head| head.hoyer)),
        ("below_uniform", table(|head| head.below_uniform)),
    ];
    // Absent, not zero, for a model that has no such token.
    let masses = [
        ("class_token_mass", mass(&statistics, |head| head.class_token_mass)),
        ("distillation_token_mass", mass(&statistics, |head| head.distillation_token_mass)),
        ("register_mass", mass(&statistics, |head| head.register_mass)),
    ];
    tables.extend(masses.iter().filter_map(|(name, table)| Some((*name, table.clone()?))));
    if let Some(path) = &subject.export {
        let heatmaps =
            methods.iter().zip(&heatmaps).map(|(method, of_images)| array(*method, of_images)).collect();
        let notes = [("distance", convention.describe()), ("model", &model.card().name)];
        let notes = notes.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        write(path, &opened, &shown, &tables, heatmaps, notes)?;
    }
    let mut result = json!({
        "model": model.card().name,
        "precision": global.precision_name(),
        "read_out": read_out,
        "heatmaps": methods.iter().map(|method| method.info()).collect::<Vec<_>>(),
        "n": statistics.len(),
        "distance_convention": convention.describe(),
        // The numbers of the layers, one for each row of what follows.
        "layers": shown,
    });
    for (name, table) in tables {
        result[name] = json!(table);
    }
    for (name, table) in masses {
        result[name] = json!(table);
    }
    printer.result(&result, |_| {
        let rows = |title: &str, table: &[Vec<f64>]| {
            let mut lines = format!("{title}\n");
            for (layer, heads) in shown.iter().zip(table) {
                let cells: String = heads.iter().map(|value| format!("{value:8.2}")).collect();
                lines += &format!("layer {layer:>2} {cells}\n");
            }
            lines
        };
        format!(
            "{} on {} images; its head reads {read_out}; columns are attention heads, layers and heads are numbered from 1\n\n{}\n{}",
            model.card().name,
            statistics.len(),
            rows(&format!("mean attention distance, pixels ({})", convention.describe()), &distance),
            rows("entropy, nats", &entropy)
        )
    })
}

/// Numbers of the layers that are shown, ascending, from 1.
fn shown(asked: &[usize], opened: &Opened) -> Result<Vec<usize>> {
    let card = opened.model.card();
    let count = card.network.attention_layers();
    if let Some(number) = asked.iter().find(|number| **number > count) {
        ensure!(count > 1, "--layer {number}: {} has 1 layer", card.name);
        bail!("--layer {number}: {} has {count} layers, numbered from 1 to {count}", card.name);
    }
    Ok((1..=count).filter(|number| asked.is_empty() || asked.contains(number)).collect())
}

/// The methods of these ids, rollout with its options; none twice.
fn chosen<'a>(ids: &[String], rollout: &'a Rollout, model: &Classifier) -> Result<Vec<&'a dyn Attribution>> {
    let mut methods: Vec<&dyn Attribution> = Vec::new();
    for id in ids {
        let found = method(id).expect("the command line offers the methods that there are");
        if let Some(reason) = found.applies(model).reason() {
            bail!("--method {id}: {reason}");
        }
        let found = if found.info() == rollout.info() { rollout } else { found };
        if methods.iter().all(|method| method.info() != found.info()) {
            methods.push(found);
        }
    }
    Ok(methods)
}

/// Heatmaps of one method and size, `(n, rows, columns)`, under the method's name.
fn array(method: &dyn Attribution, heatmaps: &[Heatmap]) -> NamedArray {
    let [rows, columns] = heatmaps.first().map_or([0, 0], |heatmap| [heatmap.height, heatmap.width]);
    let values = heatmaps.iter().flat_map(|heatmap| heatmap.values.iter().copied()).collect();
    NamedArray::floats(&method.info().id.replace('-', "_"), &[heatmaps.len(), rows, columns], values)
}

/// Mean weight on a kind of token, of each layer and head; `None` of a model that has no such token.
fn mass(images: &[Vec<LayerStatistics>], of: fn(&HeadStatistics) -> Option<f64>) -> Option<Vec<Vec<f64>>> {
    let mean = |layer: usize, head: usize| -> Option<f64> {
        let sum: Option<f64> = images.iter().map(|image| of(&image[layer].heads[head])).sum();
        Some(sum? / images.len() as f64)
    };
    let heads = |layer: usize| 0..images[0][layer].heads.len();
    (0..images[0].len()).map(|layer| heads(layer).map(|head| mean(layer, head)).collect()).collect()
}

/// The statistics of every head, and what is known of the images.
fn write(
    path: &Path,
    opened: &Opened,
    shown: &[usize],
    tables: &[(&str, Vec<Vec<f64>>)],
    heatmaps: Vec<NamedArray>,
    notes: Vec<(String, String)>,
) -> Result<()> {
    let heads: Vec<usize> = tables[0].1.iter().map(Vec::len).collect();
    let most = heads.iter().copied().max().unwrap_or(0);
    let places =
        || shown.iter().zip(&heads).flat_map(|(&layer, &heads)| (1..=heads).map(move |head| (layer, head)));
    let [layers, numbers] =
        [|(layer, _)| layer, |(_, head): (usize, usize)| head].map(|number: fn((usize, usize)) -> usize| {
            Column::indices(&places().map(number).collect::<Vec<_>>())
        });
    let mut table = Table::default().with("layer", layers).with("head", numbers);
    let mut arrays = heatmaps;
    if opened.dataset.has_labels() {
        arrays.push(NamedArray::indices("labels", &opened.labels()?));
    }
    for (name, values) in tables {
        // Stages of a Swin Transformer differ in their number of heads.
        let padded = values.iter().flat_map(|heads| {
            heads.iter().map(|&value| value as f32).chain(repeat_n(f32::NAN, most - heads.len()))
        });
        arrays.push(NamedArray::floats(name, &[values.len(), most], padded.collect()));
        table = table.with(*name, Column::Numbers(values.iter().flatten().copied().collect()));
    }
    Ok(Export { arrays, images: opened.images()?, table, notes }.write(path)?)
}
