//! Does what is read lie on the object?

use super::{Measure, PatchContent};
use crate::attribution::Heatmap;

/// Share of what is read in the object's mask; the null is the mask's share of the image.
pub(super) fn measure(read: &Heatmap, content: &PatchContent) -> Measure {
    let Some(object) = &content.object else { return Measure::default() };
    let total: f64 = read.values.iter().map(|value| f64::from(*value)).sum();
    let inside: f64 = read.values.iter().zip(object).map(|(value, share)| f64::from(*value) * share).sum();
    Measure {
        value: (total > 0.0).then(|| inside / total),
        null: Some(object.iter().sum::<f64>() / object.len() as f64),
    }
}
