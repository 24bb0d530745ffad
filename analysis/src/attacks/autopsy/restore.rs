//! Which parts give the answer back when they are taken from the pass over the clean image.

use archaeo_models::{Classifier, Pass};
use archaeo_ops as ops;
use burn::tensor::Tensor;

use super::{Case, Restored, finite};
use crate::AnalysisError;
use crate::ablation::Receivers;
use crate::tensors::values;

/// Number of heads of each layer, and for each image what its parts give back.
pub(super) fn restored(
    model: &Classifier,
    case: &Case,
    margins: &dyn Fn(&[f32]) -> Vec<f64>,
) -> Result<(Vec<usize>, Vec<Vec<Restored>>), AnalysisError> {
    let (heads, own, [clean, unrelated]) = match model.has_attention() {
        true => of_heads(model, case)?,
        false => of_blocks(model, case)?,
    };
    let own = margins(&own);
    let gained = |logits: &[f32]| -> Vec<f64> {
        margins(logits).into_iter().zip(&own).map(|(margin, own)| margin - own).collect()
    };
    let mut parts: Vec<Vec<Restored>> = vec![Vec::new(); case.labels.len()];
    for (clean, unrelated) in clean.iter().zip(&unrelated) {
        let gained = gained(clean).into_iter().zip(gained(unrelated));
        for (parts, (clean, unrelated)) in parts.iter_mut().zip(gained) {
            parts.push(Restored { clean, unrelated });
        }
    }
    Ok((heads, parts))
}

/// Heads of each layer, the attacked images' logits, and those with each part from the clean and from the unrelated images.
type Passes = (Vec<usize>, Vec<f32>, [Vec<Vec<f32>>; 2]);

fn of_heads(model: &Classifier, case: &Case) -> Result<Passes, AnalysisError> {
    let receivers = Receivers::record(model, case.attacked.clone())?;
    let from = |donors: &Tensor<4>| -> Result<Vec<Vec<f32>>, AnalysisError> {
        let (heads, layers) = receivers.with_heads_of(donors.clone())?;
        Ok(heads.into_iter().flatten().chain(layers).collect())
    };
    let donated = [from(&case.clean)?, from(&case.unrelated)?];
    Ok((receivers.heads_per_layer(), receivers.logits.clone(), donated))
}

/// The three images go through the blocks side by side, so that no feature map has to be kept.
fn of_blocks(model: &Classifier, case: &Case) -> Result<Passes, AnalysisError> {
    let refused = || AnalysisError::NoBlocks { model: model.card().name.clone() };
    let depth = model.network.residual().ok_or_else(refused)?.depth();
    let mut maps = [&case.attacked, &case.clean, &case.unrelated]
        .map(|images| model.stem(images.clone(), &mut Pass::evaluate(&mut ())));
    let mut donated = [Vec::new(), Vec::new()];
    for block in 0..depth {
        let [attacked, clean, unrelated] =
            maps.map(|map| model.addends(block, map, &mut Pass::evaluate(&mut ())));
        for (donated, branch) in donated.iter_mut().zip([&clean[1], &unrelated[1]]) {
            let map = ops::relu(ops::add(attacked[0].clone(), branch.clone()));
            let logits = model.logits_from_block(block + 1, map, &mut Pass::evaluate(&mut ()));
            donated.push(finite(model, values(logits))?);
        }
        maps = [attacked, clean, unrelated].map(|[shortcut, branch]| ops::relu(ops::add(shortcut, branch)));
    }
    let [attacked, ..] = maps;
    let own = values(model.logits_from_block(depth, attacked, &mut Pass::evaluate(&mut ())));
    Ok((Vec::new(), finite(model, own)?, donated))
}
