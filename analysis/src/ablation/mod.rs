//! What is each attention head worth: to the answer when its output is replaced, and to the loss by its gradient.

mod gradient;
mod heads;

pub use gradient::gradient_importance;
pub use heads::{
    AblatedHead, Answers, HeadAblations, HeadMeans, Replacement, Substitute, ablate_heads, donors,
};
