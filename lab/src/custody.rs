//! Whether the folder of an investigation is what it was, and says what follows from what it holds.

use std::path::{Path, PathBuf};

use archaeo_experiments::custody::{self, CustodyError, Outcome, PublicKey, SecretKey};
use archaeo_experiments::investigation::InvestigationError;

use crate::error::LabError;
use crate::listener::Followed;
use crate::session::Session;

pub use archaeo_experiments::custody::{Check, Part, Verification};

/// How thoroughly a folder is checked.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Numbers that are concluded again from their records.
    pub sample: usize,
    /// Whether the models are asked about a sample of images again.
    pub deep: bool,
    /// Who should have signed: a file, or the key itself.
    pub public_key: Option<String>,
    /// Secret key that signs the manifest, where nothing differs.
    pub sign: Option<PathBuf>,
    /// Password of that key.
    pub password: Option<String>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { sample: 20, deep: false, public_key: None, sign: None, password: None }
    }
}

impl Session {
    /// Checks the folder of an investigation, or that of a report: against its manifest, its report against its findings, and a
    /// sample of its numbers against their records.
    ///
    /// # Errors
    /// A folder without a manifest, a key that cannot be used. What differs is no error: [`Verification::differ`] counts it.
    pub fn verify_investigation(
        &self,
        path: &Path,
        options: &VerifyOptions,
    ) -> Result<Verification, LabError> {
        let folder = folder_of(path);
        let custody = |error: CustodyError| LabError::from(InvestigationError::from(error));
        let public_key = options.public_key.as_deref().map(PublicKey::read).transpose().map_err(custody)?;
        let password = || options.password.clone();
        let sign = options.sign.as_deref().map(|key| SecretKey::read(key, password())).transpose();
        let sign = sign.map_err(custody)?;
        let device = self.device()?;
        let request = custody::Request {
            folder,
            seed: self.seed(),
            sample: options.sample,
            deep: options.deep,
            // A signature that is about to be replaced need not be one.
            public_key: public_key.as_ref().filter(|_| sign.is_none()),
            device: &device,
            environment: &self.environment(),
            copies: &|source| self.copies(source).map_err(|error| error.to_string()),
        };
        let verified = custody::verify(&request, &Followed(self.listener()))?;
        self.listener().end();
        verified.notes.iter().for_each(|note| self.note(note));
        if let Some(key) = sign
            && verified.of(Outcome::Differs).next().is_none()
        {
            key.sign(folder).map_err(custody)?;
            self.note(format!("{} is signed", folder.join(custody::MANIFEST).display()));
        }
        Ok(verified)
    }
}

/// The folder that a path means: itself, or that of a report.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.is_file() {
        true => path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        false => path,
    }
}
