use archaeo_analysis::attacks::{Clean, TargetGradient};
use archaeo_models::TrainingStep;
use burn::tensor::Device;

use super::*;
use crate::RecipeFile;
use crate::objective::reference::references;

/// `w2 · tanh(w1 · x)`, with a gradient by hand.
struct Hidden {
    w1: Vec<f32>,
    w2: Vec<f32>,
    classes: usize,
}

impl Hidden {
    fn hidden(&self, image: &[f32]) -> Vec<f64> {
        let rows = self.w1.chunks_exact(image.len());
        rows.map(|row| dot(row, image.iter().map(|&x| f64::from(x))).tanh()).collect()
    }

    fn answer(&self, image: &[f32]) -> Vec<f32> {
        let hidden = self.hidden(image);
        let rows = self.w2.chunks_exact(hidden.len());
        rows.map(|row| dot(row, hidden.iter().copied()) as f32).collect()
    }
}

fn dot(row: &[f32], values: impl Iterator<Item = f64>) -> f64 {
    row.iter().zip(values).map(|(&weight, value)| f64::from(weight) * value).sum()
}

impl Target for Hidden {
    fn classes(&self) -> usize {
        self.classes
    }

    fn logits(&self, images: Tensor<4>) -> Vec<f32> {
        let [batch, ..] = images.dims();
        let values = images.into_data().try_into_vec::<f32>().unwrap();
        values.chunks_exact(values.len() / batch).flat_map(|image| self.answer(image)).collect()
    }

    fn gradient(
        &self,
        images: Tensor<4>,
        slopes: &(dyn Fn(usize, &[f32]) -> Vec<f32> + Sync),
    ) -> TargetGradient {
        let [batch, ..] = images.dims();
        let values = images.clone().into_data().try_into_vec::<f32>().unwrap();
        let length = values.len() / batch;
        let gradient = values.chunks_exact(length).enumerate().flat_map(|(place, image)| {
            let (hidden, slopes) = (self.hidden(image), slopes(place, &self.answer(image)));
            let mut gradient = vec![0.0; length];
            for (unit, h) in hidden.iter().enumerate() {
                let up = slopes.iter().enumerate();
                let up: f64 =
                    up.map(|(class, &slope)| f64::from(slope * self.w2[class * hidden.len() + unit])).sum();
                for (gradient, &weight) in gradient.iter_mut().zip(&self.w1[unit * length..]) {
                    *gradient += up * (1.0 - h * h) * f64::from(weight);
                }
            }
            gradient.into_iter().map(|value| value as f32).collect::<Vec<f32>>()
        });
        let gradient = gradient.collect();
        TargetGradient { logits: self.logits(images), gradient }
    }
}

#[test]
fn trades_and_its_gradient_are_pytorchs() {
    for case in references("trades") {
        let (logits, targets) = (case.leaf("logits"), case.leaf::<2>("targets").detach());
        case.check(&trades(logits.clone(), targets, case.beta), "logits", &logits);
    }
}

#[test]
fn the_ascent_ends_where_pytorchs_ends() {
    for (case, divergence) in references("ascent").into_iter().zip([false, true]) {
        let (epsilon, step, steps) = case.attack;
        let (images, targets) = (case.leaf::<4>("images").inner(), case.leaf::<2>("targets").inner());
        let target = Hidden {
            w1: case.values("w1").to_vec(),
            w2: case.values("w2").to_vec(),
            classes: targets.dims()[1],
        };
        let goals = match divergence {
            false => Goals::distributions(&targets),
            true => Goals::answers(&target.logits(images.clone()), target.classes()),
        };
        let search = Search {
            threat: Norm::Linf.threat(epsilon * 255.0),
            step,
            steps,
            start: if divergence { Start::Near } else { Start::Uniform },
        };
        let split = |name| case.values(name).chunks_exact(12).map(<[f32]>::to_vec);
        let clean: Vec<Clean> = split("images").map(Clean::new).collect();
        let found = search.climb(&target, &images, &clean, &goals, split("start").collect());
        for (found, expected) in found.iter().zip(case.values("found")) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        // From starts of its own it stays in the ball, and every image starts elsewhere, whatever its batch.
        let keys = TrainingStep::new(5, 7, vec![3, 1, 4]);
        let all = search.run(&target, &images, &goals, &keys);
        let far = all.iter().zip(case.values("images")).map(|(x, clean)| (x - clean).abs());
        assert!(far.fold(0.0, f32::max) <= epsilon as f32 + 1e-6);
        let alone = TrainingStep::new(5, 7, vec![1]);
        let second = Goals::distributions(&targets.clone().narrow(0, 1, 1));
        if !divergence {
            assert_eq!(search.run(&target, &images.clone().narrow(0, 1, 1), &second, &alone), all[12..24]);
        }
        assert_ne!(search.run(&target, &images, &goals, &TrainingStep::new(5, 8, vec![3, 1, 4])), all);
    }
}

/// A student that is sure beyond the precision of its probabilities is attacked in the same direction as one that is not.
#[test]
fn a_sure_student_is_attacked_all_the_same() {
    let image: Tensor<4> = Tensor::from_data(TensorData::new(vec![0.5f32; 3], [1, 3, 1, 1]), &Device::flex());
    let found = |scale: f32| {
        let w2 = [2.0f32, 1.0, -1.0].map(|weight| scale * weight);
        let target = Hidden { w1: vec![0.4, 0.1, -0.3], w2: w2.to_vec(), classes: 3 };
        let goals = Goals { classes: 3, shares: vec![1.0, 0.0, 0.0] };
        let search = Search { threat: Norm::Linf.threat(8.0), step: 0.01, steps: 3, start: Start::Uniform };
        search.run(&target, &image, &goals, &TrainingStep::new(0, 0, vec![0]))
    };
    let expected = found(1.0);
    assert_ne!(expected, [0.5; 3]);
    assert_eq!(found(1e4), expected);
}

#[test]
fn slips_get_a_sentence() {
    let said = |options: &str| {
        let text = format!(
            "model = \"vit_micro\"\nimage_size = 32\nepochs = 2\nbatch_size = 8\nlearning_rate = 1e-3\n\
             [objective]\nkind = \"adversarial\"\n{options}"
        );
        RecipeFile::parse(&text, &[]).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(said(""), Ok(()));
    assert_eq!(said("method = \"trades\"\nepsilon = 4\nsteps = 2\nstep = 2.5\nbeta = 1"), Ok(()));
    for (options, expected) in [
        ("epsilon = 0", "`objective.epsilon` must be above 0, not 0"),
        ("epsilon = 0.03", "`objective.epsilon`: epsilon is in units of 1/255"),
        ("steps = 0", "`objective.steps` must be from 1 to 65536, not 0"),
        ("step = -1", "`objective.step` must be above 0, not -1"),
        ("method = \"trades\"\nbeta = 0", "`objective.beta` must be above 0, not 0"),
        ("beta = 6", "`pgd` has none; leave it out"),
        ("method = \"fgsm\"", "`objective.method` does not fit"),
        ("epsilons = 8", "no recipe has a key `objective.epsilons`; did you mean `objective.epsilon`"),
    ] {
        let sentence = said(options).unwrap_err();
        assert!(sentence.contains(expected), "{options}: {sentence}");
    }
}
