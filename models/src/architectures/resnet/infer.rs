//! Residual networks: every size can be read from their arrays, except the strides.

use super::architecture::SIZES;
use super::{BranchKind, ResNetConfig, Stem};
use crate::describe::{DescribeError, Found, check_channels, count, outputs, shape};
use crate::state::State;

/// What residual networks of three and of four stages have in common.
pub(crate) struct Trunk {
    /// Channels of the first layer.
    pub(crate) width: usize,
    /// Side of its kernel.
    pub(crate) kernel: usize,
    /// Whether branches have three convolutions (bottleneck) instead of two.
    pub(crate) bottleneck: bool,
    /// Blocks of each stage; 0 where there is none.
    pub(crate) blocks: [usize; 4],
}

impl Trunk {
    /// `None` for arrays that do not belong to a residual network.
    ///
    /// # Errors
    /// A residual network of an unsupported kind.
    pub(crate) fn of(state: &State) -> Result<Option<Self>, DescribeError> {
        let (Some(stem), Some(_)) = (shape(state, "conv1.weight"), shape(state, "layer1.0.conv1.weight"))
        else {
            return Ok(None);
        };
        check_channels("conv1.weight", stem)?;
        let &[width, _, kernel, _] = stem else { return Ok(None) };
        if !state.contains_key("bn1.weight") {
            let what = match state.contains_key("layer1.0.bn1.weight") {
                true => "a ResNet with pre-activation (ResNet V2)",
                false => "a ResNet without batch norm",
            };
            return Err(DescribeError::Foreign { what: what.into() });
        }
        let bottleneck = state.contains_key("layer1.0.conv3.weight");
        check_branch(state, width, bottleneck)?;
        let blocks = [1, 2, 3, 4].map(|stage| count(state, &format!("layer{stage}.")));
        Ok(Some(Self { width, kernel, bottleneck, blocks }))
    }
}

pub(super) fn found_in(state: &State) -> Result<Option<Found>, DescribeError> {
    let Some(Trunk { width, kernel, bottleneck, blocks }) = Trunk::of(state)? else { return Ok(None) };
    if blocks[3] == 0 {
        return Ok(None);
    }
    let classes = outputs(state, "fc.weight").max(outputs(state, "linear.weight"));
    check_classifier(classes)?;
    let (stem, assumed) = match kernel {
        7 => (Stem::Imagenet, None),
        // No array shows the convolution's stride or a pooling after it.
        3 => (Stem::Cifar, Some("its first layer has stride 1 and no pooling after it, as for small images")),
        _ => {
            return Err(DescribeError::Unusable(format!(
                "cannot be used: its first layer is a convolution of {kernel} × {kernel}, and ResNets here begin with one of 7 × 7 \
                 or, for small images, of 3 × 3"
            )));
        }
    };
    let branch = if bottleneck { BranchKind::Bottleneck } else { BranchKind::Basic };
    let network = ResNetConfig { stem, branch, blocks, width, classes }.into();
    let standard = SIZES.iter().any(|row| (row.1, row.2, row.3) == (branch, blocks, width));
    let assumed = assumed.filter(|_| !standard).map(str::to_owned).into_iter().collect();
    Ok(Some(Found { network, assumed, doubt: None }))
}

/// Refuses branches whose widths are not a ResNet's.
fn check_branch(state: &State, width: usize, bottleneck: bool) -> Result<(), DescribeError> {
    let &[inner, ..] = shape(state, "layer1.0.conv1.weight").unwrap_or_default() else { return Ok(()) };
    let per_group =
        shape(state, "layer1.0.conv2.weight").and_then(|shape| shape.get(1).copied()).unwrap_or(inner);
    let foreign = |what: String| Err(DescribeError::Foreign { what });
    match (per_group, bottleneck) {
        _ if per_group < inner && inner.is_multiple_of(per_group.max(1)) => {
            foreign(format!("a ResNeXt, whose convolutions have {} groups", inner / per_group.max(1)))
        }
        (_, true) if inner != width => {
            foreign(format!("a wide ResNet, whose bottlenecks are {inner} channels wide and not {width}"))
        }
        (_, false) if inner != width => foreign(format!(
            "a wide ResNet, whose first stage is {inner} channels wide after a stem of {width}"
        )),
        _ if state.contains_key("layer2.0.downsample.1.weight")
            && shape(state, "layer2.0.downsample.1.weight").is_some_and(|shape| shape.len() == 4) =>
        {
            foreign("a ResNet whose shortcuts pool before they project (ResNet-D)".into())
        }
        _ => Ok(()),
    }
}

/// Refuses a network without a head.
pub(crate) fn check_classifier(classes: usize) -> Result<(), DescribeError> {
    match classes {
        0 => Err(DescribeError::Unusable(
            "holds a ResNet without a classifier: it gives features, not answers; add the `fc` of its fine-tuning or of its \
             linear evaluation"
                .into(),
        )),
        _ => Ok(()),
    }
}
