//! The live lab: a page in the browser on which models are taken apart by hand, and the server behind it.
//!
//! [`router`] is the whole of it as a function of what is on the table and who may ask; [`serve`] puts it behind a socket. Nothing here
//! computes: a request becomes a question for [`Live`](archaeo_lab::live::Live), which is asked on threads of its own ([`Desk`]), and
//! the answer becomes JSON, a PNG, or arrays as safetensors. The page is a folder of modules that are part of the program
//! (`server/page/`); it asks nobody else for anything.
//!
//! What protects it is in `access.rs` (who may ask), `limits.rs` (how much) and `serve.rs` (how slowly): an address of this machine
//! alone, a token, checks of `Host` and `Origin`, a content security policy, and limits on everything that grows. No path of a
//! request is ever a path on disk, and nothing that is sent is written there.

mod access;
mod answers;
mod attacks;
mod desk;
mod jobs;
mod limits;
mod page;
mod questions;
mod serve;
mod state;

pub use access::{Access, Token};
pub use desk::Desk;
pub use serve::{Listening, ServeError, serve};
pub use state::{Table, router};
