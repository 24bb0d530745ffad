//! What LeGrad and the logit lens say of the object layer by layer, next to attention: where a method scores below random, this shows
//! in which blocks. The images are Sherds', whose masks are known.
//!
//!     cargo run --release --example by_layer -- WEIGHTS [IMAGES]
//!
//! A row for each block: AUROC against the object's mask of the attention of what the head reads, of LeGrad in that block alone, of
//! their product, and of the logit lens; the block's share of LeGrad's sum over blocks; the rank correlation of attention and LeGrad
//! over patches; the share of patches, on the object and off it, whose token alone is answered like the image; and their mean logit of
//! that class above the mean of all classes. Then LeGrad as a whole, and with attention multiplied in block by block.

use std::path::Path;

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{
    AttentionMap, Attribution, Evidence, Heatmap, LeGrad, LogitLens, rank_correlation,
};
use archaeo_analysis::faithfulness::MaskScores;
use archaeo_data::OpenOptions;
use archaeo_models::load;
use archaeo_random::stratified;
use archaeo_training::images::{preprocess, preprocess_mask, to_tensor};
use burn::tensor::Device;

// As the program has them.
#[global_allocator]
static ALLOCATOR: archaeo_ops::MiMalloc = archaeo_ops::MiMalloc;

/// Images at once.
const BATCH: usize = 16;

/// Share of a patch from which on it is object.
const OBJECT: f64 = 0.5;

/// Sums over images, and how many were added.
#[derive(Clone, Copy, Default)]
struct Mean(f64, f64);

impl Mean {
    fn add(&mut self, value: f64) {
        *self = Self(self.0 + value, self.1 + 1.0);
    }

    fn value(self) -> f64 {
        self.0 / self.1
    }
}

#[derive(Clone, Copy, Default)]
struct Row {
    /// AUROC of attention, LeGrad, their product, the lens.
    auroc: [Mean; 4],
    /// Of LeGrad, over the images.
    mass: f64,
    correlation: Mean,
    /// On the object and off it.
    answered: [Mean; 2],
    logit: [Mean; 2],
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    archaeo_ops::keep_freed_memory();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (weights, images) = match &words[..] {
        [weights] => (weights, "128"),
        [weights, images] => (weights, images.as_str()),
        _ => return Err("by_layer WEIGHTS [IMAGES]".into()),
    };
    let (device, dataset) = (Device::flex(), archaeo_data::open("sherds", &OpenOptions::default())?);
    let (model, split) = (&load(Path::new(weights), None, &device)?, dataset.split("test")?);
    // The same images as `--limit` takes.
    let chosen = stratified(0, "limit", &split.labels(), images.parse()?);
    let preprocessing = &model.card().preprocessing;
    let layers = model.card().network.attention_layers();
    let classes = model.card().classes.len();
    let mut rows = vec![Row::default(); layers];
    // LeGrad, and its products with attention summed over blocks.
    let mut whole = [Mean::default(); 2];
    for batch in chosen.chunks(BATCH) {
        let samples = split.batch(batch, |image| preprocess(image, preprocessing))?;
        let pixels: Vec<_> = samples.iter().map(|sample| sample.image.clone()).collect();
        let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
        let keys = Keys { seed: 0, images: &ids };
        let evidence = Evidence::new(model, to_tensor(&pixels, &device), keys);
        let targets = evidence.predicted()?;
        let masks = batch.iter().zip(&samples).map(|(&index, sample)| {
            let mask = split.mask_of(index, sample)?.ok_or("an image of Sherds has no mask")?;
            Ok::<_, Box<dyn std::error::Error>>(preprocess_mask(&mask, preprocessing))
        });
        let masks = masks.collect::<Result<Vec<_>, _>>()?;
        let mut products: Vec<Option<Heatmap>> = vec![None; batch.len()];
        for (layer, row) in (1..).zip(&mut rows) {
            let of_layer = Some(layer);
            let lens = LogitLens { layer: of_layer };
            let attention =
                AttentionMap { layer: of_layer, ..AttentionMap::USUAL }.explain(&evidence, &[])?;
            let gradient = LeGrad { layer: of_layer }.explain(&evidence, &targets)?;
            let seen = lens.explain(&evidence, &targets)?;
            let logits = lens.logits(&evidence)?;
            let patches = logits.len() / classes / batch.len();
            for (image, mask) in masks.iter().enumerate() {
                let product = Heatmap {
                    values: attention[image]
                        .values
                        .iter()
                        .zip(&gradient[image].values)
                        .map(|(a, b)| a * b)
                        .collect(),
                    ..gradient[image]
                };
                match &mut products[image] {
                    Some(sum) => {
                        sum.values.iter_mut().zip(&product.values).for_each(|(sum, value)| *sum += value)
                    }
                    none => *none = Some(product.clone()),
                }
                row.mass += gradient[image].values.iter().copied().map(f64::from).sum::<f64>();
                let maps = [&attention[image], &gradient[image], &product, &seen[image]];
                for (sum, map) in row.auroc.iter_mut().zip(maps) {
                    if let Some(scores) = MaskScores::of(map, mask, [preprocessing.image_size; 2]) {
                        sum.add(scores.auroc);
                    }
                }
                if let Some(found) = rank_correlation(&attention[image], &gradient[image]) {
                    row.correlation.add(found);
                }
                let shares = shares(mask, preprocessing.image_size, [seen[image].height, seen[image].width]);
                let of_image = logits[image * patches * classes..][..patches * classes].chunks_exact(classes);
                for (patch, share) in of_image.zip(shares) {
                    let side = if share >= OBJECT {
                        0
                    } else if share == 0.0 {
                        1
                    } else {
                        continue;
                    };
                    let mean = patch.iter().sum::<f32>() / classes as f32;
                    let own = patch[targets[image]];
                    let first = patch.iter().all(|logit| *logit <= own);
                    row.answered[side].add(f64::from(u8::from(first)));
                    row.logit[side].add(f64::from(own - mean));
                }
            }
        }
        let legrad = LeGrad::USUAL.explain(&evidence, &targets)?;
        for ((mask, legrad), product) in masks.iter().zip(&legrad).zip(products.iter().flatten()) {
            for (sum, map) in whole.iter_mut().zip([legrad, product]) {
                if let Some(scores) = MaskScores::of(map, mask, [preprocessing.image_size; 2]) {
                    sum.add(scores.auroc);
                }
            }
        }
    }
    println!("{} images", chosen.len());
    println!("block  attention  LeGrad  product   lens  share  correlation  answered on, off  logit on, off");
    let mass: f64 = rows.iter().map(|row| row.mass).sum();
    for (layer, row) in (1..).zip(rows) {
        let [attention, gradient, product, lens] = row.auroc.map(Mean::value);
        let ([on, off], [logit_on, logit_off]) = (row.answered.map(Mean::value), row.logit.map(Mean::value));
        println!(
            "{layer:>5} {attention:>10.2} {gradient:>7.2} {product:>8.2} {lens:>6.2} {:>6.2} {:>12.2} {on:>11.2}, {off:.2} {logit_on:>8.2}, {logit_off:.2}",
            row.mass / mass,
            row.correlation.value()
        );
    }
    let [legrad, product] = whole.map(Mean::value);
    println!("all blocks: LeGrad {legrad:.2}, with attention multiplied in {product:.2}");
    Ok(())
}

/// Share of each patch that is object.
fn shares(mask: &[bool], side: usize, [rows, columns]: [usize; 2]) -> Vec<f64> {
    let (height, width) = (side / rows, side / columns);
    let share = |patch: usize| {
        let [top, left] = [patch / columns * height, patch % columns * width];
        let pixels = (0..height * width).map(|pixel| (top + pixel / width) * side + left + pixel % width);
        pixels.filter(|&pixel| mask[pixel]).count() as f64 / (height * width) as f64
    };
    (0..rows * columns).map(share).collect()
}
