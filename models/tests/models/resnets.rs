//! Residual networks of timm, torchvision and transformers, read under the names that each of them uses: logits, every
//! block's output and the gradient at the images, compared with what the library itself computes in double precision
//! (`fixtures/make_resnets.py`).

use crate::common::{Fixture, card, differences_from_library, tiny_resnet};
use archaeo_models::{BranchKind, Stem};

fn compare(library: &str) {
    for (branch, kind) in [(BranchKind::Basic, "basic"), (BranchKind::Bottleneck, "bottleneck")] {
        let name = format!("{library}_resnet_{kind}");
        let fixture = Fixture::read(&name);
        assert_eq!(fixture.part("block").len(), 5);
        for (what, difference) in
            differences_from_library(&fixture, card(tiny_resnet(Stem::Imagenet, branch), 33))
        {
            assert!(difference <= 1e-5, "{name}: {what} differs by {difference:e} of its largest value");
        }
    }
}

#[test]
fn timm() {
    compare("timm");
}

#[test]
fn torchvision() {
    compare("torchvision");
}

#[test]
fn transformers() {
    compare("transformers");
}
