//! `archaeo submit`: an investigation on an engine that starts processes on many machines.

use std::path::PathBuf;

use archaeo_lab::Engine;
use clap::Args;

/// Arguments of `submit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  archaeo submit slurm --shards 8 -- excavate --data scans/ --out runs/scans
  archaeo submit kubernetes --shards 4 -- study heads --vit vit.safetensors

`archaeo submit --help` shows all options.")]
pub struct Submit {
    /// slurm, kubernetes or ray
    #[arg(value_name = "ENGINE", value_parser = engine)]
    pub engine: Engine,
    /// Number of shards
    #[arg(long, value_name = "N")]
    pub shards: usize,
    /// Folder for the scripts
    #[arg(long, value_name = "DIR", default_value = "archaeo-submit", hide_short_help = true)]
    pub to: PathBuf,
    /// Submit them, too
    #[arg(long)]
    pub run: bool,
    /// Time limit of each job, such as 2:00:00
    #[arg(long, value_name = "TIME", value_parser = one_line)]
    pub time: Option<String>,
    /// Memory of each process, such as 8G
    #[arg(long = "mem", value_name = "SIZE", value_parser = one_line)]
    pub memory: Option<String>,
    /// Processors of each process
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(1..=1024),
        hide_short_help = true
    )]
    pub cpus: u16,
    /// Most shards at once; all by default
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub at_once: Option<u32>,
    /// How often a shard is tried again after a failure that may pass (exit status 75, a killed process)
    #[arg(long, value_name = "N", default_value_t = 3, hide_short_help = true)]
    pub retries: usize,
    /// An option of sbatch or kubectl, such as --with=--partition=long; may be repeated
    #[arg(long = "with", value_name = "OPTION", value_parser = one_line, allow_hyphen_values = true, hide_short_help = true)]
    pub options: Vec<String>,
    /// What the jobs are called
    #[arg(long, value_name = "NAME", default_value = "archaeo", value_parser = name, hide_short_help = true)]
    pub name: String,
    /// The program on the machines; by default this one, and on Kubernetes that of the image
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub program: Option<String>,
    /// Container image, for Kubernetes
    #[arg(long, value_name = "IMAGE", default_value = concat!("archaeo:", env!("CARGO_PKG_VERSION")), hide_short_help = true)]
    pub image: String,
    /// Volume claim with data and results, for Kubernetes; one of 50 GiB is made where none is named
    #[arg(long, value_name = "NAME", value_parser = name, hide_short_help = true)]
    pub claim: Option<String>,
    /// excavate or study, with their options
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

fn engine(word: &str) -> Result<Engine, String> {
    match word {
        "slurm" => Ok(Engine::Slurm),
        "kubernetes" => Ok(Engine::Kubernetes),
        "ray" => Ok(Engine::Ray),
        _ => Err("the engines are slurm, kubernetes and ray".into()),
    }
}

/// What becomes a line of a script.
fn one_line(text: &str) -> Result<String, String> {
    match text.is_empty() || text.chars().any(char::is_control) {
        true => Err("it must be one line of text".into()),
        false => Ok(text.into()),
    }
}

/// A name of Kubernetes (RFC 1123), which Slurm takes, too.
fn name(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = |c: char| c != '-';
    match text.chars().all(inner) && text.starts_with(ends) && text.ends_with(ends) && text.len() <= 40 {
        true => Ok(text.into()),
        false => Err("a name is of small letters, digits and hyphens, and at most 40 of them".into()),
    }
}
