//! How long a training step and a forward pass take: `cargo bench --bench steps`, or `cargo bench --bench steps -- resnet` for
//! the cases whose name contains `resnet`.
//!
//! With `--worker MODEL SIZE BATCH train|infer f32|bf16` it serves `bench/compare.py`: it prints the model's parameters and
//! the multiply-adds of one image, so that different models of one name are not compared; then each line on stdin is a number of
//! steps to make, answered by the seconds of each; at the end of the input it prints its peak memory.

use std::io::{BufRead, Write};
use std::time::Instant;

use archaeo_models::{Classifier, ModelCard, NetworkSpec, Pass, Preprocessing, TrainingStep};
use archaeo_ops::{Precision, cross_entropy, in_pool, keep_freed_memory};
use archaeo_training::{Algorithm, NamedGradients, Optimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// The program's own allocator.
#[global_allocator]
static ALLOCATOR: archaeo_ops::MiMalloc = archaeo_ops::MiMalloc;

/// Name of a model, side of its images in pixels, batch size.
const CASES: [(&str, usize, usize); 9] = [
    ("vit_micro", 32, 64),
    ("vit_tiny_patch4", 32, 64),
    ("vit_small_patch16", 224, 8),
    ("vit_base_patch16", 224, 8),
    ("resnet18_cifar", 32, 64),
    ("resnet50", 224, 8),
    ("swin_tiny_patch4_window7_224", 224, 8),
    ("vit_small_patch16", 224, 1),
    ("resnet50", 224, 1),
];

/// Steps per case, of which the first is not timed.
const STEPS: usize = 7;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Train,
    Infer,
}

/// A model with a batch of images, and what training it takes.
struct Subject {
    model: Option<Classifier>,
    optimizer: Optimizer,
    images: TensorData,
    labels: Vec<i64>,
    task: Task,
    step: u64,
}

impl Subject {
    fn new(name: &str, size: usize, batch: usize, task: Task, precision: Precision) -> Self {
        let classes = if size == 32 { 10 } else { 1000 };
        let card = ModelCard {
            name: name.into(),
            network: NetworkSpec::named(name, classes, size).expect("a model that exists"),
            preprocessing: Preprocessing::plain(size),
            classes: (0..classes).map(|class| class.to_string()).collect(),
        };
        let device = match task {
            Task::Train => Device::flex().autodiff(),
            Task::Infer => Device::flex(),
        };
        let values = (0..batch * 3 * size * size).map(|i| (i * 7919 % 257) as f32 / 257.0).collect();
        let model = Classifier::new(card, 0, &device).expect("a model that can be built");
        Self {
            model: Some(model.in_precision(precision)),
            optimizer: Optimizer::new(Algorithm::default(), 0.05),
            images: TensorData::new(values, [batch, 3, size, size]),
            labels: (0..batch).map(|i| (i % classes) as i64).collect(),
            task,
            step: 0,
        }
    }

    /// One forward pass, or one whole step of training as `archaeo train` makes it; its seconds.
    fn run(&mut self) -> f64 {
        let started = Instant::now();
        in_pool(|| match self.task {
            Task::Train => self.train(),
            Task::Infer => self.infer(),
        });
        started.elapsed().as_secs_f64()
    }

    fn infer(&self) {
        let model = self.model.as_ref().expect("it is only away while it is updated");
        let images = Tensor::from_data(self.images.clone(), &Device::flex());
        let logits = model.logits(images, &mut Pass::evaluate(&mut ())).into_data();
        assert!(logits.as_slice::<f32>().expect("logits are floats").iter().all(|logit| logit.is_finite()));
    }

    fn train(&mut self) {
        let device = Device::flex().autodiff();
        let model = self.model.take().expect("it is only away while it is updated");
        let mut step = TrainingStep::new(0, self.step, (0..self.labels.len() as u64).collect());
        let images = Tensor::from_data(self.images.clone(), &device);
        let labels = Tensor::<1, Int>::from_data(self.labels.as_slice(), &device);
        let loss = cross_entropy(model.logits(images, &mut Pass::train(&mut (), &mut step)), labels);
        assert!(loss.clone().inner().into_scalar::<f32>().is_finite());
        let gradients = NamedGradients::take(&model, &mut loss.backward());
        let model = model.absorb_moments(step.moments, 0.1);
        self.model = Some(self.optimizer.step(model, &gradients, 1e-5));
        self.step += 1;
    }
}

fn main() {
    keep_freed_memory();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "--worker") {
        return serve(&arguments[1..]);
    }
    let wanted = arguments.first().map_or("", String::as_str);
    println!("{:34} {:>5} {:>12} {:>12} {:>12}", "ms", "batch", "task", "f32", "bf16");
    for (name, size, batch) in CASES.into_iter().filter(|(name, ..)| name.contains(wanted)) {
        for task in [Task::Infer, Task::Train] {
            if task == Task::Train && batch == 1 {
                continue;
            }
            let [exact, rounded] = [Precision::F32, Precision::Bf16].map(|precision| {
                let mut subject = Subject::new(name, size, batch, task, precision);
                subject.run();
                let mut seconds: Vec<f64> = (0..STEPS).map(|_| subject.run()).collect();
                seconds.sort_by(f64::total_cmp);
                seconds[STEPS / 2] * 1e3
            });
            let task = if task == Task::Train { "train" } else { "infer" };
            println!("{name:34} {batch:5} {task:>12} {exact:12.1} {rounded:12.1}");
        }
    }
}

fn serve(arguments: &[String]) {
    let [name, size, batch, task, precision] = arguments else {
        panic!("--worker MODEL SIZE BATCH train|infer f32|bf16")
    };
    let number = |text: &str| text.parse().expect("a whole number");
    let task = if task == "train" { Task::Train } else { Task::Infer };
    let precision = if precision == "bf16" { Precision::Bf16 } else { Precision::F32 };
    let mut subject = Subject::new(name, number(size), number(batch), task, precision);
    let mut out = std::io::stdout();
    let model = subject.model.as_ref().expect("it is only away while it is updated");
    let multiply_adds = model.card().network.multiply_adds(number(size));
    println!("{} {multiply_adds}", model.parameter_count());
    for line in std::io::stdin().lock().lines() {
        let steps = number(line.expect("stdin can be read").trim());
        let seconds: Vec<String> = (0..steps).map(|_| subject.run().to_string()).collect();
        writeln!(out, "{}", seconds.join(" ")).and_then(|()| out.flush()).expect("stdout can be written");
    }
    println!("{}", peak_kibibytes().unwrap_or(0));
}

/// Peak memory of this process; available on Linux only.
fn peak_kibibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
