//! Which cue decides when shape and texture disagree (Geirhos et al., 2019).

use serde::{Deserialize, Serialize};

/// Decisions on cue-conflict images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CueDecisions {
    /// Decisions for the shape's class.
    pub shape: usize,
    /// Decisions for the texture's class.
    pub texture: usize,
    /// Decisions for a third class.
    pub other: usize,
}

impl CueDecisions {
    /// Counts decisions; images whose cues agree say nothing about their conflict and are left out.
    ///
    /// # Panics
    /// If the three differ in length.
    pub fn count(predicted: &[usize], shapes: &[usize], textures: &[usize]) -> Self {
        assert_eq!(
            (predicted.len(), predicted.len()),
            (shapes.len(), textures.len()),
            "each image needs a prediction, a shape and a texture"
        );
        let mut decisions = Self::default();
        for ((&predicted, &shape), &texture) in predicted.iter().zip(shapes).zip(textures) {
            match predicted {
                _ if shape == texture => {}
                p if p == shape => decisions.shape += 1,
                p if p == texture => decisions.texture += 1,
                _ => decisions.other += 1,
            }
        }
        decisions
    }

    /// Decisions for one of the two cues: what the bias is a share of.
    pub fn cue_decisions(&self) -> usize {
        self.shape + self.texture
    }

    /// Shape bias: `shape / (shape + texture)`; `None` where neither cue ever decided.
    pub fn shape_bias(&self) -> Option<f64> {
        (self.cue_decisions() > 0).then(|| self.shape as f64 / self.cue_decisions() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_conflicts_count_and_third_classes_do_not_bias() {
        let decisions = CueDecisions::count(&[0, 0, 1, 2, 1, 3], &[0, 0, 0, 2, 0, 0], &[1, 1, 1, 2, 1, 1]);
        assert_eq!(decisions, CueDecisions { shape: 2, texture: 2, other: 1 });
        assert_eq!(decisions.shape_bias(), Some(0.5));
        assert_eq!(CueDecisions::count(&[5], &[0], &[1]).shape_bias(), None);
    }
}
