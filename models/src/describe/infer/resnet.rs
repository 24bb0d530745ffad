//! Residual networks: every size is in their arrays, but not the strides.

use super::{Found, check_channels, count, outputs, shape};
use crate::describe::DescribeError;
use crate::presets::RESNET_SIZES;
use crate::resnet::{BranchKind, ResNetConfig, Stem};
use crate::resnet_cifar::CifarResNetConfig;
use crate::spec::NetworkSpec;
use crate::state::State;

/// What one of no standard size is called.
pub(super) fn unnamed(config: &ResNetConfig) -> &'static str {
    match config.stem {
        Stem::Imagenet => "resnet",
        Stem::Cifar => "resnet_cifar",
    }
}

pub(super) fn resnet(state: &State) -> Result<Option<Found>, DescribeError> {
    let (Some(stem), Some(_)) = (shape(state, "conv1.weight"), shape(state, "layer1.0.conv1.weight")) else {
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
    if blocks[3] == 0 {
        return cifar(state, width, kernel, blocks);
    }
    let classes = outputs(state, "fc.weight").max(outputs(state, "linear.weight"));
    check_classifier(classes)?;
    let (stem, assumed) = match kernel {
        7 => (Stem::Imagenet, None),
        // The convolution's stride and a pooling after it are in no array.
        3 => (Stem::Cifar, Some("its first layer has stride 1 and no pooling after it, as for small images")),
        _ => {
            return Err(DescribeError::Unusable(format!(
                "cannot be used: its first layer is a convolution of {kernel} × {kernel}, and ResNets here begin with one of 7 × 7 \
                 or, for small images, of 3 × 3"
            )));
        }
    };
    let branch = if bottleneck { BranchKind::Bottleneck } else { BranchKind::Basic };
    let network = NetworkSpec::Resnet(ResNetConfig { stem, branch, blocks, width, classes });
    let standard = RESNET_SIZES.iter().any(|row| (row.1, row.2, row.3) == (branch, blocks, width));
    let assumed = assumed.filter(|_| !standard).map(str::to_owned).into_iter().collect();
    Ok(Some(Found { network, assumed, doubt: None }))
}

/// Refuses branches of other widths than a ResNet's.
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

fn check_classifier(classes: usize) -> Result<(), DescribeError> {
    match classes {
        0 => Err(DescribeError::Unusable(
            "holds a ResNet without a classifier: it gives features, not answers; add the `fc` of its fine-tuning or of its \
             linear evaluation"
                .into(),
        )),
        _ => Ok(()),
    }
}

/// The thin networks of three stages.
fn cifar(
    state: &State,
    width: usize,
    kernel: usize,
    blocks: [usize; 4],
) -> Result<Option<Found>, DescribeError> {
    let [first, second, third, _] = blocks;
    let classes = outputs(state, "linear.weight").max(outputs(state, "fc.weight"));
    check_classifier(classes)?;
    if kernel != 3 || first != second || second != third || state.contains_key("layer1.0.conv3.weight") {
        return Err(DescribeError::Unusable(format!(
            "cannot be used: it is a ResNet of the stages {first}-{second}-{third}, and those with three stages have as many blocks \
             of two convolutions in each here"
        )));
    }
    let projection = state.contains_key("layer2.0.downsample.0.weight");
    let config = CifarResNetConfig { blocks: first, width, projection, classes };
    Ok(Some(Found::certain(NetworkSpec::CifarResnet(config))))
}
