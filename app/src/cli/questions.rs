//! The questions that are asked of a model: `evaluate`, `attention`, `attack`, `ablate`.

use std::path::PathBuf;

use archaeo_analysis::ablation::RemovalPoint;
use archaeo_analysis::attacks::{Loss, Norm};
use archaeo_experiments::findings::HeadPlace;
use clap::Args;

use super::excavate::named;
use super::rollout::Rollout;
use super::{SOURCES, Subject};
use crate::choices;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo evaluate --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Classes of the data are matched with the model's outputs by name, WordNet
identifier or number; ImageNet-1k's are known.

JSON holds top1, top5, n, nll, ece, top1_interval and how classes were matched.
Arrays: logits (n, outputs) float32; labels, predicted and top_k int64 (numbers
of outputs, from 0). A table has a row for each image.

Examples:
  archaeo evaluate --weights vit.safetensors --split conflict --json
  archaeo evaluate --weights vit.safetensors --data scans/ --export answers.csv
  archaeo evaluate --weights clip/ --prompts cifar --data ../cifar10"))]
pub struct Evaluate {
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}

/// Arguments of `attention`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo attention --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Layers and heads are numbered from 1, from the input. In JSON, `layers` holds
the numbers of the layers, and each statistic holds an array for each of them,
with a value for each head in order.

Arrays: a heatmap (n, rows, columns) of each method, such as rollout, on the
method's own grid; labels, and the statistics (layers, heads), such as attention_distance and attention_entropy; their first row is that of
the first layer shown. Where layers have different numbers of heads, as in a
Swin Transformer, those with fewer end in NaN. A table has a row for each head.

The model needs no head that classifies.

Examples:
  archaeo attention --weights vit.safetensors --limit 128
  archaeo attention --weights vit.safetensors --layer 1,2
  archaeo attention --weights vit.safetensors --against a.safetensors --out out
  archaeo attention --weights archaeo-out/vit --strata --out figures
  archaeo attention --weights vit.safetensors --data scans/ --export heads.npz"))]
pub struct Attention {
    /// Layers to show, counted from 1 [default: all]
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        value_parser = from_one,
        allow_hyphen_values = true,
        help_heading = "Attention",
        long_help = "Layers to show, counted from 1; by default all. Rollout always uses all of them."
    )]
    pub layer: Vec<usize>,
    /// Heatmaps in the export [default: rollout]
    #[arg(
        long = "method",
        value_name = "NAME,NAME",
        value_delimiter = ',',
        value_parser = choices::methods(),
        hide_short_help = true,
        help_heading = "Attention",
        long_help = "Heatmaps in the export; those that depend on a class explain the predicted one. By default rollout, or for a \
                     model to which it does not apply (EfficientViT) the first method that does."
    )]
    pub methods: Vec<String>,
    /// How rollout treats the layers.
    #[command(flatten)]
    pub rollout: Rollout,
    /// Keep the class token's column in the attention distance, without renormalising the rows
    #[arg(long, hide_short_help = true, help_heading = "Attention")]
    pub raw: bool,
    /// The statistics over the images of each class too, in JSON
    #[arg(long, hide_short_help = true, help_heading = "Attention")]
    pub by_class: bool,
    /// Find artefact tokens, and compute everything after replacing them
    #[arg(
        long,
        hide_short_help = true,
        help_heading = "Attention",
        long_help = "Find artefact tokens (patch tokens of outlying norm, Darcet et al., 2024) on up to 128 images, say where they are and what \
                     replacing them by the mean of the image's other patches costs, and compute statistics and rollout after \
                     replacing them."
    )]
    pub registers_test: bool,
    /// Another checkpoint of the same architecture: what its heads do differently
    #[arg(
        long,
        value_name = "WEIGHTS",
        group = "compared",
        help_heading = "Attention",
        conflicts_with_all = ["layer", "methods", "fusion", "discard", "start_layer", "implementation", "by_class", "registers_test", "export"],
        long_help = "Another checkpoint of the same architecture, such as after fine-tuning: the change of every head's distance, entropy \
                     and map on the same images, with paired intervals and p-values adjusted for all heads (Benjamini-Hochberg)."
    )]
    pub against: Option<PathBuf>,
    /// Attention at each epoch that a training kept; --weights is its run folder
    #[arg(
        long,
        group = "compared",
        help_heading = "Attention",
        conflicts_with_all = ["layer", "methods", "fusion", "discard", "start_layer", "implementation", "by_class", "registers_test", "export"],
        long_help = "Attention at each epoch that a training kept (keep_checkpoints = [1, 5, 20] in its recipe), on the same images: distance, \
                     entropy and weight on prefix tokens, layer by layer; --weights is the run folder."
    )]
    pub strata: bool,
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
    /// Folder for the figures of --against and --strata
    #[arg(
        long,
        value_name = "DIR",
        requires = "compared",
        help_heading = "Output",
        long_help = "Folder for figures, each as PNG and as SVG: with --against, the maps of two images side by side (against-maps) and how far \
                     the map of every head moved (against-heads); with --strata, the maps of two images epoch by epoch (strata)."
    )]
    pub out: Option<PathBuf>,
}

/// The number of a layer.
pub(super) fn from_one(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(0) => Err("layers are numbered from 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("it is not the number of a layer, such as 1".into()),
    }
}

/// Arguments of `attack`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo attack --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
The export holds labels and, for each ε, the predicted class of every image
(numbers of outputs, from 0). JSON says for each ε how often the model was asked
(queries, mean over images), and how much the images were changed whose answer
became wrong (fooled, means: linf, l2 and l1 of values from 0 to 1; l0, how many
values changed; steps). Of an attack that looks for the smallest perturbation it
holds the size for each image (distances), and the export does too.

docs/attacks/ has a page on each attack.

--attack minimal looks for the smallest perturbation of each image, in L2 and L∞
or in --norm, with the strongest attacks of that norm together. Distances are
those of the perturbation before rounding to 8 bits, in units of 1/255 in L∞ and
of 1 elsewhere (in L0 the number of changed channel values). JSON holds for each
norm the distances (null: never fooled), their median with the interval between
two order statistics, and the curve of accuracy by size: at each step the share
of robust images, its Wilson interval, and a band for the whole curve.

--add NAME=WEIGHTS attacks every model and shows its adversarial images to all:
of those that source and target both classify correctly, how many fool the
target, next to noise of the same size, and every two models image by image.
--attack saga makes one image that is to fool a model with attention heads and
another network at once; it takes one --add and sizes in L∞.

The doctor examines whether accuracy under attack measures robustness at all: it
attacks in several ways that a sound model must rank, and names the checks that
fail. It takes one size in L∞, 8/255 unless --epsilon says otherwise.

Examples:
  archaeo attack --weights cnn.safetensors --epsilon 1,2,4,8 --limit 200
  archaeo attack --weights cnn.safetensors --attack fgsm --epsilon 8/255
  archaeo attack --weights cnn.safetensors --norm l2 --epsilon 0.5
  archaeo attack --weights vit.safetensors --attack apgd --epsilon 4 --save out
  archaeo attack --weights cnn.safetensors --attack minimal --out curves
  archaeo attack --weights cnn.safetensors --attack doctor --limit 100
  archaeo attack --weights cnn.safetensors --add vit=vit.safetensors --epsilon 4
  archaeo attack --weights vit.safetensors --attack saga --add b=b.safetensors"))]
pub struct Attack {
    /// Which attack, or the doctor
    #[arg(long, value_name = "NAME", default_value = "pgd", value_parser = choices::attacks(), help_heading = "Attack")]
    pub attack: String,
    /// What sizes are measured in [default: the attack's first]
    #[arg(long, value_name = "NORM", value_parser = choices::norm(), help_heading = "Attack")]
    pub norm: Option<Norm>,
    /// Sizes of the perturbation, such as 2,8 or 8/255
    #[arg(
        long,
        value_name = "ε,ε",
        value_delimiter = ',',
        allow_hyphen_values = true,
        help_heading = "Attack",
        long_help = choices::attack_sizes()
    )]
    pub epsilon: Vec<String>,
    /// Steps of an iterated attack [default: its own]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Attack",
        long_help = choices::attack_steps()
    )]
    pub steps: Option<u16>,
    /// How often the attack starts [default: 1]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..),
        hide_short_help = true,
        help_heading = "Attack",
        long_help = choices::attack_restarts()
    )]
    pub restarts: Option<u16>,
    /// What the attack follows [default: its own]
    #[arg(
        long,
        value_name = "LOSS",
        value_parser = choices::loss(),
        hide_short_help = true,
        help_heading = "Attack"
    )]
    pub loss: Option<Loss>,
    /// Where low frequencies of pgd-low and pgd-high end [default: 0.25]
    #[arg(
        long,
        value_name = "SHARE",
        allow_hyphen_values = true,
        hide_short_help = true,
        help_heading = "Attack",
        long_help = "Where the low frequencies of pgd-low and pgd-high end, as a share of the highest along each side of the image; by \
                     default 0.25."
    )]
    pub cutoff: Option<f64>,
    /// The class that images are to be taken for [default: any wrong one]
    #[arg(
        long,
        value_name = "CLASS",
        hide_short_help = true,
        help_heading = "Attack",
        long_help = "The class that images are to be taken for, by its name or its number (from 0); images of that class are left out. By \
                     default any wrong class will do."
    )]
    pub target: Option<String>,
    /// Another model, to show adversarial images to
    #[arg(
        long,
        value_name = "NAME=WEIGHTS",
        value_parser = named::<PathBuf>,
        hide_short_help = true,
        help_heading = "Attack",
        long_help = "Another model, under a name; may be repeated. Each model is attacked, and what comes of it is shown to all. --attack \
                     saga takes one."
    )]
    pub add: Vec<(String, PathBuf)>,
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
    /// Folder for the adversarial images
    #[arg(
        long,
        value_name = "DIR",
        hide_short_help = true,
        help_heading = "Output",
        long_help = "Folder for the images before and under the attack, as PNGs at the model's input size, with a manifest \
                     (attacked.json); there is a folder for each class, so that --data DIR/8 --crop 1 reads those of ε = 8 again. An \
                     attack that was interrupted resumes from it."
    )]
    pub save: Option<PathBuf>,
    /// Folder for the curves of --attack minimal
    #[arg(
        long,
        value_name = "DIR",
        hide_short_help = true,
        help_heading = "Output",
        long_help = "Folder for the curves of --attack minimal, accuracy by size of the perturbation, as SVG and PNG."
    )]
    pub out: Option<PathBuf>,
    /// File for an entry of RobustBench
    #[arg(
        long,
        value_name = "FILE",
        hide_short_help = true,
        help_heading = "Output",
        long_help = "File for an entry of RobustBench's list of models (model_info/DATASET/Linf/KEY.json), of one --epsilon. What a \
                     checkpoint does not tell is null. Of other attacks than AutoAttack the accuracy is `reported`, and the entry \
                     `unreliable`."
    )]
    pub robustbench_json: Option<PathBuf>,
}

/// Arguments of `ablate`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo ablate --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Layers and heads are numbered from 1, from the input, in text, JSON and tables.
A residual network has no heads: --layers asks about its blocks, and nothing
else can be asked of it. With --curve, --pairs, --mlp or --layers, a
transformer's heads are ordered by their importance on one half of the images,
and all that these options ask is measured on the other half.

Arrays: labels and predicted of the images, and for each kind of replacement
loss_increase_KIND with its interval (layers, heads); their first row is that of
layer 1. Where layers have different numbers of heads, those with fewer end in
NaN. A table has a row for each head, or for each block of a residual network.
Of branches: mlp_loss_increase_KIND and layer_loss_increase_KIND (layers); of
the curve: curve_removed, and curve_ORDER with the accuracy at each point.

Examples:
  archaeo ablate --weights vit.safetensors --limit 500
  archaeo ablate --weights vit.safetensors --limit 500 --export heads.csv
  archaeo ablate --weights vit.safetensors --curve --mlp --layers --pairs 20
  archaeo ablate --weights vit.safetensors --only 1.1,2.2 --limit 500
  archaeo ablate --weights cnn.safetensors --layers"))]
pub struct Ablate {
    /// Only these heads, each as LAYER.HEAD [default: all]
    #[arg(
        long,
        hide_short_help = true,
        value_name = "LAYER.HEAD",
        value_delimiter = ',',
        value_parser = head,
        allow_hyphen_values = true,
        help_heading = "Ablation",
        long_help = "Only these heads, each as its layer and its number with a dot between them, counted from 1, such as 3.1,4.2; by \
                     default all. Curve and pairs are of these heads, too."
    )]
    pub only: Vec<HeadPlace>,
    /// Where to take a head of a cascade (EfficientViT) away: output, contribution [default: output]
    #[arg(
        long,
        hide_short_help = true,
        value_name = "POINT",
        value_parser = removal,
        help_heading = "Ablation",
        long_help = "Where a head is taken away from a model whose heads form a cascade, each reading the output of the one before it \
                     (EfficientViT): output, by default, also changes the inputs of all later heads of its layer; contribution changes \
                     only what the head itself adds to the residual stream. The result says which."
    )]
    pub removal: Option<RemovalPoint>,
    /// Accuracy while heads are taken away one after another
    #[arg(
        long,
        help_heading = "Ablation",
        long_help = "Accuracy while heads are replaced by their means one after another: the most important first, the least important \
                     first, the largest gradient first, and in 5 random orders, which the others are compared with."
    )]
    pub curve: bool,
    /// Interaction of this many random pairs of heads
    #[arg(
        long,
        hide_short_help = true,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Ablation",
        long_help = "Interaction of this many random pairs of heads: the loss increase without both, less the increases without one of \
                     them."
    )]
    pub pairs: Option<u16>,
    /// What the MLP of each layer is worth
    #[arg(long, hide_short_help = true, help_heading = "Ablation")]
    pub mlp: bool,
    /// What each layer is worth, or each block of a ResNet
    #[arg(
        long,
        help_heading = "Ablation",
        long_help = "What each whole layer is worth, or each block of a residual network: what it adds is replaced by its mean over \
                     other images, and by nothing, so that it is skipped."
    )]
    pub layers: bool,
    /// Model and data.
    #[command(flatten)]
    pub subject: Subject,
}

/// Where a head of a cascade is taken away.
fn removal(text: &str) -> Result<RemovalPoint, String> {
    match text {
        "output" => Ok(RemovalPoint::Output),
        "contribution" => Ok(RemovalPoint::Contribution),
        _ => Err("it is neither output nor contribution".into()),
    }
}

/// A layer and a head.
fn head(text: &str) -> Result<HeadPlace, String> {
    text.parse()
}
