//! `archaeo excavate`, `study`, `merge` and `report`: an investigation or one study of it, in one piece or in shards, and its report
//! once more.

use std::path::PathBuf;

use archaeo_lab::{Detail, ReportFormat, ShardChoice};
use clap::Args;

use super::SOURCES;
use crate::choices;

/// Arguments of `excavate`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo excavate --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Examples:
  archaeo excavate                          the built-in data set
  archaeo excavate --data scans/ --quick    your own images, a first look
  archaeo excavate --data scans/ --vit a.safetensors --cnn b.safetensors
  archaeo excavate --data scans/ --vit a.safetensors --add swin=c.safetensors
  archaeo excavate --set models.vit.seeds=3  the ViT from three seeds
  archaeo excavate --track csv,wandb        its trainings, for other programs
  archaeo excavate --out runs/first         again, to resume an interrupted one
  archaeo excavate --shard 0/4              a quarter of the images, to be merged"))]
pub struct Excavate {
    /// What is investigated.
    #[command(flatten)]
    pub asked: Investigated,
    /// Train or load the models, and ask nothing yet
    #[arg(
        long,
        conflicts_with = "shard",
        hide_short_help = true,
        help_heading = "Many machines",
        long_help = "Train or load the models and stop there; shards of the same folder find them trained."
    )]
    pub models_only: bool,
}

/// Arguments of `study`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo study --help` shows all options, kinds of data, and examples.")]
#[command(after_long_help = format!("{SOURCES}\n
Examples:
  archaeo study                             the names of all studies
  archaeo study attacks --vit a.safetensors --cnn b.safetensors
  archaeo study heads --data scans/ --vit a.safetensors --out runs/heads"))]
pub struct Study {
    /// Which study; without it, all names are listed
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// What is investigated.
    #[command(flatten)]
    pub asked: Investigated,
}

/// What is investigated, and where the results go.
#[derive(Debug, Args)]
pub struct Investigated {
    /// Images [default: sherds]
    #[arg(
        long,
        value_name = "SOURCE",
        long_help = "Images to investigate; by default sherds, unless one of the given models was trained on other data."
    )]
    pub data: Option<String>,
    /// Folder for the results; resumes an interrupted run
    #[arg(long, value_name = "DIR", default_value = "archaeo-out")]
    pub out: PathBuf,
    /// Short training and small samples: a first look
    #[arg(long, long_help = "A short training and small samples: a first look, not a result.")]
    pub quick: bool,
    /// Title of the report; by default the names of the models and of the data
    #[arg(long, value_name = "TEXT", value_parser = title, hide_short_help = true)]
    pub title: Option<String>,
    /// Treat an unreadable image as an error instead of leaving it out
    #[arg(long, hide_short_help = true)]
    pub strict: bool,
    /// Trained vision transformer
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Models",
        long_help = "A trained ViT, or another vision transformer, under the name `vit`. Where any model is given, those alone are \
            investigated; where none is, those of the configuration are trained first."
    )]
    pub vit: Option<PathBuf>,
    /// Model name, if the checkpoint and its config.json do not tell
    #[arg(long, value_name = "NAME", requires = "vit", hide_short_help = true, help_heading = "Models")]
    pub vit_model: Option<String>,
    /// File with the names of its outputs in order, one per line, if the checkpoint does not have them
    #[arg(long, value_name = "FILE", requires = "vit", hide_short_help = true, help_heading = "Models")]
    pub vit_class_names: Option<PathBuf>,
    /// Trained CNN
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Models",
        long_help = "A trained CNN, under the name `cnn`."
    )]
    pub cnn: Option<PathBuf>,
    /// Model name, if the checkpoint and its config.json do not tell
    #[arg(long, value_name = "NAME", requires = "cnn", hide_short_help = true, help_heading = "Models")]
    pub cnn_model: Option<String>,
    /// File with the names of its outputs in order, one per line, if the checkpoint does not have them
    #[arg(long, value_name = "FILE", requires = "cnn", hide_short_help = true, help_heading = "Models")]
    pub cnn_class_names: Option<PathBuf>,
    /// Another trained model, under a name
    #[arg(
        long,
        value_name = "NAME=FILE",
        value_parser = named::<PathBuf>,
        help_heading = "Models",
        long_help = "Another trained model of any kind, under a name: --add swin=swin.safetensors. May be repeated; files of \
            one name are runs of one model, trained from other seeds."
    )]
    pub add: Vec<(String, PathBuf)>,
    /// Architecture of the model NAME, if its checkpoint and config.json do not tell
    #[arg(
        long = "model",
        value_name = "NAME=MODEL",
        value_parser = named::<String>,
        hide_short_help = true,
        help_heading = "Models"
    )]
    pub model: Vec<(String, String)>,
    /// File with the names of the outputs of the model NAME in order, one per line, if its checkpoint does not have them
    #[arg(
        long = "class-names",
        value_name = "NAME=FILE",
        value_parser = named::<PathBuf>,
        hide_short_help = true,
        help_heading = "Models"
    )]
    pub class_names: Vec<(String, PathBuf)>,
    /// Train this model of the configuration
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Models",
        long_help = "Train this model of the configuration, and investigate it with those that are given; may be given again. Where \
            neither this nor a trained model is given, all of the configuration are trained."
    )]
    pub train: Vec<String>,
    /// Trackers of the trainings
    #[arg(
        long = "track",
        value_name = "NAME,NAME",
        value_delimiter = ',',
        value_parser = choices::trackers(),
        hide_short_help = true,
        help_heading = "Models",
        long_help = "Trackers of the trainings [default: metrics,tensorboard], as `archaeo train` has them. The same as `trackers` in the \
            configuration. Each training is a run of its own, in a folder within that of --out; --set track_images=4 adds pictures of what \
            a model looks at as it learns."
    )]
    pub trackers: Vec<String>,
    /// Recipe for training, and study sizes
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Configuration",
        long_help = "A TOML file, or a name that `archaeo configs` lists: how to train, and how much each study looks at."
    )]
    pub config: Option<PathBuf>,
    /// Override one entry, such as epochs=5
    #[arg(
        long = "set",
        value_name = "KEY=VALUE",
        help_heading = "Configuration",
        long_help = "Override one entry of the configuration, such as epochs=5, models.vit.learning_rate=0.0005 or \
            studies.attacks.images=500."
    )]
    pub set: Vec<String>,
    /// Record one share of the images, for `archaeo merge`
    #[arg(
        long,
        value_name = "K/N",
        value_parser = shard,
        hide_short_help = true,
        help_heading = "Many machines",
        long_help = "Record share K of N of the images in the folder of --out, with K from 0 to N - 1, for `archaeo merge` to conclude \
            from. The same command resumes a shard that was killed. With auto, a Slurm array or MPI says K and N; with auto/N, a Slurm \
            array, a Kubernetes Indexed Job or MPI says K."
    )]
    pub shard: Option<ShardChoice>,
}

fn shard(text: &str) -> Result<ShardChoice, String> {
    ShardChoice::parse(text).map_err(|error| error.to_string())
}

/// Arguments of `merge`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  archaeo merge archaeo-out
  archaeo merge archaeo-out --missing

`archaeo merge --help` shows all options.")]
pub struct Merge {
    /// Folder of an investigation that was recorded in shards
    #[arg(value_name = "DIR", default_value = "archaeo-out")]
    pub folder: PathBuf,
    /// Print which shards are missing, such as 3,7-9, and merge nothing
    #[arg(long)]
    pub missing: bool,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  archaeo report archaeo-out
  archaeo report archaeo-out --format pdf --detail summary

`archaeo report --help` shows all options.")]
pub struct Report {
    /// Folder of an investigation
    #[arg(value_name = "DIR", default_value = "archaeo-out")]
    pub folder: PathBuf,
    /// Title of the report; by default that of the investigation, or the names of its models and data
    #[arg(long, value_name = "TEXT", value_parser = title)]
    pub title: Option<String>,
    /// What to write: html, md, typ, pdf, tex or ipynb
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = format,
        default_value = "html",
        long_help = "What to write: html, md and typ are always written (report.html, report.md, report.typ with report.json); pdf sets \
            report.typ with Typst, within this program if it was built with the feature pdf, else with the program typst, which has to be on \
            the PATH; tex writes every table in LaTeX (tables.tex); \
            ipynb a Jupyter notebook (report.ipynb) that draws every chart again from its numbers in charts/."
    )]
    pub format: ReportFormat,
    /// How much of it goes on paper: summary, full or appendix
    #[arg(long, value_name = "DETAIL", value_parser = detail, default_value = "full", hide_short_help = true)]
    pub detail: Detail,
}

fn format(word: &str) -> Result<ReportFormat, String> {
    let found = ReportFormat::ALL.into_iter().find(|format| format.ending() == word);
    found.ok_or_else(|| "the formats are html, md, typ, pdf, tex and ipynb".into())
}

fn detail(word: &str) -> Result<Detail, String> {
    Detail::parse(word).ok_or_else(|| "it is summary, full or appendix".into())
}

/// `NAME=VALUE`.
pub(super) fn named<T: std::str::FromStr>(text: &str) -> Result<(String, T), String>
where
    T::Err: std::fmt::Display,
{
    let (name, value) = text
        .split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or("must be of the form NAME=VALUE, such as swin=swin.safetensors")?;
    Ok((name.into(), value.parse().map_err(|error: T::Err| error.to_string())?))
}

/// A title is one line with something on it.
fn title(text: &str) -> Result<String, String> {
    let title = text.trim();
    match title {
        "" => Err("a title needs a letter or two; leave --title away for the usual one".into()),
        _ if title.chars().any(char::is_control) => {
            Err("a title is one line of text, without tabs, line breaks or other control characters".into())
        }
        _ => Ok(title.into()),
    }
}
