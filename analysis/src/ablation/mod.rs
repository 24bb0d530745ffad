//! What is each part of a model worth: heads, MLPs and layers of a transformer and blocks of a residual network, to the answer when what
//! they say is replaced, and to the loss by the gradient; and which of them carry the difference of two images.

mod branches;
mod gradient;
mod heads;
mod intervention;
mod patching;
mod stream;

pub use branches::{AblatedBranch, BRANCH_REPLACEMENTS, Branch, BranchMeans, ablate_branches};
pub use gradient::gradient_importance;
pub use heads::{
    AblatedHead, Answers, HeadAblations, HeadMeans, RemovalPoint, Replacement, Substitute, ablate_heads,
    ablate_some_heads, donors, remove_heads,
};
pub use intervention::{Instead, Intervened, Part, PartMeans, intervene};
pub use patching::{Logits, Patched, Receivers, TokenGroup};
