//! In place of `hub/` where the feature `hub` is left out: names on the Hugging Face hub are recognised and refused.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// Nothing is fetched in any case.
pub fn stay_offline() {}

/// Whether a path is really a name on the hub.
pub fn is_reference(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with("hf:"))
}

/// The path, unless it is a name on the hub.
///
/// # Errors
/// A name on the hub.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    ensure!(
        !is_reference(path),
        "{} is on the Hugging Face hub, and this program was built without the feature `hub` that downloads from there; build it \
         with `cargo build --release -p archaeo --features hub`, or give the path of a checkpoint",
        path.display()
    );
    Ok(path.to_owned())
}
