//! Residual networks under the names of Hugging Face `transformers`. torchvision's and timm's are the models' own.

use crate::names::without_prefix;
use crate::state::State;

/// Names of the parts of a block in `transformers`, and here.
const PARTS: [(&str, &str); 8] = [
    ("layer.0.convolution.", "conv1."),
    ("layer.0.normalization.", "bn1."),
    ("layer.1.convolution.", "conv2."),
    ("layer.1.normalization.", "bn2."),
    ("layer.2.convolution.", "conv3."),
    ("layer.2.normalization.", "bn3."),
    ("shortcut.convolution.", "downsample.0."),
    ("shortcut.normalization.", "downsample.1."),
];

/// Names of the arrays outside the blocks.
const ENDS: [(&str, &str); 4] = [
    ("linear.", "fc."),
    ("embedder.embedder.convolution.", "conv1."),
    ("embedder.embedder.normalization.", "bn1."),
    ("classifier.1.", "fc."),
];

/// The arrays of a residual network under torchvision's names.
pub(super) fn canonical(state: State) -> State {
    let state = without_prefix(state, &["resnet."]);
    let renamed = |name: String| in_block(&name).or_else(|| replaced(&ENDS, &name)).unwrap_or(name);
    let renamed = |name: String| projections(renamed(name));
    state.into_iter().map(|(name, array)| (renamed(name), array)).collect()
}

/// Most CIFAR implementations call a projection `shortcut`, torchvision `downsample`.
pub(crate) fn projections(name: String) -> String {
    match name.starts_with("layer") {
        true => name.replacen(".shortcut.", ".downsample.", 1),
        false => name,
    }
}

/// `encoder.stages.0.layers.2.PART…` is `layer1.2.PART…`.
fn in_block(name: &str) -> Option<String> {
    let (stage, rest) = name.strip_prefix("encoder.stages.")?.split_once(".layers.")?;
    let (block, part) = rest.split_once('.')?;
    let stage = stage.parse::<usize>().ok()?.checked_add(1)?;
    Some(format!("layer{stage}.{block}.{}", replaced(&PARTS, part)?))
}

fn replaced(table: &[(&str, &str)], name: &str) -> Option<String> {
    table.iter().find_map(|(theirs, ours)| Some(format!("{ours}{}", name.strip_prefix(theirs)?)))
}
