//! What trackers make of the log of a training, afterwards.

use std::path::{Path, PathBuf};

use archaeo_store::Lock;
use archaeo_store::run_folder::RunFolderError;
use archaeo_training::{run_folders, trackers};
use serde::Serialize;

use crate::delivery::{Delivered, deliver};
use crate::error::LabError;
use crate::session::Session;

/// What trackers wrote, and what of it was delivered.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tracked {
    /// Files that were written, in the run folders.
    pub files: Vec<PathBuf>,
    /// What was delivered to other programs.
    pub delivered: Vec<Delivered>,
}

impl Session {
    /// Writes the files of these trackers from the log of the run in `folder`, or of all its runs, and delivers what other programs do not
    /// have yet.
    ///
    /// # Errors
    /// One sentence; a later call goes on where this one ended.
    pub fn track(&self, folder: &Path, ids: &[String]) -> Result<Tracked, LabError> {
        let kinds = trackers::chosen(ids)?;
        let mut tracked = Tracked::default();
        for folder in run_folders(folder) {
            tracked.files.extend(trackers::track(&folder, &kinds)?);
            let lock = Lock::try_take(&folder.join("lock"))?;
            let _lock = lock.ok_or_else(|| RunFolderError::InUse(folder.clone()))?;
            let delivered = deliver(&folder, ids, self.is_offline());
            tracked.delivered.extend(delivered.map_err(|error| LabError::Delivery { folder, error })?);
        }
        Ok(tracked)
    }
}
