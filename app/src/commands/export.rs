//! `archaeo export`: a model as other libraries load it.

use anyhow::Result;
use archaeo_models::{Library, export};
use burn::tensor::Device;
use serde_json::json;

use super::check_inputs;
use super::checkpoint::{Found, find, options};
use super::subject::is_head;
use crate::cli::Export;
use crate::interrupt;
use crate::printer::Printer;
use crate::progress::stage;

/// Runs the command.
///
/// # Errors
/// A model that is not known, a file that cannot be read or a folder that cannot be written.
pub fn run(arguments: &Export, printer: &Printer) -> Result<()> {
    let Export { weights, model, reading, out } = arguments;
    ["model.safetensors", "config.json"]
        .iter()
        .try_for_each(|name| check_inputs(&out.join(name), &[weights]))?;
    let Found { checkpoint, described } = find(weights, model.as_deref(), reading, &[], printer)?;
    interrupt::keeps("what is in the folder may be incomplete; run the same command again");
    let _stage = stage("writing the model");
    let model = checkpoint.into_model(Some(described.card), &options(reading), &Device::flex())?;
    if reading.replace_head || reading.allow_missing.iter().any(|name| is_head(name)) {
        printer.warning(
            "what the checkpoint lacks of its head is drawn anew: its answers are random until it is trained",
        );
    }
    let library = export(out, &model)?;
    let folder = out.display();
    let loaded = match library {
        Library::Timm => format!("timm.create_model(\"local-dir:{folder}\", pretrained=True)"),
        Library::Torchvision => {
            "torchvision's ResNet with this stem and these widths (docs/export.md)".into()
        }
        Library::Archaeo => "archaeo alone: neither timm nor torchvision builds this variant".into(),
    };
    let result = json!({ "model": model.card().name, "folder": out, "loaded_by": loaded });
    printer.result(&result, |_| format!("{} is in {folder}; loaded by {loaded}", model.card().name))
}
