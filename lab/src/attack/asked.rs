//! What can be asked with an attack: which question it is, and what may be chosen of each.

use std::path::PathBuf;

use archaeo_analysis::attacks::{Loss, Norm};

use super::{AttackOptions, MINIMAL, MinimalOptions, RobustBench, SAGA, SagaOptions};
use crate::doctor::{DOCTOR, DoctorOptions};
use crate::error::LabError;

/// What was asked, as it was written. What is not chosen is `None` or empty.
#[derive(Clone, Debug, Default)]
pub struct AttackAsked {
    /// The attack's id, or that of a question: [`MINIMAL`], [`DOCTOR`], [`SAGA`].
    pub attack: String,
    /// What sizes are measured in.
    pub norm: Option<Norm>,
    /// Sizes as they are written, such as `8` or `8/255`.
    pub sizes: Vec<String>,
    /// Steps of an iterated attack.
    pub steps: Option<usize>,
    /// How often it starts.
    pub restarts: Option<usize>,
    /// What it follows.
    pub loss: Option<Loss>,
    /// Where low frequencies end.
    pub cutoff: Option<f64>,
    /// The class that images are to be taken for.
    pub target: Option<String>,
    /// Folder for the images.
    pub save: Option<PathBuf>,
    /// Folder for figures.
    pub out: Option<PathBuf>,
    /// File for arrays and tables.
    pub export: Option<PathBuf>,
    /// File for an entry of RobustBench.
    pub robustbench: Option<PathBuf>,
    /// How many other models there are.
    pub others: usize,
}

/// Which question it is, with its options.
#[derive(Clone, Debug)]
pub enum AttackQuestion {
    /// How often a model is right under an attack ([`Session::attack`](crate::Session::attack)).
    Attack(AttackOptions, Option<RobustBench>),
    /// What fools one model and another ([`Session::attack_transfer`](crate::Session::attack_transfer)).
    Transfer(AttackOptions),
    /// How far images are from an error ([`Session::minimal`](crate::Session::minimal)), and the sizes to name.
    Minimal(MinimalOptions, Vec<f64>, Option<RobustBench>),
    /// Whether robustness is real ([`Session::doctor`](crate::Session::doctor)).
    Doctor(DoctorOptions),
    /// One image for two models ([`Session::saga`](crate::Session::saga)).
    Saga(SagaOptions),
}

/// What can be chosen.
const OPTIONS: [&str; 12] = [
    "--norm",
    "--epsilon",
    "--steps",
    "--restarts",
    "--loss",
    "--cutoff",
    "--target",
    "--save",
    "--out",
    "--export",
    "--robustbench-json",
    "--add",
];

/// What a question does not take.
fn foreign(attack: &str, others: bool) -> &'static [&'static str] {
    match attack {
        DOCTOR => &[
            "--norm",
            "--restarts",
            "--loss",
            "--cutoff",
            "--target",
            "--save",
            "--out",
            "--export",
            "--robustbench-json",
            "--add",
        ],
        MINIMAL => &["--restarts", "--loss", "--cutoff", "--add"],
        SAGA => &[
            "--norm",
            "--restarts",
            "--loss",
            "--cutoff",
            "--target",
            "--save",
            "--out",
            "--export",
            "--robustbench-json",
        ],
        _ if others => &["--target", "--save", "--out", "--export", "--robustbench-json"],
        _ => &["--out"],
    }
}

impl AttackAsked {
    /// Which question it is.
    ///
    /// # Errors
    /// An option that the question does not take, an attack that is not known or has not what was chosen, a size that is none.
    pub fn question(&self) -> Result<AttackQuestion, LabError> {
        let attack = self.attack.as_str();
        let foreign = foreign(attack, self.others > 0);
        if let Some(option) = self.chosen().into_iter().find(|option| foreign.contains(option)) {
            let takes = OPTIONS.into_iter().filter(|option| !foreign.contains(option)).collect();
            let with = if foreign.contains(&"--add") || self.others == 0 || attack == SAGA {
                ""
            } else {
                " with --add"
            };
            return Err(LabError::AttackOption { asked: format!("{attack}{with}"), option, takes });
        }
        let entry =
            |sizes: &[f64]| self.robustbench.as_deref().map(|file| RobustBench::new(file, sizes)).transpose();
        match attack {
            DOCTOR => Ok(AttackQuestion::Doctor(DoctorOptions::parse(&self.sizes, self.steps)?)),
            SAGA => Ok(AttackQuestion::Saga(SagaOptions {
                sizes: sizes(Norm::Linf, &self.sizes)?,
                steps: self.steps,
            })),
            MINIMAL => {
                let sizes = match (self.sizes.is_empty(), self.norm) {
                    (true, _) => Vec::new(),
                    (false, None) => return Err(LabError::SizesOfNoNorm),
                    (false, Some(norm)) => sizes(norm, &self.sizes)?,
                };
                let options = MinimalOptions {
                    norms: self.norm.into_iter().collect(),
                    steps: self.steps,
                    target: self.target.clone(),
                    out: self.out.clone(),
                    save: self.save.clone(),
                };
                let entry = entry(&sizes)?;
                Ok(AttackQuestion::Minimal(options, sizes, entry))
            }
            _ => {
                let options = AttackOptions {
                    steps: self.steps,
                    restarts: self.restarts.unwrap_or(1),
                    loss: self.loss,
                    cutoff: self.cutoff,
                    target: self.target.clone(),
                    save: self.save.clone(),
                    ..AttackOptions::parse(attack, self.norm, &self.sizes)?
                };
                options.check()?;
                match self.others {
                    0 => {
                        let entry = entry(&options.sizes)?;
                        Ok(AttackQuestion::Attack(options, entry))
                    }
                    _ => Ok(AttackQuestion::Transfer(options)),
                }
            }
        }
    }

    fn chosen(&self) -> Vec<&'static str> {
        let chosen = [
            self.norm.is_some(),
            !self.sizes.is_empty(),
            self.steps.is_some(),
            self.restarts.is_some(),
            self.loss.is_some(),
            self.cutoff.is_some(),
            self.target.is_some(),
            self.save.is_some(),
            self.out.is_some(),
            self.export.is_some(),
            self.robustbench.is_some(),
            self.others > 0,
        ];
        OPTIONS.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(option, _)| option).collect()
    }
}

/// Sizes of a norm as they are written.
pub(super) fn sizes(norm: Norm, texts: &[String]) -> Result<Vec<f64>, LabError> {
    let parsed = texts
        .iter()
        .map(|text| norm.parse(text).map_err(|reason| LabError::Epsilon { text: text.clone(), reason }));
    parsed.collect()
}
