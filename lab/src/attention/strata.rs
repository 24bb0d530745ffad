//! What heads attend to at several epochs of a training, on the same images.

use std::path::{Path, PathBuf};

use archaeo_analysis::attention::DistanceConvention;
use archaeo_training::{Stratum, strata};
use serde::Serialize;

use super::strip::Strip;
use super::{AttentionOptions, Statistics};
use crate::error::LabError;
use crate::figures::FigureFolder;
use crate::session::Session;
use crate::subject::{ModelSource, Purpose, Subject};

/// The figure, as PNG and as SVG.
const FIGURE: &str = "strata";

/// What heads attend to, epoch by epoch.
#[derive(Clone, Debug, Serialize)]
pub struct AttentionStrata {
    /// Name of the model.
    pub model: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// What the model's head reads.
    pub read_out: &'static str,
    /// Images.
    pub n: usize,
    /// How the attention distance treats the class token.
    pub distance_convention: &'static str,
    /// The numbers of the layers, from 1.
    pub layers: Vec<usize>,
    /// One entry per kept epoch, in their order.
    pub strata: Vec<StratumAttention>,
    /// Files of the figure; none where no folder was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PathBuf>,
}

/// One kept epoch.
#[derive(Clone, Debug, Serialize)]
pub struct StratumAttention {
    /// Which, and its weights.
    #[serde(flatten)]
    pub stratum: Stratum,
    /// The statistics of every head by name.
    #[serde(flatten)]
    pub statistics: Statistics,
}

impl Session {
    /// Measures what heads attend to at each epoch that a training has kept; the weights of `subject` are the run's folder. With
    /// `folder`, writes a figure there of the maps of two images.
    ///
    /// # Errors
    /// A folder that is not a run's, or one without kept epochs; as [`Session::attention`]; a figure that cannot be written.
    pub fn attention_strata(
        &self,
        subject: &Subject,
        convention: DistanceConvention,
        folder: Option<&Path>,
    ) -> Result<AttentionStrata, LabError> {
        let run = &subject.model.weights;
        let kept = strata(run)?;
        let source = |weights: &Path| ModelSource { weights: weights.to_owned(), ..subject.model.clone() };
        let last = kept.last().expect("a run without strata is refused");
        let mut opened =
            self.open(Subject { model: source(&last.weights), ..subject.clone() }, Purpose::Look)?;
        opened.require_attention()?;
        let inputs: Vec<&Path> = subject.data.iter().map(Path::new).collect();
        let mut figures = folder.map(|folder| FigureFolder::new(folder, &[FIGURE], &inputs)).transpose()?;
        let mut strip = figures.is_some().then(|| Strip::of(&opened)).transpose()?;
        let asked = AttentionOptions {
            methods: Vec::new(),
            convention,
            keep_maps: false,
            ..AttentionOptions::default()
        };
        let (mut found, mut of_model) = (Vec::new(), None);
        for stratum in kept {
            let source = source(&stratum.weights);
            opened.model = self.load(&source, self.find(&source)?, &[], &opened.device)?;
            opened.subject.model = source;
            let attended = self.attention(&opened, &asked)?;
            if let Some(strip) = &mut strip {
                let accuracy = stratum.validation_accuracy;
                let note = accuracy.map_or_else(String::new, |share| format!("{:.1} % right", 100.0 * share));
                strip.add(format!("epoch {}", stratum.epoch), note, &opened.model, &opened)?;
            }
            found.push(StratumAttention { stratum, statistics: attended.statistics.clone() });
            of_model = Some(attended);
        }
        let attended = of_model.expect("a run without strata is refused");
        if let (Some(figures), Some(strip)) = (&mut figures, &strip) {
            let title = format!("{} over its training", attended.model);
            figures.write(FIGURE, &strip.figure(title, Vec::new())?)?;
        }
        Ok(AttentionStrata {
            model: attended.model,
            precision: attended.precision,
            read_out: attended.read_out,
            n: attended.n,
            distance_convention: attended.distance_convention,
            layers: attended.layers,
            strata: found,
            pictures: figures.map(FigureFolder::written).unwrap_or_default(),
        })
    }
}
