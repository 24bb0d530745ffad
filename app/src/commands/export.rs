//! `archaeo export`: a model as other libraries load it.

use anyhow::Result;
use archaeo_lab::{Exported, ModelSource, Session};

use crate::cli::Export;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model that is not known, a file that cannot be read or a folder that cannot be written.
pub fn run(arguments: &Export, session: &Session, printer: &Printer) -> Result<()> {
    let Export { weights, model, reading, out } = arguments;
    let source = ModelSource { name: model.clone(), reading: reading.asked(), ..ModelSource::new(weights) };
    let exported = session.export_model(&source, out)?;
    printer.result(&exported, |Exported { model, folder, loaded_by }| {
        format!("{model} is in {}; loaded by {loaded_by}", folder.display())
    })
}
