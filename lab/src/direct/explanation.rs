//! Heatmaps of images in memory.

use archaeo_analysis::answers::{predicted_classes, probabilities};
use archaeo_analysis::attribution::{Heatmap, MethodInfo, explain_all};
use archaeo_data::Image;
use archaeo_plot::{Colormap, Grid, HeatmapStyle, Range as Scale, Upsampling, enlarge, overlay, to_png};

use super::{DirectError, DirectModel, Pixels};
use crate::explain::named;
use crate::figures::OPACITY;
use crate::rollout::RolloutChoice;
use crate::session::Session;

/// Least side of an overlay, in pixels: smaller images are enlarged.
const LEAST_SIDE: usize = 224;

/// One heatmap per image.
#[derive(Clone, Debug)]
pub struct DirectExplanation {
    /// What the method is.
    pub method: MethodInfo,
    /// In the order of the images, all of one size.
    pub heatmaps: Vec<Heatmap>,
    /// The class that each explains; `None` of a model without classes.
    pub targets: Option<Vec<usize>>,
    /// What the model gives the class that is explained.
    pub probabilities: Option<Vec<f64>>,
    /// What is not usual about a rollout, in words.
    pub unusual: Option<String>,
}

impl DirectModel {
    /// The heatmap of each image by the method of an ID, of the classes `targets`, or of the model's answers. The ID `rollout` takes
    /// its options from `rollout`.
    ///
    /// # Errors
    /// A method that does not exist or does not apply, a class that the model does not have, answers that are not finite, an
    /// interruption.
    pub fn explain(
        &self,
        session: &Session,
        pixels: Pixels,
        method: &str,
        rollout: RolloutChoice,
        targets: Option<&[usize]>,
    ) -> Result<DirectExplanation, DirectError> {
        let chosen = named(method, &self.classifier, &[])
            .map_err(|reason| DirectError::Method { id: method.into(), reason })?;
        let rollout_of = rollout.of_model(&self.classifier)?;
        let chosen = rollout_of.among(vec![chosen]);
        let info = *chosen[0].info();
        let classes = self.classes().len();
        if let Some(targets) = targets {
            self.check_labels("target", targets, pixels.count())?;
        }
        if info.depends_on_class {
            self.require_classes()?;
        }
        let (mut heatmaps, mut of, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        self.each_evidence(session, info.title, pixels, |range, evidence| {
            let mut own = Vec::new();
            if classes > 0 {
                let logits = evidence.logits();
                self.check_finite(logits, classes, range.start)?;
                own = match targets {
                    Some(targets) => targets[range].to_vec(),
                    None => predicted_classes(logits, classes),
                };
                let rows = probabilities(logits, classes);
                shares.extend(own.iter().enumerate().map(|(row, class)| rows[row * classes + class]));
            }
            heatmaps.extend(explain_all(&chosen, evidence, &own)?.swap_remove(0));
            of.extend(own);
            Ok(())
        })?;
        Ok(DirectExplanation {
            method: info,
            heatmaps,
            targets: (classes > 0).then_some(of),
            probabilities: (classes > 0).then_some(shares),
            unusual: rollout.describe().filter(|_| info.id == "rollout"),
        })
    }
}

/// A heatmap over its picture, as a PNG; a signed one in colours with zero in the middle.
///
/// # Errors
/// A heatmap without a place, or with a value that is not finite.
pub fn overlay_png(picture: &Image, heatmap: &Heatmap, signed: bool) -> Result<Vec<u8>, DirectError> {
    let picture = enlarge(picture, LEAST_SIDE.div_ceil(picture.width().min(picture.height()).max(1)))?;
    let style = match signed {
        true => HeatmapStyle {
            colormap: Colormap::BlueRed,
            range: Scale::Symmetric,
            upsampling: Upsampling::Bilinear,
        },
        false => HeatmapStyle::default(),
    };
    let grid = Grid::new(&heatmap.values, heatmap.height, heatmap.width)?;
    picture_png(&overlay(&picture, &grid, OPACITY, &style)?)
}

/// A picture as a PNG.
///
/// # Errors
/// A picture without a pixel.
pub fn picture_png(picture: &Image) -> Result<Vec<u8>, DirectError> {
    Ok(to_png(picture)?)
}
