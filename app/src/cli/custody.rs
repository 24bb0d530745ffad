//! `archaeo verify` and `archaeo card`: whether an investigation is what it was, and its models on a page each.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo verify --help` shows all options, what is checked, and examples.")]
#[command(after_long_help = "\
Compares every file with manifest.json, which `archaeo excavate` writes last; weights and images with their hashes; the report with
what the findings render to, letter by letter; and a sample of numbers with what their records give. Nothing is written. Ends with
status 1 where anything differs.

Examples:
  archaeo verify archaeo-out
  archaeo verify archaeo-out/report.html --seed 7 --sample 100
  archaeo verify archaeo-out --deep
  archaeo verify archaeo-out --sign minisign.key
  archaeo verify archaeo-out --public-key minisign.pub")]
pub struct Verify {
    /// Folder of an investigation, or its report
    #[arg(value_name = "PATH", default_value = "archaeo-out")]
    pub path: PathBuf,
    /// Numbers of the findings that are concluded again from their records; --seed chooses them
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub sample: usize,
    /// Ask the models about a sample of images again
    #[arg(
        long,
        long_help = "Ask the models about a sample of images again: their answers, and some records of every study."
    )]
    pub deep: bool,
    /// Who should have signed the manifest: a .pub file of minisign, or the key itself
    #[arg(long, value_name = "KEY", help_heading = "Signature")]
    pub public_key: Option<String>,
    /// Sign the manifest with this secret key, if nothing differs
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Signature",
        long_help = "Sign the manifest with this secret key of minisign, if nothing differs; ARCHAEO_KEY_PASSWORD is its password, \
            where it has one."
    )]
    pub sign: Option<PathBuf>,
}

/// Arguments of `card`.
#[derive(Debug, Args)]
#[command(after_help = "`archaeo card --help` shows all options, with examples.")]
#[command(after_long_help = "\
Metadata of the Hugging Face hub, then intended use, training, measured performance, robustness, whether explanations are true, limits
and how to reproduce it. Every number comes from the findings or the log of the training.

Examples:
  archaeo card archaeo-out --model vit
  archaeo card archaeo-out --out cards/        a folder for each model
  archaeo card runs/vit --license mit --out runs/vit")]
pub struct Card {
    /// Folder of an investigation or of a finished training
    #[arg(value_name = "PATH", default_value = "archaeo-out")]
    pub path: PathBuf,
    /// One model of the investigation; by default all
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// The model's licence, as the hub names it, such as mit
    #[arg(long, value_name = "ID")]
    pub license: Option<String>,
    /// Folder to write README.md to, one below it for each of several models; without it, cards are printed
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
