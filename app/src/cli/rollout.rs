//! How rollout treats the layers, for the commands that draw or export it.

use anyhow::{Result, ensure};
use archaeo_analysis::attribution::{HeadFusion, RolloutOptions};
use archaeo_analysis::audit::VitExplainRollout;
use archaeo_lab::RolloutChoice;
use clap::{Args, ValueEnum};

use super::questions::from_one;

/// Options of rollout.
#[derive(Clone, Copy, Debug, Args)]
pub struct Rollout {
    /// How heads are fused in the rollout
    #[arg(long, value_enum, default_value_t = Fusion::Mean, hide_short_help = true, help_heading = "Rollout")]
    pub fusion: Fusion,
    /// Share of each row that rollout discards, from the smallest weight; 0 if not given
    #[arg(long, hide_short_help = true, value_name = "RATIO", help_heading = "Rollout")]
    pub discard: Option<f64>,
    /// First layer whose attention counts in the rollout, from 1
    #[arg(
        long,
        hide_short_help = true,
        value_name = "N",
        default_value_t = 1,
        value_parser = from_one,
        allow_hyphen_values = true,
        help_heading = "Rollout"
    )]
    pub start_layer: usize,
    /// Whose rollout
    #[arg(
        long = "impl",
        value_enum,
        default_value_t = Implementation::Paper,
        hide_short_help = true,
        help_heading = "Rollout",
        long_help = "Whose rollout: the paper's, or that of the program vit-explain, which discards over the whole matrix (90 % where \
                     --discard says nothing) and normalises along the wrong axis (docs/audit.md)."
    )]
    pub implementation: Implementation,
}

/// Whose rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Implementation {
    /// Abnar and Zuidema, 2020.
    Paper,
    /// jacobgil/vit-explain.
    VitExplain,
}

/// How the heads of a layer become one matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fusion {
    /// Mean over heads.
    Mean,
    /// Largest over heads.
    Max,
    /// Smallest over heads.
    Min,
}

impl Rollout {
    /// As the library takes them.
    ///
    /// # Errors
    /// A start layer for a program that has none.
    pub fn asked(self) -> Result<RolloutChoice> {
        let fusion = match self.fusion {
            Fusion::Mean => HeadFusion::Mean,
            Fusion::Max => HeadFusion::Max,
            Fusion::Min => HeadFusion::Min,
        };
        let choice = match self.implementation {
            Implementation::Paper => {
                let discard = self.discard.unwrap_or(0.0);
                RolloutChoice::Paper(RolloutOptions { fusion, discard, start_layer: self.start_layer })
            }
            Implementation::VitExplain => {
                ensure!(
                    self.start_layer == 1,
                    "vit-explain begins with the first layer; leave out --start-layer"
                );
                let discard = self.discard.unwrap_or(VitExplainRollout::DISCARD);
                RolloutChoice::VitExplain(VitExplainRollout { fusion, discard })
            }
        };
        choice.check()?;
        Ok(choice)
    }
}
