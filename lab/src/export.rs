//! A model as other libraries load it.

use std::path::{Path, PathBuf};

use archaeo_experiments::card::is_ours;
use archaeo_models::{Library, export};
use burn::tensor::Device;
use serde::Serialize;

use crate::card::{self, CARD, card_of};
use crate::checkpoint::Found;
use crate::destination::check_inputs;
use crate::error::LabError;
use crate::listener::Kept;
use crate::session::Session;
use crate::subject::{ModelSource, is_head};

/// A model that was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exported {
    /// Its name.
    pub model: String,
    /// Where it is.
    pub folder: PathBuf,
    /// What loads it, with the call.
    pub loaded_by: String,
}

impl Session {
    /// Writes a model's `model.safetensors` and `config.json` into a folder, and its card with what is known of it.
    ///
    /// # Errors
    /// A model that is not known, a file that cannot be read, or a folder that cannot be written or that the model is read from.
    pub fn export_model(&self, source: &ModelSource, folder: &Path) -> Result<Exported, LabError> {
        for name in ["model.safetensors", "config.json"] {
            check_inputs(&folder.join(name), &[&source.weights])?;
        }
        let Found { checkpoint, described } = self.find(source)?;
        let card = card_of(&self.resolve(&source.weights)?, &described.card)?;
        self.listener().keeps(Kept::IncompleteExport);
        let _stage = self.stage("writing the model");
        let reading = &source.reading;
        let model = checkpoint.into_model(Some(described.card), &reading.load_options(), &Device::flex())?;
        if reading.replace_head || reading.allow_missing.iter().any(|name| is_head(name)) {
            self.warning(
                "the part of the head that the checkpoint lacks is initialised randomly: its predictions are random until it is trained",
            );
        }
        let library = export(folder, &model)?;
        match is_ours(&folder.join(CARD)) {
            true => card::write(&folder.join(CARD), &card)?,
            false => self.note(format!(
                "{} is left as it is, since it is no model card of archaeo",
                folder.join(CARD).display()
            )),
        }
        let shown = folder.display();
        let loaded_by = match library {
            Library::Timm => format!("timm.create_model(\"local-dir:{shown}\", pretrained=True)"),
            Library::Torchvision => {
                "torchvision's ResNet with this stem and these widths (docs/export.md)".into()
            }
            Library::Archaeo => "archaeo alone: neither timm nor torchvision builds this variant".into(),
        };
        Ok(Exported { model: model.card().name.clone(), folder: folder.to_owned(), loaded_by })
    }
}
