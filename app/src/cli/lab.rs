//! `archaeo lab`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

/// Open models on a page in the browser
#[derive(Debug, Args)]
#[command(
    long_about = "Opens models on a page in the browser: every layer and head of an image, explanations with their verdicts, an attack step \
        by step, heads switched off. Without arguments it opens two small models trained on Sherds, or those of archaeo-out where \
        `archaeo excavate` has left that folder.\n\nThe page is served on this machine alone, under an address that ends in a token. \
        Images that are added stay in memory.",
    after_help = "`archaeo lab --help` shows all options, with examples.",
    after_long_help = "Examples:\n  archaeo lab --open\n  archaeo lab --weights vit.safetensors --weights cnn.safetensors --data scans/\n  \
        archaeo lab --run archaeo-out"
)]
pub struct Lab {
    /// Trained weights; give it again for more models
    #[arg(long, value_name = "FILE", help_heading = "Model and data")]
    pub weights: Vec<PathBuf>,
    /// A model under a name of your own; can be given again
    #[arg(long, value_name = "NAME=FILE", value_parser = super::excavate::named::<PathBuf>, help_heading = "Model and data")]
    pub add: Vec<(String, PathBuf)>,
    /// Images [default: those of the run, or sherds]
    #[arg(long, value_name = "SOURCE", help_heading = "Model and data")]
    pub data: Option<String>,
    /// Which split of them
    #[arg(long, hide_short_help = true, help_heading = "Model and data")]
    pub split: Option<String>,
    /// The folder of an investigation: its models, its data, its findings
    #[arg(long, value_name = "DIR", help_heading = "Model and data")]
    pub run: Option<PathBuf>,
    /// Where to begin, such as image=d3&view=attack: what follows # in the page's address
    #[arg(long, value_name = "PLACE", hide_short_help = true, value_parser = place)]
    pub at: Option<String>,
    /// Start the browser too
    #[arg(long)]
    pub open: bool,
    /// Port [default: 7337, or any that is free]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub port: Option<u16>,
    /// Let other machines in at this address; needs --token
    #[arg(
        long,
        value_name = "ADDRESS",
        hide_short_help = true,
        requires = "token",
        long_help = "Listen at this address of the machine, such as 0.0.0.0 for all of them, instead of at 127.0.0.1: anyone who can reach it and \
            knows the token can use the models, add images and keep the processor busy. The connection is not encrypted; put a proxy \
            with TLS before it."
    )]
    pub listen: Option<IpAddr>,
    /// What visitors have to know, at least 16 characters [default: a random one]
    #[arg(long, value_name = "WORD", hide_short_help = true)]
    pub token: Option<String>,
}

/// What the page's address takes after `#`.
fn place(text: &str) -> Result<String, String> {
    const KEYS: [&str; 8] = ["image", "model", "view", "layer", "head", "query", "method", "target"];
    let text = text.strip_prefix('#').unwrap_or(text);
    let valid =
        |pair: &str| pair.split_once('=').is_some_and(|(key, value)| KEYS.contains(&key) && plain(value));
    match text.split('&').all(valid) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "KEY=VALUE with & between, such as image=d3&view=attack; keys are {}",
            KEYS.join(", ")
        )),
    }
}

/// Whether an address holds these characters as they are.
fn plain(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.,~%".contains(c))
}
