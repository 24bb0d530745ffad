//! Each objective of the module's table, implemented in a few lines and compared with the formulas.

use std::collections::BTreeMap;

use archaeo_data::Image;
use archaeo_models::{Classifier, Pass, Probe, TokenPlace, TokenSite, TrainingStep};
use archaeo_ops::soft_cross_entropy;
use archaeo_random::{Draw, keyed_rng};
use burn::module::Module;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor, TensorData};

use super::cross_entropy::CrossEntropy;
use super::*;
use crate::backward::share_of;
use crate::{Recipe, RecipeFile};

const RECIPE: &str = r#"
    image_size = 8
    epochs = 1
    batch_size = 4
    learning_rate = 1e-3
    dropout = 0.2
    [model]
    architecture = "vit"
    patch_size = 4
    width = 16
    depth = 3
    heads = 2
    mlp_width = 32
    pooling = "mean"
    position = "learned"
"#;

/// Noise, drawn for each image and epoch.
struct Noise;

impl ImageSource for Noise {
    fn len(&self) -> usize {
        8
    }

    fn label(&self, index: usize) -> usize {
        index % 3
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        let mut rng = keyed_rng(3, "noise", index as u64, epoch);
        let mut image = Image::filled(8, 8, [0; 3]);
        image.pixels_mut().iter_mut().for_each(|value| *value = rng.below(256) as u8);
        Ok(image)
    }
}

fn recipe(overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    RecipeFile::parse(RECIPE, &overrides).unwrap().recipe(None).unwrap()
}

fn model(recipe: &Recipe) -> Classifier {
    let classes = ["a", "b", "c"].map(String::from);
    recipe.build(&classes, &Device::flex().autodiff()).unwrap()
}

/// Soft targets of four images, `[4, 3]`.
fn targets() -> Tensor<2> {
    let values = [0.9f32, 0.05, 0.05, 0.1, 0.8, 0.1, 0.0, 0.0, 1.0, 0.3, 0.3, 0.4];
    Tensor::from_data(TensorData::new(values.to_vec(), [4, 3]), &Device::flex().autodiff())
}

/// Loss and gradients, as bits.
type Learned = (u64, BTreeMap<String, Vec<u32>>);

/// What one batch of four teaches a model.
fn learned(objective: &dyn Objective, recipe: &Recipe) -> Learned {
    let model = model(recipe);
    let batch = Batch::load(&Noise, &[5, 0, 2, 7], 0).unwrap();
    let mut step = TrainingStep::new(recipe.seed, 11, vec![5, 0, 2, 7]);
    let device = Device::flex().autodiff();
    let examples = Examples::new(&batch, targets(), &Noise, 0, &device);
    let student = Student { recipe, model: &model, step: &mut step, own: objective.own(), features: None };
    let share = share_of(objective, student, examples).unwrap();
    let bits = |(name, values): (&str, &[f32])| {
        (name.to_owned(), values.iter().map(|value| value.to_bits()).collect())
    };
    (share.loss.to_bits(), share.gradients.arrays().map(bits).collect())
}

/// An objective from a function.
struct Made<F>(F);

impl<F: Fn(Student, Examples) -> Share + Send + Sync> Objective for Made<F> {
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError> {
        Ok((self.0)(student, examples))
    }
}

/// The student's loss as a function of its whole forward pass gives the same bits as one of its logits, with gradient
/// checkpointing or without.
#[test]
fn however_a_student_learns_it_learns_the_same() {
    let expected = learned(&CrossEntropy, &recipe(&[]));
    assert_eq!(expected, learned(&CrossEntropy, &recipe(&["gradient_checkpointing=true"])));
    let by_hand = Made(|student: Student, Examples { images, targets, .. }: Examples| {
        student.learn(|model, step| {
            soft_cross_entropy(model.logits(images, &mut Pass::train(&mut (), step)), targets)
        })
    });
    assert_eq!(expected, learned(&by_hand, &recipe(&[])));
    assert_ne!(expected.0, learned(&CrossEntropy, &recipe(&["accumulation=2"])).0);
}

/// A teacher whose answers are soft targets. With temperature 1, and weight 0 on the labels, the gradient is that of cross-entropy
/// with the teacher's probabilities as targets (Hinton et al., 2015, section 2).
#[test]
fn a_student_can_be_taught_by_another_model() {
    let teacher = model(&recipe(&["seed=9"])).valid();
    let soft = |images: Tensor<4>| {
        let logits = teacher.logits(images.inner(), &mut Pass::evaluate(&mut ()));
        Tensor::from_inner(softmax(logits, 1))
    };
    let distilled = Made(|student: Student, Examples { images, .. }: Examples| {
        let taught = soft(images.clone());
        student.learn_from_logits(images, |logits| {
            (log_softmax(logits, 1) * taught.clone()).sum_dim(1).mean().neg()
                + (taught.clone().log() * taught).sum_dim(1).mean()
        })
    });
    let as_targets = Made(|student: Student, Examples { images, .. }: Examples| {
        let taught = soft(images.clone());
        student.learn_from_logits(images, |logits| soft_cross_entropy(logits, taught))
    });
    let (divergence, distilled) = learned(&distilled, &recipe(&["gradient_checkpointing=true"]));
    let (entropy, expected) = learned(&as_targets, &recipe(&[]));
    assert!(f64::from_bits(divergence) < f64::from_bits(entropy), "a divergence lacks the teacher's entropy");
    assert_close(&distilled, &expected);
}

/// Adversarial training: the images that an attack of the student finds raise its loss, by gradient checkpointing as without; and
/// TRADES adds a divergence to the loss on clean images.
#[test]
fn a_student_can_learn_from_images_that_fool_it() {
    let clean = f64::from_bits(learned(&CrossEntropy, &recipe(&["dropout=0"])).0);
    for method in ["pgd", "trades"] {
        let objective = adversarial::with(&format!("method = \"{method}\"\nsteps = 3\nstep = 4"));
        let found = learned(&*objective, &recipe(&["dropout=0"]));
        assert!(f64::from_bits(found.0) > clean + 1e-3, "{method}: {} {clean}", f64::from_bits(found.0));
        let by_block = recipe(&["dropout=0", "gradient_checkpointing=true"]);
        assert_eq!(found, learned(&*objective, &by_block), "{method}");
        assert_ne!(
            found.0,
            learned(&*objective, &recipe(&[])).0,
            "{method}: the student learns with dropout"
        );
    }
}

/// Two views of each image, pulled together: the loss of views that are the same is 0.
#[test]
fn a_student_can_compare_two_views_of_an_image() {
    let compare = |logits: Tensor<2>| {
        let count = logits.dims()[0] / 2;
        let apart = logits.clone().narrow(0, 0, count) - logits.narrow(0, count, count);
        apart.powi_scalar(2).sum() / count as f64
    };
    let two = Made(|student: Student, examples: Examples| {
        let second = examples.view(1).unwrap();
        student.learn_from_logits(Tensor::cat(vec![examples.images, second], 0), compare)
    });
    let same = Made(|student: Student, examples: Examples| {
        let images = examples.images;
        student.learn_from_logits(Tensor::cat(vec![images.clone(), images], 0), compare)
    });
    let plain = recipe(&["dropout=0"]);
    assert!(f64::from_bits(learned(&two, &plain).0) > 1e-4);
    assert_eq!(f64::from_bits(learned(&same, &plain).0), 0.0);
    assert!(f64::from_bits(learned(&same, &recipe(&[])).0) > 1e-4, "each view has dropout of its own");
    assert_eq!(learned(&two, &recipe(&[])), learned(&two, &recipe(&["gradient_checkpointing=true"])));
}

/// Sets the first patch token to zero as it enters the first block.
struct Mask;

impl Probe for Mask {
    fn wants_attention(&self, _: &archaeo_models::AttentionSite) -> bool {
        false
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if (site.layer, site.place) != (0, TokenPlace::BlockInput) {
            return tokens;
        }
        let [batch, count, width] = tokens.dims();
        let masked = Tensor::zeros([batch, 1, width], &tokens.device());
        Tensor::cat(vec![masked, tokens.narrow(1, 1, count - 1)], 1)
    }
}

/// Masked images: what the mask hides does not change the loss, and what it leaves does.
#[test]
fn a_student_can_learn_from_masked_images() {
    let masked = |changed: Option<usize>| {
        let objective = Made(move |student: Student, Examples { images, targets, .. }: Examples| {
            // A patch, counted row by row, of two in a row.
            let images = match changed {
                Some(patch) => {
                    let (top, left) = (patch / 2 * 4, patch % 2 * 4);
                    images.slice_fill([0..4, 0..3, top..top + 4, left..left + 4], 0.5)
                }
                None => images,
            };
            student.learn(|model, step| {
                soft_cross_entropy(model.logits(images, &mut Pass::train(&mut Mask, step)), targets)
            })
        });
        learned(&objective, &recipe(&[])).0
    };
    assert_eq!(masked(None), masked(Some(0)));
    assert_ne!(masked(None), masked(Some(3)));
}

#[track_caller]
fn assert_close(found: &BTreeMap<String, Vec<u32>>, expected: &BTreeMap<String, Vec<u32>>) {
    assert!(found.keys().eq(expected.keys()) && !found.is_empty());
    for (name, values) in found {
        for (found, expected) in values.iter().zip(&expected[name]) {
            let (found, expected) = (f32::from_bits(*found), f32::from_bits(*expected));
            assert!((found - expected).abs() < 1e-5, "{name}: {found} {expected}");
        }
    }
}

/// With a distillation token, one head learns from the labels and the other from the teacher.
#[test]
fn each_head_of_a_distilled_student_has_a_source_of_its_own() {
    let recipe = recipe(&["model.pooling=\"class-token\"", "model.distilled=true", "dropout=0"]);
    let moved = |of_head: usize| {
        let objective = Made(move |student: Student, Examples { images, targets, .. }: Examples| {
            student.learn_from_features(images, |model, features| {
                soft_cross_entropy(model.logits_by_head(features)[of_head].clone(), targets)
            })
        });
        let (_, gradients) = learned(&objective, &recipe);
        ["head.weight", "head_dist.weight"].map(|name| {
            gradients.get(name).is_some_and(|bits| bits.iter().any(|&bits| f32::from_bits(bits) != 0.0))
        })
    };
    assert_eq!(moved(0), [true, false]);
    assert_eq!(moved(1), [false, true]);
    let model = model(&recipe);
    let batch = Batch::load(&Noise, &[1, 2], 0).unwrap();
    let features = model.features(batch.tensor(&Device::flex().autodiff()), &mut Pass::evaluate(&mut ()));
    let [of_class, of_distillation] =
        <[Tensor<2>; 2]>::try_from(model.logits_by_head(features.clone())).unwrap();
    let mean = (of_class + of_distillation) / 2.0;
    mean.into_data().assert_eq(&model.head(features).into_data(), true);
}

/// A linear map of the features, and nothing else.
#[derive(burn::module::Module, Debug)]
struct Projection {
    projection: archaeo_models::Linear,
}

/// The sum of the squares of projected features, minus one for each.
struct Projected(Own<Projection>);

impl Objective for Projected {
    fn learn(&self, student: Student, examples: Examples) -> Result<Share, TrainError> {
        let module = self.0.module();
        Ok(student.learn_from_features(examples.images, |model, features| {
            (module.projection.forward(features, model.precision()).powi_scalar(2) - 1.0)
                .powi_scalar(2)
                .mean()
        }))
    }

    fn own(&self) -> Option<&dyn OwnParameters> {
        Some(&self.0)
    }

    fn own_mut(&mut self) -> Option<&mut dyn OwnParameters> {
        Some(&mut self.0)
    }
}

/// The gradient of an objective's own parameters is that of finite differences, with gradient checkpointing or without.
#[test]
fn an_objective_learns_parameters_of_its_own() {
    let device = Device::flex().autodiff();
    let made = |recipe: &Recipe| {
        let projection = archaeo_models::Linear::new(16, 2, true, &device);
        Projected(Own::new(Projection { projection }, recipe))
    };
    let share = |objective: &Projected, recipe: &Recipe| {
        let model = model(recipe);
        let batch = Batch::load(&Noise, &[5, 0, 2, 7], 0).unwrap();
        let mut step = TrainingStep::new(recipe.seed, 11, vec![5, 0, 2, 7]);
        let examples = Examples::new(&batch, targets(), &Noise, 0, &device);
        let student =
            Student { recipe, model: &model, step: &mut step, own: objective.own(), features: None };
        share_of(objective, student, examples).unwrap()
    };
    let plain = recipe(&["dropout=0"]);
    let objective = made(&plain);
    let found = share(&objective, &plain);
    let by_block = share(&objective, &recipe(&["dropout=0", "gradient_checkpointing=true"]));
    let gradients = |share: &Share| -> BTreeMap<String, Vec<f32>> {
        share.own.arrays().map(|(name, values)| (name.to_owned(), values.to_vec())).collect()
    };
    assert_eq!(gradients(&found), gradients(&by_block));
    assert!(
        found.gradients.arrays().count() > 10
            && found.gradients.arrays().all(|(name, _)| !name.contains("projection"))
    );
    for (name, gradient) in gradients(&found) {
        let step = 1e-2;
        let place = gradient.len() - 1;
        let moved = |sign: f32| {
            let mut objective = made(&plain);
            let mut state = objective.0.state();
            state.get_mut(&format!("module.{name}")).unwrap().values[place] += sign * step;
            objective.0.restore(state, 0).unwrap();
            share(&objective, &plain).loss
        };
        let slope = (moved(1.0) - moved(-1.0)) / f64::from(2.0 * step);
        assert!(
            (slope - f64::from(gradient[place])).abs() < 2e-3 * (1.0 + slope.abs()),
            "{name}: {slope} {}",
            gradient[place]
        );
    }
}
