//! One epoch: every image once, in a keyed order, batch by batch, each shard by shard.

use std::slice::Chunks;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use archaeo_models::TrainingStep;
use archaeo_ops::in_pool;
use burn::tensor::{Device, Tensor, TensorData};

use super::backward::{Student, share_of};
use super::checkpoint::Training;
use super::journal::Journal;
use super::optimizer::NamedGradients;
use super::{Job, Observer, Recipe, StepReport, Together, TrainError, diagnosis};
use crate::images::{Batch, ImageSource, load_ahead};
use crate::objective::{Examples, Objective};
use crate::shards::{Contribution, Layout, Tree};
use crate::transfer::features::Lessons;
use archaeo_data::DataError;
use archaeo_data::augment::{mix_images, mix_plan, soft_targets};
use archaeo_random::{Draw, keyed_rng};

/// Weight of the batch's moments in batch norm's running moments, as in PyTorch.
const MOMENT_MOMENTUM: f64 = 0.1;

/// Summary of an epoch.
pub(super) struct EpochSummary {
    /// Mean training loss, nats.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Training images per second.
    pub images_per_second: f64,
    /// Share of the time that was spent waiting for images.
    pub waiting: f64,
    /// Share of the time that was spent on exchanges with other ranks, waiting for them included; `None` where there are none.
    pub exchanging: Option<f64>,
}

/// The shards of an epoch: decoded, or only named where their features are known.
enum Batches<'a> {
    Loaded(Receiver<Result<Batch, DataError>>),
    Known(Chunks<'a, usize>),
}

/// Shards, and how long they were waited for.
struct Waited<'a> {
    batches: Batches<'a>,
    waited: Duration,
}

impl Waited<'_> {
    fn next(&mut self, source: &dyn ImageSource) -> Option<Result<Batch, DataError>> {
        let asked = Instant::now();
        let batch = match &mut self.batches {
            Batches::Loaded(batches) => batches.recv().ok(),
            Batches::Known(chunks) => chunks.next().map(|indices| {
                let labels = indices.iter().map(|&index| source.label(index)).collect();
                Ok(Batch { indices: indices.to_vec(), labels, images: Vec::new() })
            }),
        };
        self.waited += asked.elapsed();
        batch
    }
}

/// Trains for one epoch, counted from 0, from images or from the features in `lessons`; `None` if the observer stopped it.
pub(super) fn train_epoch(
    together: Together,
    objective: &mut dyn Objective,
    lessons: Option<&Lessons>,
    epoch: usize,
    training: &mut Training,
    journal: &mut Journal,
    observer: &mut dyn Observer,
) -> Result<Option<EpochSummary>, TrainError> {
    let Together { scope, job, ranks } = together;
    let Job { recipe, images, .. } = *job;
    let layout = Layout::new(recipe, ranks)?;
    let started = Instant::now();
    let device = job.device.clone().autodiff();
    let schedule = recipe.schedule(images.len());
    let images_used = schedule.steps_per_epoch as usize * recipe.step_images();
    let mut summary = EpochSummary {
        loss: 0.0,
        learning_rate: 0.0,
        images_per_second: 0.0,
        waiting: 0.0,
        exchanging: None,
    };
    let mut exchanging = Duration::ZERO;
    let (mut gradients, mut own) = (NamedGradients::default(), NamedGradients::default());
    let mut loss = 0.0;

    let mut order = shuffled(recipe.seed, epoch as u64, images.len());
    order.truncate(images_used);
    let order = layout.of_this_rank(&order);
    let batches = match lessons {
        Some(_) => Batches::Known(order.chunks(layout.size)),
        None => Batches::Loaded(load_ahead(scope, images, order.clone(), layout.size, epoch as u64)),
    };
    let mut batches = Waited { batches, waited: Duration::ZERO };
    let (mut index, mut tree) = (0, Tree::default());
    while let Some(shard) = batches.next(images) {
        tree.add(contribution(job, objective, lessons, epoch as u64, training, shard?, &device)?);
        let Some(sum) = tree.sum_of(layout.here) else { continue };
        index += 1;
        let asked = Instant::now();
        let Contribution { share, moments } = sum.over(ranks)?;
        exchanging += asked.elapsed();
        loss += share.loss;
        gradients.add(share.gradients);
        own.add(share.own);
        let moments = Contribution::mean_moments(moments, recipe.shards);
        training.update(|model, _| model.absorb_moments(moments, MOMENT_MOMENTUM));
        if index % recipe.accumulation != 0 {
            continue;
        }

        let learning_rate = schedule.learning_rate(training.progress.step);
        let gradient_norm = gradients.norm().hypot(own.norm());
        training.progress.step += 1;
        let report = StepReport {
            epoch: epoch + 1,
            epochs: recipe.epochs,
            step: training.progress.step,
            total_steps: schedule.total_steps,
            images: recipe.step_images(),
            loss,
            learning_rate,
            gradient_norm,
        };
        let guessing = objective.guessing(job.classes.len());
        diagnosis::check(&report, training.model(), [&gradients, &own], guessing, job)?;
        if let Some(limit) = recipe.gradient_clip.filter(|limit| gradient_norm > *limit) {
            for gradients in [&mut gradients, &mut own] {
                gradients.scale((limit / gradient_norm) as f32);
            }
        }
        training.update(|model, optimizer| in_pool(|| optimizer.step(model, &gradients, learning_rate)));
        if let Some(parameters) = objective.own_mut() {
            in_pool(|| parameters.step(&own, learning_rate));
        }
        training.follow();

        journal.step(&report)?;
        observer.step(&report);
        if ranks.any(observer.should_stop())? {
            return Ok(None);
        }
        summary.loss += loss / schedule.steps_per_epoch as f64;
        summary.learning_rate = learning_rate;
        (loss, gradients, own) = (0.0, NamedGradients::default(), NamedGradients::default());
    }
    let seconds = started.elapsed().as_secs_f64();
    summary.images_per_second = images_used as f64 / seconds;
    summary.waiting = batches.waited.as_secs_f64() / seconds;
    summary.exchanging = (ranks.size() > 1).then(|| exchanging.as_secs_f64() / seconds);
    Ok(Some(summary))
}

/// What one shard contributes to its batch.
fn contribution(
    job: &Job,
    objective: &dyn Objective,
    lessons: Option<&Lessons>,
    epoch: u64,
    training: &Training,
    shard: Batch,
    device: &Device,
) -> Result<Contribution, TrainError> {
    let Job { recipe, images, .. } = *job;
    let (shard, targets) = mixed(recipe, job.classes.len(), epoch, shard);
    let features = lessons.map(|lessons| {
        let shown = shard.indices.iter().map(|&index| (images.original(index), images.variant(index, epoch)));
        lessons.training.rows(shown, device)
    });
    let identities = shard.indices.iter().map(|&index| index as u64).collect();
    let mut step = TrainingStep::new(recipe.seed, training.progress.step, identities);
    let examples = Examples::new(&shard, Tensor::from_data(targets, device), images, epoch, device);
    let (own, features) = (objective.own(), features.transpose()?);
    let student = Student { recipe, model: training.model(), step: &mut step, own, features };
    let share = share_of(objective, student, examples)?;
    Ok(Contribution { share, moments: step.moments })
}

/// The shard with its images blended where the recipe says so, and a distribution over classes for each of them,
/// `[batch, classes]`.
fn mixed(recipe: &Recipe, classes: usize, epoch: u64, mut batch: Batch) -> (Batch, TensorData) {
    let mut plan = Vec::new();
    if recipe.augment.mixes() {
        let keys: Vec<u64> = batch.indices.iter().map(|&index| index as u64).collect();
        let size = (recipe.image_size, recipe.image_size);
        plan = mix_plan(&recipe.augment, &keys, size, recipe.seed, epoch);
        batch.images = mix_images(&batch.images, &plan);
    }
    let targets = soft_targets(&batch.labels, classes, recipe.label_smoothing as f32, &plan);
    let shape = [batch.labels.len(), classes];
    (batch, TensorData::new(targets, shape))
}

/// The order of the images in an epoch (Fisher & Yates, 1938).
fn shuffled(seed: u64, epoch: u64, images: usize) -> Vec<usize> {
    let mut rng = keyed_rng(seed, "train/order", 0, epoch);
    let mut order: Vec<usize> = (0..images).collect();
    for last in (1..images).rev() {
        order.swap(last, rng.below(last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecipeFile;
    use archaeo_data::Image;

    #[test]
    fn every_epoch_has_every_image_once_in_an_order_of_its_own() {
        let orders: Vec<Vec<usize>> = (0..3).map(|epoch| shuffled(5, epoch, 100)).collect();
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..100));
        }
        assert_ne!(orders[0], orders[1]);
        assert_ne!(orders[1], orders[2]);
        assert_ne!(orders[0], shuffled(6, 0, 100));
    }

    #[test]
    fn targets_follow_the_mixed_pixels() {
        let text = "model = \"vit_micro\"\nimage_size = 4\nepochs = 1\nbatch_size = 8\nlearning_rate = 1\n\
            label_smoothing = 0.1\n[augment]\ncutmix = 1.0\n";
        let recipe = RecipeFile::parse(text, &[]).unwrap().recipe(None).unwrap();
        // Class 0 is black and class 1 white, so a picture's brightness is its share of class 1.
        let images = (0..8).map(|i| Image::filled(4, 4, [if i % 2 == 0 { 0 } else { 255 }; 3])).collect();
        let batch = Batch { indices: (0..8).collect(), labels: (0..8).map(|i| i % 2).collect(), images };
        let (batch, targets) = mixed(&recipe, 2, 0, batch);
        let targets = targets.try_into_vec::<f32>().unwrap();
        let mut between = 0;
        for (image, target) in batch.images.iter().zip(targets.chunks_exact(2)) {
            let white = image.pixels().iter().filter(|&&value| value == 255).count() as f32 / 48.0;
            assert!((target[1] - (0.05 + 0.9 * white)).abs() < 1e-6, "{white} {target:?}");
            assert!((target[0] + target[1] - 1.0).abs() < 1e-6);
            between += usize::from(white > 0.0 && white < 1.0);
        }
        assert!(between > 0, "nothing was mixed");
    }
}
