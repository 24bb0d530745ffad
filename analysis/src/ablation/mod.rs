//! What is each part of a transformer worth: heads, MLPs and layers, to the answer when what they say is replaced, and to the loss by
//! the gradient; and which of them carry the difference of two images.

mod branches;
mod gradient;
mod heads;
mod patching;
mod stream;

pub use branches::{AblatedBranch, Branch, BranchMeans, ablate_branches};
pub use gradient::gradient_importance;
pub use heads::{
    AblatedHead, Answers, HeadAblations, HeadMeans, Replacement, Substitute, ablate_heads, donors,
    remove_heads,
};
pub use patching::{Logits, Patched, Receivers, TokenGroup};
