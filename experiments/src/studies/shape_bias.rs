//! Which cue decides when shape and texture disagree? (Geirhos et al., 2019)

use std::collections::BTreeMap;

use archaeo_analysis::shape_bias::CueDecisions;
use archaeo_analysis::statistics::{DEFAULT_LEVEL, wilson};

use super::{Laboratory, ROLES, StudyError};
use crate::findings::{ShapeBias, ShapeBiasFindings};

/// Split of images whose texture is another class's.
const CONFLICT_SPLIT: &str = "conflict";

/// Counts both models' decisions on cue-conflict images; `None` where the data has none, or where no decision of a model
/// followed either cue.
///
/// # Errors
/// Data that cannot be read.
pub fn shape_bias(lab: &Laboratory) -> Result<Option<ShapeBiasFindings>, StudyError> {
    let Some(split) = lab.dataset.splits().get(CONFLICT_SPLIT) else { return Ok(None) };
    let all: Vec<usize> = (0..split.len()).collect();
    let mut textures = Vec::with_capacity(all.len());
    for batch in all.chunks(lab.sizes.batch_size) {
        for sample in split.batch(batch)? {
            let Some(truth) = sample.truth else { return Ok(None) };
            textures.push(truth.texture as usize);
        }
    }
    let mut models = BTreeMap::new();
    for role in ROLES {
        let predicted = lab.predicted(CONFLICT_SPLIT, role)?;
        let decisions = CueDecisions::count(&predicted.scores()?.predicted(), &predicted.labels, &textures);
        if decisions.cue_decisions() == 0 {
            return Ok(None);
        }
        let CueDecisions { shape, texture, other } = decisions;
        models.insert(
            role,
            ShapeBias { shape, texture, other, bias: wilson(shape, shape + texture, DEFAULT_LEVEL)? },
        );
    }
    Ok(Some(ShapeBiasFindings { n: all.len(), models }))
}
